"""A query and the zone to an answer; pure. What the specification leaves open is as CoreDNS has it (design/dns.md)."""

from __future__ import annotations

from seaway.dns import message
from seaway.dns.message import IN, NOERROR, NXDOMAIN, REFUSED, SERVFAIL, Query
from seaway.dns.zone import AAAA, ANY, CNAME, NS, PTR, SOA, SRV, A, Name, Record, Zone

ARPA = (("in-addr", "arpa"), ("ip6", "arpa"))
POINTER_TO_QUESTION = b"\xc0\x0c"
TRANSFERS = (251, 252)


class Responder:
    """`zone_name` such as `cluster.local`; `synced` False answers SERVFAIL: not knowing is not NXDOMAIN."""

    def __init__(self, zone: Zone, zone_name: str) -> None:
        self.zone = zone
        self.origin: Name = tuple(zone_name.strip(".").lower().split("."))
        self.origin_wire = tuple(label.encode() for label in self.origin)
        self.synced = False
        self.rotation = 0

    def answer(self, query: Query, limit: int) -> bytes:
        if query.cls != IN or query.kind in TRANSFERS:
            return message.write(query, REFUSED, [], [], [], limit)
        if query.name[-len(self.origin) :] == self.origin:
            return self._inside(query, query.name[: -len(self.origin)], limit)
        if query.name[-2:] in ARPA:
            return self._reverse(query, limit)
        return message.write(query, REFUSED, [], [], [], limit)

    def _inside(self, query: Query, name: Name, limit: int) -> bytes:
        if not self.synced:
            return message.write(query, SERVFAIL, [], [], [], limit)
        records = self.zone.lookup(name)
        if records is None and len(name) == 3 and name[2] == "pod":
            records = self._pod(name)
        negative = [message.soa(self.origin_wire, self.zone.serial)]
        if records is None:
            return message.write(query, NXDOMAIN, [], negative, [], limit)
        if not name and query.kind in (SOA, NS):
            own = (
                negative
                if query.kind == SOA
                else [message.resource(POINTER_TO_QUESTION, Record(NS, ("ns", "dns")), self.origin_wire)]
            )
            return message.write(query, NOERROR, own, [], [], limit)
        chosen = [r for r in records if r.kind == query.kind or query.kind == ANY]
        if not chosen:
            chosen = [r for r in records if r.kind == CNAME]
        if not chosen:
            return message.write(query, NOERROR, [], negative, [], limit)
        if len(chosen) > 1 and chosen[0].kind in (A, AAAA):
            self.rotation += 1
            turn = self.rotation % len(chosen)
            chosen = chosen[turn:] + chosen[:turn]
        answers = [message.resource(POINTER_TO_QUESTION, r, self.origin_wire) for r in chosen]
        chased, additional = self._chase(query, chosen)
        return message.write(query, NOERROR, answers + chased, [], additional, limit)

    def _chase(self, query: Query, chosen: list[Record]) -> tuple[list[bytes], list[bytes]]:
        """A CNAME inside the zone is followed; the addresses of SRV targets ride along."""
        chased: list[bytes] = []
        additional: list[bytes] = []
        seen: set[Name] = set()
        for record in chosen:
            if record.kind == CNAME and record.data[-len(self.origin) :] == self.origin and record.data not in seen:
                seen.add(record.data)
                owner = message.wire_name(tuple(label.encode("latin-1") for label in record.data))
                rows = self.zone.lookup(record.data[: -len(self.origin)]) or []
                chased += [message.resource(owner, r, self.origin_wire) for r in rows if r.kind == query.kind]
            if record.kind == SRV:
                target = record.data[1]
                if target in seen:
                    continue
                seen.add(target)
                owner = message.wire_name(tuple(label.encode("latin-1") for label in target) + self.origin_wire)
                additional += [
                    message.resource(owner, r, self.origin_wire)
                    for r in self.zone.lookup(target) or []
                    if r.kind in (A, AAAA)
                ]
        return chased, additional

    @staticmethod
    def _pod(name: Name) -> list[Record] | None:
        """`1-2-3-4.<namespace>.pod`: the address in the name (CoreDNS's `pods insecure`)."""
        import ipaddress

        label = name[0]
        for text in (label.replace("-", "."), label.replace("-", ":")):
            try:
                address = str(ipaddress.ip_address(text))
            except ValueError:
                continue
            return [Record(AAAA if ":" in address else A, address)]
        return None

    def _reverse(self, query: Query, limit: int) -> bytes:
        if not self.synced:
            return message.write(query, SERVFAIL, [], [], [], limit)
        records = self.zone.pointer(query.name)
        if records is None:
            return message.write(query, NXDOMAIN, [], [message.soa(self.origin_wire, self.zone.serial)], [], limit)
        chosen = [r for r in records if query.kind in (PTR, ANY)]
        if not chosen:
            return message.write(query, NOERROR, [], [message.soa(self.origin_wire, self.zone.serial)], [], limit)
        return message.write(
            query, NOERROR, [message.resource(POINTER_TO_QUESTION, r, self.origin_wire) for r in chosen], [], [], limit
        )
