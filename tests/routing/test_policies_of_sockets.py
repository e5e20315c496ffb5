"""What policies change beside routes: the ports of a fleet, and how a cluster hashes whose Service says it itself."""

from __future__ import annotations

from routingworld import CERTIFICATE, World, documents

from seaway.routing.gateway.frontend import GATEWAY_API
from seaway.routing.ingress.frontend import INGRESS as INGRESS_API
from seaway.routing.ir import Fleet
from seaway.routing.policies.frontend import POLICIES
from seaway.routing.policy import HashOn

FLEET = Fleet("Gateway", "default", "g")
BEGIN = f"""
{{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {{name: seaway}}, spec: {{controllerName: seaway.dev/gateway-controller}}}}
---
{{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, metadata: {{name: c, annotations: {{{CERTIFICATE}: a.x.test}}}}}}
---
{{apiVersion: v1, kind: Service, metadata: {{name: s}}, spec: {{ports: [{{port: 80}}, {{port: 81}}]}}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: g}}
spec:
  gatewayClassName: seaway
  listeners:
  - {{name: http, port: 80, protocol: HTTP}}
  - {{name: https, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{{name: c}}]}}}}
  - {{name: other, port: 8443, protocol: HTTPS, tls: {{certificateRefs: [{{name: c}}]}}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: r}}
spec: {{parentRefs: [{{name: g}}], rules: [{{backendRefs: [{{name: s, port: 80}}, {{name: s, port: 81}}]}}]}}
"""
CLIENTS = """
apiVersion: policy.seaway.dev/v1alpha1
kind: ClientTrafficPolicy
metadata: {{name: c}}
spec: {{targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: g{0}}}], http3: true{1}}}
"""
HASHING = """
apiVersion: policy.seaway.dev/v1alpha1
kind: BackendTrafficPolicy
metadata: {name: b}
spec:
  targetRefs: [{group: "", kind: Service, name: s}]
  loadBalancing: {algorithm: Maglev, hashOn: [{type: Header, name: x-user}]}
"""


def _ports(*texts: str) -> list[tuple[int, str]]:
    world = World([GATEWAY_API, POLICIES]).apply(*(d for text in (BEGIN, *texts) for d in documents(text))).settle()
    return [(port, protocol) for _, port, protocol in world.specs[FLEET].ports]


def test_http3_takes_the_same_port_by_udp() -> None:
    tcp = [(80, "TCP"), (443, "TCP"), (8443, "TCP")]
    assert _ports() == tcp
    assert _ports(CLIENTS.format("", "")) == sorted([*tcp, (443, "UDP"), (8443, "UDP")])
    assert _ports(CLIENTS.format(", sectionName: https", "")) == sorted([*tcp, (443, "UDP")])


def test_http3_takes_no_port_where_it_cannot_be_served() -> None:
    for more in (", proxyProtocol: true", ", maxConnections: 9", ", tls: {maxVersion: '1.2'}"):
        assert not [port for port, protocol in _ports(CLIENTS.format("", more)) if protocol == "UDP"]


def test_a_port_of_a_udp_listener_has_no_http3_before_there_is_a_route_either() -> None:
    begin = BEGIN.replace("  - {name: other,", "  - {name: dns, port: 443, protocol: UDP}\n  - {name: other,")
    world = World([GATEWAY_API, POLICIES]).apply(*documents(begin + "---" + CLIENTS.format("", ""))).settle()
    chains = {n: [c.client.http3 for c in s.chains if c.client] for n, s in world.fleets[FLEET].sockets.items()}
    assert chains == {"tcp-80": [True], "tcp-443": [False], "tcp-8443": [True]}


def test_a_service_that_says_what_hashing_goes_by_says_it_to_its_clusters() -> None:
    world = World([GATEWAY_API, POLICIES]).apply(*documents(BEGIN + "---" + HASHING)).settle()
    hashed = [c.policy.balancing.hash_on for c in world.fleets[FLEET].clusters.values() if c.policy and c.policy.balancing]
    assert hashed == [(HashOn("header", "x-user"),)] * 2
    # A route's own words are its rules'.
    route = HASHING.replace('group: "", kind: Service, name: s', "group: gateway.networking.k8s.io, kind: HTTPRoute, name: r")
    world = World([GATEWAY_API, POLICIES]).apply(*documents(BEGIN + "---" + route)).settle()
    assert all(c.policy and c.policy.balancing and not c.policy.balancing.hash_on for c in world.fleets[FLEET].clusters.values())
    rules = [rule for host in world.fleets[FLEET].hosts["http-80"].values() for rule in host.rules]
    assert [r.policy.hash_on for r in rules if r.policy] == [(HashOn("header", "x-user"),)]


INGRESS = f"""
{{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {{name: seaway}}, spec: {{controller: seaway.dev/ingress-controller}}}}
---
{{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, metadata: {{name: c, annotations: {{{CERTIFICATE}: a.x.test}}}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: i}}
spec:
  ingressClassName: seaway
  tls: [{{hosts: [a.x.test], secretName: c}}]
  rules: [{{host: a.x.test, http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: s, port: {{number: 80}}}}}}}}]}}}}]
---
apiVersion: policy.seaway.dev/v1alpha1
kind: ClientTrafficPolicy
metadata: {{name: c, namespace: seaway-system}}
spec: {{targetRefs: [{{group: networking.k8s.io, kind: IngressClass, name: seaway}}], http3: true}}
"""


def test_http3_of_an_ingress_class_takes_its_port_by_udp() -> None:
    world = World([INGRESS_API, POLICIES]).apply(*documents(INGRESS)).settle()
    fleet = Fleet("IngressClass", "", "seaway")
    assert [p[1:] for p in world.specs[fleet].ports] == [(80, "TCP"), (443, "TCP"), (443, "UDP")]
    assert [c.client.http3 for c in world.fleets[fleet].sockets["tcp-443"].chains if c.client] == [True]
