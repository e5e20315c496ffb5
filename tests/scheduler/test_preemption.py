"""Who has to go for a pod of higher priority."""

from __future__ import annotations

import pytest
from world import affinity, near, node, pod, world

from seaway.cluster.scheduler.decide import Refused, decide
from seaway.cluster.scheduler.snapshot import NodeInfo, PodInfo, Snapshot

HALF, ALL = {"cpu": "2"}, {"cpu": "4"}


def low(name: str, cpu: str = "2", priority: int = 1, start: str = "2026-01-01T00:00:00Z", **more: object) -> PodInfo:
    return pod(name, {"app": name[0]}, {"cpu": cpu}, priority=priority, status={"startTime": start}, **more)  # type: ignore[arg-type]


def budget(app: str, allowed: int, disrupted: tuple = ()) -> dict:
    return {"metadata": {"namespace": "d"}, "spec": {"selector": {"matchLabels": {"app": app}}},
            "status": {"disruptionsAllowed": allowed, "disruptedPods": dict.fromkeys(disrupted, "")}}


def outcome(wanted: PodInfo, snapshot: Snapshot, *budgets: dict) -> tuple[str | None, list[str]]:
    found = decide(wanted, snapshot, budgets=budgets)
    assert isinstance(found, Refused)
    return found.nominate, sorted(p.name for p in found.victims)


BOSS = pod("boss", ask=HALF, priority=10)
TWO = (low("x1"), low("y1"))


@pytest.mark.parametrize(
    ("wanted", "nodes", "budgets", "want"),
    [
        # only as many as needed, the least important first
        (BOSS, [node("a", low("x1", priority=3), low("y1", priority=1))], [], ("a", ["y1"])),
        (BOSS, [node("a", low("x1", start="2026-01-01T00:00:00Z"), low("y1", start="2026-01-02T00:00:00Z"))], [], ("a", ["y1"])),
        (pod("boss", ask=ALL, priority=10), [node("a", *TWO)], [], ("a", ["x1", "y1"])),
        # never those of the same or a higher priority
        (BOSS, [node("a", low("x1", cpu="4", priority=10))], [], (None, [])),
        (BOSS, [node("a", low("x1", priority=11), low("y1", priority=9))], [], ("a", ["y1"])),
        # budgets are respected where it is possible
        (BOSS, [node("a", low("x1"), low("y1"))], [budget("y", 0)], ("a", ["x1"])),
        (BOSS, [node("a", low("x1", cpu="4")), node("b", low("y1", cpu="4"))], [budget("x", 0)], ("b", ["y1"])),
        (BOSS, [node("a", low("x1", cpu="4"))], [budget("x", 0)], ("a", ["x1"])),  # a budget does not forbid
        (BOSS, [node("a", low("x1", cpu="4")), node("b", low("y1", cpu="4"))], [budget("x", 0, ("x1",))], ("a", ["x1"])),
        # which node: the lowest highest priority, the lowest sum, the fewest, the latest start
        (BOSS, [node("a", low("x1", cpu="4", priority=5)), node("b", low("y1", cpu="4", priority=3))], [], ("b", ["y1"])),
        (pod("boss", ask=ALL, priority=10), [node("a", *TWO), node("b", low("z1", cpu="4"))], [], ("b", ["z1"])),
        (BOSS, [node("a", low("x1", cpu="4")), node("b", low("y1", cpu="4", start="2026-01-03T00:00:00Z"))], [], ("b", ["y1"])),
        # not for what no eviction mends
        (BOSS, [node("a", low("x1", cpu="4"), unschedulable=True)], [], (None, [])),
        (pod("boss", ask={"cpu": "5"}, priority=10), [node("a", low("x1", cpu="4"))], [], (None, [])),
        # ports and anti-affinity can be freed too
        (pod("boss", ports=({"hostPort": 80},), priority=10), [node("a", pod("x1", ports=({"hostPort": 80},)), low("y1"))], [],
         ("a", ["x1"])),
        (pod("boss", priority=10, affinity=affinity(anti=(near(selector={"app": "x"}),))), [node("a", low("x1"), low("y1"))], [],
         ("a", ["x1"])),
    ],
)
def test_victims(wanted: PodInfo, nodes: list[NodeInfo], budgets: list, want: tuple) -> None:
    assert outcome(wanted, world(*nodes), *budgets) == want


def test_while_victims_leave_no_more_are_taken() -> None:
    leaving = low("x1", cpu="4", deleted=True)
    leaving.tree["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]
    waiting = pod("boss", ask=HALF, priority=10, status={"nominatedNodeName": "a"})
    found = decide(waiting, world(node("a", leaving), node("b", low("y1", cpu="4"))))
    assert isinstance(found, Refused) and found.nominate is None and not found.victims
    assert found.message.endswith("not eligible due to a terminating pod on the nominated node.")


def test_a_nomination_that_no_longer_helps_is_taken_back() -> None:
    waiting = pod("boss", ask=HALF, priority=10, status={"nominatedNodeName": "a"})
    found = decide(waiting, world(node("a", low("x1", cpu="4", priority=20))))
    assert isinstance(found, Refused) and found.nominate == ""
