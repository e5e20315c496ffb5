"""Whatever the API server takes as a policy, Envoy takes: each field with the smallest, the largest and the strangest values that its
schema allows, all at once in one Envoy."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import policyfields
import pytest
from proxied import FLEET, Proxied, free_port
from routingworld import AUTHORITY, World, certificate, documents

from seaway.routing.gateway.frontend import GATEWAY_API
from seaway.routing.ingress.frontend import INGRESS
from seaway.routing.ir import Pieces
from seaway.routing.policies import schemas
from seaway.routing.policies.frontend import POLICIES
from seaway.routing.policies.targets import KINDS

Tree = dict[str, Any]
RESOURCES = {kind: resource for resource, kind in KINDS.items()}
LONGEST = "8759h59m59s1000ms"
STRANGE = ["1ms", LONGEST, "0", "0s", "0.000001", "4294967295", "2097151.999Ki", "'%\"\\{}<>`$ é\u2028", "a.b", "x-%REQ(a)%", "A" * 64, "!#$&'*+^_|~"]
NAMES = (
    "tls.clientCertificates.caCertificateRefs", "basicAuth.users", "apiKeys.secretRefs", "jwt.providers[].remote.backendRef",
    "externalAuth.backendRef",
)  # fmt: skip
CA = AUTHORITY.pair.certificate


def node(schema: Tree, leaf: str) -> Tree:
    for step in leaf.removeprefix("spec.").split("."):
        schema = schema["properties"][step.rstrip("[]")]
        for _ in range(step.count("[]")):
            schema = schema["items"]
    return schema


def extremes(kind: str, leaf: str) -> Iterator[Any]:
    """Values that the schema takes for a leaf."""
    found = node(policyfields.schemas()[kind], leaf)
    if found["type"] == "integer":
        yield from (v for v in (found.get("minimum", 0), found.get("maximum", 2**31 - 1)))
    elif found["type"] == "boolean":
        yield from (True, False)
    elif "enum" in found:
        yield from found["enum"]
    else:
        most = found.get("maxLength", 64)
        yield from (*STRANGE, "a" * most, "/" + "a" * (most - 1), "/%00?#\u00e9 {x}", "/%00?a=%ff&?/", "/()';@", "1", "0.0.0.0/0", "::/0", "::ffff:192.0.2.1", "http://*", "*")


def policies(kind: str) -> Iterator[Tree]:
    """A policy for each field and value that is taken; the target is another's."""
    fields = next(f for f in policyfields.ALL.values() if f.kind == kind)
    for leaf, policy in fields.good.items():
        if leaf.startswith("spec.targetRefs") or leaf.partition(".")[2].startswith(NAMES) or leaf.endswith("jwks"):
            continue  # these name objects, or are judged for themselves
        for value in extremes(kind, leaf):
            tree = policyfields.placed(policy, leaf, value)
            if not schemas.judged(RESOURCES[kind], tree["spec"])[1]:
                yield tree


OBJECTS = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: seaway}
spec: {controllerName: seaway.dev/gateway-controller}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: auth, namespace: shop}
spec: {ports: [{port: 9000}]}
---
apiVersion: v1
kind: Secret
metadata: {name: users, namespace: shop}
data: {auth: YWxpY2U6e1NIQX1XNnBoNU1tNVB6OEdnaVVMYlBnekczN21qOWc9Cg==}
---
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: shop}
data: {alice: c2VzYW1l}
"""


def world(listeners: list[Tree], *more: Tree) -> tuple[World, Pieces]:
    gateway = {"kind": "Gateway", "metadata": {"name": FLEET.name, "namespace": FLEET.namespace}, "spec": {"gatewayClassName": "seaway", "listeners": listeners}}
    found = World([GATEWAY_API, POLICIES, INGRESS]).apply(*documents(OBJECTS), gateway)
    found.apply({"kind": "ConfigMap", "metadata": {"name": "clients", "namespace": "shop"}, "data": {"ca.crt": CA.decode()}})
    found.apply({"kind": "Secret", "metadata": {"name": "clients", "namespace": "shop"}, "data": {"ca.crt": base64.b64encode(CA).decode()}})
    found.apply({"kind": "Secret", "metadata": {"name": "edge", "namespace": "shop"}, "data": certificate("*.example.com")})
    found.apply(*more)
    changes = found.engine.settle()
    assert not changes.failures
    pieces = changes.fleets[FLEET]
    assert pieces is not None
    for status in changes.statuses:
        if status.resource in KINDS:
            accepted = status.tree["ancestors"][0]["conditions"][0]
            assert accepted["status"] == "True" or "claim's name" in accepted["message"], accepted
    return found, pieces


def played(pieces: Pieces) -> None:
    with Proxied(pieces) as proxy:
        assert not proxy.translation.unspeakable and not proxy.translation.unsaid and not proxy.translation.unsaid_chains
        assert not proxy.refused(), proxy.logged()
        assert "rejected" not in proxy.logged(), proxy.logged()


@pytest.mark.parametrize("kind", ["BackendTrafficPolicy", "SecurityPolicy"])
def test_every_policy_of_routes_that_is_taken_envoy_takes(kind: str) -> None:
    objects: list[Tree] = []
    for i, policy in enumerate(policies(kind)):
        route = {
            "kind": "HTTPRoute",
            "metadata": {"name": f"r{i}", "namespace": "shop"},
            "spec": {"parentRefs": [{"name": FLEET.name}], "hostnames": [f"r{i}.example.com"], "rules": [{"backendRefs": [{"name": "web", "port": 80}]}]},
        }
        policy["metadata"] = {"name": f"p{i}", "namespace": "shop"}
        policy["spec"]["targetRefs"] = [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": f"r{i}"}]
        objects += [route, policy]
    assert len(objects) > 150
    _, pieces = world([{"name": "http", "port": free_port(), "protocol": "HTTP"}], *objects)
    played(pieces)


def test_every_policy_of_clients_that_is_taken_envoy_takes() -> None:
    """A listener each; plain HTTP and TLS by turns."""
    listeners: list[Tree] = []
    objects: list[Tree] = []
    ports: set[int] = set()
    for i, policy in enumerate(policies("ClientTrafficPolicy")):
        while (port := free_port()) in ports:
            pass
        ports.add(port)
        listeners.append({"name": f"l{i}", "port": port, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "edge"}]}})
        policy["metadata"] = {"name": f"p{i}", "namespace": "shop"}
        policy["spec"]["targetRefs"] = [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": FLEET.name, "sectionName": f"l{i}"}]
        objects.append(policy)
    assert len(objects) > 30
    _, pieces = world(listeners, *objects)
    played(pieces)
