"""Graceful node shutdown: whose turn it is, and how long each pod has."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from seaway.cluster.node import podstatus, shutdown
from seaway.cluster.node.nodestatus import Measured, conditions
from seaway.cluster.node.shutdown import Order, dump, grace, holding, is_overdue, load, problem

ORDER = Order(1000.0, 30.0, 10.0)  # 20 s for the others until 1020, then 10 s until 1030


def pod(own: int | None = 30, priority: int | None = None) -> dict:
    spec = {"terminationGracePeriodSeconds": own, "priority": priority, "containers": []}
    return {"metadata": {"name": "p"}, "spec": {k: v for k, v in spec.items() if v is not None}}


CLUSTER, NODE = pod(30, 2_000_000_000), pod(30, 2_000_001_000)


@pytest.mark.parametrize(
    ("order", "asked", "active", "now", "want"),
    [
        (ORDER, pod(5), [], 1000, 5),  # its own, where that is less
        (ORDER, pod(300), [], 1000, 20),  # else the share
        (ORDER, pod(None), [], 1000, 20),
        (ORDER, pod(0), [], 1000, 0),
        (ORDER, pod(30), [NODE], 1000, 20),  # nobody waits for critical pods
        (ORDER, pod(30, 1_999_999_999), [], 1000, 20),
        (ORDER, pod(30), [], 1015, 5),  # what is left, for an agent that begins anew
        (ORDER, pod(30), [], 1100, 0),
        (ORDER, CLUSTER, [pod()], 1019, None),
        (ORDER, NODE, [CLUSTER], 1000, 10),
        (ORDER, NODE, [], 1003, 10),  # as soon as the others have ended
        (ORDER, CLUSTER, [pod()], 1020, 10),  # or their time is over
        (ORDER, CLUSTER, [pod()], 1027, 3),
        (ORDER, pod(4, 2_000_000_000), [], 1005, 4),
        (Order(1000.0, 10.0, 10.0), pod(5), [], 1000, 0),  # the others have no share: they are killed
        (Order(1000.0, 0.0, 0.0), NODE, [pod()], 1000, 0),
    ],
)
def test_critical_pods_end_last_and_each_within_its_share(
    order: Order, asked: dict, active: list[dict], now: float, want: float | None
) -> None:
    assert grace(order, asked, active, now) == want


@pytest.mark.parametrize(
    ("values", "want"),
    [
        ((30, 10), ""), ((30, 30), ""), ((0, 0), ""), ((1, 0), ""),
        ((10, 30), "--grace-critical 30s must be <= --grace 10s"),
        ((0.5, 0), "--grace 0.5s must be either zero or otherwise >= 1s"),
        ((30, 0.5), "--grace-critical 0.5s must be either zero or otherwise >= 1s"),
    ],
)
def test_graces_that_make_no_sense_are_named(values: tuple[float, float], want: str) -> None:
    assert problem(*values) == want


def test_a_pod_with_more_time_than_its_group_is_overdue_after_it() -> None:
    assert not is_overdue(ORDER, pod(300), 1021) and is_overdue(ORDER, pod(300), 1022)
    assert not is_overdue(ORDER, NODE, 1031) and is_overdue(ORDER, NODE, 1032)


def test_an_order_is_read_back_and_nothing_else_is_one() -> None:
    assert load(dump(ORDER)) == ORDER
    assert [load(t) for t in ("", "{}", "[]", '{"began": 1, "grace": "x", "critical": 1}')] == [None] * 4


def test_a_shutdown_waits_for_what_its_agent_has_taken_and_is_not_over() -> None:
    states = [{}, {"phase": "Pending"}, {"phase": "Running", "startTime": "t"}, {"phase": "Failed", "startTime": "t"},
              {"phase": "Succeeded", "startTime": "t"}, {"phase": "Pending", "startTime": "t"}]
    pods = [{"metadata": {"name": str(n)}, "status": s} for n, s in enumerate(states)]
    assert [p["metadata"]["name"] for p in holding(pods)] == ["2", "5"]


def test_a_node_that_shuts_down_says_so() -> None:
    ready = next(c for c in conditions([], Measured(1 << 33, 1 << 33, 30000), 0.0, True) if c["type"] == "Ready")
    assert (ready["status"], ready["reason"], ready["message"]) == ("False", "KubeletNotReady", "node is shutting down")


@pytest.mark.parametrize(("failed", "disrupted"), [(shutdown.TERMINATED, True), (shutdown.REFUSED, False)])
def test_only_a_pod_that_was_ended_is_a_target_of_disruption(failed: tuple[str, str], disrupted: bool) -> None:
    agent = SimpleNamespace(layout=SimpleNamespace(addresses=["172.30.0.2"]))
    worker = SimpleNamespace(pod=pod(), failed=failed, states={}, started={}, addresses=[], shim=None, agent=agent)
    found = podstatus.status(worker)  # type: ignore[arg-type]
    assert (found["phase"], found["reason"], found["message"]) == ("Failed", *failed)
    target = [c for c in found["conditions"] if c["type"] == "DisruptionTarget"]
    assert bool(target) == disrupted
    if target:
        assert (target[0]["status"], target[0]["reason"]) == ("True", "TerminationByKubelet")
        assert target[0]["message"] == "Pod was terminated in response to imminent node shutdown."
