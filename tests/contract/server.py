"""An API server of its own for a test: a process that can be killed and started again on the same socket and data."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from seaway.cluster import config, layout
from seaway.cluster.keys import kubeconfig
from seaway.pki.authority import Authority, new_key

PROGRAM = """
import json, sys
from seaway.cluster.apiserver import connections, main, reads, seats, storage, streamed
plan = json.load(sys.stdin)
for name, value in plan["limits"].items():
    setattr(next(m for m in (storage, reads, seats, streamed, connections) if hasattr(m, name)), name, value)
main.main(plan["args"], {"api": plan["fd"]})
"""


class Server:
    """`request` answers (status, tree); a refused connection is ConnectionError."""

    def __init__(self, folder: Path, **limits: int) -> None:
        self.folder, self.limits = folder, limits
        self.extra: dict[str, Any] = {}  # more of the process's arguments
        pki = folder / "pki"
        pki.mkdir(parents=True)
        now = time.time()
        self.authority = Authority.new("test", now)
        (pki / "ca.crt").write_bytes(self.authority.pair.certificate)
        (pki / "sa.key").write_bytes(new_key())
        pair = self.authority.issue("kube-apiserver", now, ("system:masters",), ("127.0.0.1",), server=True)
        (pki / "apiserver.crt").write_bytes(pair.certificate)
        (pki / "apiserver.key").write_bytes(pair.key)
        admin = self.authority.issue("admin", now, ("system:masters",))
        (folder / "admin.pem").write_bytes(admin.certificate + admin.key)
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(1000)
        self.port = self.listener.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        (folder / "kubeconfig").write_text(json.dumps(kubeconfig(self.url, self.authority.pair.certificate, admin, "test")))
        self.admin = self.context(str(folder / "admin.pem"))
        self.process: subprocess.Popen[bytes] | None = None

    def context(self, certificate: str = "") -> ssl.SSLContext:
        found = ssl.create_default_context(cafile=str(self.folder / "pki" / "ca.crt"))
        if certificate:
            found.load_cert_chain(certificate)
        return found

    @property
    def database(self) -> Path:
        return self.folder / "data" / "state.db"

    def start(self) -> Server:
        fd = self.listener.fileno()
        args = {"layout": layout.dump(layout.plan(config.ClusterConfig())), "data": str(self.folder / "data"), "pki": str(self.folder / "pki"), **self.extra}
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=log, stderr=log, pass_fds=[fd])
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"args": args, "fd": fd, "limits": self.limits}).encode())
        self.process.stdin.close()
        return self

    def wait(self) -> Server:
        end = time.monotonic() + 30
        while True:
            try:
                if self.request("GET", "/readyz")[0] == 200:
                    return self
            except OSError:
                pass
            assert time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        if self.process:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def connect(self, context: ssl.SSLContext | None = None, timeout: float = 15) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context or self.admin, timeout=timeout)

    def request(self, method: str, path: str, body: Any = None, query: dict[str, str] | None = None, media: str = "application/json",
                token: str = "", connection: http.client.HTTPSConnection | None = None, accept: str = "application/json",
                anonymous: bool = False, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """One exchange; bytes bodies go as they are."""
        own = connection or self.connect(self.context() if token or anonymous else None)
        headers = {"Accept": accept, **(headers or {})}
        if body is not None:
            headers["Content-Type"] = media
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        try:
            own.request(method, path + (f"?{urlencode(query)}" if query else ""), data, headers)
            answer = own.getresponse()
            raw = answer.read()
            self.headers = answer.headers
            kind = answer.headers.get("Content-Type", "")
            return answer.status, json.loads(raw) if kind.startswith("application/json") and raw else raw
        except http.client.HTTPException as e:
            raise ConnectionError(str(e)) from e
        finally:
            if connection is None:
                own.close()

    def create(self, path: str, tree: Any) -> Any:
        status, answer = self.request("POST", path, tree)
        assert status == 201, answer
        return answer

    def events(self, path: str, query: dict[str, str], count: int, within: float = 15) -> list[Any]:
        """The first events of a watch."""
        connection = self.connect(timeout=within)
        connection.request("GET", f"{path}?{urlencode({'watch': 'true', **query})}")
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        found = []
        while len(found) < count:
            line = answer.readline()
            if not line:
                break
            found.append(json.loads(line))
        connection.close()
        return found

    def close(self) -> None:
        self.kill()
        self.listener.close()
