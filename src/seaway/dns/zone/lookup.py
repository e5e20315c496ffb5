"""A question about the cluster's names to an `Answer`: DNS-Based Service Discovery 1.1.0, and what it leaves open as CoreDNS
has it (design/dns.md); pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

from seaway.dns import wire
from seaway.dns.answer import Answer, failure, of_records
from seaway.dns.settings import Kubernetes
from seaway.dns.wire import AA, AAAA, CNAME, NOERROR, NS, NXDOMAIN, PTR, SERVFAIL, SOA, SRV, TO_QUESTION, TXT, A
from seaway.dns.zone.rows import Port, ServiceRow
from seaway.dns.zone.store import (
    WHOLE,
    Endpoint,
    Store,
    addresses_of,
    owner_of_address,
    owner_of_namespace,
    owner_of_pod,
)

VERSION, VERSION_TTL = b"1.1.0", 28800


class Zone:
    """The `kubernetes` plugin over a store. `own`: the addresses that this server answers on, for `ns.dns`. A question for
    ANY finds no records of that type, as with CoreDNS (RFC 8482 4.1: it need not be given all)."""

    def __init__(self, store: Store, settings: Kubernetes, own: Callable[[], Iterable[bytes]] = tuple) -> None:
        self.store, self.settings, self._own = store, settings, own
        self.origins = tuple(wire.name_of(z) for z in settings.zones if z[-1:] != ("arpa",))
        self.reverses = tuple(wire.name_of(z) for z in settings.zones if z[-1:] == ("arpa",))
        self.synced = False

    def answer(self, name: bytes, kind: int) -> Answer | None:
        """The answer to a name in lower case; None where the name is none of ours. An NXDOMAIN says AA and holds the SOA;
        whether it falls through is the caller's to say."""
        for origin in self.origins:
            if wire.is_below(name, origin):
                if not self.synced:
                    return failure(SERVFAIL)
                return self._inside(name[: len(name) - len(origin)], origin, kind)
        for zone in self.reverses:
            if wire.is_below(name, zone):
                return self._reverse(name, zone, kind) if self.synced else failure(SERVFAIL)
        return None

    def plain_addresses(self, key: bytes) -> bytes:
        """The ClusterIPs of a Service, IPv4 before IPv6, where nothing but they make its addresses; else nothing."""
        service = self.store.services.get(key)
        if service is None or self.settings.ignore_empty_service:
            return b""
        if len({len(a) for a in service.addresses}) != len(service.addresses):
            return b""
        namespace = wire.labels_of(key + b"\0")[1]
        first_v4 = [a for size in (4, 16) for a in service.addresses if len(a) == size]
        return b"".join(first_v4) if self._exposed(namespace) else b""

    # names below the cluster's domain

    def _inside(self, head: bytes, origin: bytes, kind: int) -> Answer:
        labels = wire.labels_of(head + b"\0")
        if not labels:
            return self._apex(origin, kind)
        match labels[-1], len(labels):
            case b"svc", n if n <= 5:
                return self._service(labels[:-1], origin, kind)
            case b"pod", n if n <= 3:
                return self._pod(labels[:-1], origin, kind)
            case b"dns-version", 1:
                text = [wire.record(TO_QUESTION, TXT, VERSION_TTL, bytes((len(VERSION),)) + VERSION)]
                return self._found(text if kind == TXT else [], origin, (WHOLE,))
            case b"dns", 2 if labels[0] == b"ns":
                servers, owners = self._servers()
                return self._found(self._of_kind(servers, kind), origin, owners)
            case b"dns", 1:
                return self._found([], origin, (WHOLE,))
        return self._missing(origin, ())

    def _apex(self, origin: bytes, kind: int) -> Answer:
        ttl = self.settings.ttl
        if kind == SOA:
            return of_records(AA, [self._soa(origin)], owners=(WHOLE,))
        if kind == NS:
            server = b"\x02ns\x03dns" + origin
            servers, owners = self._servers()
            glue = [wire.address(a, ttl, server) for a in servers]
            return of_records(AA, [wire.record(TO_QUESTION, NS, ttl, server)], additional=glue, owners=owners)
        return self._found([], origin, (WHOLE,))

    def _servers(self) -> tuple[list[bytes], tuple[bytes, ...]]:
        """The ClusterIPs of the Services that this server is an endpoint of, else its own addresses; and what they hang on."""
        own = sorted(set(self._own()))
        found: list[bytes] = []
        owners = [WHOLE, *map(owner_of_address, own)]
        for address in own:
            for row in self.store.slices.values():
                if row.size == len(address) and address in row.packed and address in addresses_of(row):
                    owners.append(row.service)
                    service = self.store.services.get(row.service)
                    found += [a for a in (service.addresses if service else ()) if a not in found]
        return found or own, tuple(dict.fromkeys(owners))

    def _service(self, labels: list[bytes], origin: bytes, kind: int) -> Answer:
        if not labels:
            return self._found([], origin, (WHOLE,))
        namespace = labels[-1]
        if not self._exposed(namespace):
            return self._missing(origin, (owner_of_namespace(namespace.decode("latin-1")),))
        if len(labels) == 1:
            return self._found([], origin, (owner_of_namespace(namespace.decode("latin-1")),))
        key = bytes((len(labels[-2]),)) + labels[-2] + bytes((len(namespace),)) + namespace
        service = self.store.services.get(key)
        if service is None:
            return self._missing(origin, (key,))
        if service.external:
            return self._external(service, labels, origin, key)
        if self.settings.ignore_empty_service and not service.is_headless and not any(self.store.endpoints(service)):
            return self._missing(origin, (key,))
        match len(labels):
            case 2:
                return self._base(service, origin, kind)
            case 3:
                return self._below(service, labels[0], origin, kind)
        return self._port(service, labels[0], labels[1], origin, kind)

    def _external(self, service: ServiceRow, labels: list[bytes], origin: bytes, key: bytes) -> Answer:
        if len(labels) > 2:
            return self._missing(origin, (key,))
        try:
            target = wire.from_text(service.external)
        except ValueError:
            return failure(SERVFAIL, (key,))
        # A target like 192.0.2.7 is a name of digits too (Service API, externalName).
        alias = [wire.record(TO_QUESTION, CNAME, self.settings.ttl, target)]
        return of_records(AA, alias, owners=(key,))._replace(target=target)

    def _base(self, service: ServiceRow, origin: bytes, kind: int) -> Answer:
        owners = (service.key,)
        if not service.is_headless:
            if kind == SRV:
                return self._srv(service, [(p.number, b"") for p in service.ports], origin, owners)
            return self._found(self._of_kind(service.addresses, kind), origin, owners)
        endpoints = self._endpoints(service)
        if not endpoints:
            return self._missing(origin, owners)
        if kind == SRV:
            rows = [(p.number, e.label) for e in endpoints for p in e.row.ports]
            return self._srv(service, rows, origin, owners)
        return self._found(self._of_kind(_unique(e.address for e in endpoints), kind), origin, owners)

    def _below(self, service: ServiceRow, label: bytes, origin: bytes, kind: int) -> Answer:
        """An endpoint's name; or a protocol, which exists where a port of it has a name (RFC 8020)."""
        owners = (service.key,)
        if label.startswith(b"_"):
            exists = any(p.name and p.protocol == label[1:] for p in self._all_ports(service))
            return self._found([], origin, owners) if exists else self._missing(origin, owners)
        found = [e for e in self._endpoints(service) if e.label == label]
        if not found:
            return self._missing(origin, owners)
        if kind == SRV:
            return self._srv(service, [(p.number, e.label) for e in found for p in e.row.ports], origin, owners)
        return self._found(self._of_kind(_unique(e.address for e in found), kind), origin, owners)

    def _port(self, service: ServiceRow, port: bytes, protocol: bytes, origin: bytes, kind: int) -> Answer:
        owners = (service.key,)
        if not (port.startswith(b"_") and protocol.startswith(b"_")):
            return self._missing(origin, owners)
        port, protocol = port[1:], protocol[1:]
        if service.is_headless:
            rows = [
                (p.number, e.label)
                for e in self._endpoints(service)
                for p in e.row.ports
                if p.name and (p.name, p.protocol) == (port, protocol)
            ]
        else:
            rows = [(p.number, b"") for p in service.ports if p.name and (p.name, p.protocol) == (port, protocol)]
        if not rows:
            return self._missing(origin, owners)
        if kind != SRV:
            return self._found([], origin, owners)
        return self._srv(service, rows, origin, owners)

    def _srv(
        self, service: ServiceRow, rows: list[tuple[int, bytes]], origin: bytes, owners: tuple[bytes, ...]
    ) -> Answer:
        """SRV records to (port, endpoint's label or the Service itself), and the targets' addresses beside them. Weights
        share a hundred, as CoreDNS has it."""
        rows = [r for r in dict.fromkeys(rows) if r[0]]
        ttl, base = self.settings.ttl, service.key + b"\x03svc" + origin
        weight = max(100 // len(rows), 1) if rows else 0
        answers, glue = [], []
        addresses: dict[bytes, list[bytes]] = {}
        if any(target for _, target in rows):
            for endpoint in self._endpoints(service):
                addresses.setdefault(endpoint.label, []).append(endpoint.address)
        told: set[bytes] = set()
        for number, target in rows:
            host = (bytes((len(target),)) + target if target else b"") + base
            data = b"\0\0" + weight.to_bytes(2, "big") + number.to_bytes(2, "big") + host
            answers.append(wire.record(TO_QUESTION, SRV, ttl, data))
            if target not in told:
                told.add(target)
                glue += [wire.address(a, ttl, host) for a in (addresses[target] if target else service.addresses)]
        if not answers:
            return self._found([], origin, owners)
        return of_records(AA, answers, additional=glue, owners=owners)

    # pods

    def _pod(self, labels: list[bytes], origin: bytes, kind: int) -> Answer:
        if not labels:
            return self._found([], origin, (WHOLE,))
        namespace = labels[-1].decode("latin-1")
        owners: tuple[bytes, ...] = (owner_of_namespace(namespace),)
        if self.settings.pods == "disabled" or not self._exposed(labels[-1]):
            return self._missing(origin, owners)
        if len(labels) == 1:
            return self._found([], origin, owners)
        text = labels[0].decode("latin-1")
        dotted = text.count("-") == 3 and "--" not in text
        address = _as_address(text.replace("-", "." if dotted else ":"))
        if address is None:
            return self._missing(origin, owners)
        if self.settings.pods == "verified":
            owners = (*owners, owner_of_pod(address))
            if (namespace, address) not in self.store.pods:
                return self._missing(origin, owners)
        return self._found(self._of_kind([address], kind), origin, owners)

    # addresses to names

    def _reverse(self, name: bytes, zone: bytes, kind: int) -> Answer:
        if name == zone:
            return self._apex(zone, kind)
        address = wire.reverse_address(name)
        if address is None:
            return self._missing(zone, ())
        owners = (owner_of_address(address),)
        origin = self.origins[0] if self.origins else b"\0"
        hosts = [
            key + b"\x03svc" + origin
            for key in self.store.services_at(address)
            if self._exposed(wire.labels_of(key + b"\0")[1])
        ]
        if not hosts and not self.settings.noendpoints:
            hosts = [
                bytes((len(label),)) + label + service.key + b"\x03svc" + origin
                for service, label in self.store.endpoints_at(address)
                if self._exposed(wire.labels_of(service.key + b"\0")[1])
            ]
        if not hosts:
            return self._missing(zone, owners)
        rows = [wire.record(TO_QUESTION, PTR, self.settings.ttl, host) for host in dict.fromkeys(sorted(hosts))]
        return self._found(rows if kind == PTR else [], zone, owners)

    # pieces

    def _exposed(self, namespace: bytes) -> bool:
        return namespace.decode("latin-1") in self.store.namespaces

    def _endpoints(self, service: ServiceRow) -> list[Endpoint]:
        return [] if self.settings.noendpoints else list(self.store.endpoints(service))

    def _all_ports(self, service: ServiceRow) -> Iterable[Port]:
        if service.is_headless:
            return (p for e in self._endpoints(service) for p in e.row.ports)
        return service.ports

    def _of_kind(self, addresses: Iterable[bytes], kind: int) -> list[bytes]:
        ttl = self.settings.ttl
        size = {A: 4, AAAA: 16}.get(kind)
        return [wire.address(a, ttl) for a in addresses if len(a) == size]

    def _found(self, records: list[bytes], origin: bytes, owners: tuple[bytes, ...]) -> Answer:
        """The records, or NODATA with the SOA where there are none of this type."""
        if records:
            return of_records(AA, records, owners=owners)
        return of_records(AA | NOERROR, [], [self._soa(origin, origin)], owners=owners)

    def _missing(self, origin: bytes, owners: tuple[bytes, ...]) -> Answer:
        return of_records(AA | NXDOMAIN, [], [self._soa(origin, origin)], owners=owners)

    def _soa(self, origin: bytes, owner: bytes = TO_QUESTION) -> bytes:
        return soa(owner, origin, self.store.serial, self.settings.ttl)


def soa(owner: bytes, origin: bytes, serial: int, ttl: int) -> bytes:
    """A zone's SOA (RFC 2308): what is not there is forgotten as soon as what is. MNAME and RNAME as CoreDNS has them."""
    numbers = b"".join(n.to_bytes(4, "big") for n in (serial & 0xFFFFFFFF, 7200, 1800, 86400, ttl))
    return wire.record(owner, SOA, ttl, b"\x02ns\x03dns" + origin + b"\x0ahostmaster" + origin + numbers)


def _unique(addresses: Iterable[bytes]) -> list[bytes]:
    return list(dict.fromkeys(addresses))


def _as_address(text: str) -> bytes | None:
    try:
        return ipaddress.ip_address(text).packed
    except ValueError:
        return None
