"""Security policies at connections and datagrams: addresses hold; where more is asked of somebody than an address, nobody passes."""

from __future__ import annotations

import pytest
from routingworld import World, documents

from seaway.routing.gateway.frontend import GATEWAY_API
from seaway.routing.ir import Fleet, Stream
from seaway.routing.policies.frontend import POLICIES

FLEET = Fleet("Gateway", "default", "g")
BEGIN = """
{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: seaway}, spec: {controllerName: seaway.dev/gateway-controller}}
---
{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 5432, protocol: TCP}, {name: dns, port: 53, protocol: UDP}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec:
  gatewayClassName: seaway
  listeners: [{name: tcp, port: 5432, protocol: TCP}, {name: udp, port: 53, protocol: UDP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: t}
spec: {parentRefs: [{name: g, sectionName: tcp}], rules: [{backendRefs: [{name: s, port: 5432}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {name: u}
spec: {parentRefs: [{name: g, sectionName: udp}], rules: [{backendRefs: [{name: s, port: 53}]}]}
"""
SECRET = "\n---\n{apiVersion: v1, kind: Secret, metadata: {name: keys}, data: {app: aw==}}"
KEYS = "apiKeys: {secretRefs: [{name: keys}], in: [{type: Header, name: x-key}]}"


def streams(spec: str, section: str = "", secret: bool = True) -> dict[str, Stream]:
    on = f"{{group: gateway.networking.k8s.io, kind: Gateway, name: g{f', sectionName: {section}' if section else ''}}}"
    policy = f"\n---\n{{apiVersion: policy.seaway.dev/v1alpha1, kind: SecurityPolicy, metadata: {{name: p}}, spec: {{targetRefs: [{on}], {spec}}}}}"
    world = World([GATEWAY_API, POLICIES]).apply(*documents(BEGIN + policy + (SECRET if secret else ""))).settle()
    found = {}
    for name, socket in world.fleets[FLEET].sockets.items():
        (chain,) = socket.chains
        assert chain.stream is not None
        found[name] = chain.stream
    return found


@pytest.mark.parametrize("section", ["", "tcp"])
def test_addresses_hold_for_connections_and_datagrams(section: str) -> None:
    found = streams("allow: {addresses: [10.0.0.0/8]}, deny: {addresses: [10.1.2.3]}", section)
    assert (found["tcp-5432"].allow, found["tcp-5432"].deny) == (("10.0.0.0/8",), ("10.1.2.3/32",))
    assert found["udp-53"].allow == (() if section else ("10.0.0.0/8",))
    assert found["tcp-5432"].targets and found["udp-53"].targets


def test_what_a_gateway_asks_of_requests_is_no_business_of_connections() -> None:
    assert all(stream.targets for stream in streams(KEYS).values())


def test_a_listener_that_asks_who_somebody_is_lets_no_connection_pass() -> None:
    found = streams(KEYS, "tcp")
    assert not found["tcp-5432"].targets and found["udp-53"].targets


@pytest.mark.parametrize(("section", "passed"), [("", []), ("tcp", ["udp-53"])])
def test_a_policy_that_cannot_be_carried_out_closes(section: str, passed: list[str]) -> None:
    found = streams(KEYS, section, secret=False)
    assert [name for name, stream in sorted(found.items()) if stream.targets] == passed
