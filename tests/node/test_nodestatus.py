"""What a node says of itself."""

from __future__ import annotations

import pytest

from seaway.cluster import config, layout
from seaway.cluster.node.nodestatus import Measured, conditions, differs, node

PLENTY = Measured(1 << 33, 1 << 33, 30000, "no cgroups here")
NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("measured", "kind", "want"),
    [
        (PLENTY, "MemoryPressure", ("False", "KubeletHasSufficientMemory")),
        (Measured(1 << 20, 1 << 33, 30000), "MemoryPressure",
         ("True", "KubeletHasInsufficientMemory")),
        (Measured(1 << 33, 1 << 20, 30000), "DiskPressure", ("True", "KubeletHasDiskPressure")),
        (Measured(1 << 33, 1 << 33, 10), "PIDPressure", ("True", "KubeletHasInsufficientPID")),
        (PLENTY, "ResourceLimits", ("False", "NoCgroupController")),
        (Measured(1 << 33, 1 << 33, 30000), "ResourceLimits", ("True", "CgroupControllers")),
        (PLENTY, "Ready", ("True", "KubeletReady")),
    ],
)
def test_conditions_say_what_was_measured(measured: Measured, kind: str, want: tuple) -> None:
    found = next(c for c in conditions([], measured, NOW) if c["type"] == kind)
    assert (found["status"], found["reason"]) == want and found["message"]


def test_a_transition_is_dated_and_others_conditions_stay() -> None:
    old = [{"type": "Mine", "status": "True"}, {"type": "Ready", "status": "Unknown", "lastTransitionTime": "then"},
           {"type": "DiskPressure", "status": "False", "lastTransitionTime": "then"}]
    found = {c["type"]: c for c in conditions(old, PLENTY, NOW)}
    assert found["Mine"] == old[0] and found["DiskPressure"]["lastTransitionTime"] == "then"
    assert found["Ready"]["status"] == "True" and found["Ready"]["lastTransitionTime"] != "then"


def test_only_what_is_said_otherwise_is_a_difference() -> None:
    status = {"capacity": {"cpu": "2"}, "conditions": conditions([], PLENTY, NOW)}
    assert not differs(status, {"capacity": {"cpu": "2"}, "conditions": conditions([], PLENTY, NOW + 60)})
    assert not differs({**status, "images": []}, status)  # what we do not speak of
    assert differs(status, {"capacity": {"cpu": "3"}, "conditions": status["conditions"]})
    unknown = [{**c, "status": "Unknown"} if c["type"] == "Ready" else c for c in status["conditions"]]
    assert differs({**status, "conditions": unknown}, status)
    assert differs(None, status)
    assert not differs({**status, "capacity": {"cpu": "2", "example.org/gpu": "1"}}, status)


def test_a_node_is_registered_with_its_labels_taints_and_ranges() -> None:
    wanted = config.NodeConfig("n", "control-plane", {"a": "b"}, ({"key": "k", "effect": "NoSchedule"},))
    found = node(layout.plan(config.ClusterConfig(nodes=(wanted,))).nodes[0], "amd64")
    labels = found["metadata"]["labels"]
    assert labels["a"] == "b" and labels["kubernetes.io/hostname"] == "n" and "node-role.kubernetes.io/control-plane" in labels
    assert found["spec"]["taints"] == [{"key": "k", "effect": "NoSchedule"}] and len(found["spec"]["podCIDRs"]) == 2
