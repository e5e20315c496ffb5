"""A client that floods or reads slowly harms only itself: others are answered, and the server's memory stays bounded."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crowd import Client, ended, established, memory, person
from server import Server

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/bare/pods"
MIB = 1 << 20
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
POD = {"metadata": {"generateName": "p-"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with 24 MiB of ConfigMaps, whose watches may be behind by 4 MiB and whose lists have 3 seconds."""
    folder: Path = tmp_path_factory.mktemp("overload")
    server = Server(folder, WATCH_BYTES=4 * MIB, LIST_SECONDS=3, HEADER_SECONDS=4, BODY_SECONDS=2, MOST=450).start().wait()
    connection = server.connect()
    for i in range(48):
        tree = {"metadata": {"name": f"large-{i}"}, "data": {"k": "x" * (MIB // 2)}}
        assert server.request("POST", MAPS, tree, connection=connection)[0] == 201
    for i in range(400):
        tree = {"metadata": {"name": f"s-{i}", "labels": {"n": str(i)}}}
        assert server.request("POST", "/api/v1/namespaces/default/secrets", tree, connection=connection)[0] == 201
    connection.close()
    server.create("/api/v1/namespaces", {"metadata": {"name": "bare"}})
    yield server
    server.close()


@pytest.fixture(scope="module")
def ada(target: Server) -> ssl.SSLContext:
    return person(target, "ada")


@pytest.fixture(scope="module")
def bob(target: Server) -> ssl.SSLContext:
    return person(target, "bob")


async def latencies(client: Client, count: int) -> list[float]:
    """Seconds of writes and reads, one after the other; sorted."""
    found = []
    for i in range(count):
        start = time.monotonic()
        status, _, body = await client.ask("PUT", f"{MAPS}/mine", {"metadata": {"name": "mine"}, "data": {"i": str(i)}})
        assert status == 200, body
        assert (await client.ask("GET", f"{MAPS}/mine"))[0] == 200
        found.append(time.monotonic() - start)
    return sorted(found)


async def beside(target: Server, mine: ssl.SSLContext, flood: Callable[[int], object], many: int) -> tuple[list[float], list[float]]:
    """Latencies of a client alone, and beside `many` tasks of a flood."""
    client = await Client(target, mine).open()
    await client.ask("POST", MAPS, {"metadata": {"name": "mine"}})
    idle = await latencies(client, 20)
    tasks = [asyncio.ensure_future(flood(i)) for i in range(many)]  # type: ignore[arg-type]
    await asyncio.sleep(0.5)
    assert not any(t.done() for t in tasks), next(t for t in tasks if t.done())
    busy = await latencies(client, 20)
    assert not any(t.done() for t in tasks), next(t for t in tasks if t.done())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    client.close()
    return idle, busy


def test_a_flood_of_writes_leaves_others_their_turn(target: Server, ada: ssl.SSLContext, bob: ssl.SSLContext) -> None:
    answers: Counter[int] = Counter()

    async def flood(number: int) -> None:
        client = await Client(target, ada).open()
        try:
            while True:
                status, headers, _ = await client.ask("POST", MAPS, {"metadata": {"generateName": "flood-"}})
                answers[status] += 1
                if status == 429:
                    assert headers["retry-after"] == "1"
        finally:
            client.close()

    idle, busy = asyncio.run(beside(target, bob, flood, 150))
    assert set(answers) <= {201, 429} and answers[201] > 100
    # Two requests each wait for what the event loop has in its hands: no more than a round of the flood's connections.
    assert busy[10] < 20 * idle[10] + 0.5, (idle, busy)


def test_huge_lists_leave_others_their_turn(target: Server, ada: ssl.SSLContext, bob: ssl.SSLContext) -> None:
    before = memory(target)

    async def flood(number: int) -> None:
        path, accept = [(MAPS, "application/json"), ("/api/v1/secrets", TABLE), (MAPS, "application/yaml")][number % 3]
        while True:
            client = await Client(target, ada).open()
            try:
                while True:
                    assert (await client.ask("GET", path, accept=accept))[0] == 200
            except (ConnectionError, asyncio.IncompleteReadError):
                pass  # this server gives a list three seconds
            finally:
                client.close()

    idle, busy = asyncio.run(beside(target, bob, flood, 20))
    assert busy[10] < 20 * idle[10] + 1.0, (idle, busy)
    assert memory(target) < before + 100 * MIB


def test_a_large_list_is_like_any_other(target: Server) -> None:
    status, whole = target.request("GET", MAPS, query={"labelSelector": "!none", "fieldSelector": "metadata.name!=mine"})
    assert status == 200 and target.headers["Audit-Id"] and "Content-Length" not in target.headers
    found, token = [], ""
    while True:
        query = {"limit": "7", "continue": token, "fieldSelector": "metadata.name!=mine"}
        page = target.request("GET", MAPS, query=query)[1]
        found += page["items"]
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert found == whole["items"] and len(found) >= 48
    assert target.request("HEAD", MAPS) == (200, b"")


def test_who_asks_for_too_much_at_once_is_told_to_come_back(
    target: Server, ada: ssl.SSLContext, bob: ssl.SSLContext
) -> None:
    """Pods of a namespace without a ServiceAccount wait for it: requests that take long without doing anything."""

    async def run() -> None:
        clients = []
        for _ in range(400):
            clients.append(await Client(target, ada).open())
            clients[-1].send("POST", PODS, POD)
        refused = []
        other = await Client(target, bob).open()
        start = time.monotonic()
        assert (await other.ask("GET", "/api/v1/namespaces/bare"))[0] == 200
        assert time.monotonic() - start < 2, "another user of the same level has seats"
        for answered, task in enumerate(asyncio.as_completed([c.answer() for c in clients], timeout=30)):
            status, headers, body = await task
            if status == 429:
                refused.append((headers, json.loads(body)))
            if refused and answered > 40:
                break
        headers, status_tree = refused[0]
        assert headers["retry-after"] == "1"
        assert status_tree["kind"] == "Status" and status_tree["reason"] == "TooManyRequests"
        assert status_tree["message"] == "Too many requests, please try again later."
        await ended([*clients, other])

    asyncio.run(run())
    assert target.request("GET", "/readyz")[0] == 200


def test_lists_that_nobody_reads_hold_little_and_end(target: Server, ada: ssl.SSLContext) -> None:
    before = memory(target)

    async def run() -> int:
        clients = []
        for _ in range(40):
            clients.append(await Client(target, ada).open(1024))
            clients[-1].send("GET", MAPS)
            clients[-1].writer.transport.pause_reading()  # type: ignore[attr-defined]
        other = await Client(target).open()
        peak, end = 0, time.monotonic() + 4  # past the time that a list has
        while time.monotonic() < end:
            assert (await other.ask("GET", f"{MAPS}/large-0"))[0] == 200
            peak = max(peak, memory(target))
            await asyncio.sleep(0.05)
        ends = 0
        for client in clients:  # each has been given what the sockets hold, and is then cut off
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            try:
                async with asyncio.timeout(20):
                    _, _, body = await client.answer()
                assert len(body) > 24 * MIB, "in time after all"
            except (ConnectionError, asyncio.IncompleteReadError):
                ends += 1
            client.close()
        other.close()
        assert ends
        return peak

    peak = asyncio.run(run())
    assert peak < before + 100 * MIB, "40 lists of 24 MiB are under way, none of them is held"


def test_a_watch_that_nobody_reads_is_ended_and_others_go_on(target: Server, ada: ssl.SSLContext) -> None:
    before = memory(target)

    async def watching(limit: int) -> Client:
        client = await Client(target, ada).open(limit)
        client.send("GET", f"{MAPS}?watch=true&resourceVersion={rv}&fieldSelector=metadata.name=large-0")
        assert (await client.head())[0] == 200
        return client

    async def run() -> None:
        slow = [await watching(1024) for _ in range(30)]
        quick = await watching(8 * MIB)
        for client in slow:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer = await Client(target).open()
        rounds = 40  # 20 MiB of events
        for i in range(rounds):
            tree = {"metadata": {"name": "large-0"}, "data": {"k": "y" * (MIB // 2), "i": str(i)}}
            assert (await writer.ask("PUT", f"{MAPS}/large-0", tree))[0] == 200
            while True:
                line = await quick.reader.readline()
                if f'"i":"{i}"'.encode() in line:
                    break
        for client in slow:
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            try:
                async with asyncio.timeout(10):
                    while await client.reader.read(MIB):
                        pass
            except ConnectionError:
                pass
        await ended([*slow, quick, writer])

    rv = target.request("GET", f"{MAPS}/large-0")[1]["metadata"]["resourceVersion"]
    asyncio.run(run())
    assert memory(target) < before + 120 * MIB, "the history of the events, and no copy of it for each watch"


def test_slow_heads_and_bodies_are_not_waited_for(target: Server) -> None:
    async def run() -> None:
        silent, head, body = [await Client(target).open() for _ in range(3)]
        head.writer.write(b"GET /version HTTP/1.1\r\nHost: x\r\n")
        text = b'{"metadata":{"name":"slow"},"data":{"k":"' + b"x" * 70_000
        body.writer.write(
            f"POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 80000\r\n\r\n".encode()
        )
        body.writer.write(text)
        async with asyncio.timeout(15):
            assert await silent.reader.read() == b""
            assert await head.reader.read() == b""
            status, _, answer = await body.answer()
        assert status == 408
        told = json.loads(answer)
        assert told["reason"] == "Timeout" and "did not arrive within 2s" in told["message"]
        await ended([silent, head, body])

    asyncio.run(run())
    assert target.request("GET", f"{MAPS}/slow")[0] == 404


def test_a_body_that_waits_to_be_asked_for_is_asked_for(target: Server) -> None:
    async def run() -> None:
        client = await Client(target).open()
        head = f"POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
        body = json.dumps({"metadata": {"name": "asked"}}).encode()
        client.writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        async with asyncio.timeout(10):
            assert (await client.head())[0] == 100
            client.writer.write(body)
            assert (await client.answer())[0] == 201
            client.writer.write(f"{head}Content-Length: {8 * MIB}\r\n\r\n".encode())
            assert (await client.answer())[0] == 413, "this one is not asked for"
        client.close()

    asyncio.run(run())


def test_a_client_that_takes_no_answers_is_let_go(make_server: Callable[..., Server]) -> None:
    server = make_server(STALL_SECONDS=2)
    server.create(MAPS, {"metadata": {"name": "large"}, "data": {"k": "x" * (MIB // 2)}})

    async def run() -> None:
        client = await Client(server).open(1024)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        assert established(server)
        for _ in range(40):
            client.send("GET", f"{MAPS}/large")
        end = time.monotonic() + 30
        while established(server):
            assert time.monotonic() < end, "the kernel ends what takes nothing"
            await asyncio.sleep(0.2)
        client.close()

    asyncio.run(run())
    assert server.request("GET", "/readyz")[0] == 200


def test_idle_connections_make_room_for_new_ones(target: Server, ada: ssl.SSLContext) -> None:
    async def run() -> None:
        held = []
        for _ in range(500):  # more than there may be
            held.append(await Client(target, ada).open())
        client = await Client(target).open()
        assert (await client.ask("GET", "/readyz"))[0] == 200
        await ended([*held, client])

    asyncio.run(run())
    assert target.request("GET", "/readyz")[0] == 200


def test_after_all_this_the_log_is_empty_of_errors(target: Server) -> None:
    log = (target.folder / "log").read_text()
    assert "Traceback" not in log and "Error" not in log, log[-3000:]
    assert target.process is not None and target.process.poll() is None
