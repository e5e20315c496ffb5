"""All rows of the cluster's names, and what a change makes void; pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from seaway.dns.zone.rows import ServiceRow, SliceRow, label

WHOLE = b"!"  # the owner of the zone's own names


class Endpoint(NamedTuple):
    """An address that a name may lead to: `label` is what it is called below its Service."""

    address: bytes
    label: bytes
    row: SliceRow


class Changes:
    """What came or is another, what went and whose answers are void, gathered until they are taken."""

    def __init__(self) -> None:
        self.come: set[bytes] = set()
        self.gone: set[bytes] = set()
        self.owners: set[bytes] = set()

    def __bool__(self) -> bool:
        return bool(self.come or self.gone or self.owners)


def owner_of_address(packed: bytes) -> bytes:
    return b"@" + packed


def owner_of_pod(packed: bytes) -> bytes:
    return b"p" + packed


def owner_of_namespace(name: str) -> bytes:
    return b"/" + name.encode("latin-1", "replace")


class Store:
    """`put_*` with None removes. From `follow` on, `changes` grows until `take` empties it: what comes before has no asker."""

    def __init__(self) -> None:
        self.following = False
        self.services: dict[bytes, ServiceRow] = {}
        self.slices: dict[str, SliceRow] = {}
        self.namespaces: set[str] = set()
        self.pods: dict[tuple[str, bytes], int] = {}
        self._of_pod: dict[str, tuple[tuple[str, bytes], ...]] = {}
        self._by_service: dict[bytes, tuple[str, ...]] = {}
        self._by_address: dict[bytes, tuple[bytes, ...]] = {}
        self._prefixes: dict[bytes, int] = {}
        self.changes = Changes()
        self.serial = 1

    def follow(self) -> None:
        self.following = True

    def take(self) -> Changes:
        found, self.changes = self.changes, Changes()
        return found

    def put_service(self, key: bytes, row: ServiceRow | None) -> None:
        old = self.services.get(key)
        if old == row:
            return
        if row is None:
            del self.services[key]
        else:
            self.services[key] = row
        if self.following:
            self._touch_service(key, old, row)
        before, after = set(old.addresses if old else ()), set(row.addresses if row else ())
        for address in before - after:
            rest = tuple(k for k in self._by_address[address] if k != key)
            self._set_or_drop(self._by_address, address, rest)
        for address in after - before:
            self._by_address[address] = (*self._by_address.get(address, ()), key)

    def put_slice(self, name: str, row: SliceRow | None) -> None:
        """`name` is namespace/name of the slice."""
        old = self.slices.get(name)
        if old == row:
            return
        for one, step in ((old, -1), (row, 1)):
            if one is not None:
                for prefix in self._prefixes_of(one):
                    left = self._prefixes.get(prefix, 0) + step
                    if left:
                        self._prefixes[prefix] = left
                    else:
                        self._prefixes.pop(prefix, None)
        if row is None:
            del self.slices[name]
        else:
            self.slices[name] = row
        if old is not None and (row is None or row.service != old.service):
            rest = tuple(n for n in self._by_service.get(old.service, ()) if n != name)
            self._set_or_drop(self._by_service, old.service, rest)
        if row is not None and (old is None or row.service != old.service):
            self._by_service[row.service] = (*self._by_service.get(row.service, ()), name)
        if self.following:
            self.changes.owners.update(one.service for one in (old, row) if one is not None)
            before = _named(old) if old else set()
            after = _named(row) if row else set()
            self.changes.owners.update(owner_of_address(pair[0]) for pair in before ^ after)

    def put_namespace(self, name: str, exists: bool) -> None:
        if exists == (name in self.namespaces):
            return
        if exists:
            self.namespaces.add(name)
        else:
            self.namespaces.discard(name)
        if self.following:
            mine = self._services_in(name)  # they are there, or not, with it
            self.changes.come.update(mine)
            self.changes.owners.update((owner_of_namespace(name), *mine))
            for key in mine:
                self.changes.owners.update(map(owner_of_address, self.services[key].addresses))
                for row in self.slices_of(key):
                    self.changes.owners.update(map(owner_of_address, addresses_of(row)))

    def put_pod(self, uid: str, namespace: str, addresses: tuple[bytes, ...]) -> None:
        """`addresses` empty: it is gone."""
        fresh = tuple((namespace, a) for a in addresses)
        old = self._of_pod.get(uid, ())
        if old == fresh:
            return
        for pair in old:
            left = self.pods[pair] - 1
            if left:
                self.pods[pair] = left
            else:
                del self.pods[pair]
        for pair in fresh:
            self.pods[pair] = self.pods.get(pair, 0) + 1
        if fresh:
            self._of_pod[uid] = fresh
        else:
            self._of_pod.pop(uid, None)
        if self.following:
            self.changes.owners.update(owner_of_pod(address) for _, address in {*old, *fresh})

    # reading

    def slices_of(self, key: bytes) -> list[SliceRow]:
        return [self.slices[n] for n in self._by_service.get(key, ())]

    def endpoints(self, service: ServiceRow) -> Iterator[Endpoint]:
        """Those that a name may lead to: the ready ones, or all where the Service publishes them."""
        for row in self.slices_of(service.key):
            number = len(row.packed) // row.size if service.publish else row.ready
            for i in range(number):
                address = row.packed[i * row.size : (i + 1) * row.size]
                yield Endpoint(address, label_of(row, i, address), row)

    def services_at(self, address: bytes) -> tuple[bytes, ...]:
        """The Services whose ClusterIP it is."""
        return self._by_address.get(address, ())

    def endpoints_at(self, address: bytes) -> Iterator[tuple[ServiceRow, bytes]]:
        """(Service, label) of every endpoint name that owns the address. A scan: such questions are rare, an index is not
        small; the prefixes tell most strangers apart."""
        if self._prefix(address) not in self._prefixes:
            return
        for row in self.slices.values():
            at = row.packed.find(address)
            while at >= 0:
                if at % row.size == 0 and row.size == len(address):
                    service = self.services.get(row.service)
                    index = at // row.size
                    shown = service and not service.external and (index < row.ready or service.publish)
                    # Below a ClusterIP too: an endpoint there has a name as any other (plugin/kubernetes/reverse.go).
                    if service and shown:
                        yield service, label_of(row, index, address)
                at = row.packed.find(address, at + 1)

    # what a change touches

    def _touch_service(self, key: bytes, old: ServiceRow | None, row: ServiceRow | None) -> None:
        if row is None:
            self.changes.gone.add(key)
            self.changes.come.discard(key)
        else:
            self.changes.come.add(key)
            self.changes.gone.discard(key)
        self.changes.owners.add(key)
        before, after = set(old.addresses if old else ()), set(row.addresses if row else ())
        self.changes.owners.update(owner_of_address(a) for a in before ^ after)
        if old is None or row is None or _shows(old) != _shows(row):
            for one in self.slices_of(key):
                self.changes.owners.update(owner_of_address(a) for a in addresses_of(one))

    def _services_in(self, namespace: str) -> list[bytes]:
        last = label(namespace)
        return [key for key in self.services if key[1 + key[0] :] == last]

    @staticmethod
    def _set_or_drop(table: dict[bytes, tuple[bytes, ...]] | dict[bytes, tuple[str, ...]], key: bytes, rest: tuple) -> None:  # type: ignore[type-arg]
        if rest:
            table[key] = rest
        else:
            table.pop(key, None)

    @staticmethod
    def _prefix(address: bytes) -> bytes:
        return address[:3] if len(address) == 4 else address[:8]

    def _prefixes_of(self, row: SliceRow) -> set[bytes]:
        return {self._prefix(a) for a in addresses_of(row)}


def addresses_of(row: SliceRow) -> list[bytes]:
    return [row.packed[i : i + row.size] for i in range(0, len(row.packed), row.size)]


def _named(row: SliceRow) -> set[tuple[bytes, bytes, bytes, bool, bytes]]:
    """Of each address all that its PTR record hangs on."""
    rows, names, pods = enumerate(addresses_of(row)), row.names, row.pods
    return {(a, names[i] if names else b"", pods[i] if pods else b"", i < row.ready, row.service) for i, a in rows}


def _shows(service: ServiceRow) -> tuple[bool, bool, bool]:
    """Which of its endpoints have names."""
    return service.is_headless, service.publish, bool(service.external)


def label_of(row: SliceRow, index: int, address: bytes) -> bytes:
    """The endpoint's hostname, its Pod's name where the option says so, else its address with dashes."""
    if row.names and row.names[index]:
        return row.names[index]
    if row.pods and row.pods[index]:
        return row.pods[index]
    return dashed(address)


def dashed(address: bytes) -> bytes:
    """`10-244-0-5`, `fd00--1`, `fd00--0`."""
    if len(address) == 4:
        return b"%d-%d-%d-%d" % tuple(address)
    import ipaddress

    text = str(ipaddress.IPv6Address(address)).replace(":", "-")
    return (text + "0" if text.endswith("-") else text).encode()  # no label ends in a hyphen (plugin/kubernetes)
