"""Configuration files: kind's shape, strict, with the path of what is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from seaway.cli import up
from seaway.cluster.config import ApiServer, ConfigError, default_nodes, with_name
from seaway.cluster.configfile import parse

HEAD = {"apiVersion": "seaway.dev/v1alpha1", "kind": "Cluster"}
KIND = """
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
name: lab
featureGates: {A: true}
networking:
  ipFamily: dual
  podSubnet: "10.10.0.0/16,fd00:1::/56"
  serviceSubnet: 10.11.0.0/16
  kubeProxyMode: iptables
  disableDefaultCNI: true
  apiServerPort: 6443
nodes:
- role: control-plane
  image: kindest/node:v1.36
  extraPortMappings: [{containerPort: 80, hostPort: 8080}]
- role: worker
  labels: {tier: 1}
  taints: [{key: dedicated, value: db, effect: NoSchedule}]
- role: worker
"""


def test_a_file_of_kinds_is_read_and_what_has_no_meaning_is_named() -> None:
    found = parse(yaml.safe_load(KIND))
    assert [(n.name, n.role) for n in found.nodes] == [
        ("lab-control-plane", "control-plane"), ("lab-worker", "worker"), ("lab-worker2", "worker")]
    assert found.nodes[1].labels == {"tier": "1"}
    assert found.nodes[1].taints == ({"key": "dedicated", "value": "db", "effect": "NoSchedule"},)
    net = found.networking
    assert (net.pod_subnets, net.api_server_port) == (("10.10.0.0/16", "fd00:1::/56"), 6443)
    assert net.service_subnets == ("10.11.0.0/16", "fd00:10:96::/112"), "the other family keeps its default"
    assert net.kube_proxy_mode == "iptables"
    named = " ".join(found.ignored)
    for word in ("featureGates", "nodes[0].image", "nodes[0].extraPortMappings", "disableDefaultCNI"):
        assert word in named


def test_an_empty_file_is_one_node_of_both_families() -> None:
    found = parse(HEAD)
    assert [(n.name, n.role) for n in found.nodes] == [("seaway-control-plane", "control-plane")]
    assert found.networking.families == (4, 6) and found.ignored == ()


@pytest.mark.parametrize(("family", "want"), [("ipv4", (4,)), ("ipv6", (6,)), ("dual", (4, 6))])
def test_families(family: str, want: tuple) -> None:
    assert parse({**HEAD, "networking": {"ipFamily": family}}).networking.families == want


def test_given_names_images_and_labels_are_kept() -> None:
    found = parse({**HEAD, "nodes": [{"role": "control-plane", "name": "cp"}, {"name": "w"}], "images": {"shop": "busybox"}})
    assert [n.name for n in found.nodes] == ["cp", "w"] and found.images == {"shop": "busybox"}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"kind": "Pod"}, "apiVersion, kind"),
        ({"apiVersion": "v1"}, "apiVersion, kind"),
        ({"colour": "red"}, "colour"),
        ({"name": "Lab"}, "name"),
        ({"name": "x" * 41}, "name"),
        ({"name": "-x"}, "name"),
        ({"nodes": ["worker"]}, "nodes[0]"),
        ({"nodes": [{}, {"roles": "worker"}]}, "nodes[1].roles"),
        ({"nodes": [{"role": "master"}]}, "nodes[0].role"),
        ({"nodes": [{"name": "a_b"}]}, "nodes[0].name"),
        ({"nodes": [{"name": "a"}, {"name": "a"}]}, "nodes"),
        ({"nodes": [{"labels": ["a"]}]}, "nodes[0].labels"),
        ({"nodes": [{"taints": ["a"]}]}, "nodes[0].taints[0]"),
        ({"nodes": [{"taints": [{"key": "k", "effect": "Never"}]}]}, "nodes[0].taints[0]"),
        ({"nodes": [{"taints": [{"effect": "NoSchedule"}]}]}, "nodes[0].taints[0]"),
        ({"nodes": [{"taints": [{"key": "k", "effect": "NoSchedule", "x": 1}]}]}, "nodes[0].taints[0].x"),
        ({"gatewayAPI": "no"}, "gatewayAPI"),
        ({"networking": "dual"}, "networking"),
        ({"networking": {"ipfamily": "dual"}}, "networking.ipfamily"),
        ({"networking": {"ipFamily": "ipv5"}}, "networking.ipFamily"),
        ({"networking": {"kubeProxyMode": "ebbf"}}, "networking.kubeProxyMode"),
        ({"networking": {"podSubnet": "10.244.0.1/16"}}, "networking.podSubnet"),  # host bits
        ({"networking": {"serviceSubnet": "10.96.0.0/33"}}, "networking.serviceSubnet"),
        ({"networking": {"nodeSubnet": "x"}}, "networking.nodeSubnet"),
        ({"networking": {"loadBalancerSubnet": "x"}}, "networking.loadBalancerSubnet"),
        ({"networking": {"apiServerPort": -1}}, "networking.apiServerPort"),
        ({"networking": {"apiServerPort": "80"}}, "networking.apiServerPort"),
        ({"components": {"apiServer": {"auditLog": "x"}}}, "components.apiServer.auditLog"),
        ({"components": {"apiServer": {"logMaxSize": 0}}}, "components.apiServer.logMaxSize"),
        ({"components": {"apiServer": {"logMaxBackups": True}}}, "components.apiServer.logMaxBackups"),
        ({"components": {"apiServer": {"auditPolicyFile": "p"}}}, "an audit policy without an audit log"),
        ({"components": {"apiServer": {"auditLogPath": "l", "requestLogPath": "l"}}}, "l"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(change: dict, path: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(path) + ": "):
        parse({**HEAD, **change})


def test_logs_of_the_api_server_are_files_with_bounds(tmp_path: Path) -> None:
    server = {"auditLogPath": "audit.log", "auditPolicyFile": "policy.yaml", "logMaxSize": 7}
    config = parse({**HEAD, "components": {"apiServer": server}})
    assert config.components.api_server == ApiServer("audit.log", "policy.yaml", "", 7, 5)
    (tmp_path / "policy.yaml").write_text("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}")
    found = up.with_logs(parse(HEAD), str(tmp_path / "audit.log"), str(tmp_path / "policy.yaml"), "").components.api_server
    assert (found.audit_log, found.request_log) == (str(tmp_path / "audit.log"), "") and (tmp_path / "audit.log").exists()
    (tmp_path / "policy.yaml").write_text("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: All}]}")
    with pytest.raises(ConfigError, match=r"policy.yaml: rules\[0\].level: Unsupported value"):
        up.with_logs(parse(HEAD), str(tmp_path / "audit.log"), str(tmp_path / "policy.yaml"), "")
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        up.with_logs(parse(HEAD), str(tmp_path / "none" / "audit.log"), "", "")


def test_gateway_api_is_served_unless_the_file_says_no() -> None:
    assert parse(HEAD).gateway_api
    assert not parse({**HEAD, "gatewayAPI": False}).gateway_api


@pytest.mark.parametrize("tree", [None, [], "Cluster", 5])
def test_what_is_no_mapping_is_no_configuration(tree: object) -> None:
    with pytest.raises(ConfigError, match="must be a mapping"):
        parse(tree)


def test_default_nodes_are_named_as_kind_names_them() -> None:
    assert [n.name for n in default_nodes(4, "x")] == ["x-control-plane", "x-worker", "x-worker2", "x-worker3"]
    with pytest.raises(ConfigError, match="at least one node"):
        default_nodes(0)


def test_a_cluster_is_renamed_or_refused() -> None:
    assert with_name(parse(HEAD), "b").name == "b"
    with pytest.raises(ConfigError, match="name: 'B'"):
        with_name(parse(HEAD), "B")
