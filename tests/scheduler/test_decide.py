"""Where a pod goes, and what is said when it goes nowhere: the rules as tables."""

from __future__ import annotations

import pytest
from world import PREFERRED, REQUIRED, ZONE, affinity, near, node, pod, spread, world, zoned

from seaway.api.selectors import Requirement, Selector
from seaway.cluster.scheduler.decide import Placed, Refused, decide
from seaway.cluster.scheduler.snapshot import NodeInfo, PodInfo

WEB = {"app": "web"}
UNEVEN = "node(s) didn't match pod topology spread constraints"


def web(name: str, **more: object) -> PodInfo:
    return pod(name, WEB, **more)


def placed(wanted: PodInfo, *nodes: NodeInfo, **more: object) -> str:
    """The node's name, or the first sentence of the refusal."""
    found = decide(wanted, world(*nodes, **more))
    return found.node if isinstance(found, Placed) else found.message.split(". ", 1)[0].partition(": ")[2].rstrip(".")


@pytest.mark.parametrize(
    ("wanted", "nodes", "want"),
    [
        (pod(), [node("b"), node("a")], "a"),
        (pod(ask={"cpu": "2"}), [node("a", have={"cpu": "1"}), node("b")], "b"),
        (pod(ask={"example.org/gpu": "1"}), [node("a"), node("b", have={"example.org/gpu": "2"})], "b"),
        (pod(ask={"cpu": "5"}), [node("a")], "1 Insufficient cpu"),
        (pod(ask={"cpu": "5", "memory": "9Gi"}), [node("a")], "1 Insufficient cpu, 1 Insufficient memory"),
        (pod(), [node("a", web("x"), have={"pods": "1"})], "1 Too many pods"),
        (pod(ask={"cpu": "3"}), [node("a", pod("x", ask={"cpu": "2"})), node("b", pod("y", ask={"cpu": "1"}))], "b"),
        (pod(ports=({"hostPort": 80},)), [node("a", pod("x", ports=({"hostPort": 80},))), node("b")], "b"),
        (pod(ports=({"hostPort": 80, "hostIP": "10.0.0.1"},)), [node("a", pod("x", ports=({"hostPort": 80},)))],
         "1 node(s) didn't have free ports for the requested pod ports"),
        (pod(ports=({"hostPort": 80, "hostIP": "10.0.0.1"},)),
         [node("a", pod("x", ports=({"hostPort": 80, "hostIP": "10.0.0.2"},)))], "a"),
        (pod(ports=({"hostPort": 80, "protocol": "UDP"},)), [node("a", pod("x", ports=({"hostPort": 80},)))], "a"),
        (pod(), [node("a", unschedulable=True), node("b", taints=[{"key": "k", "effect": "NoExecute"}])],
         "1 node(s) had untolerated taint(s), 1 node(s) were unschedulable"),
        (pod(), [node("a", taints=[{"key": "k", "effect": "PreferNoSchedule"}]), node("b", web("x"))], "b"),
        (pod(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}]}}}), [node("a"), node("b")], "b"),
        (pod(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["c"]}]}]}}}), [node("a"), node("b")],
         "2 node(s) didn't satisfy plugin(s) [NodeAffinity]"),
        (pod(affinity={"nodeAffinity": {PREFERRED: [{"weight": 1, "preference": {"matchExpressions": [
            {"key": ZONE, "operator": "In", "values": ["y"]}]}}]}}), [zoned("a", "x"), zoned("b", "y")], "b"),
    ],
)
def test_a_pod_goes_where_it_fits(wanted: PodInfo, nodes: list, want: str) -> None:
    assert placed(wanted, *nodes) == want


AFFINE, APART = "1 node(s) didn't match pod affinity rules", "1 node(s) didn't match pod anti-affinity rules"
GUARDED = "1 node(s) didn't satisfy existing pods anti-affinity rules"


