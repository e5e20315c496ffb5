"""What becomes of nodes that fall silent, of their pods, and of pods that nobody ends."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.api.tree import seconds, stamp
from seaway.cluster.workloads.nodehealth import Health, Timing, evicting, observe, silent, taints, unknown_conditions
from seaway.cluster.workloads.podgc import doomed
from seaway.cluster.workloads.tainteviction import due

NOW = 1_800_000_000.0
TIMES = Timing()
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"


def node(ready: str = "", name: str = "a", zone: str = "", more: dict | None = None, **spec: Any) -> dict:
    conditions = [{"type": "Ready", "status": ready, "lastHeartbeatTime": "h1"}] if ready else []
    conditions += [{"type": k, "status": v} for k, v in (more or {}).items()]
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    return {"metadata": {"name": name, "labels": labels, "creationTimestamp": stamp(NOW)}, "spec": spec,
            "status": {"conditions": conditions}}


def lease(renewed: str) -> dict:
    return {"spec": {"renewTime": renewed}}


def test_a_lease_or_a_heartbeat_is_a_sign_of_life() -> None:
    first = observe(node("True"), lease("1"), None, NOW)
    assert observe(node("True"), lease("1"), first, NOW + 30) == first  # nothing new
    assert observe(node("True"), lease("2"), first, NOW + 30).probed == NOW + 30
    beat = node("True")
    beat["status"]["conditions"][0]["lastHeartbeatTime"] = "h2"
    assert observe(beat, lease("1"), first, NOW + 30).probed == NOW + 30
    # Our own word that it is Unknown is none.
    assert observe(node("Unknown"), lease("1"), first, NOW + 30).probed == NOW


@pytest.mark.parametrize(
    ("ready", "after", "want"),
    [("True", 50, False), ("True", 51, True), ("Unknown", 51, True), ("", 51, False), ("", 60, False), ("", 61, True)],
)
def test_silence_is_noticed_after_the_grace_period(ready: str, after: float, want: bool) -> None:
    assert silent(node(ready), Health(NOW), NOW + after, TIMES) == want


def test_a_silent_nodes_conditions_are_unknown() -> None:
    never = unknown_conditions(node(), NOW)
    assert [c["type"] for c in never] == ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"]
    assert {(c["status"], c["reason"], c["message"]) for c in never} == {
        ("Unknown", "NodeStatusNeverUpdated", "Kubelet never posted node status.")}
    once = unknown_conditions(node("True", more={"MemoryPressure": "False", "DiskPressure": "Unknown", "Other": "True"}), NOW)
    assert [(c["type"], c["reason"]) for c in once] == [
        ("Ready", "NodeStatusUnknown"), ("MemoryPressure", "NodeStatusUnknown"), ("PIDPressure", "NodeStatusNeverUpdated")]
    assert once[0]["lastHeartbeatTime"] == "h1"


MINE = {"key": "mine", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("tree", "evict", "want"),
    [
        (node("True"), True, set()),
        (node("False"), True, {f"{NOT_READY}:NoSchedule", f"{NOT_READY}:NoExecute"}),
        (node("Unknown"), True, {f"{UNREACHABLE}:NoSchedule", f"{UNREACHABLE}:NoExecute"}),
        (node("Unknown"), False, {f"{UNREACHABLE}:NoSchedule"}),
        (node("True", unschedulable=True), True, {"node.kubernetes.io/unschedulable:NoSchedule"}),
        (node("True", more={"MemoryPressure": "True", "DiskPressure": "True", "PIDPressure": "True", "NetworkUnavailable": "True"}),
         True, {f"node.kubernetes.io/{n}:NoSchedule" for n in ("memory-pressure", "disk-pressure", "pid-pressure", "network-unavailable")}),
        # what no longer holds goes, what others put there stays
        (node("True", taints=[MINE, {"key": UNREACHABLE, "effect": "NoExecute"}, {"key": NOT_READY, "effect": "NoSchedule"},
                              {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]), True, {"mine:NoSchedule"}),
        (node("Unknown", taints=[{"key": NOT_READY, "effect": "NoExecute"}]), True,
         {f"{UNREACHABLE}:NoSchedule", f"{UNREACHABLE}:NoExecute"}),
        # one that has never said anything keeps the taint it was born with
        (node(taints=[{"key": NOT_READY, "effect": "NoSchedule"}]), True, {f"{NOT_READY}:NoSchedule"}),
    ],
)
def test_taints_follow_conditions(tree: dict, evict: bool, want: set) -> None:
    assert {f"{t['key']}:{t['effect']}" for t in taints(tree, evict, NOW)} == want


def test_a_taint_that_stays_keeps_the_time_it_was_added() -> None:
    old = [{"key": UNREACHABLE, "effect": e, "timeAdded": "then"} for e in ("NoSchedule", "NoExecute")]
    assert taints(node("Unknown", taints=old), True, NOW) == old


@pytest.mark.parametrize(
    ("states", "want"),
    [
        ("T", {"": True}),
        ("F", {"": False}),  # all there is is down: more likely our fault
        ("TF", {"": True}),
        ("TFFF", {"": False}),  # most of a small cluster
        ("TTFF", {"": True}),
        ("TTTFFF", {"": True}),
        ("TTFFF", {"": False}),
    ],
)
def test_pods_are_not_evicted_when_most_is_down(states: str, want: dict) -> None:
    nodes = [node({"T": "True", "F": "Unknown"}[s], str(i)) for i, s in enumerate(states)]
    assert evicting(nodes) == {f":{k}": v for k, v in want.items()}


def test_a_zone_that_is_down_whole_is_evicted_while_another_stands() -> None:
    nodes = [node("Unknown", "a", "x"), node("Unknown", "b", "x"), node("True", "c", "y")]
    assert evicting(nodes) == {":x": True, ":y": True}


def tolerant(**fields: Any) -> dict:
    return {"key": UNREACHABLE, "operator": "Exists", **fields}


@pytest.mark.parametrize(
    ("tolerations", "want"),
    [
        ([], 100),
        ([tolerant(effect="NoSchedule")], 100),
        ([tolerant()], None),
        ([tolerant(tolerationSeconds=300)], 300),  # counted from the taint's arrival
        ([tolerant(tolerationSeconds=0)], 100),
        ([tolerant(tolerationSeconds=-5)], 100),
        ([{"operator": "Exists"}], None),
    ],
)
def test_pods_go_when_their_patience_ends(tolerations: list, want: float | None) -> None:
    taint = {"key": UNREACHABLE, "effect": "NoExecute", "timeAdded": stamp(NOW)}
    found = due({"spec": {"tolerations": tolerations}}, [taint], NOW + 100)
    assert found == (None if want is None else NOW + want)
    assert due({"spec": {}}, [], NOW) is None
    assert seconds(stamp(NOW)) == NOW


def test_of_two_taints_the_shorter_patience_counts() -> None:
    two = [{"key": k, "effect": "NoExecute", "timeAdded": stamp(NOW)} for k in ("a", "b")]
    wishes = [{"key": "a", "operator": "Exists", "tolerationSeconds": 60}, {"key": "b", "operator": "Exists"}]
    assert due({"spec": {"tolerations": wishes}}, two, NOW) == NOW + 60
    assert due({"spec": {"tolerations": wishes[:1]}}, two, NOW) == NOW


def pod(name: str, on: str = "", phase: str = "Running", leaving: bool = False) -> dict:
    meta = {"name": name, "creationTimestamp": name, **({"deletionTimestamp": "x"} if leaving else {})}
    return {"metadata": meta, "spec": {"nodeName": on} if on else {}, "status": {"phase": phase}}


def test_pods_that_nobody_ends_are_collected() -> None:
    dead = node("Unknown", "dead", taints=[{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}])
    nodes = {"a": node("True"), "dead": dead}
    pods = [pod("1", "a"), pod("2", "gone"), pod("3", "lately"), pod("4", leaving=True), pod("5"), pod("6", "dead", leaving=True),
            pod("7", "dead"), pod("8", "a", leaving=True)]
    found = doomed(pods, nodes, {"gone": NOW - 41, "lately": NOW - 39}, NOW, 40)
    assert [(p["metadata"]["name"], why) for p, why in found] == [("2", "PodGC: node no longer exists"), ("4", ""), ("6", "")]


def test_the_oldest_ended_pods_go_beyond_the_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seaway.cluster.workloads.podgc.THRESHOLD", 1)
    pods = [pod("3", "a", "Failed"), pod("1", "a", "Succeeded"), pod("2", "a")]
    assert [p["metadata"]["name"] for p, _ in doomed(pods, {"a": node("True")}, {}, NOW, 40)] == ["1"]
