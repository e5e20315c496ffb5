"""What a node says about a pod by itself: taints, selectors, node affinity."""

from __future__ import annotations

import pytest

from seaway.cluster.scheduler.fit import (
    UNMATCHED,
    UNSCHEDULABLE,
    UNTOLERATED,
    affinity_problem,
    dislikes,
    named_nodes,
    preference,
    taint_problem,
    tolerates,
)


def node(labels: dict | None = None, **spec: object) -> dict:
    return {"metadata": {"name": "a", "labels": labels or {}}, "spec": spec}


def pod(**spec: object) -> dict:
    return {"metadata": {"name": "p"}, "spec": spec}


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
        ({"key": "k", "operator": "Nonsense"}, {"key": "k", "effect": "NoSchedule"}, False),
    ],
)
def test_tolerations_meet_taints(toleration: dict, taint: dict, want: bool) -> None:
    assert tolerates(toleration, taint) == want


TAINTED = {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}


@pytest.mark.parametrize(
    ("spec", "host", "want"),
    [
        ({}, {}, ""),
        ({}, TAINTED, UNTOLERATED),
        ({"tolerations": [{"key": "k", "value": "v"}]}, TAINTED, ""),
        ({}, {"taints": [{"key": "k", "effect": "NoExecute"}]}, UNTOLERATED),
        ({}, {"taints": [{"key": "k", "effect": "PreferNoSchedule"}]}, ""),
        ({}, {"unschedulable": True}, UNSCHEDULABLE),
        ({"tolerations": [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]}, {"unschedulable": True}, ""),
    ],
)
def test_taints_keep_pods_away(spec: dict, host: dict, want: str) -> None:
    assert taint_problem(pod(**spec), node(**host)) == want


def required(*terms: dict) -> dict:
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}}}


def match(key: str, operator: str, *values: str) -> dict:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def named(*names: str) -> dict:
    return {"matchFields": [{"key": "metadata.name", "operator": "In", "values": list(names)}]}


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
        (required(named("a")), True),
        (required(named("b")), False),
        (required({}), False),  # an empty term matches nothing
        (required(), False),
        ({"nodeSelector": {"disk": "hdd"}, **required(match("disk", "Exists"))}, False),  # both must hold
    ],
)
def test_selectors_and_required_affinity(spec: dict, fits: bool) -> None:
    assert affinity_problem(pod(**spec), node({"disk": "ssd", "cores": "8"})) == ("" if fits else UNMATCHED)


@pytest.mark.parametrize(
    ("terms", "want"),
    [
        ((), None),
        ((named("a", "b"),), {"a", "b"}),
        ((named("a"), named("c")), {"a", "c"}),
        ((named("a"), match("disk", "Exists")), None),  # one term that names none: any node may do
        (({"matchFields": named("a")["matchFields"] + named("b")["matchFields"]},), set()),  # it cannot be both
    ],
)
def test_affinity_by_name_leaves_only_the_named_nodes(terms: tuple, want: set | None) -> None:
    assert named_nodes(pod(**required(*terms))) == want


def test_preferences_are_summed_and_dislikes_counted() -> None:
    prefers = [{"weight": 10, "preference": match("disk", "In", "ssd")}, {"weight": 5, "preference": match("gpu", "Exists")},
               {"weight": 50, "preference": {}}]
    wish = pod(affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": prefers}})
    assert preference(wish, node({"disk": "ssd"})) == 10 and preference(wish, node({"disk": "ssd", "gpu": ""})) == 15
    taints = [{"key": k, "effect": e} for k, e in (("a", "PreferNoSchedule"), ("b", "PreferNoSchedule"), ("c", "NoSchedule"))]
    assert dislikes(pod(tolerations=[{"key": "a", "operator": "Exists"}]), node(taints=taints)) == 1
