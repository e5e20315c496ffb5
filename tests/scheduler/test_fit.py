"""Which nodes a pod fits, and which it gets."""

from __future__ import annotations

from fractions import Fraction

import pytest

from seaway.cluster.scheduler.fit import NodeLoad, choose, host_ports, problems, requests, score, tolerates

AFFINITY = "node(s) didn't match Pod's node affinity/selector"
PORTS = "node(s) didn't have free ports for the requested pod ports"


def load(name: str = "a", labels: dict | None = None, have: dict | None = None, **spec: object) -> NodeLoad:
    allocatable = {"cpu": "2", "memory": "1Gi", "pods": "110", **(have or {})}
    return NodeLoad({"metadata": {"name": name, "labels": labels or {}}, "spec": spec, "status": {"allocatable": allocatable}})


def pod(ask: dict | None = None, ports: tuple = (), owner: str = "", init: tuple = (), **spec: object) -> dict:
    first = {"name": "c", "resources": {"requests": ask or {}}, "ports": list(ports)}
    meta = {"name": "p", **({"ownerReferences": [{"uid": owner, "controller": True}]} if owner else {})}
    inits = [{"name": f"i{n}", "resources": {"requests": r}} for n, r in enumerate(init)]
    return {"metadata": meta, "spec": {"containers": [first], "initContainers": inits, **spec}}


def among(*loads: NodeLoad) -> dict[str, NodeLoad]:
    return {x.node["metadata"]["name"]: x for x in loads}


@pytest.mark.parametrize(
    ("toleration", "taint", "want"),
    [
        ({"key": "k", "operator": "Exists"}, {"key": "k", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "operator": "Equal", "value": "v"}, {"key": "k", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "value": "v"}, {"key": "k", "value": "v", "effect": "NoExecute"}, True),  # Equal is the default
        ({"key": "k", "value": "v"}, {"key": "k", "value": "w", "effect": "NoSchedule"}, False),
        ({"key": "k"}, {"key": "k", "effect": "NoSchedule"}, True),
        ({"key": "l", "operator": "Exists"}, {"key": "k", "effect": "NoSchedule"}, False),
        ({"operator": "Exists"}, {"key": "k", "value": "v", "effect": "NoExecute"}, True),  # everything
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, {"key": "k", "effect": "NoSchedule"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoSchedule"}, {"key": "k", "effect": "NoSchedule"}, True),
    ],
)
def test_tolerations_meet_taints(toleration: dict, taint: dict, want: bool) -> None:
    assert tolerates(toleration, taint) == want


TAINTED = {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}


@pytest.mark.parametrize(
    ("spec", "node", "want"),
    [
        ({}, {}, []),
        ({}, TAINTED, ["node(s) had untolerated taint {k: v}"]),
        ({"tolerations": [{"key": "k", "value": "v"}]}, TAINTED, []),
        ({}, {"taints": [{"key": "k", "effect": "NoExecute"}]}, ["node(s) had untolerated taint {k: }"]),
        ({}, {"taints": [{"key": "k", "effect": "PreferNoSchedule"}]}, []),
        ({}, {"unschedulable": True}, ["node(s) were unschedulable"]),
        ({"tolerations": [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]}, {"unschedulable": True}, []),
    ],
)
def test_taints_keep_pods_away(spec: dict, node: dict, want: list) -> None:
    assert problems(pod(**spec), load(**node)) == want


def required(*terms: dict) -> dict:
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}}}


def match(key: str, operator: str, *values: str) -> dict:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("spec", "fits"),
    [
        ({"nodeSelector": {"disk": "ssd"}}, True),
        ({"nodeSelector": {"disk": "ssd", "gpu": "1"}}, False),
        ({"nodeSelector": {"disk": "hdd"}}, False),
        (required(match("disk", "In", "hdd", "ssd")), True),
        (required(match("disk", "In", "hdd")), False),
        (required(match("disk", "NotIn", "hdd")), True),
        (required(match("none", "NotIn", "hdd")), True),
        (required(match("disk", "NotIn", "ssd")), False),
        (required(match("disk", "Exists")), True),
        (required(match("none", "Exists")), False),
        (required(match("none", "DoesNotExist")), True),
        (required(match("disk", "DoesNotExist")), False),
        (required(match("cores", "Gt", "7")), True),
        (required(match("cores", "Gt", "8")), False),
        (required(match("cores", "Lt", "9")), True),
        (required(match("disk", "Gt", "1")), False),  # not a number
        (required(match("disk", "In", "hdd"), match("cores", "In", "8")), True),  # terms: any of them
        (required({"matchExpressions": [*match("disk", "In", "ssd")["matchExpressions"],
                                        *match("cores", "In", "1")["matchExpressions"]]}), False),  # expressions: all
        (required({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}), True),
        (required({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}), False),
        (required({}), False),  # an empty term matches nothing
        (required(), False),
        ({"nodeSelector": {"disk": "hdd"}, **required(match("disk", "Exists"))}, False),  # both must hold
    ],
)
def test_selectors_and_required_affinity(spec: dict, fits: bool) -> None:
    assert problems(pod(**spec), load(labels={"disk": "ssd", "cores": "8"})) == ([] if fits else [AFFINITY])


