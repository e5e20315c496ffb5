"""Configuration files, layouts and the scheduler's choice; pure."""

from __future__ import annotations

import pytest

from seaway.cluster import config, layout
from seaway.cluster.scheduler import fit

HEAD = {"apiVersion": "seaway.dev/v1alpha1", "kind": "Cluster"}


def test_nodes_are_named_as_kind_names_them() -> None:
    found = config.parse({**HEAD, "name": "lab", "nodes": [{"role": "control-plane"}, {"role": "worker"}, {"role": "worker"}]})
    assert [n.name for n in found.nodes] == ["lab-control-plane", "lab-worker", "lab-worker2"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nodez": []}, "nodez: unknown field"),
        ({"nodes": [{"rol": "x"}]}, "nodes[0].rol: unknown field"),
        ({"nodes": [{"role": "boss"}]}, "nodes[0].role: 'boss'"),
        ({"nodes": [{"role": "worker", "taints": [{"key": "a"}]}]}, "nodes[0].taints[0]: needs"),
        ({"networking": {"ipFamily": "ipv5"}}, "networking.ipFamily: 'ipv5'"),
        ({"networking": {"podSubnet": "nonsense"}}, "networking.podSubnet: "),
        ({"networking": {"apiServerPort": 70000}}, "networking.apiServerPort: 70000"),
        ({"name": "No_Good"}, "name: 'No_Good'"),
        ({"kind": "Clutter"}, "apiVersion, kind"),
        ({"nodes": [{"name": "a"}, {"name": "a"}]}, "nodes: two nodes"),
    ],
)
def test_a_wrong_file_names_the_field(change: dict, said: str) -> None:
    with pytest.raises(config.ConfigError, match=said.replace("[", r"\[").replace("]", r"\]")):
        config.parse({**HEAD, **change})


@pytest.mark.parametrize("count", [1, 2, 50, 250])
@pytest.mark.parametrize("family", ["ipv4", "ipv6", "dual"])
def test_every_node_has_addresses_and_ranges_of_its_own(count: int, family: str) -> None:
    found = layout.plan(config.ClusterConfig(nodes=config.default_nodes(count), networking=config.Networking(ip_family=family)))
    addresses = [a for n in found.nodes for a in n.addresses] + list(found.router) + list(found.outside)
    assert len(set(addresses)) == len(addresses)
    ranges = [r for n in found.nodes for r in n.pod_ranges]
    assert len(set(ranges)) == len(ranges) == count * len(found.families)
    assert all(r.subnet_of(whole) for r in ranges for whole in found.pod_ranges if whole.version == r.version)
    macs = [layout.mac(n.index, end) for n in found.nodes for end in (1, 2)]
    assert len(set(macs)) == len(macs)


def test_too_many_nodes_for_a_range_are_refused() -> None:
    small = config.Networking(pod_subnets=("10.0.0.0/23", "fd00::/56"))
    with pytest.raises(ValueError, match="has no range left for node 3"):
        layout.plan(config.ClusterConfig(nodes=config.default_nodes(3), networking=small))


def node(name: str, labels: dict | None = None, pods: str = "110", cpu: str = "2", **spec: object) -> fit.NodeLoad:
    return fit.NodeLoad({"metadata": {"name": name, "labels": labels or {}}, "spec": spec, "status": {"allocatable": {"cpu": cpu, "memory": "1Gi", "pods": pods}}})


def pod(cpu: str = "", owner: str = "", port: int = 0, **spec: object) -> dict:
    container: dict = {"name": "c", "resources": {"requests": {"cpu": cpu}} if cpu else {}}
    if port:
        container["ports"] = [{"hostPort": port}]
    meta: dict = {"name": "p", "uid": "u"}
    if owner:
        meta["ownerReferences"] = [{"uid": owner, "controller": True}]
    return {"metadata": meta, "spec": {"containers": [container], **spec}}


def choose(tree: dict, *loads: fit.NodeLoad) -> tuple[str, str]:
    return fit.choose(tree, {load.node["metadata"]["name"]: load for load in loads})


TAINT = {"key": "dedicated", "value": "x", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("tree", "loads", "want"),
    [
        (pod(), [node("a"), node("b")], "a"),
        (pod(nodeSelector={"d": "ssd"}), [node("a"), node("b", {"d": "ssd"})], "b"),
        (pod(), [node("a", taints=[TAINT]), node("b")], "b"),
        (pod(tolerations=[{"key": "dedicated", "operator": "Exists"}]), [node("a", taints=[TAINT])], "a"),
        (pod(), [node("a", unschedulable=True), node("b")], "b"),
        (pod(cpu="1500m"), [node("a", cpu="1"), node("b")], "b"),
        (pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}]}}}), [node("a"), node("b")], "b"),
    ],
)
def test_a_pod_goes_where_it_fits(tree: dict, loads: list, want: str) -> None:
    assert choose(tree, *loads)[0] == want


def test_pods_of_one_owner_are_spread() -> None:
    loads = [node("a"), node("b"), node("c")]
    found = []
    for _ in range(6):
        tree = pod(owner="rs")
        name, _ = choose(tree, *loads)
        next(x for x in loads if x.node["metadata"]["name"] == name).add(tree)
        found.append(name)
    assert sorted(found) == ["a", "a", "b", "b", "c", "c"]


def test_a_refusal_counts_the_reasons() -> None:
    busy = node("b")
    busy.add(pod(port=80))
    _, message = choose(pod(cpu="1", port=80), node("a", cpu="500m"), busy, node("c", taints=[TAINT]))
    assert message == ("0/3 nodes are available: 1 Insufficient cpu, 1 node(s) didn't have free ports for the requested pod ports, "
                       "1 node(s) had untolerated taint {dedicated: x}.")
