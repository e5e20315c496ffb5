"""A small HTTP/1.1 server for the built-in programs: one function from a request to an answer. Not for production."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

LIMIT = 1 << 16
REASONS = {200: "OK", 201: "Created", 204: "No Content", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
           500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    peer: tuple[str, int]

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    def query(self, name: str, default: str = "") -> str:
        return (parse_qs(urlsplit(self.target).query, keep_blank_values=True).get(name) or [default])[0]

    def header(self, name: str) -> str:
        return next((v for k, v in self.headers if k.lower() == name.lower()), "")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"


Handler = Callable[[Request], Answer]


class _Connection(asyncio.Protocol):
    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._data = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        assert self._transport
        while True:
            head, found, rest = self._data.partition(b"\r\n\r\n")
            if not found:
                if len(head) > LIMIT:
                    self._transport.close()
                return
            lines = head.decode("latin-1").split("\r\n")
            parts = lines[0].split(" ")
            headers = tuple((k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in lines[1:]))
            length = next((v for k, v in headers if k.lower() == "content-length"), "0")
            if len(parts) != 3 or not length.isdigit():
                self._send(Answer(400, b"bad request\n"), True)
                return
            if len(rest) < int(length):
                return
            self._data = rest[int(length):]
            peer = self._transport.get_extra_info("peername") or ("", 0)
            request = Request(parts[0], parts[1], parts[2], headers, rest[: int(length)], (peer[0], peer[1]))
            close = request.header("Connection").lower() == "close" or request.version == "HTTP/1.0"
            self._send(self._handler(request), close, request.method == "HEAD")
            if close:
                return

    def _send(self, answer: Answer, close: bool, head_only: bool = False) -> None:
        assert self._transport
        head = (f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Status')}\r\nContent-Type: {answer.kind}\r\n"
                f"Content-Length: {len(answer.body)}\r\n{'Connection: close' + chr(13) + chr(10) if close else ''}\r\n")  # fmt: skip
        self._transport.write(head.encode() + (b"" if head_only else answer.body))
        if close:
            self._transport.close()


def serve(handler: Handler, port: int, host: str | None = None, udp: tuple[int, Callable[[bytes, tuple[str, int]], bytes]] | None = None) -> int:
    """Serves until SIGTERM or SIGINT; both families where there are two."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        server = await loop.create_server(lambda: _Connection(handler), host, port, backlog=1024)
        if udp is not None:
            udp_port, echo = udp

            class Datagrams(asyncio.DatagramProtocol):
                def connection_made(self, transport: asyncio.BaseTransport) -> None:
                    self.transport = transport

                def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                    self.transport.sendto(echo(data, addr), addr)  # type: ignore[attr-defined]

            await loop.create_datagram_endpoint(Datagrams, local_addr=("::", udp_port))
        await stop.wait()
        server.close()

    try:
        asyncio.run(run())
    except OSError as e:
        print(f"cannot listen on port {port}: {e}", file=sys.stderr)
        return 1
    return 0
