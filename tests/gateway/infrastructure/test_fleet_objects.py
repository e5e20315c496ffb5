"""A fleet's objects as trees. `GOLDEN=1 pytest -k golden` rewrites golden/*.yaml; a person reads the difference."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from seaway.api.facts import definitions
from seaway.cluster.node import envoy
from seaway.gateway.infrastructure import bootstrap, shapes
from seaway.gateway.infrastructure.objects import ADDRESSES, KINDS, objects
from seaway.gateway.infrastructure.parameters import Parameters, read
from seaway.gateway.infrastructure.values import (
    FLEET,
    LONGEST,
    Identity,
    Owner,
    Port,
    Wanted,
    object_name,
    place,
    shortened,
)
from seaway.pki.authority import Authority
from seaway.routing.gateway.listeners import RESERVED
from seaway.routing.ir import Fleet

GOLDEN = Path(__file__).parent / "golden"
IDENTITY = Identity(b"authorities", b"certificate", b"key")
OWNER = Owner("gateway.networking.k8s.io/v1", "Gateway", "edge", "0b1f3f0a-0000-4000-8000-000000000001")
EDGE = Wanted(
    Fleet("Gateway", "shop", "edge"),
    "shop",
    "edge-seaway",
    OWNER,
    (Port("http", 80), Port("https", 443), Port("dns", 53, "UDP")),
    IDENTITY,
    "a-key",
    addresses=("172.30.255.9", "fd00:172:30:255::9"),
    labels=(("team", "shop"), (FLEET, "somebody-else"), ("gateway.networking.k8s.io/gateway-name", "other")),
    annotations=(("example.com/cost", "shop"),),
    gateway_class="seaway",
)
NODES = """
kind: DaemonSet
host: network
nodeSelector: {ingress: "yes"}
tolerations: |
  - {key: ingress, operator: Exists, effect: NoSchedule}
resources: |
  limits: {memory: 512Mi}
