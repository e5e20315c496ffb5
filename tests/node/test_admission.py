"""What a node refuses to run, whoever placed it there."""

from __future__ import annotations

import pytest

from seaway.cluster.node.admission import refusal

HAVE = {"cpu": "2", "memory": "1Gi", "pods": "2"}


def pod(cpu: str = "0", port: int = 0, **more: str) -> dict:
    container = {"name": "c", "resources": {"requests": {"cpu": cpu, **more}}, "ports": [{"hostPort": port}] if port else []}
    return {"metadata": {"name": "p"}, "spec": {"containers": [container]}}


@pytest.mark.parametrize(
    ("wanted", "others", "want"),
    [
        (pod("2"), [], None),
        (pod("2"), [pod("500m")],
         ("OutOfcpu", "Pod was rejected: Node didn't have enough resource: cpu, requested: 2000, used: 500, capacity: 2000")),
        (pod(memory="2Gi"), [],
         ("OutOfmemory", "Pod was rejected: Node didn't have enough resource: memory, requested: 2147483648, used: 0, capacity: 1073741824")),
        (pod(), [pod(), pod()], ("OutOfpods", "Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: 2, capacity: 2")),
        (pod(**{"example.org/gpu": "1"}), [], None),  # not this node's to judge
        (pod(port=80), [pod(port=80)], ("NodePorts", "Pod was rejected: Predicate NodePorts failed: "
                                                     "node(s) didn't have free ports for the requested pod ports")),
        (pod(port=80), [pod(port=81)], None),
    ],
)
def test_a_pod_must_fit_its_node(wanted: dict, others: list, want: tuple | None) -> None:
    assert refusal(wanted, others, HAVE) == want
