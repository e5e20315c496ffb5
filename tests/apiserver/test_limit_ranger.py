"""LimitRanges: what containers are given, what pods and claims must keep."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.cluster.apiserver import limit_ranger

Tree = dict[str, Any]


def ranges(kind: str = "Container", **fields: Any) -> list[Tree]:
    return [{"metadata": {"name": "r", "namespace": "n"}, "spec": {"limits": [{"type": kind, **fields}]}}]


def pod(*containers: Tree, **spec: Any) -> Tree:
    named = [{"name": f"c{i}", **({"resources": c} if c else {})} for i, c in enumerate(containers)]
    return {"metadata": {"name": "p"}, "spec": {"containers": named, **spec}}


def test_containers_are_given_what_they_leave_out() -> None:
    tree = pod({}, {"requests": {"cpu": "1"}, "limits": {"cpu": "1", "memory": "1Gi"}}, initContainers=[{"name": "i"}])
    limit_ranger.complete(tree, ranges(default={"cpu": "500m", "memory": "1Mi"}, defaultRequest={"cpu": "100m"}))
    bare = {"requests": {"cpu": "100m"}, "limits": {"cpu": "500m", "memory": "1Mi"}}
    assert [c.get("resources") for c in tree["spec"]["containers"]] == [bare, {"requests": {"cpu": "1"}, "limits": {"cpu": "1", "memory": "1Gi"}}]
    assert tree["spec"]["initContainers"][0]["resources"] == bare
    assert tree["metadata"]["annotations"] == {
        limit_ranger.ANNOTATION: "LimitRanger plugin set: cpu request for container c0; cpu, memory limit for container c0; "
        "cpu request for init container i; cpu, memory limit for init container i"
    }


def test_what_is_complete_stays_as_it_is() -> None:
    tree = pod({"limits": {"cpu": "1"}})
    limit_ranger.complete(tree, ranges(default={"cpu": "2"}))
    limit_ranger.complete(tree, ranges("Pod", max={"cpu": "2"}))
    assert tree == pod({"limits": {"cpu": "1"}})


HALF, ONE, TWO = {"cpu": "500m"}, {"cpu": "1"}, {"cpu": "2"}
CASES: list[tuple[Tree, list[Tree], str]] = [
    (pod({"requests": ONE, "limits": ONE}), ranges(min=ONE, max=ONE), ""),
    (pod({}), ranges(min=ONE), "minimum cpu usage per Container is 1.  No request is specified"),
    (pod({"requests": HALF}), ranges(min=ONE), "minimum cpu usage per Container is 1, but request is 500m"),
    (pod({"requests": ONE, "limits": HALF}), ranges(min=ONE), "minimum cpu usage per Container is 1, but limit is 500m"),
    (pod({}), ranges(max=ONE), "maximum cpu usage per Container is 1.  No limit is specified"),
    (pod({"limits": TWO}), ranges(max=ONE), "maximum cpu usage per Container is 1, but limit is 2"),
    (pod({"requests": TWO, "limits": ONE}), ranges(max=ONE), "maximum cpu usage per Container is 1, but request is 2"),
    (pod({"requests": HALF, "limits": TWO}), ranges(maxLimitRequestRatio=TWO), "cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000"),
    (pod({"limits": TWO}), ranges(maxLimitRequestRatio=TWO), "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0"),
    (pod({"requests": HALF}), ranges(maxLimitRequestRatio=TWO), "cpu max limit to request ratio per Container is 2, but no limit is specified or limit is 0"),
    (pod({}), ranges(min={"cpu": "1", "memory": "1Mi"}), "[minimum cpu usage per Container is 1.  No request is specified, minimum memory usage per Container is 1Mi.  No request is specified]"),
    (pod({}, {}), ranges(min=ONE), "minimum cpu usage per Container is 1.  No request is specified"),
    (pod({"limits": ONE}, {"limits": HALF}), ranges("Pod", max=ONE), "maximum cpu usage per Pod is 1, but limit is 1500m"),
    (pod({"limits": HALF}, {"limits": HALF}), ranges("Pod", max=ONE), ""),
    (pod({"limits": TWO}, resources={"limits": ONE}), ranges("Pod", max=ONE), ""),
    (pod({"limits": HALF}, initContainers=[{"name": "i", "resources": {"limits": TWO}}]), ranges("Pod", max=ONE), "maximum cpu usage per Pod is 1, but limit is 2"),
]


@pytest.mark.parametrize(("tree", "have", "why"), CASES)
def test_a_pod_keeps_its_bounds(tree: Tree, have: list[Tree], why: str) -> None:
    assert limit_ranger.of_pod(tree, have) == why


@pytest.mark.parametrize(
    ("size", "why"),
    [
        ("1Gi", ""),
        ("3Gi", "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"),
        ("1Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi"),
    ],
)
def test_a_claim_keeps_its_bounds(size: str, why: str) -> None:
    claim = {"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": size}}}}
    have = ranges("PersistentVolumeClaim", min={"storage": "1Gi"}, max={"storage": "2Gi"})
    assert limit_ranger.of_claim(claim, have) == why
