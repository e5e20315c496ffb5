"""Certificates by server name, and what becomes of plain HTTP where a host has TLS."""

from __future__ import annotations

import pytest
from evaluate import evaluate
from ingressobjects import events, fleet, ingress, ingress_class, reasons, secret, world
from routingworld import World

from seaway.api.tree import Tree

SSL_REDIRECT = "nginx.ingress.kubernetes.io/ssl-redirect"
FORCE = "nginx.ingress.kubernetes.io/force-ssl-redirect"


def shown(found: World, sni: str) -> str:
    """The certificate that a client gets, "" where there is no connection."""
    answer = evaluate(fleet(found), sni or "nobody", scheme="https", sni=sni)
    return answer.certificate if answer.code != -1 else ""


def site(name: str, host: str, *tls: tuple[tuple[str, ...], str], **more: object) -> Tree:
    return ingress(name, (host, "/", "a"), tls=tls, **more)


def test_a_host_is_served_with_its_secret_and_no_other_name_is() -> None:
    found = world(secret("s", "x.example.com"), site("it", "x.example.com", (("x.example.com",), "s")))
    answer = evaluate(fleet(found), "x.example.com", scheme="https")
    assert (answer.certificate, answer.cluster) == ("default/s", "default/a/80")
    assert shown(found, "other.example.com") == "" and events(found, "it") == []
    assert evaluate(fleet(world(site("it", "x.example.com"))), "x.example.com", scheme="https").code == -1


def test_a_chain_a_certificate_with_the_hosts_of_all_its_ingresses() -> None:
    found = world(secret("wild", "*.example.com"))
    for name in "bac":
        found.apply(site(name, f"{name}.example.com", ((f"{name}.example.com",), "wild")))
    (chain,) = fleet(found.settle()).sockets["tcp-443"].chains  # type: ignore[union-attr]
    assert chain.names == ("a.example.com", "b.example.com", "c.example.com")
    found.delete("Ingress", "default", "a").settle()
    (chain,) = fleet(found).sockets["tcp-443"].chains  # type: ignore[union-attr]
    assert chain.names == ("b.example.com", "c.example.com")


def test_wildcard_names_are_wildcard_server_names_and_exact_ones_come_first() -> None:
    found = world(
        secret("wild", "*.example.com"),
        secret("exact", "x.example.com"),
        site("wild", "*.example.com", (("*.example.com",), "wild")),
        site("exact", "x.example.com", (("X.example.com",), "exact")),
    )
    assert [shown(found, n) for n in ("x.example.com", "y.example.com", "example.com")] == [
        "default/exact",
        "default/wild",
        "",
    ]


def test_of_two_secrets_for_a_host_the_older_ingress_wins_and_the_younger_is_told() -> None:
    found = world(
        secret("old", "x.example.com"),
        secret("new", "x.example.com,y.example.com"),
        site("old", "x.example.com", (("x.example.com",), "old")),
        site("new", "y.example.com", (("x.example.com", "y.example.com"), "new")),
    )
    assert (shown(found, "x.example.com"), shown(found, "y.example.com")) == ("default/old", "default/new")
    assert events(found, "old") == [] and events(found, "new") == [
        "CertificateConflict: spec.tls: the certificate default/old, of Ingress default/old, which is older, "
        "is the one for x.example.com"
    ]
    found.delete("Secret", "default", "old").settle()
    assert shown(found, "x.example.com") == "default/new" and reasons(found, "old") == ["InvalidCertificateRef"]


def test_an_entry_without_hosts_serves_those_of_the_rules() -> None:
    found = world(
        secret("listed", "x.example.com"),
        secret("rest", "y.example.com"),
        ingress(
            "it",
            ("x.example.com", "/", "a"),
            ("y.example.com", "/", "b"),
            tls=[(("x.example.com",), "listed"), ((), "rest")],
        ),
    )
    assert (shown(found, "x.example.com"), shown(found, "y.example.com")) == ("default/listed", "default/rest")


