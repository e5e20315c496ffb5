"""The records of a cluster's Services, kept Service by Service: a change costs what it touches; pure.

Names are lower-case tuples of labels below the zone, outermost last: ("web", "default", "svc").
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, NamedTuple

from seaway.api.tree import Key

Tree = dict[str, Any]
Name = tuple[str, ...]
A, CNAME, SOA, PTR, TXT, AAAA, SRV, NS, ANY = 1, 5, 6, 12, 16, 28, 33, 2, 255
TTL, TTL_VERSION = 5, 28800


class Record(NamedTuple):
    """`data` is an address (A, AAAA), a Name below the zone or a host (CNAME, PTR), text (TXT), or (port, target) (SRV)."""

    kind: int
    data: Any
    ttl: int = TTL


def address_record(address: str) -> Record:
    return Record(AAAA if ":" in address else A, address)


def reverse(address: str) -> Name:
    """The labels of the PTR name of an address, under the root."""
    return tuple(ipaddress.ip_address(address).reverse_pointer.split("."))


def dashed(address: str) -> str:
    """The label of an endpoint without a hostname: `10-244-0-5`, `fd00--1`."""
    return address.replace(".", "-").replace(":", "-")


def _endpoints(slices: Iterable[Tree], publish: bool) -> list[tuple[Tree, Tree]]:
    """(endpoint, slice) of those that a name may lead to: ready ones (a missing condition means ready)."""
    found = []
    for tree in slices:
        if tree.get("addressType") not in ("IPv4", "IPv6"):
            continue
        for endpoint in tree.get("endpoints") or ():
            if publish or (endpoint.get("conditions") or {}).get("ready") is not False:
                found.append((endpoint, tree))
    return found


def records_of(service: Tree, slices: list[Tree]) -> tuple[dict[Name, list[Record]], dict[Name, list[Record]]]:
    """(records below the zone, records below the root) of one Service."""
    meta, spec = service["metadata"], service.get("spec") or {}
    base: Name = (meta["name"], meta["namespace"], "svc")
    found: dict[Name, list[Record]] = {}
    pointers: dict[Name, list[Record]] = {}

    def add(table: dict[Name, list[Record]], name: Name, record: Record) -> None:
        rows = table.setdefault(name, [])
        if record not in rows:
            rows.append(record)

    if spec.get("type") == "ExternalName":
        add(found, base, Record(CNAME, tuple(str(spec.get("externalName", "")).rstrip(".").lower().split("."))))
        return found, pointers
    if spec.get("clusterIP") not in (None, "", "None"):
        addresses = spec.get("clusterIPs") or [spec["clusterIP"]]
        for address in addresses:
            add(found, base, address_record(address))
            add(pointers, reverse(address), Record(PTR, base))
        for port in spec.get("ports") or ():
            if port.get("name"):
                name = ("_" + port["name"].lower(), "_" + port.get("protocol", "TCP").lower(), *base)
                add(found, name, Record(SRV, (port["port"], base)))
        return found, pointers
    for endpoint, tree in _endpoints(slices, bool(spec.get("publishNotReadyAddresses"))):
        for address in endpoint.get("addresses") or ():
            host: Name = (str(endpoint.get("hostname") or dashed(address)).lower(), *base)
            add(found, base, address_record(address))
            add(found, host, address_record(address))
            add(pointers, reverse(address), Record(PTR, host))
            for port in tree.get("ports") or ():
                if port.get("name") and port.get("port"):
                    name = ("_" + port["name"].lower(), "_" + (port.get("protocol") or "TCP").lower(), *base)
                    add(found, name, Record(SRV, (port["port"], host)))
    return found, pointers


class Zone:
    """All records. `lookup` gives the records of a name; None where the name does not exist, [] where it only has others."""

    def __init__(self) -> None:
        self._records: dict[Name, dict[Key, list[Record]]] = {}
        self._pointers: dict[Name, dict[Key, list[Record]]] = {}
        self._owned: dict[Key, tuple[set[Name], set[Name]]] = {}
        self._below: dict[Name, int] = {("svc",): 1, ("pod",): 1, (): 1}
        self.serial = 1

    def put(self, key: Key, service: Tree | None, slices: list[Tree]) -> set[Name]:
        """Replaces what a Service contributes; the names that changed."""
        old_names, old_pointers = self._owned.pop(key, (set(), set()))
        before = {n: self._records[n][key] for n in old_names}
        for name in old_names:
            self._drop(self._records, name, key)
            self._count(name, -1)
        for name in old_pointers:
            self._drop(self._pointers, name, key)
        changed = set(old_names)
        if service is not None:
            found, pointers = records_of(service, slices)
            for name, rows in found.items():
                self._records.setdefault(name, {})[key] = rows
                self._count(name, 1)
            for name, rows in pointers.items():
                self._pointers.setdefault(name, {})[key] = rows
            self._owned[key] = (set(found), set(pointers))
            changed = {n for n in changed | set(found) if before.get(n) != found.get(n)}
        if changed:
            self.serial += 1
        return changed

    @staticmethod
    def _drop(table: dict[Name, dict[Key, list[Record]]], name: Name, key: Key) -> None:
        del table[name][key]
        if not table[name]:
            del table[name]

    def _count(self, name: Name, step: int) -> None:
        """Every name above one that exists, exists too (RFC 8020): it answers NODATA."""
        for i in range(1, len(name)):
            above = name[i:]
            left = self._below.get(above, 0) + step
            if left:
                self._below[above] = left
            else:
                self._below.pop(above, None)

    def lookup(self, name: Name) -> list[Record] | None:
        if name == ("dns-version",):
            return [Record(TXT, "1.1.0", TTL_VERSION)]
        found = self._records.get(name)
        if found is not None:
            return [r for rows in found.values() for r in rows]
        return [] if name in self._below else None

    def pointer(self, name: Name) -> list[Record] | None:
        found = self._pointers.get(name)
        return None if found is None else [r for rows in found.values() for r in rows]
