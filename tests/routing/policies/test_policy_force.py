"""What policies do: whom they close out, what holds at which level, and for which backends."""

from __future__ import annotations

import base64
from typing import Any

import policyfields
import pytest
from routingworld import World, documents
from test_policy_fields import PLAIN, WORLD, differences, programmed
from test_policy_statuses import target

from seaway.api.tree import copied
from seaway.routing.gateway.frontend import GATEWAY_API
from seaway.routing.ingress.frontend import INGRESS
from seaway.routing.ir import Chain, ClientCheck, Cluster, Fleet, Respond, Rule
from seaway.routing.policies.frontend import POLICIES

Tree = dict[str, Any]
EDGE, CLASS = Fleet("Gateway", "default", "edge"), Fleet("IngressClass", "", "seaway")
DENY = {"deny": {"addresses": ["192.0.2.1"]}}
BROKEN = {"basicAuth": {"users": {"name": "nobody"}}}


def world(*more: Tree) -> World:
    return World([GATEWAY_API, POLICIES, INGRESS]).apply(*WORLD, *more).settle()


def policy(kind: str, name: str, to: str, says: Tree, namespace: str = "default") -> Tree:
    tree = policyfields.policy(kind, target(to), says)
    return tree | {"metadata": {"name": name, "namespace": namespace}}


def security(name: str, to: str, says: Tree, namespace: str = "default") -> Tree:
    return policy("SecurityPolicy", name, to, says, namespace)


def traffic(name: str, to: str, says: Tree, namespace: str = "default") -> Tree:
    return policy("BackendTrafficPolicy", name, to, says, namespace)


def rules(found: World, fleet: Fleet = EDGE) -> dict[str, Rule]:
    return {
        f"{table} {host.domain}{rule.match.path.value}": rule
        for table, hosts in found.fleets[fleet].hosts.items()
        for host in hosts.values()
        for rule in host.rules
    }


def closed(found: World, fleet: Fleet = EDGE) -> set[str]:
    shut = {place for place, rule in rules(found, fleet).items() if rule.policy is not None and rule.policy.closed}
    for place in shut:
        action = rules(found, fleet)[place].action
        assert isinstance(action, Respond) and action.code == 500 and "policy" in action.body
    return shut


APP = {"http-80 app.example.com/", "https-443-https app.example.com/"}
FILES = {"http-80 app.example.com/files", "https-443-https app.example.com/files"}
CALLS = {"http-80 calls.example.com/"}


@pytest.mark.parametrize(
    ("to", "shut"),
    [
        ("HTTPRoute/app", APP | FILES),
        ("HTTPRoute/app/files", FILES),
        ("GRPCRoute/calls", CALLS),
        ("Gateway/edge", APP | FILES | CALLS),
        ("Gateway/edge/https", {p for p in APP | FILES if p.startswith("https")}),
        ("Gateway/edge/http", {p for p in APP | FILES | CALLS if p.startswith("http-")}),
        ("HTTPRoute/app/nothing", set()),
        ("Gateway/edge/nothing", set()),
        ("HTTPRoute/nobody", set()),
    ],
)
def test_what_cannot_be_carried_out_closes_what_it_is_attached_to_and_nothing_else(to: str, shut: set[str]) -> None:
    found = world(security("one", to, BROKEN))
    assert closed(found) == shut and not closed(found, CLASS)
    # One field at fault is enough.
    assert closed(world(security("one", to, {**DENY, **BROKEN, "cors": {}}))) == shut
    # What is missing comes: then it is asked for.
    users = next(t for t in WORLD if t["metadata"]["name"] == "users")
    found.apply(copied(users) | {"metadata": {"name": "nobody"}}).settle()
    assert not closed(found)
    assert {p for p, r in rules(found).items() if r.policy is not None and r.policy.basic is not None} == shut
    found.delete("Secret", "default", "nobody").settle()
    assert closed(found) == shut
    found.delete("SecurityPolicy", "default", "one").settle()
    assert not closed(found) and programmed(found) == PLAIN


