"""/health, /ready and /metrics, as probes and Prometheus ask, and as nobody should."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from seaway.dns.serving.pages import Pages
from seaway.metrics import pages as serving

Talk = Callable[[int], Awaitable[None]]


def served(talk: Talk, ready: bool = True) -> None:
    async def metrics() -> str:
        return "coredns_x 1\n" * 100_000

    async def run() -> None:
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        await Pages(lambda: ready, metrics).serve({"all": sock}, "all", "all", "all")
        async with asyncio.timeout(10):
            await talk(sock.getsockname()[1])

    asyncio.run(run())


async def said(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    found = await reader.read()
    writer.close()
    return found


@pytest.mark.parametrize(
    ("request_line", "status", "body"),
    [
        ("GET /health HTTP/1.1", "200 OK", "OK"),
        ("GET /health?verbose HTTP/1.0", "200 OK", "OK"),
        ("HEAD /health HTTP/1.1", "200 OK", ""),
        ("GET /ready HTTP/1.1", "503 Service Unavailable", "kubernetes\n"),
        ("GET / HTTP/1.1", "404 Not Found", "404 page not found\n"),
        ("POST /health HTTP/1.1", "405 Method Not Allowed", "method not allowed\n"),
        ("GET /health", "400 Bad Request", "bad request\n"),
        ("GET /health HTTP/2.0", "400 Bad Request", "bad request\n"),
    ],
)
def test_each_request_has_its_answer(request_line: str, status: str, body: str) -> None:
    async def talk(port: int) -> None:
        found = await said(port, f"{request_line}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head, _, rest = found.decode().partition("\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {status}\r\n") and "\r\nConnection: close" in head
        assert rest == body

    served(talk, ready=False)


def test_a_connection_serves_many_scrapes() -> None:
    async def talk(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            assert "text/plain; version=0.0.4" in head and "keep-alive" in head
            size = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
            assert (await reader.readexactly(size)).startswith(b"coredns_x 1\n")
        writer.close()

    served(talk)


def test_what_is_too_long_or_has_a_body_ends_the_connection() -> None:
    async def talk(port: int) -> None:
        assert (await said(port, b"GET /health HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        with_body = b"GET /health HTTP/1.1\r\nContent-Length: 40\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n"
        assert (await said(port, with_body)).count(b"HTTP/1.1 ") == 1

    served(talk)


def test_the_silent_and_the_slow_are_let_go_and_the_many_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(port: int) -> None:
        assert await said(port, b"GET /hea") == b""
        slow = socket.create_connection(("127.0.0.1", port))
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 20)
        many = [await asyncio.open_connection("127.0.0.1", port) for _ in range(serving.CONNECTIONS + 20)]
        ends = await asyncio.gather(*(reader.read() for reader, _ in many))
        assert ends == [b""] * len(many)
        assert (await said(port, b"GET /health HTTP/1.0\r\n\r\n")).endswith(b"\r\n\r\nOK")
        with pytest.raises(OSError):
            while True:
                slow.settimeout(5)
                if not slow.recv(1 << 20):
                    raise ConnectionResetError
        for _, writer in many:
            writer.close()
        slow.close()

    monkeypatch.setattr(serving, "IDLE", 0.2)
    monkeypatch.setattr(serving, "ANSWER", 0.2)
    served(talk)
