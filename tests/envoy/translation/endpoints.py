"""An endpoint of a backend that can be told how to behave, and that tells who came, by which connection, with which PROXY header.

    web = Endpoint("web")                         # answers 200 with what reached it
    web.status = 503                              # from now on
    with web.held(): ...                          # nobody is answered meanwhile
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from typing import Any

HEALTH = "/health"
_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def received(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        if not part:
            raise ConnectionError
        found += part
    return found


def proxy_header(connection: socket.socket) -> str:
    """Who a connection's PROXY header says it is, with its version; read off byte by byte, since TLS may follow."""
    found = received(connection, len(_SIGNATURE))
    if found != _SIGNATURE:
        while not found.endswith(b"\r\n"):
            found += received(connection, 1)
        assert found.startswith(b"PROXY "), found
        return f"v1 {found.split()[2].decode()}"
    _, family, size = struct.unpack("!BBH", received(connection, 4))
    rest = received(connection, size)
    if family >> 4 == 0:
        return "v2 local"
    return f"v2 {ipaddress.ip_address(rest[: 4 if family >> 4 == 1 else 16])}"


class Endpoint:
    """`status` of what it answers; `health` of what it answers to HEALTH."""

    def __init__(self, name: str, tls: ssl.SSLContext | None = None, proxied: bool = False) -> None:
        self.name, self.status, self.health = name, 200, 200
        self.asked = 0  # requests but those for its health
        self.checked: list[dict[str, str]] = []  # the headers of those
        self.connections = self.ended = 0
        self._tls, self._proxied = tls, proxied
        self._free = threading.Event()
        self._free.set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), connection:
            told = proxy_header(connection) if self._proxied else ""
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            kept = b""
            while True:
                while b"\r\n\r\n" not in kept:
                    part = connection.recv(65536)
                    if not part:
                        raise ConnectionError
                    kept += part
                head, _, kept = kept.partition(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
                length = int(headers.get("content-length") or 0)
                kept = kept[length:] if len(kept) >= length else received(connection, length - len(kept))[:0]
                connection.sendall(self._answer(lines[0].split(" ")[1], headers, number, told))
        self.ended += 1

    def _answer(self, path: str, headers: dict[str, str], number: int, told: str) -> bytes:
        status = self.status
        if path == HEALTH:
            self.checked.append(headers)
            status = self.health
        else:
            self.asked += 1
            self._free.wait(20)
        tree: dict[str, Any] = {"backend": self.name, "path": path, "headers": headers, "connection": number, "proxied": told}
        text = json.dumps(tree)
        head = f"HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\nx-backend: {self.name}"
        return f"{head}\r\n\r\n{text}".encode()

    def close(self) -> None:
        self._free.set()
        self._listener.close()
