"""Hosts files as tables, and what the `hosts` plugin answers from them."""

from __future__ import annotations

import ipaddress

import pytest

from seaway.dns.hostsfile import AAAA, NOERROR, PTR, SERVFAIL, A, Answer, Table, address_of, answer, read, table
from seaway.dns.presentation import name
from seaway.dns.settings import Hosts

TXT = 16
ALL = ((),)
FILE = """
# a comment
127.0.0.1   localhost
::1         localhost ip6-localhost   # both families
192.0.2.1   A.Test. alias.test a.test
192.0.2.2   a.test
2001:DB8:0::1 a.test
::ffff:192.0.2.9 mapped.test
fe80::1%eth0 link.test
192.0.2.5   *.wild.test
2001:db8::5 *.wild.test
192.0.2.6   one.wild.test
192.0.2.7
192.0.2.300 bad.test
0192.0.2.8  bad.test
name        bad.test
192.0.2.10  bad..name good.test
"""

ROWS = [
    ("localhost", A, ("127.0.0.1",)),
    ("localhost", AAAA, ("::1",)),
    ("a.test", A, ("192.0.2.1", "192.0.2.2")),
    ("a.test", AAAA, ("2001:db8::1",)),
    ("alias.test", AAAA, ()),
    ("mapped.test", A, ("192.0.2.9",)),
    ("link.test", AAAA, ("fe80::1",)),
    ("x.wild.test", A, ("192.0.2.5",)),
    ("one.wild.test", A, ("192.0.2.6",)),
    ("one.wild.test", AAAA, ("2001:db8::5",)),
    ("x.y.wild.test", A, ()),
    ("wild.test", A, ()),
    ("bad.test", A, ()),
    ("good.test", A, ("192.0.2.10",)),
    ("test", A, ()),
]


@pytest.mark.parametrize(("asked", "kind", "addresses"), ROWS)
def test_a_name_has_the_addresses_of_its_rows_in_their_order(asked: str, kind: int, addresses: tuple) -> None:
    assert read(FILE, ALL).addresses(name(asked), kind) == addresses


NAMES = [
    ("192.0.2.1", (("a", "test"), ("alias", "test"))),
    ("192.0.2.9", (("mapped", "test"),)),
    ("::1", (("localhost",), ("ip6-localhost",))),
    ("2001:db8::1", (("a", "test"),)),
    ("192.0.2.5", None),  # a wildcard has no pointer
    ("192.0.2.7", None),
]


@pytest.mark.parametrize(("address", "names"), NAMES)
def test_an_address_has_the_names_of_its_rows(address: str, names: tuple | None) -> None:
    assert read(FILE, ALL).names.get(address) == names


def test_names_in_no_zone_and_pointers_that_nobody_wants_are_left_out() -> None:
    assert read("192.0.2.1 a.test a.other\n", (("test",),)) == Table({("a", "test"): ("192.0.2.1",)}, {}, {"192.0.2.1": (("a", "test"),)})
    assert read("192.0.2.1 a.test\n", ALL, reverse=False).names == {}


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "::"])
def test_a_reverse_name_is_its_address(address: str) -> None:
    assert address_of(tuple(ipaddress.ip_address(address).reverse_pointer.split("."))) == address


@pytest.mark.parametrize("asked", ["2.0.192.in-addr.arpa", "x.2.0.192.in-addr.arpa", "300.2.0.192.in-addr.arpa", "1.ip6.arpa", "a.test", "in-addr.arpa", "."])
def test_a_part_of_a_reverse_name_is_none(asked: str) -> None:
    assert address_of(name(asked)) is None


H = Hosts(rows=("203.0.113.1 a.test row.test",))
ROW = Answer(NOERROR, ("203.0.113.1",))
NODATA, FAILED = Answer(NOERROR), Answer(SERVFAIL)
ANSWERS = [
    (H, "a.test", A, Answer(NOERROR, ("192.0.2.1", "192.0.2.2", "203.0.113.1"))),
    (H, "row.test", A, ROW),
    (H, "row.test", AAAA, NODATA),
    (H, "row.test", TXT, NODATA),
    (H, "x.wild.test", TXT, NODATA),
    (H, "none.test", A, FAILED),
    (H, "none.test", TXT, FAILED),
    (Hosts(fallthrough=((),)), "none.test", A, None),
    (Hosts(fallthrough=((),)), "a.test", TXT, NODATA),
    (Hosts(fallthrough=((),), fallthrough_types=True), "a.test", TXT, None),
    (Hosts(fallthrough=((),), fallthrough_types=True), "alias.test", AAAA, NODATA),
    (Hosts(fallthrough=(("test",),)), "none.test", A, None),
    (Hosts(fallthrough=(("other",),)), "none.test", A, FAILED),
    (Hosts(zones=(("other",),)), "a.test", A, None),
    (Hosts(zones=(("test",),)), "localhost", A, None),
    (H, "1.2.0.192.in-addr.arpa", PTR, Answer(NOERROR, names=(("a", "test"), ("alias", "test")))),
    (H, "1.113.0.203.in-addr.arpa", PTR, Answer(NOERROR, names=(("a", "test"), ("row", "test")))),
    (H, "9.9.9.9.in-addr.arpa", PTR, None),
    (H, "a.test", PTR, None),
    (Hosts(reverse=False), "1.2.0.192.in-addr.arpa", PTR, None),
    (Hosts(zones=(("test",),)), "1.2.0.192.in-addr.arpa", PTR, Answer(NOERROR, names=(("a", "test"), ("alias", "test")))),
]


@pytest.mark.parametrize(("hosts", "asked", "kind", "expected"), ANSWERS)
def test_the_answer_of_the_plugin(hosts: Hosts, asked: str, kind: int, expected: Answer | None) -> None:
    assert answer(hosts, table(hosts, FILE, ALL), ALL, name(asked), kind) == expected
