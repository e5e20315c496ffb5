"""What pods ask for, and what nodes have."""

from __future__ import annotations

import pytest

from seaway.cluster.scheduler.claims import hindrance
from seaway.cluster.scheduler.resources import amounts, balanced, least_allocated, problems, requests, scored


def tree(*containers: dict, init: tuple = (), **spec: object) -> dict:
    def made(asked: dict, n: int, **more: str) -> dict:
        return {"name": f"c{n}", "resources": {"requests": asked}, **more}

    inits = [made({k: v for k, v in a.items() if k != "sidecar"}, n, **({"restartPolicy": "Always"} if a.get("sidecar") else {}))
             for n, a in enumerate(init, 10)]
    return {"metadata": {"name": "p"}, "spec": {"containers": [made(a, n) for n, a in enumerate(containers)],
                                                "initContainers": inits, **spec}}


SIDE = {"sidecar": True, "cpu": "1"}


@pytest.mark.parametrize(
    ("pod", "cpu"),
    [
        (tree({"cpu": "500m"}, {"cpu": "0.25"}), 750),
        (tree({"cpu": "500m"}, init=({"cpu": "2"}, {"cpu": "1"})), 2000),  # the largest of the init containers
        (tree({"cpu": "3"}, init=({"cpu": "2"},)), 3000),
        (tree({"cpu": "1"}, init=(SIDE,)), 2000),  # sidecars run beside the containers
        (tree({"cpu": "1"}, init=(SIDE, {"cpu": "3"})), 4000),  # an init container after a sidecar runs beside it
        (tree({"cpu": "1"}, init=({"cpu": "3"}, SIDE)), 3000),  # one before it does not
        (tree({"cpu": "1"}, overhead={"cpu": "100m"}), 1100),
        (tree({"cpu": "1"}, resources={"requests": {"cpu": "5"}}), 5000),  # pod-level requests stand for the sum
        (tree({}), 0),
    ],
)
def test_a_pod_asks_for_what_runs_at_once(pod: dict, cpu: int) -> None:
    assert requests(pod).get("cpu", 0) == cpu and requests(pod)["pods"] == 1


def test_quantities_are_rounded_up() -> None:
    assert amounts({"cpu": "1.0001", "memory": "1.5Ki", "x/y": "100m"}) == {"cpu": 1001, "memory": 1536, "x/y": 1}
    assert scored(tree({}, {"cpu": "1"})) == {"cpu": 1100, "memory": 400 << 20}  # nothing asked is not nothing used


@pytest.mark.parametrize(
    ("asked", "want"),
    [
        ({"cpu": 1000}, ([], False)),
        ({"cpu": 1500}, (["Insufficient cpu"], False)),
        ({"cpu": 2500}, (["Insufficient cpu"], True)),  # more than the empty node has
        ({"pods": 1, "memory": 11, "cpu": 1500}, (["Too many pods", "Insufficient cpu", "Insufficient memory"], True)),
        ({"x/y": 0}, ([], False)),
    ],
)
def test_what_is_asked_must_be_left(asked: dict, want: tuple) -> None:
    assert problems(asked, {"cpu": 1000, "pods": 1}, {"cpu": 2000, "memory": 10, "pods": 1}) == want


def test_room_and_balance_score() -> None:
    have = {"cpu": 1000, "memory": 1000}
    assert least_allocated({"cpu": 500, "memory": 250}, {}, have) == 62
    assert balanced({"cpu": 500, "memory": 500}, {}, have) == 100
    assert balanced({"cpu": 1000}, {}, have) == 50


CLAIM = {"metadata": {}, "spec": {"volumeName": "v"}}


@pytest.mark.parametrize(
    ("claim", "mode", "want"),
    [
        (None, "", 'persistentvolumeclaim "c" not found'),
        (CLAIM, "", ""),
        ({**CLAIM, "metadata": {"deletionTimestamp": "x"}}, "", 'persistentvolumeclaim "c" is being deleted'),
        ({**CLAIM, "status": {"phase": "Lost"}}, "", 'persistentvolumeclaim "c" bound to non-existent persistentvolume "v"'),
        ({"metadata": {}, "spec": {}}, "Immediate", "pod has unbound immediate PersistentVolumeClaims"),
        ({"metadata": {}, "spec": {}}, "WaitForFirstConsumer", ""),
    ],
)
def test_claims_hold_a_pod(claim: dict | None, mode: str, want: str) -> None:
    pod = tree({}, volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])
    assert hindrance(pod, lambda name: claim, lambda name: {"volumeBindingMode": mode}) == want