def test_a_policy_closes_though_another_should_have_been_asked_for_its_field() -> None:
    good = {"basicAuth": {"users": {"name": "users"}}}
    for other in ("HTTPRoute/app", "HTTPRoute/app/files"):  # the older on the same target, and the more specific one
        assert closed(world(security("old", other, good), security("young", "HTTPRoute/app", BROKEN))) == APP | FILES
    assert closed(world(security("old", "HTTPRoute/app", good), security("young", "Gateway/edge", BROKEN))) == APP | FILES | CALLS


def test_a_target_that_comes_later_or_anew_is_closed_from_the_start() -> None:
    route = next(t for t in WORLD if t["kind"] == "HTTPRoute")
    found = World([GATEWAY_API, POLICIES, INGRESS]).apply(*(t for t in WORLD if t is not route))
    found.apply(security("one", "HTTPRoute/app", BROKEN)).settle()
    assert not closed(found)
    for _ in range(2):
        assert closed(found.apply(route).settle()) == APP | FILES
        assert not closed(found.delete("HTTPRoute", "default", "app").settle())


def test_a_gateway_is_closed_for_routes_of_other_namespaces_and_listeners_of_sets_too() -> None:
    more = documents(
        """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: open}
spec:
  gatewayClassName: seaway
  allowedListeners: {namespaces: {from: All}}
  listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: set, namespace: other}
spec:
  parentRef: {name: open, namespace: default}
  listeners: [{name: more, port: 8080, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: theirs, namespace: other}
spec:
  parentRefs: [{name: open, namespace: default}, {kind: ListenerSet, name: set}]
  rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: a.example.com}}]}]
"""
    )
    fleet = Fleet("Gateway", "default", "open")
    assert closed(world(*more, security("one", "Gateway/open", BROKEN)), fleet) == {"http-80 */", "http-8080 */"}
    # A policy of another namespace is on a Gateway of its own namespace, which there is none.
    assert not closed(world(*more, security("one", "Gateway/open", BROKEN, "other")), fleet)


def test_an_ingress_and_its_class_are_closed_and_only_the_systems_namespace_speaks_for_the_class() -> None:
    shop = {"http shop.example.com/"}
    assert closed(world(security("one", "Ingress/shop", BROKEN)), CLASS) == shop
    assert closed(world(security("one", "IngressClass/seaway", BROKEN, "seaway-system")), CLASS) == shop
    assert not closed(world(security("one", "IngressClass/seaway", BROKEN)), CLASS)
    held = rules(world(security("one", "Ingress/shop", DENY)), CLASS)["http shop.example.com/"].policy
    assert held is not None and held.deny == ("192.0.2.1/32",)
    says = {"retry": {"attempts": 4}, "circuitBreaker": {"requests": 7}}
    found = world(traffic("one", "IngressClass/seaway", says, "seaway-system"))
    assert rules(found, CLASS)["http shop.example.com/"].action.retry.attempts == 4  # type: ignore[union-attr]
    assert [c.policy.breaker.requests for c in found.fleets[CLASS].clusters.values() if c.policy and c.policy.breaker] == [7]
    assert programmed(world(traffic("one", "IngressClass/seaway", says))) == PLAIN


def test_connections_are_let_in_by_their_address_and_closed_where_more_is_asked_of_them() -> None:
    def stream(found: World) -> tuple[Any, ...]:
        (chain,) = found.fleets[EDGE].sockets["tcp-5432"].chains
        assert chain.stream is not None
        return len(chain.stream.targets), chain.stream.deny

    users = {"basicAuth": {"users": {"name": "users"}}}
    assert stream(world()) == (1, ())
    for to in ("Gateway/edge", "Gateway/edge/tcp", "TCPRoute/db"):
        assert stream(world(security("one", to, DENY))) == (1, ("192.0.2.1/32",))
        assert stream(world(security("one", to, BROKEN)))[0] == 0
    assert stream(world(security("one", "Gateway/edge", users)))[0] == 1  # which its status tells
    assert stream(world(security("one", "Gateway/edge/tcp", users)))[0] == 0
    assert stream(world(security("one", "TCPRoute/db", users)))[0] == 0
    # A policy on the listener that asks nothing does not make of the Gateway's what it is not.
    both = security("one", "Gateway/edge", users), security("two", "Gateway/edge/tcp", DENY)
    assert stream(world(*both)) == (1, ("192.0.2.1/32",))
    assert stream(world(both[0], traffic("one", "Gateway/edge/tcp", {"timeouts": {"connect": "1s"}})))[0] == 1


