"""Health of nodes: what counts as an answer, and how many answers make a node turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import virtual_time

from seaway.cluster.cloud import probes
from seaway.cluster.cloud.probes import Probes, ask


class Server:
    """A tiny HTTP server on loopback that says what it is told to, and keeps what it was asked."""

    def __init__(self, says: bytes | None) -> None:
        self.says, self.asked = says, b""

    @asynccontextmanager
    async def on(self, host: str) -> AsyncIterator[int]:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.asked = await reader.readuntil(b"\r\n\r\n")
            if self.says is None:
                await asyncio.sleep(1)
            else:
                writer.write(self.says)
            writer.close()

        server = await asyncio.start_server(handle, host, 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize(
    ("says", "want"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"HTTP/1.1 404 200\r\n\r\n", False),
        (b"HTTP/1.1 301 Moved Permanently\r\nLocation: /200\r\n\r\n", False),
        (b"", False),
        (b"200\r\n", False),
        (b"x" * 200_000, False),  # a line without end
        (None, False),  # no answer within the time
    ],
)
def test_only_200_in_time_is_healthy(host: str, says: bytes | None, want: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "TIMEOUT", 0.2)

    async def go() -> None:
        server = Server(says)
        async with server.on(host) as port:
            assert await ask(host, port) is want
            assert server.asked.startswith(b"GET /healthz HTTP/1.1\r\n") and b"Connection: close\r\n" in server.asked
            assert (b"Host: [::1]\r\n" if host == "::1" else b"Host: 127.0.0.1\r\n") in server.asked

    asyncio.run(go())


def test_a_port_that_nobody_listens_on_is_unhealthy() -> None:
    async def go() -> None:
        async with Server(b"").on("127.0.0.1") as port:
            pass
        assert await ask("127.0.0.1", port) is False

    asyncio.run(go())


# answers one after the other -> what the node is held for after each
@pytest.mark.parametrize(
    ("answers", "held"),
    [("+", "+"), ("-", "-"), ("-+", "-+"), ("+-", "++"), ("+--", "++-"), ("+-+--", "++++-"), ("+--+-", "++-++"), ("---+", "---+"), ("+-+-+-", "++++++")],
)
def test_two_failures_in_a_row_turn_a_node_and_one_good_answer_turns_it_back(answers: str, held: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script = iter(answers)
    turned: list[bool] = []

    async def scripted(address: str, port: int) -> bool:
        return next(script, answers[-1]) == "+"

    monkeypatch.setattr(probes, "ask", scripted)

    async def go() -> None:
        found = Probes(lambda: turned.append(found.healthy("x", 1)))
        found.set({("x", 1)})
        assert not found.settled and not found.healthy("x", 1)
        seen = ""
        await asyncio.sleep(probes.PERIOD / 2)
        for _ in answers:
            assert found.settled
            seen += "+" if found.healthy("x", 1) else "-"
            await asyncio.sleep(probes.PERIOD)
        assert seen == held
        changes = [b == "+" for a, b in zip("-" + held, held, strict=False) if a != b]
        assert turned[: len(changes)] == changes
        found.set(set())

    virtual_time.run(go())


def test_targets_come_and_go_and_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def scripted(address: str, port: int) -> bool:
        asked.append(address)
        return True

    monkeypatch.setattr(probes, "ask", scripted)

    async def go() -> None:
        found = Probes(lambda: None)
        assert found.settled, "nobody to ask"
        found.set({("x", 1), ("y", 1)})
        await asyncio.sleep(probes.PERIOD / 2)
        assert found.settled and found.healthy("x", 1) and not found.healthy("x", 2)
        found.set({("y", 1), ("z", 1)})
        assert not found.healthy("x", 1) and found.healthy("y", 1) and not found.settled
        asked.clear()
        await asyncio.sleep(probes.PERIOD * 2.2)
        assert set(asked) == {"y", "z"} and found.settled
        found.set(set())
        asked.clear()
        await asyncio.sleep(5)
        assert asked == []

    virtual_time.run(go())


def test_a_real_server_that_turns_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "PERIOD", 0.01)

    async def go() -> None:
        server, turned = Server(b"HTTP/1.1 200 OK\r\n\r\n"), asyncio.Event()
        found = Probes(turned.set)

        async def until(well: bool) -> None:
            async with asyncio.timeout(10):
                while found.healthy("127.0.0.1", port) is not well:
                    await turned.wait()
                    turned.clear()

        async with server.on("127.0.0.1") as port:
            found.set({("127.0.0.1", port)})
            await until(True)
            server.says = b"HTTP/1.1 503 Service Unavailable\r\n\r\n"
            await until(False)
            server.says = b"HTTP/1.1 200 OK\r\n\r\n"
            await until(True)
        await until(False)
        found.set(set())
        await asyncio.sleep(0)

    asyncio.run(go())