def test_a_pod_asks_for_its_containers_together_or_its_largest_init_container() -> None:
    tree = pod({"cpu": "500m", "memory": "64Mi"}, init=({"cpu": "2"}, {"cpu": "1", "memory": "32Mi"}))
    tree["spec"]["containers"].append({"name": "d", "resources": {"requests": {"cpu": "0.25", "memory": "64Mi"}}})
    assert requests(tree) == {"cpu": 2, "memory": 128 * 2**20, "pods": 1}
    assert requests(pod({"cpu": "100m"}))["cpu"] == Fraction(1, 10)


@pytest.mark.parametrize(
    ("ask", "want"),
    [
        ({"cpu": "2"}, []),
        ({"cpu": "2001m"}, ["Insufficient cpu"]),
        ({"memory": "1Gi", "cpu": "0"}, []),
        ({"memory": "1025Mi"}, ["Insufficient memory"]),
        ({"cpu": "3", "memory": "2Gi"}, ["Insufficient cpu", "Insufficient memory"]),
        ({"example.org/gpu": "1"}, ["Insufficient example.org/gpu"]),
    ],
)
def test_what_a_pod_asks_for_must_be_left(ask: dict, want: list) -> None:
    assert sorted(problems(pod(ask), load())) == want


def test_a_node_is_full_and_has_room_again() -> None:
    busy = load(have={"pods": "1"})
    busy.add(pod({"cpu": "1500m"}, owner="rs"))
    assert sorted(problems(pod({"cpu": "1"}), busy)) == ["Insufficient cpu", "Too many pods"]
    busy.add(pod({"cpu": "1500m"}, owner="rs"), -1)
    assert problems(pod({"cpu": "2"}), busy) == [] and busy.owners["rs"] == 0


@pytest.mark.parametrize(
    ("port", "fits"),
    [({"hostPort": 80}, False), ({"hostPort": 80, "protocol": "TCP"}, False), ({"hostPort": 80, "protocol": "UDP"}, True),
     ({"hostPort": 81}, True), ({"containerPort": 80}, True)],
)
def test_a_host_port_is_one_pods(port: dict, fits: bool) -> None:
    busy = load()
    busy.add(pod(ports=({"hostPort": 80},)))
    assert problems(pod(ports=(port,)), busy) == ([] if fits else [PORTS])
    busy.add(pod(ports=({"hostPort": 80},)), -1)
    assert problems(pod(ports=(port,)), busy) == []


def test_ports_of_the_container_alone_are_no_host_ports() -> None:
    assert host_ports(pod(ports=({"containerPort": 80}, {"hostPort": 53, "protocol": "UDP"}))) == {("UDP", 53)}


def test_siblings_are_spread_before_room_counts() -> None:
    crowded, small = load("big", have={"cpu": "100"}), load("small")
    crowded.add(pod(owner="rs"))
    small.add(pod({"cpu": "1500m"}))
    assert choose(pod({"cpu": "100m"}, owner="rs"), among(crowded, small)) == ("small", "")
    assert choose(pod({"cpu": "100m"}, owner="other"), among(crowded, small)) == ("big", "")


def test_a_mere_dislike_comes_before_everything_but_does_not_forbid() -> None:
    disliked, crowded = load("a", taints=[{"key": "k", "effect": "PreferNoSchedule"}]), load("b")
    crowded.add(pod(owner="rs"))
    assert choose(pod(owner="rs"), among(disliked, crowded)) == ("b", "")
    assert choose(pod(), among(disliked)) == ("a", "")


def test_of_equal_nodes_the_first_by_name_is_taken() -> None:
    assert choose(pod(), among(load("c"), load("b"), load("d"))) == ("b", "")
    assert score(pod(), load("b")) < score(pod(), load("c"))


def test_a_refusal_counts_its_reasons() -> None:
    full = load("c")
    full.add(pod({"cpu": "2"}))
    found = choose(pod({"cpu": "1"}), among(load("a", **TAINTED), load("b", unschedulable=True), full, load("d", **TAINTED)))
    assert found == ("", "0/4 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable, "
                         "2 node(s) had untolerated taint {k: v}.")


def test_without_nodes_nothing_is_chosen() -> None:
    assert choose(pod(), {}) == ("", "no nodes available to schedule pods")