def test_clients_whose_certificates_cannot_be_checked_are_not_let_in() -> None:
    def names(found: World) -> set[str]:
        return {chain.name for socket in found.fleets[EDGE].sockets.values() for chain in socket.chains}

    wanted = {"tls": {"clientCertificates": {"caCertificateRefs": [{"name": "nobody"}]}}}
    assert names(world()) == {"http", "https", "tcp"}
    found = world(policy("ClientTrafficPolicy", "one", "Gateway/edge", wanted))
    assert names(found) == {"http", "tcp"}
    ca = next(t for t in WORLD if t["kind"] == "ConfigMap")
    found.apply(copied(ca) | {"metadata": {"name": "nobody"}}).settle()
    assert names(found) == {"http", "https", "tcp"}
    # Invalid for another reason: still nobody whose certificate is not checked.
    assert names(world(policy("ClientTrafficPolicy", "one", "Gateway/edge", {**wanted, "maxHeaderKiB": 0}))) == {"http", "tcp"}
    assert names(world(policy("ClientTrafficPolicy", "one", "Gateway/edge", {"maxHeaderKiB": 0}))) == {"http", "https", "tcp"}


def test_clients_of_a_class_are_asked_as_its_policy_says() -> None:
    shop = copied(next(t for t in WORLD if t["kind"] == "Ingress"))
    shop["spec"]["tls"] = [{"hosts": ["shop.example.com"], "secretName": "shop"}]
    secret = {"kind": "Secret", "metadata": {"name": "shop", "annotations": {"tests/certificate": "shop.example.com"}}}

    def chains(*more: Tree) -> dict[str, Chain]:
        sockets = world(shop, secret, *more).fleets[CLASS].sockets.values()
        return {chain.name: chain for socket in sockets for chain in socket.chains}

    def asks(says: Tree, namespace: str = "seaway-system") -> Tree:
        return policy("ClientTrafficPolicy", "one", "IngressClass/seaway", says, namespace)

    plain = chains()
    assert plain.keys() == {"http", "default/shop"} and not any(c.client for c in plain.values())
    found = chains(asks({"maxHeaderKiB": 16, "tls": {"minVersion": "1.3"}}))
    assert all(c.client is not None and c.client.headers_kib == 16 for c in found.values())
    assert found["default/shop"].tls is not None and found["default/shop"].tls.minimum == "1.3"
    assert chains(asks({"maxHeaderKiB": 16}, "default")) == plain
    for says, ports in (({"http3": True}, 3), ({"http3": True, "proxyProtocol": True}, 2), ({}, 2)):
        spec = world(shop, secret, asks(says)).specs[CLASS]
        assert len(spec.ports) == ports and (("https", 443, "UDP") in spec.ports) == (ports == 3)
    ca = copied(next(t for t in WORLD if t["kind"] == "ConfigMap"))
    ca["metadata"]["namespace"] = "seaway-system"
    wanted = asks({"tls": {"clientCertificates": {"caCertificateRefs": [{"name": "clients"}]}}})
    assert chains(wanted).keys() == {"http"}  # the authorities are not there
    found = chains(wanted, ca)
    assert found["default/shop"].tls is not None
    assert found["default/shop"].tls.client == ClientCheck("ConfigMap/seaway-system/clients")


def test_a_more_specific_policy_says_its_fields_and_leaves_the_others() -> None:
    found = world(
        traffic("gateway", "Gateway/edge", {"retry": {"attempts": 1}, "timeouts": {"request": "1s"}, "maxRequestBody": "1k"}),
        traffic("listener", "Gateway/edge/https", {"timeouts": {"request": "2s"}, "maxRequestBody": "2k"}),
        traffic("route", "HTTPRoute/app", {"maxRequestBody": "3k"}),
        traffic("rule", "HTTPRoute/app/files", {"retry": {"attempts": 4}}),
    )

    def said(place: str) -> tuple[Any, ...]:
        rule = rules(found)[place]
        return rule.action.retry.attempts, rule.action.timeout, rule.policy and rule.policy.largest_body  # type: ignore[union-attr]

    assert said("http-80 app.example.com/") == (1, 1.0, 3000)
    assert said("http-80 app.example.com/files") == (4, 1.0, 3000)
    assert said("https-443-https app.example.com/") == (1, 2.0, 3000)
    assert said("http-80 calls.example.com/") == (1, 1.0, 1000)


