"""Which pod is next, and what wakes one that waits."""

from __future__ import annotations

import pytest

from seaway.api.tree import Key
from seaway.cluster.scheduler.queue import FLUSH, Queue, backoff

A, B, C = Key("d", "a"), Key("d", "b"), Key("d", "c")


def refused(plugins: set[str], now: float = 0.0) -> Queue:
    queue = Queue()
    queue.add(A, 0, "1")
    assert queue.pop(now) == A
    queue.refused(A, plugins, now)
    return queue


def test_by_priority_then_by_age() -> None:
    queue = Queue()
    for key, priority, created in ((A, 0, "2"), (B, 0, "1"), (C, 5, "3")):
        queue.add(key, priority, created)
    assert [queue.pop(0) for _ in range(4)] == [C, B, A, None]


def test_a_forgotten_pod_is_never_given_out() -> None:
    queue = Queue()
    queue.add(A, 0, "1")
    queue.forget(A)
    assert queue.pop(0) is None and queue.due(0) is None


@pytest.mark.parametrize(
    ("plugin", "event", "wakes"),
    [
        ("NodeResourcesFit", "PodGone", True),
        ("NodeResourcesFit", "NodeAllocatable", True),
        ("NodeResourcesFit", "NodeLabel", False),
        ("NodeAffinity", "NodeLabel", True),
        ("NodeAffinity", "PodGone", False),
        ("TaintToleration", "NodeTaint", True),
        ("NodeUnschedulable", "NodeTaint", True),
        ("InterPodAffinity", "PodPlaced", True),
        ("InterPodAffinity", "Namespace", True),
        ("PodTopologySpread", "NodeDelete", True),
        ("VolumeBinding", "Claim", True),
        ("NodePorts", "PodPlaced", False),
        ("Nodes", "NodeAdd", True),
    ],
)
def test_a_change_wakes_whom_it_may_help(plugin: str, event: str, wakes: bool) -> None:
    queue = refused({plugin})
    queue.wake(event, 60.0)
    assert queue.pop(60.0) == (A if wakes else None)


def test_nobody_waits_for_ever() -> None:
    queue = refused({"NodeAffinity"})
    assert queue.pop(FLUSH) is None and queue.due(FLUSH) == 0
    assert queue.pop(FLUSH + 1) == A


def test_who_backs_off_is_taken_early_when_nobody_else_is_due() -> None:
    queue = refused({"NodeResourcesFit"}, 10.0)
    queue.wake("PodGone", 10.1)
    queue.add(B, 0, "2")
    assert [queue.pop(10.1), queue.pop(10.1)] == [B, A]


def test_an_error_waits_its_back_off() -> None:
    queue = Queue()
    queue.add(A, 0, "1")
    queue.pop(0)
    queue.failed(A, 0)
    assert queue.pop(0.5) is None and queue.due(0.5) == 0.5
    assert queue.pop(1.0) == A
    assert [backoff(n) for n in (1, 2, 3, 4, 5, 6)] == [1, 2, 4, 8, 10, 10]
