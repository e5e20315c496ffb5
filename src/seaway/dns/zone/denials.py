"""The short way: random names in the cluster's zone, and those of search paths, are denied with hardly a look; pure."""

from __future__ import annotations

from seaway.dns.wire import AA, AD, CD, NXDOMAIN, OPT_DO, OPT_PLAIN, QR, RD
from seaway.dns.zone.lookup import soa
from seaway.dns.zone.outline import OWN, SVC, Outline

DENIALS = 4096
TRANSFERS = (b"\0\xfb", b"\0\xfc")
# Heads (flags and counts) of queries that the short way takes: RD and AD as they may be, one question, an OPT or none.
HEADS = {
    (flags | ad).to_bytes(2, "big") + b"\0\1\0\0\0\0\0" + bytes((extra,)): (flags & (RD | CD), extra)
    for flags in (0, RD, RD | CD)
    for ad in (0, AD)
    for extra in (0, 1)
}


class Denial:
    """What stands before and after the question in a reply of `short`; the type and size of the query; how often it was sent."""

    __slots__ = ("head", "hits", "kind", "size", "tail")

    def __init__(self, head: bytes, tail: bytes, kind: bytes, size: int) -> None:
        self.head, self.tail, self.kind, self.size, self.hits = head, tail, kind, size, 0


class Denials:
    """Of one socket, so that they are counted as its own. `short` gives replies to names that the outline does not know."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._denials: dict[tuple[bytes, bytes, int], Denial] = {}  # by flags and counts, what follows the name, its zone
        self._denied: dict[tuple[bytes, int, int], int] = {}
        outline.moved.append(self._forget)

    def short(self, data: bytes) -> bytes | None:
        """The reply (without id) to a plain query for a name that cannot be; None: not one of those. Nothing is parsed that
        need not be: this is what floods of random names, and search paths, cost."""
        outline = self._outline
        if not outline.synced:
            return None
        for origin in outline.origins:
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
                if not one or data[one:three].lower() in outline.services:
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
        tail = soa(zone, zone, self._outline.serial, self._outline.settings.ttl)
        if extra:
            tail += OPT_DO if rest[9] & 0x80 else OPT_PLAIN
        counts = b"\0\1\0\0\0\1\0\1" if extra else b"\0\1\0\0\0\1\0\0"
        found = Denial((QR | AA | NXDOMAIN | flags).to_bytes(2, "big") + counts, tail, data[end : end + 2], len(data))
        if len(self._denials) > DENIALS:
            self._forget()
        self._denials[(data[2:12], data[end:], at)] = found
        return found

    def take(self) -> dict[tuple[bytes, int, int], int]:
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
