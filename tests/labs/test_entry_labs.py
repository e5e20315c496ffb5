"""The labs about entry points: what they make, how their programs behave, and what becomes of what clients saw."""

from __future__ import annotations

import asyncio
import json
import sys
import xml.etree.ElementTree as xml
from typing import Any

import pytest

from seaway.gateway.infrastructure import parameters
from seaway.labs import entries, entryapp, entrycounts, entryload, ingressfailure, ingressnodes
from seaway.labs.entrycounts import Answer, Cut, Lost, Seen
from seaway.labs.ingressfailure import Outcome, Struck
from seaway.labs.ingressnodes import EDGES, Mark, Step

TEXT = "{http://www.w3.org/2000/svg}text"
NONE = Outcome(100, 0, 0, 0, 0, 0, 0.0, 0.1, (0, 0))


def test_a_pod_that_leaves_is_not_ready_and_serves_on() -> None:
    def status(path: str) -> str:
        return entryapp.answer(path, "10.244.1.2").decode().splitlines()[0].split()[1]

    assert [status(p) for p in ("/ready", "/leave", "/ready", "/", "/enter", "/ready")] == ["200", "200", "503", "200", "200", "200"]
    assert b"\r\nx-entry: 10.244.1.2\r\n" in entryapp.answer("/", "10.244.1.2")


class Server:
    """The application on a port of loopback, which can fail."""

    def __init__(self) -> None:
        self.transports: list[asyncio.Transport] = []

    async def start(self, port: int = 0) -> int:
        outer = self

        class Connection(entryapp.Connection):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                assert isinstance(transport, asyncio.Transport)
                outer.transports.append(transport)

        self.server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port)
        return int(self.server.sockets[0].getsockname()[1])

    def fail(self) -> None:
        """Nobody listens any more, and every connection ends without a word."""
        self.server.close()
        for transport in self.transports:
            transport.abort()


async def client(port: int, kept: int, rate: float) -> asyncio.subprocess.Process:
    program = (f"import runpy, asyncio; m = runpy.run_path({entryload.__file__!r}); o = asyncio.open_connection; "
               f"asyncio.open_connection = lambda h, p: o(h, {port}); asyncio.run(m['main']('127.0.0.1', 'web', {kept}, {rate}))")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 20)
    assert process.stdout and await process.stdout.readline() == b"ready\n"
    return process


