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
TRANSFERS = (b"\0\xfb", b"\0\xfc")
# Heads (flags and counts) of queries that the short way takes: RD and AD as they may be, one question, an OPT or none.
HEADS = {
    (flags | ad).to_bytes(2, "big") + b"\0\1\0\0\0\0\0" + bytes((extra,)): (flags & (RD | CD), extra)
    for flags in (0, RD, RD | CD)
    for ad in (0, wire.AD)
    for extra in (0, 1)
}


class Outline:
    """`synced` False: nothing is known, nothing is denied."""

    def __init__(self, settings: Kubernetes) -> None:
        self.settings = settings
        self.services: dict[bytes, bytes] = {}
        self.synced = False
        self.serial = 1
        self.origins = tuple(wire.name_of(z) for z in settings.zones if z[-1:] != ("arpa",))
        self._suffixes = tuple((SVC + o, o) for o in self.origins)
        self._tails: dict[tuple[bytes, int], bytes] = {}
        self.denied: dict[tuple[bytes, int], int] = {}  # (type, size of the query) of what `short` denied: how often

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
        self._tails.clear()

    @property
    def added(self) -> int:
        """Bytes that `short` adds to a query: the SOA."""
        return len(soa(b"\xc0\x0c", b"\xc0\x0c", self.serial, self.settings.ttl))

    def answer(self, name: bytes, kind: int) -> Answer | None:
        """The NXDOMAIN of a name below `svc` whose Service is not there, the addresses of one that has ClusterIPs; None: ask
        the zone."""
        if not self.synced:
            return None
        for suffix, origin in self._suffixes:
            if not name.endswith(suffix) or not wire.is_below(name, suffix):
                continue
            labels = wire.labels_of(name[: len(name) - len(suffix)] + b"\0")
            if len(labels) < 2:
                return None
            key = b"".join(bytes((len(label),)) + label for label in labels[-2:])
            packed = self.services.get(key)
            if packed is not None:
                return self._addresses(key, packed, origin, kind) if packed and len(labels) == 2 else None
            records = [soa(origin, origin, self.serial, self.settings.ttl)]
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
        """The reply (without id) to a plain query for a name that `denies`; None: not one of those. Nothing is parsed that
        need not be: this is what floods of random names cost."""
        head = HEADS.get(data[2:12])
        if head is None or not self.synced:
            return None
        for suffix, _ in self._suffixes:
            at = data.find(suffix, 12)
            if at <= 0:
                continue
            one, two, i = 0, 0, 12  # the starts of the last two labels before the suffix
            while i < at:
                one, two = two, i
                size = data[i]
                if not size or size > 63:
                    return None
                i += 1 + size
            end = at + len(suffix)
            if i != at or not one or end > 267 or data[one:at].lower() in self.services:
                return None
            rest = data[end + 2 :]
            tail = self._tails.get((rest, at))
            if tail is None:
                tail = self._tail(rest, at)
            if not tail or bool(head[1]) != (len(rest) > 2) or data[end : end + 2] in TRANSFERS:
                return None
            told = (data[end : end + 2], len(data))
            self.denied[told] = self.denied.get(told, 0) + 1
            flags = QR | AA | NXDOMAIN | head[0]
            counts = b"\0\1\0\0\0\1\0\1" if head[1] else b"\0\1\0\0\0\1\0\0"
            return flags.to_bytes(2, "big") + counts + data[12 : end + 4] + tail
        return None

    def _tail(self, rest: bytes, at: int) -> bytes:
        """SOA and OPT for a question whose class and OPT are `rest` and whose zone begins at `at` + 4: the SOA's names point
        there. Empty: not plain enough."""
        plain = rest[2:5] == b"\0\0\x29" and rest[7:11] in (b"\0\0\0\0", b"\0\0\x80\0") and rest[11:] == b"\0\0"
        tail = b""
        if rest[:2] == b"\0\1" and (len(rest) == 2 or plain):
            zone = (0xC000 | (at + len(SVC))).to_bytes(2, "big")
            tail = soa(zone, zone, self.serial, self.settings.ttl)
            if plain:
                tail += wire.OPT_DO if rest[9] & 0x80 else wire.OPT_PLAIN
        if len(self._tails) > 4096:
            self._tails.clear()
        self._tails[(rest, at)] = tail
        return tail