def test_of_several_entries_without_hosts_the_certificate_that_names_the_host_serves() -> None:
    found = world(
        secret("one", "*.one.org"),
        secret("two", "two.org"),
        ingress(
            "it", ("two.org", "/", "a"), ("x.one.org", "/", "b"), ("z.org", "/", "c"), tls=[((), "one"), ((), "two")]
        ),
    )
    assert [shown(found, n) for n in ("two.org", "x.one.org", "z.org")] == ["default/two", "default/one", "default/one"]
    assert events(found, "it") == [
        "CertificateNameMismatch: spec.tls: the certificate of Secret default/one does not name z.org"
    ]


def test_tls_for_rules_without_host_serves_every_other_name() -> None:
    found = world(
        secret("all", "lb.example.com"), secret("x", "x.example.com"), ingress("all", default="b", tls=[((), "all")])
    )
    found.apply(site("x", "x.example.com", (("x.example.com",), "x"))).settle()
    assert [shown(found, n) for n in ("", "any.org", "x.example.com")] == ["default/all", "default/all", "default/x"]
    assert evaluate(fleet(found), "any.org", scheme="https").cluster == "default/b/80"
    assert evaluate(fleet(found), "any.org").location == "https://any.org/"


def test_listed_hosts_without_rules_are_served_by_hostless_rules() -> None:
    found = world(secret("s", "x.example.com"), ingress("it", ("", "/", "a"), tls=[(("x.example.com",), "s")]))
    assert evaluate(fleet(found), "x.example.com", scheme="https").cluster == "default/a/80"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "Secret default/s does not exist"),
        ({}, "Secret default/s has no tls.crt"),
        ({"tls.crt": "eA=="}, "Secret default/s has no tls.key"),
        ({"tls.crt": "eA==", "tls.key": "eA=="}, "Secret default/s: tls.crt is not a certificate in PEM form"),
    ],
)
def test_a_secret_that_cannot_be_used_is_told_and_hurts_nobody_else(data: Tree | None, why: str) -> None:
    found = world(secret("good", "y.example.com"), site("good", "y.example.com", (("y.example.com",), "good")))
    if data is not None:
        found.apply({"kind": "Secret", "metadata": {"name": "s"}, "data": data})
    found.apply(site("bad", "x.example.com", (("x.example.com",), "s"))).settle()
    assert shown(found, "y.example.com") == "default/good" and shown(found, "x.example.com") == ""
    assert events(found, "bad") == [
        f"InvalidCertificateRef: spec.tls[0].secretName: {why}: its hosts are not served with TLS"
    ]
    found.apply(secret("s", "x.example.com")).settle()
    assert shown(found, "x.example.com") == "default/s" and events(found, "bad") == []


def with_default(*objects: Tree, name: str = "infra/default") -> World:
    where = {"kind": "ConfigMap", "name": "envoys", "namespace": "infra", "scope": "Namespace"}
    data = {
        "kind": "ConfigMap",
        "metadata": {"name": "envoys", "namespace": "infra"},
        "data": {"defaultCertificate": name},
    }
    return world(ingress_class(parameters=where), data, secret("default", "*.example.com", namespace="infra"), *objects)


def test_the_default_certificate_serves_hosts_without_a_certificate_of_their_own() -> None:
    own = secret("own", "own.example.com")
    found = with_default(
        own,
        site("own", "own.example.com", (("own.example.com",), "own")),
        site("named", "named.example.com", (("named.example.com",), "")),
        site("plain", "plain.example.com"),
    )
    names = ["own.example.com", "named.example.com", "plain.example.com", ""]
    assert [shown(found, n) for n in names] == ["default/own", *["infra/default"] * 3]
    assert events(found, "named") == []
    assert evaluate(fleet(found), "named.example.com").code == 308
    assert evaluate(fleet(found), "plain.example.com").cluster == "default/a/80"
    assert evaluate(fleet(found), "plain.example.com", scheme="https").cluster == "default/a/80"


def test_the_default_certificate_stands_in_for_a_secret_that_cannot_be_used() -> None:
    found = with_default(site("bad", "x.example.com", (("x.example.com",), "missing")))
    assert shown(found, "x.example.com") == "infra/default"
    assert events(found, "bad") == [
        "InvalidCertificateRef: spec.tls[0].secretName: Secret default/missing does not exist: "
        "its hosts get the default certificate infra/default"
    ]


