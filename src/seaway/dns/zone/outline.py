"""Which Services there are, with their ClusterIPs, and no more: what a worker needs to deny random names by itself, and to know
the names that most ask for without asking; pure."""

from __future__ import annotations

from collections.abc import Iterable

from seaway.dns import wire
from seaway.dns.answer import Answer, of_records
from seaway.dns.settings import Kubernetes
from seaway.dns.wire import AA, AAAA, CD, NXDOMAIN, QR, RD, A
from seaway.dns.zone.lookup import soa

SVC = b"\x03svc"
OWN = (SVC, b"\x03pod", b"\x03dns", b"\x0bdns-version")  # what else there is right below a cluster's domain
DENIALS = 4096
TRANSFERS = (b"\0\xfb", b"\0\xfc")
# Heads (flags and counts) of queries that the short way takes: RD and AD as they may be, one question, an OPT or none.
HEADS = {
    (flags | ad).to_bytes(2, "big") + b"\0\1\0\0\0\0\0" + bytes((extra,)): (flags & (RD | CD), extra)
    for flags in (0, RD, RD | CD)
    for ad in (0, wire.AD)
    for extra in (0, 1)
}


class Denial:
    """What stands before and after the question in a reply of `short`; the type and size of the query; how often it was sent."""

    __slots__ = ("head", "hits", "kind", "size", "tail")

    def __init__(self, head: bytes, tail: bytes, kind: bytes, size: int) -> None:
        self.head, self.tail, self.kind, self.size, self.hits = head, tail, kind, size, 0


class Outline:
    """`synced` False: nothing is known, nothing is denied."""

    def __init__(self, settings: Kubernetes) -> None:
        self.settings = settings
        self.services: dict[bytes, bytes] = {}
        self.synced = False
        self.serial = 1
        self.origins = tuple(wire.name_of(z) for z in settings.zones if z[-1:] != ("arpa",))
        self._denials: dict[tuple[bytes, bytes, int], Denial] = {}  # by flags and counts, what follows the name, its zone
        self._denied: dict[tuple[bytes, int, int], int] = {}

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
        self._forget()

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

    def short(self, data: bytes) -> bytes | None:
        """The reply (without id) to a plain query for a name that cannot be; None: not one of those. Nothing is parsed that
        need not be: this is what floods of random names, and search paths, cost."""
        if not self.synced:
            return None
        for origin in self.origins:
            at = data.find(origin, 12)
            if at <= 12:
                continue
            one, two, three, i = 0, 0, 0, 12  # the starts of the last three labels before the zone
            while i < at:
                one, two, three = two, three, i
                size = data[i]
                if not size or size > 63:
                    return None
                i += 1 + size
            if i != at:
                return None
            last = data[three:at]
            if last == SVC:
                if not one or data[one:three].lower() in self.services:
                    return None
            elif last.lower() in OWN:
                return None
            end = at + len(origin)
            denial = self._denials.get((data[2:12], data[end:], at)) or self._denial(data, end, at)
            if denial is None:
                return None
            denial.hits += 1
            return denial.head + data[12 : end + 4] + denial.tail
        return None

    def _denial(self, data: bytes, end: int, at: int) -> Denial | None:
        """What stands around the question in the reply to a query whose name ends at `end`, in a zone that begins at `at`: the
        SOA's names point there. None: not plain enough."""
        head, rest = HEADS.get(data[2:12]), data[end + 2 :]
        plain = rest[2:5] == b"\0\0\x29" and rest[7:11] in (b"\0\0\0\0", b"\0\0\x80\0") and rest[11:] == b"\0\0"
        if head is None or end > 267 or data[end : end + 2] in TRANSFERS:
            return None
        flags, extra = head
        if rest[:2] != b"\0\1" or not (plain if extra else len(rest) == 2):
            return None
        zone = (0xC000 | at).to_bytes(2, "big")
        tail = soa(zone, zone, self.serial, self.settings.ttl)
        if extra:
            tail += wire.OPT_DO if rest[9] & 0x80 else wire.OPT_PLAIN
        counts = b"\0\1\0\0\0\1\0\1" if extra else b"\0\1\0\0\0\1\0\0"
        found = Denial((QR | AA | NXDOMAIN | flags).to_bytes(2, "big") + counts, tail, data[end : end + 2], len(data))
        if len(self._denials) > DENIALS:
            self._forget()
        self._denials[(data[2:12], data[end:], at)] = found
        return found

    def take_denied(self) -> dict[tuple[bytes, int, int], int]:
        """(type, size of the query, of the reply) of what `short` denied: how often since it was last taken."""
        self._forget(False)
        found, self._denied = self._denied, {}
        return found

    def _forget(self, wholly: bool = True) -> None:
        for denial in self._denials.values():
            if denial.hits:
                told = (denial.kind, denial.size, len(denial.tail) - (11 if denial.head[9] else 0) + denial.size)
                self._denied[told] = self._denied.get(told, 0) + denial.hits
                denial.hits = 0
        if wholly:
            self._denials.clear()
