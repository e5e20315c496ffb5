"""The machine's name servers: read anew when its resolv.conf changes, those that have not answered lately last."""

from __future__ import annotations

import os
import socket

PORT = 53
LOOK_EVERY = 1.0  # seconds between two looks at the file
AVOIDED = 10.0  # seconds that a server which did not answer stands behind the others
MOST = 8
Sockaddr = tuple[str, int] | tuple[str, int, int, int]
Address = tuple[int, Sockaddr]  # family, address


def addresses(text: str, port: int = PORT) -> list[Address]:
    """The name servers of a resolv.conf. Without one it means the machine itself (resolv.conf(5))."""
    found: list[Address] = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 2 or fields[0] != "nameserver" or len(found) == MOST:
            continue
        try:
            row = socket.getaddrinfo(fields[1], port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0]
        except (OSError, UnicodeError):
            continue  # not an address
        found.append((int(row[0]), row[4]))  # type: ignore[arg-type]  # numeric: never another form
    return found or [(int(socket.AF_INET), ("127.0.0.1", port))]


class Upstreams:
    def __init__(self, path: str, port: int = PORT) -> None:
        self._path, self._port = path, port
        self._seen: tuple[int, ...] | None = None
        self._looked = float("-inf")
        self._servers: list[Address] = []
        self._failed: dict[Address, float] = {}

    def order(self, now: float) -> list[Address]:
        """Whom to ask, first to last."""
        if now - self._looked >= LOOK_EVERY:
            self._looked = now
            self._look()
        return sorted(self._servers, key=lambda server: self._failed.get(server, float("-inf")) > now - AVOIDED)

    def failed(self, server: Address, now: float) -> None:
        self._failed[server] = now

    def answered(self, server: Address) -> None:
        self._failed.pop(server, None)

    def _look(self) -> None:
        try:
            found = os.stat(self._path)
            seen = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
            if seen == self._seen:
                return
            with open(self._path, encoding="utf-8", errors="replace") as f:
                text = f.read(1 << 16)
        except OSError:
            seen, text = None, ""
        self._seen, self._servers = seen, addresses(text, self._port)
        self._failed = {s: t for s, t in self._failed.items() if s in self._servers}
