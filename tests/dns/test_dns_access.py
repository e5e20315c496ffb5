"""Who is answered: the rules of `acl`, and how much one client may ask."""

from __future__ import annotations

import pytest
from packets import name

from seaway.dns import access
from seaway.dns.access import ANY_NUMBER, Clients, Rules
from seaway.dns.presentation import TYPES
from seaway.dns.settings import AccessRule

ZONES = (name("test"),)
NETWORK = AccessRule("block", networks=("10.0.0.0/8",))


def verdict(rules: tuple[AccessRule, ...], client: str, asked: str = "a.test", kind: str = "A") -> str:
    return Rules(rules, ZONES).verdict(client, name(asked), TYPES[kind])


@pytest.mark.parametrize(
    ("rule", "client", "asked", "kind", "told"),
    [
        (AccessRule("block"), "192.0.2.1", "a.test", "A", "block"),
        (AccessRule("block"), "192.0.2.1", "a.other", "A", "allow"),  # none of the block's zones
        (AccessRule("filter", types=("TXT", "ANY")), "192.0.2.1", "a.test", "TXT", "filter"),
        (AccessRule("filter", types=("TXT", "ANY")), "192.0.2.1", "a.test", "A", "allow"),
        (AccessRule("drop", networks=("192.0.2.0/24",)), "192.0.2.255", "a.test", "A", "drop"),
        (AccessRule("drop", networks=("192.0.2.0/24",)), "192.0.3.0", "a.test", "A", "allow"),
        (AccessRule("drop", networks=("192.0.2.7/24",)), "192.0.2.1", "a.test", "A", "drop"),  # bits of a host are passed over
        (AccessRule("drop", networks=("192.0.2.1",)), "192.0.2.1", "a.test", "A", "drop"),
        (AccessRule("drop", networks=("0.0.0.0/0",)), "2001:db8::1", "a.test", "A", "allow"),
        (AccessRule("drop", networks=("2001:db8::/32",)), "2001:db8::1", "a.test", "A", "drop"),
        (AccessRule("drop", networks=("fe80::/10",)), "fe80::1%eth0", "a.test", "A", "drop"),
        (AccessRule("drop", networks=("10.0.0.0/8",)), "::ffff:10.1.2.3", "a.test", "A", "drop"),
        (AccessRule("block", zones=(("b", "test"),)), "192.0.2.1", "a.b.test", "A", "block"),
        (AccessRule("block", zones=(("b", "test"),)), "192.0.2.1", "a.xb.test", "A", "allow"),
        (AccessRule("block", types=("TXT",), networks=("10.0.0.0/8",)), "10.0.0.1", "a.test", "A", "allow"),
    ],
)
def test_a_rule_holds_where_type_network_and_zone_match(rule: AccessRule, client: str, asked: str, kind: str, told: str) -> None:
    assert verdict((rule,), client, asked, kind) == told


def test_the_first_rule_that_matches_decides() -> None:
    rules = (AccessRule("allow", networks=("10.1.0.0/16",)), NETWORK, AccessRule("filter"))
    assert [verdict(rules, c) for c in ("10.1.0.1", "10.2.0.1", "192.0.2.1")] == ["allow", "block", "filter"]


def test_no_rules_allow_all() -> None:
    assert verdict((), "192.0.2.1") == "allow"
    assert not Rules((), ZONES)


def test_a_client_has_its_limit_each_second() -> None:
    clients = Clients(3, ())
    assert [clients.admit("10.0.0.1") for _ in range(5)] == [True, True, True, False, False]
    assert clients.admit("10.0.0.2")
    clients.second()
    assert clients.admit("10.0.0.1")


def test_what_the_hot_path_takes_off_counts() -> None:
    clients = Clients(3, ())
    clients.admit("10.0.0.1")
    clients.left["10.0.0.1"] -= 2
    assert not clients.admit("10.0.0.1")


def test_without_a_limit_nobody_is_refused() -> None:
    clients = Clients(0, ())
    assert all(clients.admit("10.0.0.1") for _ in range(100))
    assert clients.left["10.0.0.1"] == ANY_NUMBER - 100


def test_who_must_be_judged_never_takes_the_hot_path_and_is_limited_too() -> None:
    clients = Clients(3, (NETWORK,))
    assert [clients.admit("10.0.0.1") for _ in range(5)] == [True, True, True, False, False]
    assert "10.0.0.1" not in clients.left
    assert clients.admit("192.0.2.1")
    assert "192.0.2.1" in clients.left
    everybody = Clients(0, (NETWORK, AccessRule("block", types=("TXT",))))  # a rule without networks is for all
    assert everybody.admit("192.0.2.1")
    assert not everybody.left


def test_no_number_of_addresses_takes_more_than_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "CLIENTS", 100)
    for rules in ((), (AccessRule("block"),)):
        clients = Clients(5, rules)
        for i in range(1000):
            assert clients.admit(f"10.0.{i >> 8}.{i & 255}")
            assert len(clients.left) + len(clients._slow) <= 101