serviceType: ClusterIP
concurrency: "0"
"""


def _nodes() -> Wanted:
    data = {k: v if isinstance(v, str) else yaml.safe_dump(v) for k, v in yaml.safe_load(NODES).items()}
    found = read(Parameters(), [{"data": data}])
    assert not found.problems
    fleet = Fleet("IngressClass", "", "seaway")
    namespace, name = place(fleet, "")
    return Wanted(fleet, namespace, name, None, (Port("http", 80),), IDENTITY, "a-key", found.parameters)


CASES = {"gateway": EDGE, "ingress-nodes": _nodes()}


def _readable(tree: dict[str, Any]) -> dict[str, Any]:
    if tree["kind"] != "ConfigMap":
        return tree
    return {**tree, "data": {name: json.loads(text) for name, text in tree["data"].items()}}


@pytest.mark.parametrize("name", CASES)
def test_a_fleet_is_these_objects_golden(name: str) -> None:
    text = yaml.safe_dump_all([_readable(t) for t in objects(CASES[name])], sort_keys=False, width=120)
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("name", CASES)
def test_every_object_has_the_shape_of_its_kind(name: str) -> None:
    for tree in objects(CASES[name]):
        group, _, version = tree["apiVersion"].rpartition("/")
        assert (tree["apiVersion"], tree["kind"]) in KINDS
        definition = next(
            d for d, s in definitions().items()
            if {"group": group, "version": version, "kind": tree["kind"]} in s.get("x-kubernetes-group-version-kind", ())
        )
        shapes.check({"$ref": definition}, tree, tree["kind"])


@pytest.mark.parametrize("name", CASES)
def test_envoy_accepts_the_bootstrap(name: str, tmp_path: Path) -> None:
    """Envoy's own judgement: every field is known to it, and none that it would warn of is left."""
    authority = Authority.new("test", 1.8e9)
    pair = authority.issue("test", 1.8e9)
    for file, data in (("ca.crt", authority.pair.certificate), ("tls.crt", pair.certificate), ("tls.key", pair.key)):
        (tmp_path / file).write_bytes(data)
    for file, text in bootstrap.files(CASES[name]).items():
        for folder in (bootstrap.FOLDER, bootstrap.KEYS):
            text = text.replace(f'"{folder}', f'"{tmp_path}')
        (tmp_path / file).write_text(text)
    config = str(tmp_path / bootstrap.CONFIG)
    words = [envoy.program(), "--mode", "validate", "-c", config, "--service-node", "n", "--log-level", "warn"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "OK" in done.stdout, done.stderr
    assert not [line for line in done.stderr.splitlines() if "[warning]" in line or "deprecated" in line]


def find(wanted: Wanted, kind: str) -> dict[str, Any]:
    return next(t for t in objects(wanted) if t["kind"] == kind)


def test_labels_of_the_users_never_replace_ours_and_annotations_reach_every_object() -> None:
    for tree in objects(EDGE):
        assert tree["metadata"]["labels"] == {
            "app.kubernetes.io/managed-by": "seaway-gateway", FLEET: "edge-seaway", "team": "shop",
            "gateway.networking.k8s.io/gateway-name": "edge", "gateway.networking.k8s.io/gateway-class-name": "seaway",
        }
        assert tree["metadata"]["annotations"]["example.com/cost"] == "shop"
        assert tree["metadata"]["ownerReferences"][0]["uid"] == OWNER.uid
    template = find(EDGE, "Deployment")["spec"]["template"]
    assert template["metadata"]["labels"]["team"] == "shop" and template["metadata"]["annotations"]["example.com/cost"] == "shop"


def test_pods_may_do_nothing_but_listen() -> None:
    spec = find(EDGE, "Deployment")["spec"]["template"]["spec"]
    [container] = spec["containers"]
    assert spec["automountServiceAccountToken"] is False and spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["securityContext"]["sysctls"] == [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
    }


def test_pods_are_replaced_when_their_bootstrap_changes_and_only_then() -> None:
    def mark(wanted: Wanted) -> str:
        return str(find(wanted, "Deployment")["spec"]["template"]["metadata"]["annotations"]["seaway.dev/bootstrap"])

    assert mark(EDGE) == mark(EDGE._replace(identity=Identity(b"other", b"other", b"other"), ports=(Port("x", 8080),)))
    more = EDGE._replace(ports=(*EDGE.ports, Port("more", 8080)))
    assert find(EDGE, "Deployment") == find(more, "Deployment") and find(EDGE, "Service") != find(more, "Service")
    assert mark(EDGE) != mark(EDGE._replace(drain_key="another"))
    assert mark(EDGE) != mark(EDGE._replace(parameters=Parameters(max_connections=10)))


def test_a_load_balancer_is_asked_for_one_address_a_family() -> None:
    service = find(EDGE._replace(addresses=("172.30.255.9", "", "172.30.255.10", "fd00::0009")), "Service")
    assert service["spec"]["loadBalancerIP"] == "172.30.255.9"
    assert service["metadata"]["annotations"][ADDRESSES] == "172.30.255.9,fd00::9"
    plain = find(EDGE._replace(addresses=()), "Service")
    assert "loadBalancerIP" not in plain["spec"] and ADDRESSES not in plain["metadata"]["annotations"]


def test_service_parameters_reach_the_service() -> None:
    parameters = Parameters(service_annotations={"cloud/x": "y"}, load_balancer_class="a/b", external_traffic_policy="Local")
    service = find(EDGE._replace(parameters=parameters), "Service")
    assert service["spec"]["loadBalancerClass"] == "a/b" and service["spec"]["externalTrafficPolicy"] == "Local"
    assert service["metadata"]["annotations"]["cloud/x"] == "y"
    inner = find(EDGE._replace(parameters=Parameters(service_type="ClusterIP")), "Service")
    assert "externalTrafficPolicy" not in inner["spec"] and inner["spec"]["externalIPs"] == ["172.30.255.9", "fd00:172:30:255::9"]


def test_no_service_without_ports_and_no_budget_for_a_daemonset() -> None:
    assert not [t for t in objects(EDGE._replace(ports=())) if t["kind"] == "Service"]
    assert not [t for t in objects(_nodes()) if t["kind"] == "PodDisruptionBudget"]


@pytest.mark.parametrize(
    ("gateway", "gateway_class", "want"),
    [("edge", "seaway", "edge-seaway"), ("a" * 56, "seaway", "a" * 56 + "-seaway")],
)
def test_objects_are_named_as_gep_1762_says(gateway: str, gateway_class: str, want: str) -> None:
    assert object_name(gateway, gateway_class) == want


def test_names_that_no_service_can_have_go_by_a_hash_and_never_meet() -> None:
    pairs = [("a" * 57, "seaway"), ("a" * 58, "seaway"), ("1st", "seaway"), ("gw-1st", "seaway"), ("a.b", "seaway"), ("a-b", "seaway"),
             ("a", "b.c"), ("a.b", "c"), ("x" * 253, "y" * 253)]
    names = [object_name(*p) for p in pairs]
    assert len(set(names)) == len(names)
    assert all(len(n) <= LONGEST and n[0].isalpha() and "." not in n and n[-1] != "-" for n in names)
    assert len(shortened("x" * 253)) == LONGEST and shortened("x" * 63) == "x" * 63


def test_places_are_beside_the_gateway_or_beside_the_controller() -> None:
    assert place(Fleet("Gateway", "shop", "edge"), "seaway") == ("shop", "edge-seaway")
    assert place(Fleet("IngressClass", "", "seaway"), "") == ("seaway-system", "seaway-ingress")
    assert place(Fleet("IngressClass", "", "inner"), "") == ("seaway-system", "seaway-ingress-inner")
    assert {18000, 19000, 19003, 19009} <= RESERVED and 19010 not in RESERVED