@pytest.mark.parametrize(
    ("wanted", "nodes", "want"),
    [
        # required affinity
        (pod(affinity=affinity(near(selector=WEB))), [node("a"), node("b", web("x"))], "b"),
        (pod(affinity=affinity(near(selector=WEB))), [node("a")], AFFINE),
        (pod(affinity=affinity(near(ZONE, WEB))), [zoned("a", "z"), zoned("b", "z", web("x"))], "a"),
        (web("p", affinity=affinity(near(selector=WEB))), [node("a")], "a"),  # the first of its kind
        (web("p", affinity=affinity(near(selector=WEB))), [node("a"), node("b", web("x"))], "b"),  # not the first
        (web("p", affinity=affinity(near("rack", WEB))), [node("a")], AFFINE),  # without the label nowhere
        (pod(affinity=affinity(near(selector=WEB), near(selector={"tier": "1"}))),
         [node("a", web("x"), pod("y", {"tier": "1"}))], AFFINE),  # one pod must match all terms
        (pod(affinity=affinity(near(selector=WEB), near(selector={"tier": "1"}))), [node("a", pod("x", {**WEB, "tier": "1"}))], "a"),
        # namespaces
        (pod(affinity=affinity(near(selector=WEB))), [node("a", web("x", namespace="other"))], AFFINE),
        (pod(affinity=affinity(near(selector=WEB, namespaces=["other"]))), [node("a", web("x", namespace="other"))], "a"),
        (pod(affinity=affinity(near(selector=WEB, namespaceSelector={}))), [node("a", web("x", namespace="other"))], "a"),
        (pod(affinity=affinity(near(selector=WEB, namespaceSelector={"matchLabels": {"team": "1"}}))),
         [node("a", web("x", namespace="other"))], "a"),
        (pod(affinity=affinity(near(selector=WEB, namespaceSelector={"matchLabels": {"team": "2"}}))),
         [node("a", web("x", namespace="other"))], AFFINE),
        # anti-affinity, both ways
        (pod(affinity=affinity(anti=(near(selector=WEB),))), [node("a", web("x")), node("b")], "b"),
        (pod(affinity=affinity(anti=(near(selector=WEB),))), [node("a", web("x"))], APART),
        (pod(affinity=affinity(anti=(near(ZONE, WEB),))), [zoned("a", "z", web("x")), zoned("b", "z"), zoned("c", "y")], "c"),
        (pod(affinity=affinity(anti=(near("rack", WEB),))), [node("a", web("x"))], "a"),  # no such place to be apart in
        (web("p"), [node("a", pod("x", affinity=affinity(anti=(near(selector=WEB),)))), node("b")], "b"),
        (web("p"), [node("a", pod("x", affinity=affinity(anti=(near(selector=WEB),))))], GUARDED),
        # preferences
        (pod(affinity=affinity(preferred=((100, near(selector=WEB)),))), [node("a"), node("b", web("x"))], "b"),
        (pod(affinity=affinity(preferred_anti=((100, near(selector=WEB)),))), [node("a", web("x")), node("b")], "b"),
        (web("p"), [node("a"), node("b", pod("x", affinity=affinity(preferred=((100, near(selector=WEB)),))))], "b"),
    ],
)
def test_pods_are_near_and_apart(wanted: PodInfo, nodes: list, want: str) -> None:
    assert placed(wanted, *nodes, namespaces={"other": {"team": "1"}}) == want


def even(**more: object) -> dict:
    return {"topologySpreadConstraints": [spread(selector=WEB, **more)]}  # type: ignore[arg-type]


TAINT = [{"key": "k", "effect": "NoSchedule"}]


@pytest.mark.parametrize(
    ("wanted", "nodes", "want"),
    [
        (web("p", **even()), [zoned("a", "x", web("1")), zoned("b", "y")], "b"),
        (web("p", **even()), [zoned("a", "x", web("1")), zoned("b", "y", have={"cpu": "0"}, unschedulable=True)],
         f"1 {UNEVEN}, 1 node(s) were unschedulable"),
        (web("p", **even(skew=2)), [zoned("a", "x", web("1")), zoned("b", "y", unschedulable=True)], "a"),
        (pod("p", **even()), [zoned("a", "x", web("1")), zoned("b", "y", unschedulable=True)], "a"),  # itself does not count
        (web("p", **even()), [node("a")], f"1 {UNEVEN} (missing required label)"),
        (web("p", **even()), [node("a"), zoned("b", "x")], "b"),
        (web("p", **even()), [zoned("a", "x", web("1", namespace="other")), zoned("b", "y", unschedulable=True)], "a"),
        (web("p", **even()), [zoned("a", "x", web("1", deleted=True)), zoned("b", "y", unschedulable=True)], "a"),
        # minDomains: fewer domains than that count as if one were empty
        (web("p", **even(minDomains=2)), [zoned("a", "x", web("1"))], f"1 {UNEVEN}"),
        (web("p", **even(minDomains=2)), [zoned("a", "x")], "a"),
        (web("p", **even(minDomains=1)), [zoned("a", "x", web("1"))], "a"),
        # nodes that the pod's own selector leaves out do not count, unless asked
        (web("p", nodeSelector={"d": "1"}, **even()), [zoned("a", "x", web("1"), labels={"d": "1"}), zoned("b", "y")], "a"),
        (web("p", nodeSelector={"d": "1"}, **even(nodeAffinityPolicy="Ignore")),
         [zoned("a", "x", web("1"), labels={"d": "1"}), zoned("b", "y")],
         f"1 node(s) didn't match Pod's node affinity/selector, 1 {UNEVEN}"),
        # tainted nodes count, unless asked not to
        (web("p", **even()), [zoned("a", "x", web("1")), zoned("b", "y", taints=TAINT)],
         f"1 {UNEVEN}, 1 node(s) had untolerated taint(s)"),
        (web("p", **even(nodeTaintsPolicy="Honor")), [zoned("a", "x", web("1")), zoned("b", "y", taints=TAINT)], "a"),
        # matchLabelKeys: only pods of the same revision
        (pod("p", {**WEB, "rev": "2"}, **even(matchLabelKeys=["rev"])),
         [zoned("a", "x", pod("1", {**WEB, "rev": "1"})), zoned("b", "y", unschedulable=True)], "a"),
        (pod("p", {**WEB, "rev": "1"}, **even(matchLabelKeys=["rev", "absent"])),
         [zoned("a", "x", pod("1", {**WEB, "rev": "1"})), zoned("b", "y")], "b"),
        # soft ones prefer only
        (web("p", **even(when="ScheduleAnyway")), [zoned("a", "x", web("1")), zoned("b", "y")], "b"),
        (web("p", **even(when="ScheduleAnyway")), [zoned("a", "x", web("1"), web("2"))], "a"),
    ],
)
def test_pods_lie_evenly(wanted: PodInfo, nodes: list, want: str) -> None:
    assert placed(wanted, *nodes) == want


