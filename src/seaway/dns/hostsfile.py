"""A hosts file as a table of names and addresses, and the answers that the `hosts` plugin gives from it (plugin/hosts); pure.

A name may stand in several rows and have both families; `*.a.test` stands for every name one label below `a.test` that has no
row of its own. The file's rows go before those of the Corefile."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from seaway.dns import wire
from seaway.dns.presentation import name
from seaway.dns.settings import Hosts, Name

A, PTR, AAAA = 1, 12, 28
NOERROR, SERVFAIL = 0, 2
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Table:
    """Addresses by name and family, names by address, each in the order of the rows and once."""

    v4: dict[Name, tuple[str, ...]] = field(default_factory=dict)
    v6: dict[Name, tuple[str, ...]] = field(default_factory=dict)
    names: dict[str, tuple[Name, ...]] = field(default_factory=dict)

    def addresses(self, asked: Name, kind: int) -> tuple[str, ...]:
        """Of a name in lower case; by its wildcard if it has no row of this family."""
        rows = self.v4 if kind == A else self.v6
        found = rows.get(asked)
        if found is None and len(asked) > 1:
            found = rows.get(("*", *asked[1:]))
        return found or ()


class Answer(NamedTuple):
    """What the plugin answers. No record and NOERROR: the name is known, this type of it is not."""

    rcode: int
    addresses: tuple[str, ...] = ()
    names: tuple[Name, ...] = ()


def read(text: str, zones: Sequence[Name], reverse: bool = True) -> Table:
    """Rows `ADDRESS NAME...`; # begins a comment. Rows and names that cannot be read, and names in no zone, are left out."""
    v4: dict[Name, dict[str, None]] = {}
    v6: dict[Name, dict[str, None]] = {}
    names: dict[str, dict[Name, None]] = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        address = _address(words[0]) if len(words) > 1 else None
        if address is None:
            continue
        rows = v6 if ":" in address else v4
        for word in words[1:]:
            host = _name(word)
            if host is None or not within(host, zones):
                continue
            rows.setdefault(host, {})[address] = None
            if reverse and host[:1] != ("*",):
                names.setdefault(address, {})[host] = None
    return Table(_frozen(v4), _frozen(v6), {a: tuple(found) for a, found in names.items()})


def table(hosts: Hosts, file: str, zones: Sequence[Name]) -> tuple[Table, ...]:
    """The tables of a `hosts` plugin: its file's text, then its own rows. `zones`: the block's."""
    served = hosts.zones or zones
    return read(file, served, hosts.reverse), read("\n".join(hosts.rows), served, hosts.reverse)


def answer(hosts: Hosts, tables: Iterable[Table], zones: Sequence[Name], asked: Name, kind: int) -> Answer | None:
    """The answer for a name in lower case; None: it is the next plugin's."""
    tables = tuple(tables)
    if kind == PTR:
        address = address_of(asked)
        names = _joined(t.names.get(address, ()) for t in tables) if address else ()
        return Answer(NOERROR, names=names) if names else None
    if not within(asked, hosts.zones or zones):
        return None
    found = _joined(t.addresses(asked, kind) for t in tables) if kind in (A, AAAA) else ()
    if found:
        return Answer(NOERROR, found)
    falls = hosts.fallthrough is not None and within(asked, hosts.fallthrough)
    if falls and hosts.fallthrough_types and kind not in (A, AAAA):
        return None
    if any(t.addresses(asked, family) for t in tables for family in (A, AAAA)):
        return Answer(NOERROR)
    return None if falls else Answer(SERVFAIL)  # there is no SOA for an NXDOMAIN


def within(asked: Name, zones: Sequence[Name]) -> bool:
    return any(not zone or asked[-len(zone) :] == zone for zone in zones)


def address_of(asked: Name) -> str | None:
    """The address that a reverse name stands for; None where it is not a whole one."""
    packed = wire.reverse_address(wire.name_of(asked))
    return None if packed is None else _address(str(ipaddress.ip_address(packed)))


def _address(word: str) -> str | None:
    """In its one form; the zone of a link-local one is dropped, an IPv4 one in an IPv6 one is that."""
    try:
        address = ipaddress.ip_address(word.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _name(word: str) -> Name | None:
    try:
        return name(word)
    except ValueError:
        return None


def _frozen(rows: dict[Name, dict[str, None]]) -> dict[Name, tuple[str, ...]]:
    return {host: tuple(found) for host, found in rows.items()}


def _joined(parts: Iterable[tuple[T, ...]]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(one for part in parts for one in part))