async def line(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout
    return json.loads(await process.stdout.readline())


def test_clients_tell_what_was_lost_and_which_connections_were_cut() -> None:
    async def play() -> tuple[dict[str, int], Seen]:
        server = Server()
        port = await server.start()
        process = await client(port, 3, 50)
        assert process.stdin
        process.stdin.write(b"held\n")
        held = await line(process)
        server.fail()
        await asyncio.sleep(0.5)
        again = Server()
        await again.start(port)
        await asyncio.sleep(0.5)
        process.stdin.close()
        seen = entrycounts.read(await line(process))
        await process.wait()
        again.fail()
        return held, seen

    held, seen = asyncio.run(asyncio.wait_for(play(), 30))
    assert held == {"127.0.0.1": 3}
    assert [c.entry for c in seen.cut] == ["127.0.0.1"] * 3, "each kept connection, once"
    assert len([one for one in seen.lost if not one.new]) <= 3
    refused = [one for one in seen.lost if one.new]
    assert refused and 0 < entrycounts.failing(seen) < 5
    assert max(a.at for a in seen.answers) > max(one.began for one in refused), "clients come back"
    assert {a.pod for a in seen.answers} == {entryapp.NAME.lower()}


def test_clients_that_are_left_alone_lose_nothing_and_cut_nothing() -> None:
    async def play() -> Seen:
        server = Server()
        process = await client(await server.start(), 2, 50)
        await asyncio.sleep(0.5)
        assert process.stdin
        process.stdin.close()
        seen = entrycounts.read(await line(process))
        await process.wait()
        server.fail()
        return seen

    seen = asyncio.run(asyncio.wait_for(play(), 30))
    assert not seen.lost and not seen.cut
    assert len([a for a in seen.answers if a.new]) > 5 and len([a for a in seen.answers if not a.new]) >= 2


SEEN = Seen(
    (Answer(1.0, True, "a", "p"), Answer(1.5, False, "b", "p"), Answer(4.0, True, "b", "q"), Answer(4.1, True, "b", "q")),
    (Lost(1.9, False, "timed out", "a"), Lost(2.0, True, "refused", ""), Lost(3.5, True, "refused", "")),
    (Cut(3.9, "a"),),
)


def test_what_clients_saw_is_counted() -> None:
    assert SEEN.requests == 7
    assert entrycounts.gap(SEEN) == 2.5 and entrycounts.gap(Seen()) == 0.0
    assert entrycounts.failing(SEEN) == 1.5, "of new connections alone"
    assert entrycounts.over_time(SEEN, 1.0, 4) == (1, 1, 1, 0)
    assert entrycounts.over_time(SEEN, 3.0, 1) == (1,)
    assert entrycounts.shares(SEEN, {"a": "one", "b": "two"}, ("one", "two", "three")) == {"one": 1 / 3, "two": 2 / 3, "three": 0.0}
    assert entrycounts.shares(Seen(), {}, ("one",)) == {"one": 0.0}
    assert entrycounts.between(SEEN, 1.5, 3.9) == Seen(SEEN.answers[1:2], SEEN.lost, ())


def test_the_outcome_tells_cuts_of_who_was_struck_from_all_others() -> None:
    seen = SEEN._replace(cut=(Cut(3.9, "a"), Cut(4.0, "b")))
    found = ingressfailure.outcome(seen, 1.0, {"a": 2, "b": 7}, Struck(frozenset("a")))
    assert (found.held, found.cut, found.cut_elsewhere, found.lost_kept, found.lost_new) == (2, 1, 1, 1, 2)
    assert found.taken_up is None and found.how == (("refused", 2), ("timed out", 1)) and sum(found.curve) == 3


@pytest.mark.parametrize(("struck", "taken"), [
    (Struck(back=2.0, seconds=1.25), 1.25),
    (Struck(back=2.0, left="q"), 2.1),  # asked until 4.1
    (Struck(back=2.0, left="p"), 0.0),  # not asked any more since before
    (Struck(), None)])
def test_a_change_is_taken_up_when_nothing_speaks_of_before(struck: Struck, taken: float | None) -> None:
    found = ingressfailure.outcome(SEEN, 1.0, {}, struck).taken_up
    assert found == pytest.approx(taken)


def test_the_failure_lab_has_a_row_an_event_and_number_of_envoys_and_a_picture_of_each() -> None:
    one = Outcome(100, 10, 10, 0, 2, 40, 0.9, 1.2, (0, 30, 12))
    two = Outcome(110, 5, 5, 0, 1, 4, 0.2, 0.1, (0, 5))
    counted = {
        ingressfailure.DRAINED: {1: NONE, 2: NONE},
        ingressfailure.KILLED: {1: one, 2: two},
        ingressfailure.UNLED: {1: NONE, 2: NONE._replace(taken_up=0.8)},
    }
    found = ingressfailure.result(counted)
    assert found.rows[0] == ("node drained", "1", "100", "0", "0", "0.1 s", "0", "0", "-", "-")
    assert found.rows[2:4] == (
        ("an Envoy is killed", "1", "100", "42", "40", "1.2 s", "10 of 10", "0", "0.9 s", "-"),
        ("an Envoy is killed", "2", "110", "5", "4", "0.1 s", "5 of 5", "0", "0.2 s", "-"),
    )
    assert found.rows[5][-1] == "0.8 s" and len(found.columns) == len(found.rows[0])
    assert found.numbers["lost/an Envoy is killed/2"] == 5 and found.numbers["taken up/no controller/2"] == 0.8
    texts = [e.text for e in xml.fromstring(found.picture).iter(TEXT)]
    assert {"Requests lost with one Envoy", "Requests lost with 2 Envoys"} <= set(texts) and texts.count("an Envoy is killed") == 2


def test_nothing_seen_at_all_breaks_nothing() -> None:
    empty = ingressfailure.outcome(Seen(), 0.0, {}, Struck())
    found = ingressfailure.result({event: {1: empty, 2: empty} for event in ingressfailure.EVENTS})
    xml.fromstring(found.picture)
    assert len(found.rows) == 12


def test_shares_are_of_the_time_since_a_step_stood_and_losses_of_all_of_it() -> None:
    homes = {"a": EDGES[0], "b": EDGES[1]}
    marks = [Mark("first", 0.0, 3.0, 4.05, homes, EDGES[:2], 0), Mark("second", 4.05, 4.06, 5.0, homes, EDGES, 0)]
    found = ingressnodes.steps(SEEN, marks)
    assert found["first"].lost == 3 and found["first"].cut == 1 and found["first"].shares[EDGES[1]] == 1.0
    assert found["second"] == Step(1, 0, 0, {EDGES[0]: 0.0, EDGES[1]: 1.0, EDGES[2]: 0.0}, EDGES, 0)


def pod(node: str = "", ready: str = "True", **metadata: str) -> dict[str, Any]:
    return {"metadata": metadata, "spec": {"nodeName": node} if node else {}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


@pytest.mark.parametrize(("pods", "want"), [
    ([pod("a"), pod("b")], True), ([pod("b"), pod("a")], True), ([pod("a")], False), ([pod("a"), pod("b"), pod("c")], False),
    ([pod("a"), pod("a")], False), ([pod("a"), pod("b", "False")], False), ([pod("a"), pod()], False),
    ([pod("a"), {"metadata": {}, "spec": {}}], False), ([pod("a"), pod("b", deletionTimestamp="2026-11-26T08:00:00Z")], False)])
def test_an_entry_point_stands_where_each_node_has_a_ready_envoy_and_no_other(pods: list[dict[str, Any]], want: bool) -> None:
    assert ingressnodes.placed(pods, ("a", "b")) is want


def test_the_nodes_lab_tells_shares_and_whose_port_answers() -> None:
    shares = dict(zip(EDGES, (0.5, 0.5, 0.0), strict=True))
    found = ingressnodes.result({"two": Step(100, 0, 0, shares, EDGES[:2], 0)}, {node: (10, 20) for node in EDGES})
    assert found.rows == (("two", "100", "0", "0", "50%", "50%", "0%", "edge1, edge2", "0"),)
    assert found.numbers["share/two/lab-edge1"] == 0.5 and found.numbers["answering/two"] == 2
    texts = {e.text for e in xml.fromstring(found.picture).iter(TEXT)}
    assert {"50%", "The same over time", *EDGES} <= texts


def of_class(tree: list[dict[str, Any]]) -> parameters.Parameters:
    settings, made = tree
    found = parameters.read(parameters.SMALL, [settings])
    assert not found.problems and made["spec"]["parametersRef"]["name"] == settings["metadata"]["name"]
    return found.parameters


def test_the_classes_of_the_labs_say_what_their_nodes_need() -> None:
    chosen = of_class(entries.gateway_class("edge", ingressnodes.PARAMETERS))
    assert (chosen.kind, chosen.host, chosen.external_traffic_policy) == ("DaemonSet", "port", "Local")
    assert dict(chosen.node_selector) == {ingressnodes.LABEL: ""} and chosen.tolerations[0]["key"] == ingressnodes.TAINT.partition("=")[0]
    for node in ingressfailure.nodes()[1:]:
        assert node.labels == {"entry": "true"} and node.taints[0]["key"] == "entry" and node.taints[0]["effect"] == "NoSchedule"