def test_a_default_certificate_that_cannot_be_used_is_none() -> None:
    found = with_default(site("plain", "x.example.com"), name="infra/nothing")
    assert list(fleet(found).sockets) == ["tcp-80"]  # type: ignore[union-attr]


def test_an_entry_without_secret_has_no_certificate() -> None:
    found = world(site("it", "x.example.com", (("x.example.com",), "")))
    assert shown(found, "x.example.com") == ""
    assert events(found, "it") == [
        "InvalidCertificateRef: spec.tls[0].secretName: Required value: the IngressClass seaway has no default certificate, "
        "so its hosts are not served with TLS"
    ]


def redirected(path: str = "/p", **annotations: str) -> tuple[int, str]:
    names = {"ssl": SSL_REDIRECT, "force": FORCE}
    tls = ((("x.example.com",), "s"),) if annotations.pop("tls", "yes") == "yes" else ()
    more = {"annotations": {names[k]: v for k, v in annotations.items()}}
    found = world(secret("s", "x.example.com"), site("it", "x.example.com", *tls, **more))
    assert "InvalidAnnotation" not in reasons(found, "it")
    answer = evaluate(fleet(found), "x.example.com", path)
    return answer.code, answer.location


def test_a_host_with_tls_is_redirected_permanently_unless_told_otherwise() -> None:
    assert redirected() == (308, "https://x.example.com/p")
    assert redirected(ssl="true") == (308, "https://x.example.com/p")
    assert redirected(ssl="false") == (0, "") == redirected(ssl="0")


def test_a_host_without_tls_is_redirected_by_force_alone() -> None:
    assert redirected(tls="no", ssl="true") == (0, "")
    assert redirected(tls="no", force="true") == (308, "https://x.example.com/p")
    assert redirected(ssl="false", force="true") == (308, "https://x.example.com/p")


def test_tls_of_a_host_holds_for_all_who_have_rules_there() -> None:
    found = world(secret("s", "x.example.com"), site("it", "x.example.com", (("x.example.com",), "s")))
    found.apply(ingress("other", ("x.example.com", "/other", "b"))).settle()
    assert evaluate(fleet(found), "x.example.com", "/other").code == 308
    assert evaluate(fleet(found), "x.example.com", "/other", scheme="https").cluster == "default/b/80"


def test_what_is_meant_for_tls_is_not_said_in_the_clear_while_the_secret_is_missing() -> None:
    found = world(site("it", "x.example.com", (("x.example.com",), "missing")))
    assert evaluate(fleet(found), "x.example.com").code == 308


def test_proofs_for_acme_are_heard_over_plain_http() -> None:
    found = world(site("it", "x.example.com", (("x.example.com",), "missing")))
    found.apply(ingress("solver", ("x.example.com", "/.well-known/acme-challenge/token", "b", "Exact"))).settle()
    assert evaluate(fleet(found), "x.example.com", "/.well-known/acme-challenge/token").cluster == "default/b/80"
    assert evaluate(fleet(found), "x.example.com", "/.well-known/acme-challenge/other").code == 308


def test_a_name_that_is_listed_without_a_rule_redirects_nobodys_rules() -> None:
    found = world(secret("s", "x.example.com"), site("it", "y.example.com", (("x.example.com",), "s")))
    found.apply(site("plain", "x.example.com")).settle()
    assert evaluate(fleet(found), "x.example.com").cluster == "default/a/80"
    assert evaluate(fleet(found), "x.example.com", scheme="https").certificate == "default/s"


def test_a_wildcard_of_another_does_not_redirect_a_host_without_tls() -> None:
    found = world(secret("s", "*.example.com"), site("wild", "*.example.com", (("*.example.com",), "s")))
    found.apply(site("plain", "x.example.com")).settle()
    assert evaluate(fleet(found), "x.example.com").cluster == "default/a/80"
    assert evaluate(fleet(found), "y.example.com").code == 308


def test_a_value_that_is_none_is_told_and_counts_as_not_given() -> None:
    found = world(site("it", "x.example.com", (("x.example.com",), "s"), annotations={SSL_REDIRECT: "no"}))
    assert reasons(found, "it") == ["InvalidAnnotation", "InvalidCertificateRef"]
    assert evaluate(fleet(found), "x.example.com").code == 308
