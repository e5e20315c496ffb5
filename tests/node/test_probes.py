"""Probes: thresholds as values, and attempts against a server on the loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from seaway.cluster.node.probes import Thresholds, attempt, port_of


# successThreshold, failureThreshold, results (+ passed, - failed), the verdict after each (? not settled)
@pytest.mark.parametrize(
    ("success", "failure", "results", "verdicts"),
    [(1, 3, "+", "+"), (1, 3, "---", "??-"), (1, 3, "--+", "??+"), (1, 3, "+--+--", "++++++"), (1, 3, "+---+", "+++-+"),
     (2, 1, "+-++", "?--+"), (3, 1, "++-+++", "??---+"), (2, 2, "++-+--", "?++++-"), (1, 1, "-+-+", "-+-+")],
)
def test_a_verdict_changes_after_its_threshold_of_equal_results(success: int, failure: int, results: str, verdicts: str) -> None:
    state, found = Thresholds(success, failure), ""
    for sign in results:
        state = state.after(sign == "+")
        found += {None: "?", True: "+", False: "-"}[state.verdict]
    assert found == verdicts


@pytest.mark.parametrize(("port", "want"), [(8080, 8080), ("web", 80), ("8080", 8080)])
def test_ports_are_numbers_or_the_containers_names(port: int | str, want: int) -> None:
    assert port_of({"ports": [{"name": "web", "containerPort": 80}]}, port) == want


def test_an_unknown_port_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="couldn't find port"):
        port_of({}, "none")


async def never(command: list[str], timeout: float) -> tuple[int, str]:
    raise AssertionError("nothing is to be executed")


def served(test: Callable[[int, list[str]], Awaitable[None]]) -> None:
    """A server whose answer is the path's number; `/slow` never answers, `/noise` no HTTP. Keeps what it was asked."""

    async def go() -> None:
        heads: list[str] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
            except asyncio.IncompleteReadError:
                writer.close()
                return
            heads.append(head)
            path = head.split()[1]
            if path == "/slow":
                await reader.read()
            elif path == "/noise":
                writer.write(b"what\r\n")
            else:
                writer.write(f"HTTP/1.1 {path[1:]} Text\r\nContent-Length: 0\r\n\r\n".encode())
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            await test(server.sockets[0].getsockname()[1], heads)

    asyncio.run(go())


def test_codes_from_200_to_399_pass_and_others_fail() -> None:
    async def test(port: int, heads: list[str]) -> None:
        for code, ok in ((200, True), (204, True), (302, True), (399, True), (400, False), (404, False), (500, False)):
            found = await attempt({"httpGet": {"path": f"/{code}", "port": port}}, {}, "127.0.0.1", never)
            assert found == (ok, "" if ok else f"HTTP probe failed with statuscode: {code}")

    served(test)


def test_a_request_is_the_kubelets_with_the_users_headers() -> None:
    async def test(port: int, heads: list[str]) -> None:
        headers = [{"name": "X-Own", "value": "yes"}, {"name": "Host", "value": "shop.example"}, {"name": "X-Evil", "value": "a\r\nb: c"}]
        await attempt({"httpGet": {"path": "/200?q=1", "port": port}}, {}, "127.0.0.1", never)
        await attempt({"httpGet": {"path": "/200", "port": port, "httpHeaders": headers}}, {}, "127.0.0.1", never)
        plain, own = (h.split("\r\n") for h in heads)
        assert plain[0] == "GET /200?q=1 HTTP/1.1" and f"Host: 127.0.0.1:{port}" in plain
        assert any(h.startswith("User-Agent: kube-probe/1.36") for h in plain)
        assert "X-Own: yes" in own and "Host: shop.example" in own and "b: c" not in own

    served(test)


@pytest.mark.parametrize(("path", "said"), [("/slow", "context deadline exceeded"), ("/noise", "Get "), ("/a b", "invalid character")])
def test_silence_noise_and_bad_paths_fail_with_a_reason(path: str, said: str) -> None:
    async def test(port: int, heads: list[str]) -> None:
        probe = {"httpGet": {"path": path, "port": port}, "timeoutSeconds": 0.1}
        ok, why = await attempt(probe, {}, "127.0.0.1", never)
        assert not ok and said in why

    served(test)


def test_a_tcp_probe_passes_where_somebody_listens() -> None:
    ports = []

    async def test(port: int, heads: list[str]) -> None:
        ports.append(port)
        named = {"ports": [{"name": "web", "containerPort": port}]}
        assert await attempt({"tcpSocket": {"port": "web"}}, named, "127.0.0.1", never) == (True, "")
        assert await attempt({"tcpSocket": {"port": port, "host": "127.0.0.1"}}, {}, "192.0.2.1", never) == (True, "")

    served(test)


@pytest.mark.parametrize(("code", "ok"), [(0, True), (1, False), (137, False)])
def test_an_exec_probe_is_its_commands_code(code: int, ok: bool) -> None:
    async def execute(command: list[str], timeout: float) -> tuple[int, str]:
        assert (command, timeout) == (["cat", "/x"], 3.0)
        return code, " said \n"

    probe = {"exec": {"command": ["cat", "/x"]}, "timeoutSeconds": 3}
    assert asyncio.run(attempt(probe, {}, "", execute)) == (ok, "said")


def test_an_unknown_port_name_fails_the_probe_and_not_the_prober() -> None:
    ok, why = asyncio.run(attempt({"httpGet": {"port": "none"}}, {}, "127.0.0.1", never))
    assert not ok and "couldn't find port" in why