def test_what_a_route_says_itself_comes_before_policies() -> None:
    route = copied(next(t for t in WORLD if t["kind"] == "HTTPRoute"))
    route["spec"]["rules"][1] |= {
        "timeouts": {"request": "9s"},
        "retry": {"attempts": 9},
        "sessionPersistence": {"sessionName": "own"},
        "filters": [{"type": "CORS", "cors": {"allowOrigins": ["https://own.example.com"]}}],
    }
    says = {"timeouts": {"request": "1s", "backendRequest": "2s"}, "retry": {}, "sessionPersistence": {"name": "theirs"}}
    found = world(route, traffic("one", "HTTPRoute/app", says), security("one", "HTTPRoute/app", {"cors": {"allowOrigins": ["*"]}}))
    own, other = rules(found)["http-80 app.example.com/files"], rules(found)["http-80 app.example.com/"]
    assert (own.action.timeout, own.action.try_timeout, own.action.retry.attempts, own.action.session.name) == (9.0, 2.0, 9, "own")  # type: ignore[union-attr]
    assert (other.action.timeout, other.action.session.name) == (1.0, "theirs")  # type: ignore[union-attr]
    assert own.cors is not None and own.cors.origins == ("https://own.example.com",)
    assert other.cors is not None and other.cors.origins == ("*",)


def clusters(found: World, fleet: Fleet = EDGE) -> dict[str, Cluster]:
    """By the name of the Service port and what else tells it apart, without the digest."""
    return {n.rpartition("/")[0] if c.policy is not None else n: c for n, c in found.fleets[fleet].clusters.items()}


def test_backends_are_used_as_the_port_says_then_the_service_then_the_gateway_unless_the_route_does() -> None:
    found = world(
        traffic("gateway", "Gateway/edge", {"circuitBreaker": {"requests": 1}, "timeouts": {"connect": "1s"}}),
        traffic("service", "Service/web", {"circuitBreaker": {"requests": 2}}),
        traffic("port", "Service/web/files", {"circuitBreaker": {"requests": 3}}),
        traffic("number", "Service/db/5432", {"circuitBreaker": {"connections": 4}}),
        traffic("route", "GRPCRoute/calls", {"circuitBreaker": {"requests": 5}}),
    )
    held = {n: (c.policy.breaker, c.policy.connect_timeout) for n, c in clusters(found).items() if c.policy}
    assert {n: (b and b.requests, b and b.connections, t) for n, (b, t) in held.items()} == {
        "default/web/80": (2, 0, 1.0),
        "default/web/8080": (3, 0, 1.0),
        "default/web/80/h2": (5, 0, 1.0),
        "default/db/5432/tcp": (0, 4, 1.0),
    }


def test_rules_that_want_the_same_of_a_port_share_its_cluster_and_its_endpoints_are_found() -> None:
    route = copied(next(t for t in WORLD if t["kind"] == "HTTPRoute"))
    for rule in route["spec"]["rules"]:
        rule["backendRefs"] = [{"name": "web", "port": 80}, {"name": "web", "port": 80, "filters": [
            {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}}]}]  # fmt: skip
        rule["filters"] = [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "web", "port": 80}}}]
    found = world(route, traffic("one", "HTTPRoute/app", {"loadBalancing": {"algorithm": "Random"}}))
    names = {n for n in found.fleets[EDGE].clusters if n.startswith("default/web/80")}
    assert len(names) == 2  # theirs, and that of the GRPCRoute
    for rule in rules(found).values():
        if rule.source.name == "app":
            assert {t.cluster for t in rule.action.targets} | {m.cluster for m in rule.action.mirrors} <= names  # type: ignore[union-attr]
    assert names <= found.fleets[EDGE].endpoints.keys()