def test_pods_of_one_owner_or_service_are_spread_without_being_told() -> None:
    nodes = [node("a", pod("big", ask={"cpu": "100m"})), node("b"), node("c")]
    for number in range(6):
        wanted = pod(str(number), owner="rs")
        name = placed(wanted, *nodes)
        next(n for n in nodes if n.name == name).add(wanted)
    assert [sum(p.owner == "rs" for p in n.pods.values()) for n in nodes] == [2, 2, 2]
    services = Selector((Requirement("app", "In", ("web",)),))
    assert decide(web("p"), world(node("a", web("x")), node("b", pod("y"))), services) == Placed("b")


def test_room_that_is_being_made_for_another_is_taken() -> None:
    full = pod("boss", ask={"cpu": "3"}, priority=10)
    nodes = world(node("a"), nominated={"a": (full,)})
    assert isinstance(decide(pod(ask={"cpu": "2"}), nodes), Refused)
    assert decide(pod(ask={"cpu": "1"}), nodes) == Placed("a")
    assert decide(pod(ask={"cpu": "2"}, priority=11), nodes) == Placed("a")  # a more important pod may take it
    assert decide(full, nodes) == Placed("a")  # and it is its own


def test_a_nominated_node_is_taken_before_a_better_one() -> None:
    wanted = pod(status={"nominatedNodeName": "b"})
    assert decide(wanted, world(node("a"), node("b", web("x")))) == Placed("b")


@pytest.mark.parametrize(
    ("wanted", "nodes", "held", "said"),
    [
        (pod(), [], "", "no nodes available to schedule pods"),
        (pod(ask={"cpu": "9"}), [node("a"), node("b", taints=TAINT)], "",
         "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s). no new claims to deallocate, preemption: "
         "0/2 nodes are available: 2 Preemption is not helpful for scheduling."),
        (pod(ask={"cpu": "3"}), [node("a", pod("x", ask={"cpu": "2"}))], "",
         "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: "
         "0/1 nodes are available: 1 No preemption victims found for incoming pod."),
        (pod(ask={"cpu": "3"}, preemptionPolicy="Never"), [node("a", pod("x", ask={"cpu": "2"}))], "",
         "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: "
         "not eligible due to preemptionPolicy=Never."),
        (pod(), [node("a")], 'persistentvolumeclaim "data" not found',
         '0/1 nodes are available: persistentvolumeclaim "data" not found. no new claims to deallocate, preemption: '
         "0/1 nodes are available: 1 Preemption is not helpful for scheduling."),
    ],
)
def test_refusals_use_upstreams_words(wanted: PodInfo, nodes: list, held: str, said: str) -> None:
    found = decide(wanted, world(*nodes), hindrance=held)
    assert isinstance(found, Refused) and found.message == said


def test_a_refusal_names_the_plugins_that_a_change_must_concern() -> None:
    found = decide(pod(ask={"cpu": "9"}), world(node("a"), node("b", unschedulable=True)))
    assert isinstance(found, Refused) and found.plugins == {"NodeResourcesFit", "NodeUnschedulable"}
