"""Certificates of the channel: kept while they are good, made anew when they are not, trusted while they travel."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from seaway.envoy.xds.identity import fleet_of
from seaway.envoy.xds.identity import identity as spiffe
from seaway.gateway import identity
from seaway.gateway.identity import DAY, Authorities
from seaway.gateway.infrastructure.objects import secret
from seaway.gateway.infrastructure.values import Identity, Wanted, place
from seaway.pki import reading
from seaway.pki.authority import Authority
from seaway.routing.ir import Fleet

NOW = 1_800_000_000.0
EDGE = Fleet("Gateway", "shop", "edge")


@pytest.fixture(scope="module")
def by() -> Authorities:
    return identity.authorities(None, NOW)


def stored(fleet: Fleet, found: Identity) -> dict[str, Any]:
    return secret(Wanted(fleet, "shop", "edge-seaway", None, (), found, ""))


def test_a_fleets_certificate_names_the_fleet_and_nothing_else(by: Authorities) -> None:
    found = reading.certificate(identity.identity(None, EDGE, by, NOW).certificate)
    assert found.uris == ("spiffe://seaway/fleet/Gateway/shop/edge",) and found.dns_names == ()
    assert spiffe(Fleet("IngressClass", "", "seaway")) == "spiffe://seaway/fleet/IngressClass/-/seaway"
    long = Fleet("Gateway", "n" * 63, "g" * 253)
    assert reading.certificate(identity.identity(None, long, by, NOW).certificate).uris == (spiffe(long),)
    assert fleet_of(spiffe(long)) == long


def test_what_is_good_is_kept_until_two_thirds_of_its_life(by: Authorities) -> None:
    first = identity.identity(None, EDGE, by, NOW)
    assert identity.due(first.certificate) == pytest.approx(NOW + 20 * DAY, abs=DAY / 100)
    for days, same in ((0, True), (19.9, True), (20.1, False), (31, False)):
        again = identity.identity(stored(EDGE, first), EDGE, by, NOW + days * DAY)
        assert (again == first) is same, days


def test_what_is_anothers_or_broken_is_made_anew(by: Authorities) -> None:
    first = identity.identity(None, EDGE, by, NOW)
    assert identity.identity(stored(EDGE, first), EDGE._replace(name="other"), by, NOW) != first, "another fleet's"
    assert identity.identity(stored(EDGE, first), EDGE, identity.authorities(None, NOW), NOW) != first, "another authority's"
    other = identity.identity(None, EDGE, by, NOW)
    assert identity.identity(stored(EDGE, first._replace(key=other.key)), EDGE, by, NOW) != first, "another's key"
    for data in ({}, {"tls.crt": "!", "tls.key": "!"}, {"tls.crt": base64.b64encode(b"x").decode(), "tls.key": ""}):
        assert identity.identity({"data": data}, EDGE, by, NOW).certificate
    assert identity.identity(stored(EDGE, first), EDGE, by, NOW - DAY) != first, "not valid yet"


def test_a_renewed_authority_trusts_its_predecessor_until_that_ends(by: Authorities) -> None:
    kept = identity.authority_secret(by)
    assert identity.authorities(kept, NOW + 2000 * DAY) == by
    later = NOW + 2500 * DAY
    fresh = identity.authorities(kept, later)
    assert fresh.pair != by.pair and fresh.trusted == fresh.pair.certificate + by.pair.certificate
    assert identity.authorities(identity.authority_secret(fresh), later + DAY) == fresh
    assert identity.authorities(kept, NOW + 3651 * DAY).trusted.count(b"BEGIN CERTIFICATE") == 1
    known = identity.identity(None, EDGE, by, later)
    assert identity.identity(stored(EDGE, known), EDGE, fresh, later) != known, "signed by the new one as soon as there is one"


def test_an_authority_that_is_none_is_replaced(by: Authorities) -> None:
    leaf = Authority(by.pair).issue("leaf", NOW)
    swapped = identity.authority_secret(Authorities(leaf, leaf.certificate))
    assert identity.authorities(swapped, NOW).pair != leaf


def test_the_controllers_certificate_is_its_services(by: Authorities) -> None:
    names = identity.server_names()
    first = identity.server(None, names, by, NOW)
    assert names[0] == Wanted(EDGE, "", "", None, (), Identity(b"", b"", b""), "").controller[0]
    assert reading.certificate(first.certificate).dns_names == names
    assert identity.server(first, names, by, NOW + DAY) is first
    assert identity.server(first, names, by, NOW + 21 * DAY) != first
    assert identity.server(first, names, identity.authorities(None, NOW), NOW) != first


def test_a_controller_elsewhere_has_its_objects_there_and_the_name_that_it_is_called_by(by: Authorities) -> None:
    assert identity.server_names() == identity.server_names("seaway-gateway.seaway-system.svc")
    assert identity.server_names("edge.infra.svc") == ("edge.infra.svc", "edge.infra.svc.cluster.local", "edge.infra")
    assert identity.server_names("xds.example.com") == ("xds.example.com",)
    assert identity.authority_secret(by, "infra")["metadata"]["namespace"] == "infra"
    assert place(Fleet("IngressClass", "", "seaway"), "", "infra") == ("infra", "seaway-ingress")


def test_drain_keys_are_a_fleets_own_and_stay(by: Authorities) -> None:
    keys = {identity.drain_key(f, by) for f in (EDGE, EDGE._replace(name="b"), EDGE._replace(namespace="b"))}
    assert len(keys) == 3 and identity.drain_key(EDGE, by) in keys
    assert identity.drain_key(EDGE, identity.authorities(None, NOW)) not in keys
