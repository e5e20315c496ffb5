"""What every part of `make bench` uses: a cluster of its own, raw connections, and rows with goals."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from seaway.client import kubeconfig
from seaway.client.rest import Rest

ROOT = Path(__file__).resolve().parent.parent
SEAWAY = str(ROOT / ".venv" / "bin" / "seaway")


@contextmanager
def scratch() -> Iterator[str]:
    """A folder of our own, runtime folders in it."""
    folder = tempfile.mkdtemp(prefix="sb", dir="/tmp")
    os.environ["SEAWAY_RUNTIME"] = folder
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Cluster:
    """A cluster named bench; `with` takes it down."""

    def __init__(self, *args: str) -> None:
        self.args = args

    def __enter__(self) -> Cluster:
        self.folder = Path(os.environ["SEAWAY_RUNTIME"]) / "bench"
        try:
            run("up", "--name", "bench", "--detach", "--dns-upstream", "none", *self.args)
        except BaseException:  # an interrupted start leaves no cluster behind
            subprocess.run([SEAWAY, "down", "--name", "bench"], capture_output=True)
            raise
        self.kubeconfig = self.folder / "kubeconfig"
        return self

    def __exit__(self, *exc: object) -> None:
        run("down", "--name", "bench")

    def rest(self) -> Rest:
        return Rest(kubeconfig.from_file(self.kubeconfig), "bench")

    def outside(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([SEAWAY, "outside", "--name", "bench", "--", *command], capture_output=True, text=True)


def run(*args: str) -> str:
    done = subprocess.run([SEAWAY, *args], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"seaway {' '.join(args)}: {done.stdout}{done.stderr}")
    return done.stdout


def row(what: str, value: str, goal: str, good: bool | None) -> None:
    mark = "" if good is None else ("  meets" if good else "  MISSES")
    print(f"{what:<62} {value:>16}   {goal}{mark}", flush=True)


async def until(check: Callable[[], Any], within: float = 120.0) -> None:
    end = time.monotonic() + within
    while not await check():
        if time.monotonic() > end:
            sys.exit("bench: a condition was not met in time")
        await asyncio.sleep(0.01)


class Raw:
    """A keep-alive TLS connection that sends prepared requests."""

    def __init__(self, credentials: kubeconfig.Credentials) -> None:
        url = urlsplit(credentials.server)
        self.host, self.port, self.tls = url.hostname or "", url.port or 443, credentials.tls

    async def open(self) -> Raw:
        context: ssl.SSLContext | None = self.tls
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port, ssl=context, limit=1 << 20)
        return self

    async def send(self, method: str, path: str, body: bytes, media: str = "application/json", user: str = "") -> int:
        """The status of an exchange; `user` is acted as."""
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n"
        if user:
            head += f"Impersonate-User: {user}\r\n"
        self.writer.write(head.encode() + b"\r\n" + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        for line in answer.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                await self.reader.readexactly(int(line.split(b":")[1]))
        return int(answer.split(b" ", 2)[1])
