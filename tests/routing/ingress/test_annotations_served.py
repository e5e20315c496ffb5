"""What annotations do to requests: evaluated by the intermediate representation alone."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from evaluate import Answer, evaluate
from ingressobjects import ANY, events, fleet, ingress, ingress_class, reasons, secret, service, world
from routingworld import AUTHORITY, World

from seaway.api.tree import Tree
from seaway.routing.gateway.frontend import GATEWAY_API
from seaway.routing.ingress.annotations import PREFIX
from seaway.routing.ingress.frontend import INGRESS
from seaway.routing.ir import Forward, Respond, Rule
from seaway.routing.policies.frontend import POLICIES
from seaway.routing.policy import HashOn, LimitKey, RateLimit

HTPASSWD = "ada:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=\n"


def annotated(name: str, said: dict[str, str], *rules: tuple[str, ...], **more: Any) -> Tree:
    return ingress(name, *rules, annotations={PREFIX + k: v for k, v in said.items()}, **more)


def data(name: str, namespace: str = "default", **entries: str) -> Tree:
    encoded = {k.replace("_", "."): base64.b64encode(v.encode()).decode() for k, v in entries.items()}
    return {"kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "data": encoded}


def ask(found: World, host: str, path: str = "/", **more: Any) -> Answer:
    return evaluate(fleet(found), host, path, **more)


def rule(found: World, host: str, path: str = "/", **more: Any) -> Rule:
    answer = ask(found, host, path, **more)
    assert answer.rule is not None
    return answer.rule


def forward(found: World, host: str, path: str = "/", **more: Any) -> Forward:
    action = rule(found, host, path, **more).action
    assert isinstance(action, Forward)
    return action


def rewritten(found: World, host: str, path: str) -> str:
    rewrite = forward(found, host, path).rewrite
    assert rewrite.path_kind == "regex"
    return re.sub(rewrite.path_pattern, rewrite.path, path)


# Paths and hosts


@pytest.mark.parametrize(
    ("written", "target", "asked", "becomes"),
    [
        ("/something(/|$)(.*)", "/$2", "/something/new", "/new"),
        ("/something(/|$)(.*)", "/$2", "/something", "/"),
        ("/something(/|$)(.*)", "/$2", "/SOMETHING/New", "/New"),
        ("/v1(/.*)", "$1", "/v1/a/b", "/a/b"),
        ("/old", "/new", "/old/page", "/new"),
        ("/a|/b", "/c", "/b/x", "/c"),
        ("/(?:x|y)/([a-z]+)", "/$1/$2", "/y/abc9", "/abc/"),
        ("/(.*)", "/$3", "/a", "/"),
    ],
)
def test_a_rewrite_replaces_the_whole_path_with_its_groups(written: str, target: str, asked: str, becomes: str) -> None:
    found = world(annotated("r", {"rewrite-target": target}, ("r.test", written, "a", ANY)))
    assert rewritten(found, "r.test", asked) == becomes
    assert not events(found, "r")


def test_one_regex_makes_regexes_of_all_paths_of_its_host_the_longest_first() -> None:
    found = world(
        annotated("regex", {"use-regex": "true"}, ("r.test", "/foo/[a-z]+/bar", "a", ANY)),
        ingress("plain", ("r.test", "/foo", "b"), ("r.test", "/foo/exact", "c", "Exact"), ("other.test", "/foo", "d")),
    )
    assert ask(found, "r.test", "/foo/x/bar/y").cluster == "default/a/80"
    assert ask(found, "r.test", "/FOOBAR").cluster == "default/b/80"
    assert ask(found, "r.test", "/foo/exactly").cluster == "default/c/80"
    assert ask(found, "other.test", "/foobar").code == 404
    found.delete("Ingress", "default", "regex").settle()
    assert ask(found, "r.test", "/FOOBAR").code == 404 and ask(found, "r.test", "/foo/exact").cluster == "default/c/80"


def test_a_rewrite_to_the_path_itself_makes_no_regex() -> None:
    found = world(annotated("same", {"rewrite-target": "/a"}, ("r.test", "/a", "a")))
    assert ask(found, "r.test", "/ab").code == 404
    assert not forward(found, "r.test", "/a").rewrite.path_kind


def test_a_path_that_is_no_regex_is_told_and_taken_literally() -> None:
    found = world(annotated("bad", {"use-regex": "true"}, ("r.test", "/a(b", "a", ANY)))
    assert ask(found, "r.test", "/a(bc").cluster == "default/a/80"
    assert reasons(found, "bad") == ["InvalidPath"]


def test_the_root_leads_to_the_app_before_any_path() -> None:
    found = world(annotated("app", {"app-root": "/start"}, ("a.test", "/", "a", "Exact"), ("a.test", "/start", "b")))
    assert ask(found, "a.test", "/")[:3] == (302, (), "http://a.test/start")
    assert ask(found, "a.test", "/start").cluster == "default/b/80"


def test_www_and_back_unless_the_host_is_somebodys() -> None:
    said = {"from-to-www-redirect": "true"}
    found = world(
        annotated("bare", said, ("bare.test", "/", "a")),
        annotated("www", said, ("www.full.test", "/", "b"), tls=[(("www.full.test",), "full")]),
        secret("full", "www.full.test,full.test"),
    )
    assert ask(found, "www.bare.test", "/x")[:3] == (308, (), "http://bare.test/x")
    answer = ask(found, "full.test", "/x", scheme="https")
    assert (answer.code, answer.certificate) == (308, "default/full")
    assert rule(found, "full.test", "/x", scheme="https").action.host == "www.full.test"  # type: ignore[union-attr]
    found.apply(ingress("other", ("www.bare.test", "/only", "c"))).settle()
    assert ask(found, "www.bare.test", "/x").code == 404
    assert ask(found, "www.bare.test", "/only").cluster == "default/c/80"


def test_an_alias_has_the_rules_of_its_host_unless_the_host_is_somebodys() -> None:
    found = world(annotated("main", {"server-alias": "b.test,c.test"}, ("a.test", "/x", "a"), default="d"))
    for host in ("a.test", "b.test", "c.test"):
        assert ask(found, host, "/x").cluster == "default/a/80"
        assert ask(found, host, "/y").cluster == "default/d/80"
    found.apply(ingress("real", ("b.test", "/", "b"))).settle()
    assert ask(found, "b.test", "/x").cluster == "default/b/80"
    assert ask(found, "c.test", "/x").cluster == "default/a/80"
    assert reasons(found, "main") == ["HostConflict"] and not events(found, "real")


def test_an_alias_gets_the_hosts_certificate_if_that_names_it() -> None:
    said = {"server-alias": "b.test,c.test"}
    found = world(
        annotated("main", said, ("a.test", "/", "a"), tls=[(("a.test",), "both")]), secret("both", "a.test,b.test")
    )
    assert ask(found, "b.test", scheme="https").certificate == "default/both"
    assert ask(found, "c.test", scheme="https").code == -1


def test_redirects_elsewhere_ask_nobody_who_he_is() -> None:
    said = {"permanent-redirect": "https://new.test/x", "denylist-source-range": "10.0.0.0/8"}
    found = world(annotated("gone", said, ("gone.test", "/", "a")))
    assert ask(found, "gone.test", "/y")[:3] == (301, (), "https://new.test/x")
    assert rule(found, "gone.test").policy is None


# Canaries

MAIN = ("can.test", "/p", "a")
SECOND = ("can.test", "/p", "b")


def weights(found: World, **more: Any) -> dict[str, int]:
    return {t.cluster: t.weight for t in forward(found, "can.test", "/p", **more).targets}


def test_a_canary_is_chosen_by_header_before_cookie_before_weight() -> None:
    said = {"canary": "true", "canary-by-header": "X-Try", "canary-by-cookie": "try", "canary-weight": "20"}
    found = world(annotated("main", {"proxy-read-timeout": "7"}, MAIN), annotated("canary", said, SECOND))
    assert weights(found) == {"default/a/80": 80, "default/b/80": 20}
    assert weights(found, headers={"x-try": "always"}) == {"default/b/80": 1}
    assert weights(found, headers={"x-try": "never", "cookie": "try=always"}) == {"default/a/80": 1}
    assert weights(found, headers={"x-try": "other", "cookie": "try=always"}) == {"default/b/80": 1}
    assert weights(found, headers={"cookie": "a=b; try=never"}) == {"default/a/80": 1}
    # All but the choice is as the main Ingress says.
    assert forward(found, "can.test", "/p", headers={"x-try": "always"}).read_timeout == 7
    assert not events(found, "canary") and not events(found, "main")


@pytest.mark.parametrize(
    ("said", "value", "there"),
    [
        ({"canary-by-header-value": "blue"}, "blue", True),
        ({"canary-by-header-value": "blue"}, "always", False),
        ({"canary-by-header-pattern": "^v[0-9]$"}, "v2", True),
        ({"canary-by-header-pattern": "beta"}, "a beta user", True),
        ({"canary-by-header-pattern": "beta"}, "always", False),
    ],
)
def test_a_canary_by_a_headers_value(said: dict[str, str], value: str, there: bool) -> None:
    found = world(ingress("main", MAIN), annotated("c", {"canary": "true", "canary-by-header": "x", **said}, SECOND))
    assert weights(found, headers={"x": value}) == {f"default/{'b' if there else 'a'}/80": 1}


def test_a_canary_of_all_of_another_total_and_of_none() -> None:
    found = world(ingress("main", MAIN), annotated("c", {"canary": "true", "canary-weight": "100"}, SECOND))
    assert weights(found) == {"default/b/80": 100}
    found.apply(
        annotated("c", {"canary": "true", "canary-weight": "1", "canary-weight-total": "1000"}, SECOND)
    ).settle()
    assert weights(found) == {"default/a/80": 999, "default/b/80": 1}
    found.apply(annotated("c", {"canary": "true"}, SECOND)).settle()
    assert weights(found) == {"default/a/80": 1}
    found.delete("Ingress", "default", "c").settle()
    assert weights(found) == {"default/a/80": 1}


def test_a_canary_without_a_path_of_its_namespace_serves_nothing_and_is_told() -> None:
    said = {"canary": "true", "canary-weight": "50"}
    found = world(
        annotated("lonely", said, ("can.test", "/other", "b")),
        ingress("main", MAIN),
        annotated("foreign", {**said, "canary-by-header": "x"}, SECOND, namespace="elsewhere"),
        service("b", namespace="elsewhere"),
    )
    assert ask(found, "can.test", "/other").code == 404
    assert weights(found, headers={"x": "always"}) == {"default/a/80": 1}
    assert reasons(found, "lonely") == ["CanaryWithoutPath"]
    assert "of another namespace" in events(found, "foreign", "elsewhere")[0]
    assert not events(found, "main")


def test_a_canary_without_a_backend_leaves_all_requests_to_the_paths_own_and_is_told() -> None:
    said = {"canary": "true", "canary-by-header": "x", "canary-weight": "50"}
    found = world(ingress("main", MAIN), annotated("canary", said, ("can.test", "/p", "missing")))
    assert weights(found, headers={"x": "always"}) == {"default/a/80": 1}
    assert not events(found, "main")
    (event,) = events(found, "canary")
    assert event.startswith("BackendNotFound: ") and event.endswith("the path's own backend has its requests")


def test_an_older_canary_never_shadows_the_path_and_the_younger_of_two_is_told() -> None:
    found = world(
        annotated("first", {"canary": "true", "canary-weight": "10"}, SECOND),
        annotated("second", {"canary": "true", "canary-weight": "90"}, ("can.test", "/p", "c")),
        ingress("main", MAIN),
    )
    assert weights(found) == {"default/a/80": 90, "default/b/80": 10}
    assert not events(found, "main") and not events(found, "first")
    assert reasons(found, "second") == ["CanaryWithoutPath"]


# Backends


@pytest.mark.parametrize(
    ("protocol", "spoken", "secure"),
    [("HTTP", "http1", False), ("HTTPS", "http1", True), ("GRPC", "h2", False), ("GRPCS", "h2", True)],
)
def test_a_backend_is_spoken_to_as_the_annotation_says(protocol: str, spoken: str, secure: bool) -> None:
    found = world(
        annotated("b", {"backend-protocol": protocol}, ("b.test", "/", "a")), ingress("p", ("p.test", "/", "a"))
    )
    known = fleet(found)
    assert known is not None
    cluster = known.clusters[ask(found, "b.test").cluster]
    assert (cluster.protocol, cluster.tls is not None) == (spoken, secure)
    usual = known.clusters[ask(found, "p.test").cluster]
    assert (usual.name, usual.protocol, usual.tls) == ("default/a/80", "http1", None)


def test_auto_http_speaks_as_the_client_came() -> None:
    found = world(
        annotated(
            "b", {"backend-protocol": "AUTO_HTTP", "ssl-redirect": "false"}, ("b.test", "/", "a"), tls=[((), "s")]
        ),
        secret("s", "b.test"),
    )
    known = fleet(found)
    assert known is not None
    assert known.clusters[ask(found, "b.test").cluster].tls is None
    assert known.clusters[ask(found, "b.test", scheme="https").cluster].tls is not None


def test_a_backends_certificate_is_checked_and_one_is_shown() -> None:
    pair = AUTHORITY.issue("client", 1_767_225_600.0, hosts=("client",), server=False)
    said = {
        "backend-protocol": "HTTPS",
        "proxy-ssl-secret": "default/up",
        "proxy-ssl-verify": "on",
        "proxy-ssl-name": "x.test",
    }
    found = world(annotated("b", said, ("b.test", "/", "a")))
    assert ask(found, "b.test").code == 503  # what was to be checked is never spoken to unchecked
    assert reasons(found, "b") == ["BackendNotFound"]
    authority = AUTHORITY.pair.certificate.decode()
    found.apply(data("up", tls_crt=pair.certificate.decode(), tls_key=pair.key.decode(), ca_crt=authority)).settle()
    known = fleet(found)
    assert known is not None
    tls = known.clusters[ask(found, "b.test").cluster].tls
    assert tls is not None
    assert (tls.hostname, tls.trust, tls.certificate) == ("x.test", "Secret/default/up", "default/up")
    assert "Secret/default/up" in known.trusts and "default/up" in known.certificates
    assert not events(found, "b")


def test_to_verify_without_authorities_speaks_to_nobody() -> None:
    found = world(annotated("b", {"backend-protocol": "HTTPS", "proxy-ssl-verify": "on"}, ("b.test", "/", "a")))
    assert ask(found, "b.test").code == 503 and reasons(found, "b") == ["BackendNotFound"]


def test_by_the_services_address_and_by_another_host() -> None:
    found = world(
        service("v", clusterIP="10.96.0.9"),
        annotated("v", {"service-upstream": "true", "upstream-vhost": "inner.test"}, ("v.test", "/", "v")),
    )
    known = fleet(found)
    assert known is not None
    cluster = known.clusters[ask(found, "v.test").cluster]
    assert (cluster.external, cluster.port) == ("10.96.0.9", 80)
    assert forward(found, "v.test").rewrite.host == "inner.test"


def test_a_spare_backend_answers_for_one_that_is_not_there() -> None:
    found = world(annotated("s", {"default-backend": "d"}, ("s.test", "/", "missing")))
    assert ask(found, "s.test").cluster == "default/d/80"
    assert reasons(found, "s") == ["BackendNotFound"]


def test_fastcgi_is_refused() -> None:
    found = world(annotated("f", {"backend-protocol": "FCGI"}, ("f.test", "/", "a")))
    assert ask(found, "f.test").code == 503 and reasons(found, "f") == ["UnsupportedProtocol"]


def test_copies_go_to_a_service_of_the_namespace_or_where_a_grant_lets_them() -> None:
    found = world(annotated("m", {"mirror-target": "http://b.default.svc$request_uri"}, ("m.test", "/", "a")))
    assert [m.cluster for m in forward(found, "m.test").mirrors] == ["default/b/80"]
    found.apply(
        service("x", namespace="far"), annotated("m", {"mirror-target": "http://x.far.svc"}, ("m.test", "/", "a"))
    )
    found.settle()
    assert not forward(found, "m.test").mirrors
    assert "no ReferenceGrant there allows it; nothing is copied" in events(found, "m")[0]


def test_balancing_sessions_times_limits_and_bodies_are_those_of_policies() -> None:
    said = {
        "upstream-hash-by": "$http_x_user",
        "affinity": "cookie",
        "proxy-connect-timeout": "3",
        "proxy-read-timeout": "9",
        "proxy-next-upstream": "http_503",
        "limit-rps": "2",
        "proxy-body-size": "1k",
        "x-forwarded-prefix": "/api",
    }
    found = world(annotated("t", said, ("t.test", "/deep", "a")))
    known, one = fleet(found), rule(found, "t.test", "/deep")
    assert known is not None and one.policy is not None and isinstance(one.action, Forward)
    cluster = known.clusters[one.action.targets[0].cluster]
    assert cluster.policy is not None and cluster.policy.balancing is not None
    assert (cluster.policy.balancing.algorithm, cluster.policy.connect_timeout) == ("ring-hash", 3)
    assert one.policy.hash_on == (HashOn("header", "x-user"),)
    assert one.policy.limits == (RateLimit(2, 1, 10, (LimitKey("client"),)),)
    assert one.policy.largest_body == 1024
    assert one.action.session is not None and (one.action.session.name, one.action.session.path) == (
        "INGRESSCOOKIE",
        "/deep",
    )
    assert one.action.read_timeout == 9
    assert one.action.retry is not None and one.action.retry.codes == (503,)
    assert one.request.set == (("x-forwarded-prefix", "/api"),)


# Who may pass


def test_addresses_users_and_cors_are_those_of_policies() -> None:
    said = {
        "allowlist-source-range": "10.0.0.0/8",
        "denylist-source-range": "10.1.0.0/16",
        "auth-type": "basic",
        "auth-secret": "users",
        "auth-realm": "Who",
        "enable-cors": "true",
        "cors-allow-origin": "https://o.test",
    }
    found = world(annotated("s", said, ("s.test", "/", "a")), data("users", auth=HTPASSWD))
    one = rule(found, "s.test")
    assert one.policy is not None and one.policy.basic is not None and one.cors is not None
    assert (one.policy.allow, one.policy.deny) == (("10.0.0.0/8",), ("10.1.0.0/16",))
    assert (one.policy.basic.users, one.policy.basic.realm) == (HTPASSWD, "Who")
    assert (one.cors.origins, one.cors.credentials) == (("https://o.test",), True)
    assert not events(found, "s")


def test_a_map_of_users_has_an_entry_a_user() -> None:
    said = {"auth-type": "basic", "auth-secret": "default/users", "auth-secret-type": "auth-map"}
    hashed = HTPASSWD.strip().partition(":")[2]
    found = world(annotated("s", said, ("s.test", "/", "a")), data("users", ada=hashed, bob=hashed))
    policy = rule(found, "s.test").policy
    assert policy is not None and policy.basic is not None
    assert policy.basic.users == f"ada:{hashed}\nbob:{hashed}\n"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"auth-type": "basic", "auth-secret": "missing"}, "Secret default/missing does not exist"),
        ({"auth-type": "basic", "auth-secret": "empty"}, "has no users"),
        ({"auth-type": "basic", "auth-secret": "crypt"}, "line 1 of auth is not USER:HASH"),
        ({"auth-type": "basic", "auth-secret": "far/users"}, "of another namespace"),
        ({"auth-url": "http://x.far.svc/check"}, "no ReferenceGrant there allows it"),
        ({"auth-url": "http://missing.default.svc/"}, "Service default/missing has no TCP port 80"),
        (
            {"auth-url": "http://b.default.svc/", "auth-proxy-set-headers": "none"},
            "ConfigMap default/none does not exist",
        ),
        ({"auth-url": "http://localhost/"}, "neither a Service"),
        ({"auth-url": "http://169.254.169.254/"}, "neither a Service"),
        ({"auth-url": "http://kubernetes.default.cluster.local/"}, "neither a Service"),
        ({"allowlist-source-range": "everybody"}, "must be addresses"),
        ({"auth-tls-secret": "missing"}, "Secret default/missing does not exist"),
        ({"auth-tls-match-cn": "CN=me"}, "common name"),
    ],
)
def test_what_cannot_be_carried_out_closes_the_paths_and_no_others(said: dict[str, str], why: str) -> None:
    found = world(
        annotated("s", said, ("s.test", "/", "a")),
        ingress("o", ("o.test", "/", "b")),
        data("empty", auth=""),
        data("crypt", auth="ada:secret"),
        data("users", "far", auth=HTPASSWD),
        service("x", namespace="far"),
    )
    assert ask(found, "s.test").code == 500
    assert isinstance(rule(found, "s.test").action, Respond)
    assert any(e.startswith("RouteClosed: ") and why in e for e in events(found, "s")), events(found, "s")
    assert ask(found, "o.test").cluster == "default/b/80"


def test_who_is_asked_is_a_service_or_a_public_name() -> None:
    said = {"auth-url": "http://b.default.svc.cluster.local/check?a=1", "auth-response-headers": "X-User"}
    found = world(annotated("s", said, ("s.test", "/", "a")))
    policy = rule(found, "s.test").policy
    assert policy is not None and policy.external is not None
    asked = policy.external
    assert (asked.cluster, asked.kind, asked.path, asked.host) == (
        "default/b/80",
        "request",
        "/check?a=1",
        "b.default.svc.cluster.local",
    )
    assert asked.headers_out == ("x-user",)
    known = fleet(found)
    assert known is not None and asked.cluster in known.clusters
    found.apply(annotated("s", {"auth-url": "https://auth.example.com/check"}, ("s.test", "/", "a"))).settle()
    policy = rule(found, "s.test").policy
    assert policy is not None and policy.external is not None
    cluster = known.clusters[policy.external.cluster]
    assert (cluster.external, cluster.port) == ("auth.example.com.", 443)
    assert cluster.tls is not None and cluster.tls.system


def test_headers_of_a_config_map_are_for_who_is_asked_and_bad_ones_are_told() -> None:
    said = {"auth-url": "http://b.default.svc/", "auth-proxy-set-headers": "ask"}
    config = {
        "kind": "ConfigMap",
        "metadata": {"name": "ask", "namespace": "default"},
        "data": {"X-Team": "blue", "X-Uri": "$request_uri"},
    }
    found = world(annotated("s", said, ("s.test", "/", "a")), config)
    policy = rule(found, "s.test").policy
    assert policy is not None and policy.external is not None
    assert policy.external.headers_set == (("x-team", "blue"),)
    assert "data[X-Uri]: variables of nginx" in events(found, "s")[0]
    found.apply({**config, "data": {"a b": "c"}}).settle()
    assert ask(found, "s.test").code == 500


def test_a_host_that_asks_for_certificates_is_reached_by_its_own_name_alone() -> None:
    authority = AUTHORITY.pair.certificate.decode()
    said = {"auth-tls-secret": "ca", "auth-tls-pass-certificate-to-upstream": "true", "ssl-redirect": "false"}
    found = world(
        annotated("m", said, ("m.test", "/", "a"), tls=[(("m.test",), "both")]),
        ingress("other", ("m.test", "/other", "b")),
        ingress("open", ("open.test", "/", "c"), tls=[(("open.test",), "both")]),
        secret("both", "m.test,open.test"),
        data("ca", ca_crt=authority),
    )
    known = fleet(found)
    assert known is not None
    (chain,) = (c for c in known.sockets["tcp-443"].chains if c.names == ("m.test",))
    assert chain.tls is not None and chain.tls.client is not None
    assert (chain.tls.client.trust, chain.tls.client.required) == ("Secret/default/ca", True)
    assert ask(found, "m.test", "/other", scheme="https").cluster == "default/b/80"
    # Not by another server name, whose connection was asked for no certificate; nor the other way round; nor in the clear.
    assert ask(found, "m.test", scheme="https", sni="open.test").code == 421
    assert ask(found, "open.test", scheme="https", sni="m.test").code == 421
    assert ask(found, "m.test").code == 308 and ask(found, "m.test", "/other").code == 308
    one = rule(found, "m.test", scheme="https")
    assert one.policy is not None and ("ssl-client-cert", "certificate") in one.policy.peer
    assert ("ssl-client-verify", "SUCCESS") in one.request.set
    # Without its authorities the host answers nobody.
    found.delete("Secret", "default", "ca").settle()
    assert ask(found, "m.test", scheme="https").code == 500
    assert ask(found, "m.test", "/other", scheme="https").code == 500


def test_connections_of_a_host_are_passed_on_undecrypted() -> None:
    found = world(
        annotated("p", {"ssl-passthrough": "true"}, ("p.test", "/", "a"), tls=[(("p.test",), "s")]),
        secret("s", "p.test"),
    )
    known = fleet(found)
    assert known is not None
    (chain,) = (c for c in known.sockets["tcp-443"].chains if "p.test" in c.names)
    assert chain.tls is None and chain.stream is not None
    assert [t.cluster for t in chain.stream.targets] == ["default/a/80/sealed"]
    assert known.clusters["default/a/80/sealed"].protocol == "tcp"
    assert ask(found, "p.test").code == 308
    found.apply(ingress("o", ("o.test", "/", "b"), tls=[(("o.test",), "o")]), secret("o", "o.test")).settle()
    assert ask(found, "p.test", scheme="https", sni="o.test").code == 421  # nor decrypted by another server name
    assert {p for _, p, _ in found.specs.popitem()[1].ports} == {80, 443}


def test_whose_connections_are_passed_on_is_kept_to() -> None:
    def passed(said: dict[str, str], says: Tree | None = None) -> tuple[bool, tuple[str, ...], tuple[str, ...], list[str]]:
        on = {"group": "networking.k8s.io", "kind": "Ingress", "name": "p"}
        policy = {"kind": "SecurityPolicy", "metadata": {"name": "s", "namespace": "default"}, "spec": {"targetRefs": [on], **(says or {})}}
        found = World([INGRESS, POLICIES]).apply(
            ingress_class("seaway"), service("a"), annotated("p", {"ssl-passthrough": "true", **said}, ("p.test", "/", "a"))
        )
        known = fleet(found.apply(*([policy] if says is not None else ())).settle())
        assert known is not None
        (chain,) = (c for c in known.sockets["tcp-443"].chains if "p.test" in c.names)
        assert chain.stream is not None
        status = found.status("ingresses", "default", "p")
        assert status is not None
        told = [reason for _, reason, _ in status.events]
        return bool(chain.stream.targets), chain.stream.allow, chain.stream.deny, told

    assert passed({}) == (True, (), (), [])
    assert passed({"whitelist-source-range": "10.0.0.0/8"})[:3] == (True, ("10.0.0.0/8",), ())
    assert passed({}, {"deny": {"addresses": ["192.0.2.1"]}})[:3] == (True, (), ("192.0.2.1/32",))
    for said, says in (
        ({"denylist-source-range": "nobody"}, None),
        ({"auth-url": "https://login.test/"}, None),
        ({}, {"basicAuth": {"users": {"name": "nobody"}}}),
        ({}, {"jwt": {"providers": [{"name": "own", "jwks": '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}'}]}}),
    ):
        open_, _, _, told = passed(said, says)
        assert not open_, (said, says)
        if said:
            assert "RouteClosed" in told


def test_a_policy_comes_before_annotations_field_by_field() -> None:
    said = {
        "limit-rps": "2",
        "load-balance": "round_robin",
        "whitelist-source-range": "10.0.0.0/8",
        "auth-type": "basic",
        "auth-secret": "users",
    }
    meta = {"name": "p", "namespace": "default"}
    on = [{"group": "networking.k8s.io", "kind": "Ingress", "name": "i"}]
    traffic = {
        "kind": "BackendTrafficPolicy",
        "metadata": meta,
        "spec": {"targetRefs": on, "rateLimits": [{"requests": 7}]},
    }
    security = {
        "kind": "SecurityPolicy",
        "metadata": meta,
        "spec": {"targetRefs": on, "allow": {"addresses": ["192.0.2.0/24"]}},
    }
    found = World([INGRESS, POLICIES]).apply(ingress_class(), service("a"), data("users", auth=HTPASSWD))
    found.apply(annotated("i", said, ("i.test", "/", "a")), traffic, security).settle()
    policy = rule(found, "i.test").policy
    assert policy is not None and policy.basic is not None
    assert [limit.requests for limit in policy.limits] == [7]
    assert policy.allow == ("192.0.2.0/24",)
    known = fleet(found)
    assert known is not None
    cluster = known.clusters[forward(found, "i.test").targets[0].cluster]
    assert cluster.policy is not None and cluster.policy.balancing is not None
    assert cluster.policy.balancing.algorithm == "round-robin"
    found.delete("SecurityPolicy", "default", "p").settle()
    policy = rule(found, "i.test").policy
    assert policy is not None and policy.allow == ("10.0.0.0/8",)


def test_a_grant_lets_annotations_name_services_of_another_namespace() -> None:
    grant = {
        "kind": "ReferenceGrant",
        "metadata": {"name": "g", "namespace": "far"},
        "spec": {
            "from": [{"group": "networking.k8s.io", "kind": "Ingress", "namespace": "default"}],
            "to": [{"group": "", "kind": "Service", "name": "x"}],
        },
    }
    said = {"auth-url": "http://x.far.svc/check", "mirror-target": "http://x.far.svc"}
    found = World([GATEWAY_API, INGRESS]).apply(ingress_class(), service("a"), service("x", namespace="far"))
    found.apply(annotated("i", said, ("i.test", "/", "a"))).settle()
    assert ask(found, "i.test").code == 500
    found.apply(grant).settle()
    policy = rule(found, "i.test").policy
    assert policy is not None and policy.external is not None and policy.external.cluster == "far/x/80"
    assert [m.cluster for m in forward(found, "i.test").mirrors] == ["far/x/80"]
    found.delete("ReferenceGrant", "far", "g").settle()
    assert ask(found, "i.test").code == 500


def test_snippets_are_refused_and_the_rest_works() -> None:
    said = {"configuration-snippet": "return 200 'pwned';", "app-root": "/start"}
    found = world(annotated("s", said, ("s.test", "/", "a")))
    assert ask(found, "s.test", "/x").cluster == "default/a/80" and ask(found, "s.test", "/").code == 302
    assert reasons(found, "s") == ["RefusedAnnotation"]
