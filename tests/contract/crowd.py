"""Many clients of one API server at once, each a connection that says exactly what a test wants it to say."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from server import Server


def person(server: Server, name: str) -> ssl.SSLContext:
    """A user with a certificate, who may do everything but is no member of system:masters."""
    pair = server.authority.issue(name, time.time(), ())
    path = server.folder / f"{name}.pem"
    path.write_bytes(pair.certificate + pair.key)
    subject = {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"}
    tree = {"metadata": {"name": f"all-for-{name}"}, "subjects": [subject], "roleRef": role}
    server.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", tree)
    return server.context(str(path))


class Client:
    """A connection that is kept. `answer` is (status, headers, body)."""

    def __init__(self, server: Server, context: ssl.SSLContext | None = None) -> None:
        self.server, self.context = server, context or server.admin

    async def open(self, limit: int = 1 << 16) -> Client:
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", self.server.port, ssl=self.context, server_hostname="127.0.0.1", limit=limit
        )
        return self

    def send(self, method: str, path: str, tree: Any = None, media: str = "application/json", accept: str = "*/*") -> None:
        body = b"" if tree is None else tree if isinstance(tree, bytes) else json.dumps(tree).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n"
        if body:
            head += f"Content-Type: {media}\r\nContent-Length: {len(body)}\r\n"
        self.writer.write(head.encode() + b"\r\n" + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        raw = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in raw[1:] if line)}
        return int(raw[0].split(" ", 2)[1]), headers

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        status, headers = await self.head()
        if headers.get("transfer-encoding") != "chunked":
            return status, headers, await self.reader.readexactly(int(headers.get("content-length", 0)))
        body = bytearray()
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return status, headers, bytes(body)

    async def ask(self, method: str, path: str, tree: Any = None, **more: str) -> tuple[int, dict[str, str], bytes]:
        self.send(method, path, tree, **more)
        return await self.answer()

    def close(self) -> None:
        transport = self.writer.transport
        transport.abort()


async def ended(clients: Iterable[Client]) -> None:
    """Closes them and lets the loop see it."""
    for client in clients:
        client.close()
    await asyncio.sleep(0)


def memory(server: Server) -> int:
    """Bytes that only the server's process holds (its private memory)."""
    assert server.process is not None
    text = Path(f"/proc/{server.process.pid}/smaps_rollup").read_text()
    return 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(("Private_Clean", "Private_Dirty")))


def established(server: Server) -> int:
    """Connections that the server's side still holds, as the kernel lists them."""
    assert server.process is not None
    held = {os.readlink(link) for link in Path(f"/proc/{server.process.pid}/fd").iterdir() if link.is_symlink()}
    found = 0
    for line in Path(f"/proc/{server.process.pid}/net/tcp").read_text().splitlines()[1:]:
        parts = line.split()
        if int(parts[1].split(":")[1], 16) == server.port and parts[3] == "01" and f"socket:[{parts[9]}]" in held:
            found += 1
    return found