def test_consistent_hashing_of_a_service_goes_by_what_the_service_says() -> None:
    says = {"loadBalancing": {"algorithm": "Maglev", "hashOn": [{"type": "Header", "name": "X-User"}]}}
    found = world(traffic("one", "Service/web", says))
    balancing = next(c.policy.balancing for n, c in clusters(found).items() if n == "default/web/80" and c.policy)
    assert balancing is not None and [(h.kind, h.name) for h in balancing.hash_on] == [("header", "x-user")]
    rule = rules(found)["http-80 app.example.com/"]
    assert rule.policy is None  # the rule may lead to other Services, too
    found = world(traffic("one", "HTTPRoute/app", says))
    balancing = next(c.policy.balancing for n, c in clusters(found).items() if n == "default/web/80" and c.policy)
    assert balancing is not None and not balancing.hash_on
    rule = rules(found)["http-80 app.example.com/"]
    assert rule.policy is not None and [(h.kind, h.name) for h in rule.policy.hash_on] == [("header", "x-user")]


def test_datagrams_keep_their_endpoints_and_are_only_spread() -> None:
    more = documents(
        """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: udp}
spec: {gatewayClassName: seaway, listeners: [{name: dns, port: 53, protocol: UDP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {name: dns}
spec: {parentRefs: [{name: udp}], rules: [{backendRefs: [{name: dns, port: 53}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: dns}
spec: {ports: [{name: udp, port: 53, protocol: UDP}, {name: tcp, port: 53}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: dns, labels: {kubernetes.io/service-name: dns}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}]
ports: [{name: udp, port: 5353, protocol: UDP}, {name: tcp, port: 5354, protocol: TCP}]
"""
    )
    fleet = Fleet("Gateway", "default", "udp")
    says = {"loadBalancing": {"algorithm": "Maglev"}, "healthCheck": {"type": "TCP"}, "proxyProtocol": "V2"}
    found = world(*more, traffic("one", "Gateway/udp", says))
    (cluster,) = found.fleets[fleet].clusters.values()
    assert cluster.policy is not None and cluster.policy.balancing is not None
    assert cluster.policy.health is None and not cluster.policy.proxy_protocol
    assert [e.port for e in found.fleets[fleet].endpoints[cluster.name].ends] == [5353]
    assert world(*more, traffic("one", "Service/dns/tcp", {"loadBalancing": {}})).fleets[fleet].clusters.keys() == {"default/dns/53/udp"}


def test_an_authorizer_is_asked_by_the_tls_and_the_limits_that_its_service_has() -> None:
    ca = next(t for t in WORLD if t["kind"] == "ConfigMap")
    tls = documents(
        """
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: auth}
spec:
  targetRefs: [{group: '', kind: Service, name: auth}]
  validation: {hostname: auth.example.com, caCertificateRefs: [{group: '', kind: ConfigMap, name: clients}]}
"""
    )
    asks = {"externalAuth": {"backendRef": {"name": "auth", "port": 9000}}}
    found = world(ca, *tls, traffic("one", "Service/auth", {"circuitBreaker": {"requests": 3}}), security("one", "HTTPRoute/app", asks))
    cluster = clusters(found)["default/auth/9000"]
    assert cluster.tls is not None and cluster.tls.hostname == "auth.example.com" and cluster.tls.trust == "ConfigMap/default/clients"
    assert cluster.policy is not None and cluster.policy.breaker is not None and cluster.policy.breaker.requests == 3
    rule = rules(found)["http-80 app.example.com/"]
    assert rule.policy is not None and rule.policy.external is not None and rule.policy.external.cluster == cluster.name
    assert "ConfigMap/default/clients" in found.fleets[EDGE].trusts


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "has no users in its entry auth"),
        ("alice", "line 1 of auth is not USER:HASH"),
        ("alice:plain", "line 1 of auth is not USER:HASH"),
        ("alice:$2y$05$abcdefghijklmnopqrstuv", "line 1 of auth is not USER:HASH"),
        ("# a comment\n\nalice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\nalice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n", "user alice is there already"),
    ],
)
def test_users_that_cannot_be_read_let_nobody_in(data: str, why: str) -> None:
    secret = {"kind": "Secret", "metadata": {"name": "users"}, "data": {"auth": base64.b64encode(data.encode()).decode()}}
    found = world(secret, security("one", "HTTPRoute/app", {"basicAuth": {"users": {"name": "users"}}}))
    assert closed(found) == APP | FILES
    status = found.status("securitypolicies", "default", "one")
    assert status is not None and why in status.tree["ancestors"][0]["conditions"][0]["message"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({}, "there is no key in them"),
        ({"alice": "not base64"}, "the key of alice is not printable ASCII"),
        ({"alice": "Cgo="}, "the key of alice is not printable ASCII"),
        ({"alice": "a2V5", "bob": "a2V5"}, "two clients have the same key"),
    ],
)
def test_keys_that_cannot_be_told_apart_let_nobody_in(data: Tree, why: str) -> None:
    secret = {"kind": "Secret", "metadata": {"name": "keys"}, "data": data}
    says = {"apiKeys": {"secretRefs": [{"name": "keys"}], "in": [{"type": "Header", "name": "x-key"}]}}
    found = world(secret, security("one", "HTTPRoute/app", says))
    assert closed(found) == APP | FILES
    status = found.status("securitypolicies", "default", "one")
    assert status is not None and why in status.tree["ancestors"][0]["conditions"][0]["message"]


