"""Lists and watches against a server that does what servers do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from seaway.client import reader as reading
from seaway.client.api import kind_of
from seaway.client.errors import ApiStatusError, Expired, Unavailable
from seaway.client.kubeconfig import Credentials
from seaway.client.reader import Reader

SERVICES = kind_of("services")
Answer = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Answers each request by `answer`, which gets its head."""

    def __init__(self, answer: Answer) -> None:
        self._answer, self.connections, self.heads = answer, 0, list[str]()
        self.writers: list[asyncio.StreamWriter] = []
        self.ended = asyncio.Event()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        with suppress(EOFError, OSError):
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                await self._answer(head, writer)
        self.ended.set()


@asynccontextmanager
async def serving(answer: Answer, token: str = "") -> AsyncIterator[tuple[Server, Reader]]:
    server = Server(answer)
    listening = await asyncio.start_server(server.connected, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with Reader(Credentials(f"http://127.0.0.1:{port}/base/", None, token), "test") as api:
        yield server, api
    listening.close()


def whole(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_pages_of_a_list_come_by_one_connection_with_who_asks() -> None:
    async def answer(head: str, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(b'{"items": [], "metadata": {}}'))

    async def run() -> None:
        async with serving(answer, "secret") as (server, api):
            for more in ({}, {"continue": "a b&c"}):
                assert await api.list(SERVICES, "team-a", {"limit": "2", **more}) == {"items": [], "metadata": {}}
            assert server.connections == 1
            first, second = server.heads
            assert first.startswith("GET /base/api/v1/namespaces/team-a/services?limit=2 HTTP/1.1\r\nHost: 127.0.0.1:")
            assert "continue=a+b%26c" in second
            assert "\r\nAuthorization: Bearer secret\r\n" in first and "\r\nUser-Agent: test\r\n" in first

    asyncio.run(run())


def test_a_connection_that_the_server_has_closed_is_opened_anew() -> None:
    async def answer(head: str, writer: asyncio.StreamWriter) -> None:
        if len(server.heads) == 2:  # the request was on its way when the server closed
            writer.close()
        else:
            writer.write(whole(b"{}"))

    async def run() -> None:
        nonlocal server
        async with serving(answer) as (server, api):
            assert await api.list(SERVICES) == await api.list(SERVICES) == {}
            assert (len(server.heads), server.connections) == (3, 2)
            server.writers[-1].close()
            await asyncio.sleep(0.01)
            assert await api.list(SERVICES) == {}
            assert (len(server.heads), server.connections) == (4, 3)

    server: Server
    asyncio.run(run())


def test_a_refusal_is_told_with_its_status() -> None:
    async def answer(head: str, writer: asyncio.StreamWriter) -> None:
        if "watch=true" in head:
            writer.write(whole(b'{"code": 410, "reason": "Expired", "message": "too old"}', "410 Gone"))
        else:
            writer.write(whole(b"not JSON", "403 Forbidden"))

    async def run() -> None:
        async with serving(answer) as (_, api):
            with pytest.raises(ApiStatusError, match="403 : not JSON"):
                await api.list(SERVICES)
            with pytest.raises(Expired, match="410 Expired: too old"):
                async for _ in api.watch(SERVICES):
                    pass

    asyncio.run(run())


def test_events_come_when_they_are_whole_until_the_stream_ends() -> None:
    async def answer(head: str, writer: asyncio.StreamWriter) -> None:
        assert "watch=true" in head and "resourceVersion=7" in head
        writer.write(CHUNKED + chunk(b'{"type": "ADDED"}\n{"type"'))
        await asyncio.sleep(0.01)
        writer.write(chunk(b': "DELETED"}') + chunk(b"\n") + b"0\r\n\r\n")

    async def run() -> None:
        async with serving(answer) as (_, api):
            found = [event async for event in api.watch(SERVICES, "", {"resourceVersion": "7"})]
            assert found == [{"type": "ADDED"}, {"type": "DELETED"}]

    asyncio.run(run())


@pytest.mark.parametrize(
    "sent",
    [b"", b"HTTP/1.1 200", whole(b"{}")[:-1], CHUNKED + chunk(b'{"type": "ADDED"}\n'), CHUNKED + b"zz\r\n", b"\0\0\r\n\r\n"],
)
def test_what_is_no_answer_is_unavailable(sent: bytes) -> None:
    async def answer(head: str, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        writer.close()

    async def run() -> None:
        async with serving(answer) as (_, api):
            with pytest.raises(Unavailable, match=r"^GET /api/v1/services: "):
                await api.list(SERVICES)
            with pytest.raises(Unavailable, match=r"^WATCH /api/v1/services: "):
                async for event in api.watch(SERVICES):
                    assert event == {"type": "ADDED"}

    asyncio.run(run())


def test_a_silent_server_and_one_that_is_not_there_are_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(head: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    async def run() -> None:
        async with serving(answer) as (_, api):
            with pytest.raises(Unavailable, match="TimeoutError"):
                await api.list(SERVICES)
        async with Reader(Credentials("https://127.0.0.1:1", None)) as nobody:
            with pytest.raises(Unavailable, match="ConnectionRefusedError"):
                await nobody.list(SERVICES)

    monkeypatch.setattr(reading, "WHOLE", 0.05)
    asyncio.run(run())


def test_a_watch_that_is_given_up_leaves_no_connection() -> None:
    async def answer(head: str, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunk(b"{}\n"))

    async def run() -> None:
        async with serving(answer) as (server, api):
            stream = api.watch(SERVICES)
            async for _ in stream:
                break
            await stream.aclose()  # type: ignore[attr-defined]
            async with asyncio.timeout(2):
                await server.ended.wait()

    asyncio.run(run())
