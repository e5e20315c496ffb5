"""Connections of a host name are the most specific listener's; what is passed through never changes what is checked."""

from __future__ import annotations

from routingworld import AUTHORITY, World, documents

from seaway.routing.gateway.frontend import GATEWAY_API
from seaway.routing.ir import Fleet

FLEET = Fleet("Gateway", "default", "g")
BEGIN = """
{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: seaway}, spec: {controllerName: seaway.dev/gateway-controller}}
---
{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 443, protocol: TCP}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec:
  gatewayClassName: seaway
  listeners:
  - {name: wide, port: 443, protocol: TLS, hostname: "*.x.test", tls: {mode: Passthrough}}
  - {name: narrow, port: 443, protocol: TLS, hostname: a.x.test, tls: {mode: Passthrough}}
  - {name: tcp, port: 444, protocol: TCP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: everywhere}
spec: {parentRefs: [{name: g}], hostnames: [a.x.test, b.x.test], rules: [{backendRefs: [{name: s, port: 443}]}]}
"""
CHECKED = """
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: p}
spec: {targetRefs: [{group: "", kind: Service, name: s}], validation: {hostname: s.test, caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: t}
spec: {parentRefs: [{name: g, sectionName: tcp}], rules: [{backendRefs: [{name: s, port: 443}]}]}
"""
GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {0}}}
spec: {{gatewayClassName: seaway, listeners: [{{name: http, port: 80, protocol: HTTP}}]}}
"""
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec: {parentRefs: [{name: g}, {name: h}], rules: [{backendRefs: [{name: s, port: 443}]}]}
"""


def test_a_server_name_has_one_chain_that_of_the_most_specific_listener() -> None:
    world = World([GATEWAY_API]).apply(*documents(BEGIN)).settle()
    chains = world.fleets[FLEET].sockets["tcp-443"].chains
    assert {c.name: c.names for c in chains} == {"narrow/a.x.test": ("a.x.test",), "wide/b.x.test": ("b.x.test",)}


def test_tls_that_is_passed_through_does_not_take_a_policy_from_other_routes() -> None:
    world = World([GATEWAY_API]).apply(*documents(BEGIN + "---" + CHECKED))
    authority = AUTHORITY.pair.certificate.decode()
    world.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca"}, "data": {"ca.crt": authority}}).settle()
    fleet = world.fleets[FLEET]
    tls = {}
    for socket in fleet.sockets.values():
        for chain in socket.chains:
            assert chain.stream is not None
            tls[chain.name] = fleet.clusters[chain.stream.targets[0].cluster].tls
    assert tls["narrow/a.x.test"] is None
    assert tls["tcp"] is not None and tls["tcp"].hostname == "s.test"


def test_what_proxies_of_one_gateway_refuse_is_told_of_that_parent_alone() -> None:
    world = World([GATEWAY_API]).apply(*documents("---".join([BEGIN, GATEWAY.format("g"), GATEWAY.format("h"), ROUTE])))
    world.fact("refused", *FLEET, "HTTPRoute/default/r", value=("rules[0]: bad",)).settle()
    status = world.status("httproutes", "default", "r")
    assert status is not None
    accepted = {p["parentRef"]["name"]: p["conditions"][0]["status"] for p in status.tree["parents"]}
    assert accepted == {"g": "False", "h": "True"}


def test_an_object_that_is_not_as_its_schema_says_hurts_no_other() -> None:
    world = World([GATEWAY_API]).apply(*documents(BEGIN))
    for kind in ("HTTPRoute", "TLSRoute", "ListenerSet", "BackendTLSPolicy"):
        world.apply({"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": {"name": "odd"}})
    changes = world.engine.settle()
    assert any("odd" in failure for failure in changes.failures)
    pieces = changes.fleets[FLEET]
    assert pieces is not None and pieces.sockets["tcp-443"] is not None
    world.delete("HTTPRoute", "default", "odd")


def test_a_policy_names_the_gateways_whose_routes_only_mirror_to_its_service() -> None:
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "s", "port": 443}}}
    route: dict[str, object] = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "r"}}
    route["spec"] = {"parentRefs": [{"name": "h"}], "rules": [{"filters": [mirror]}]}
    world = World([GATEWAY_API]).apply(*documents("---".join([BEGIN, CHECKED, GATEWAY.format("h")])), route).settle()
    status = world.status("backendtlspolicies", "default", "p")
    assert status is not None
    assert [a["ancestorRef"]["name"] for a in status.tree["ancestors"]] == ["g", "h"]