def test_a_policy_of_a_route_touches_no_listener() -> None:
    found = world(security("one", "HTTPRoute/app", BROKEN), traffic("one", "HTTPRoute/app", {"retry": {}}))
    changed = differences(PLAIN, programmed(found))
    assert changed and not [place for place in changed if "tcp-" in place]


def test_a_change_of_one_route_costs_what_that_route_costs_among_many_policies() -> None:
    """The Gateway's policy is told of all that routes say otherwise, and is not asked anew where none of that changes."""

    def decided(count: int) -> int:
        found = world(traffic("gateway", "Gateway/edge", {"retry": {"attempts": 2}}))
        route = copied(next(t for t in WORLD if t["kind"] == "HTTPRoute"))
        for i in range(count):
            route = copied(route)
            route["metadata"]["name"], route["spec"]["hostnames"] = f"r{i}", [f"h{i}.example.com"]
            found.apply(route, traffic(f"p{i}", f"HTTPRoute/r{i}", {"retry": {}}))
        found.settle()
        route["spec"]["rules"][0]["backendRefs"][0]["weight"] = 7
        before = found.engine.memo.decided
        found.apply(route).settle()
        return found.engine.memo.decided - before

    assert 0 < decided(60) == decided(6)


@pytest.mark.parametrize(
    ("says", "field"),
    [
        ({"basicAuth": {"users": {"name": "users"}, "forwardUserAs": "X-Seaway-Scope-Host"}}, "basicAuth.forwardUserAs"),
        ({"apiKeys": {"secretRefs": [{"name": "keys"}], "in": [{"type": "Header", "name": "x-key"}], "forwardClientAs": "x-envoy-retry-on"}}, "apiKeys.forwardClientAs"),
        ({"externalAuth": {"backendRef": {"name": "auth", "port": 9000}, "backendHeaders": ["x-user", "x-seaway-scope-table"]}}, "externalAuth.backendHeaders[1]"),
        ({"externalAuth": {"backendRef": {"name": "auth", "port": 9000}, "path": "/x HTTP/1.1\r\nhost: y\r\n\r\n"}}, "externalAuth.path"),
        ({"basicAuth": {"users": {"name": "users"}, "forwardUserAs": "x-user\n"}}, "basicAuth.forwardUserAs"),
    ],
)
def test_nobody_passes_where_a_header_or_a_path_would_speak_to_a_proxy(says: Tree, field: str) -> None:
    found = world(security("one", "Gateway/edge", says))
    status = found.status("securitypolicies", "default", "one")
    assert status is not None
    said = [c["message"] for a in status.tree["ancestors"] for c in a["conditions"] if c["status"] == "False"]
    assert said and all(f"spec.{field}: " in message for message in said), said
