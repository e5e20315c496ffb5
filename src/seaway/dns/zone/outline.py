"""Which Services there are, with their ClusterIPs, and no more: what a worker needs to deny random names by itself, and to know
the names that most ask for without asking; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from seaway.dns import wire
from seaway.dns.answer import Answer, of_records
from seaway.dns.settings import Kubernetes
from seaway.dns.wire import AA, AAAA, NXDOMAIN, A
from seaway.dns.zone.lookup import soa

SVC = b"\x03svc"
OWN = (SVC, b"\x03pod", b"\x03dns", b"\x0bdns-version")  # what else there is right below a cluster's domain

class Outline:
    """`synced` False: nothing is known, nothing is denied."""

    def __init__(self, settings: Kubernetes) -> None:
        self.settings = settings
        self.services: dict[bytes, bytes] = {}
        self.synced = False
        self.serial = 1
        self.origins = tuple(wire.name_of(z) for z in settings.zones if z[-1:] != ("arpa",))
        self.moved: list[Callable[[], None]] = []  # called when something is another

    def replace(self, services: Iterable[tuple[bytes, bytes]], serial: int) -> None:
        self.services, self.synced = dict(services), True
        self._moved(serial)

    def change(self, come: Iterable[tuple[bytes, bytes]], gone: Iterable[bytes], serial: int) -> None:
        for key in gone:
            self.services.pop(key, None)
        self.services.update(come)
        self._moved(serial)

    def _moved(self, serial: int) -> None:
        self.serial = serial
        for call in self.moved:
            call()

    def answer(self, name: bytes, kind: int) -> Answer | None:
        """The NXDOMAIN of a name whose Service is not there, the addresses of one that has ClusterIPs; None: ask the zone."""
        if not self.synced:
            return None
        for origin in self.origins:
            if not name.endswith(origin) or len(name) == len(origin) or not wire.is_below(name, origin):
                continue
            labels = wire.labels_of(name[: len(name) - len(origin)] + b"\0")
            records = [soa(origin, origin, self.serial, self.settings.ttl)]
            if labels[-1] != b"svc":
                own = bytes((len(labels[-1]),)) + labels[-1] in OWN
                return None if own else of_records(AA | NXDOMAIN, [], records)
            if len(labels) < 3:
                return None
            key = b"".join(bytes((len(label),)) + label for label in labels[-3:-1])
            packed = self.services.get(key)
            if packed is not None:
                return self._addresses(key, packed, origin, kind) if packed and len(labels) == 3 else None
            return of_records(AA | NXDOMAIN, [], records, owners=(key,))
        return None

    def _addresses(self, key: bytes, packed: bytes, origin: bytes, kind: int) -> Answer | None:
        if kind not in (A, AAAA):
            return None
        v4, v6 = (packed[:4], packed[4:]) if len(packed) != 16 else (b"", packed)
        found = v4 if kind == A else v6
        ttl = self.settings.ttl
        if found:
            return of_records(AA, [wire.address(found, ttl)], owners=(key,))
        return of_records(AA, [], [soa(origin, origin, self.serial, ttl)], owners=(key,))
