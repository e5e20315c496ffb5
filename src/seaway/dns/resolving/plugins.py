"""What `hosts`, `rewrite` and `log` decide, as answers in bytes; pure."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterator

from seaway.dns import hostsfile, querylog, wire
from seaway.dns.answer import Answer, expand, failure, of_records, wire_records
from seaway.dns.patterns import pattern
from seaway.dns.querylog import Exchange
from seaway.dns.rewriting import VALUE_TYPES, Back, Rewritten
from seaway.dns.settings import Block, Consolidation, Errors, Hosts, Log, Name
from seaway.dns.wire import AA, FIXED, NOERROR, PTR, TO_QUESTION

LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO, "debug": logging.DEBUG}
AT_NAME = {wire.NS: 0, wire.CNAME: 0, wire.SOA: 0, wire.PTR: 0, wire.MX: 2, wire.SRV: 6, 39: 0}  # where the name is in the data


class HostsPlugin:
    """A block's `hosts`: its rows, and its answers."""

    def __init__(self, hosts: Hosts, zones: tuple[Name, ...]) -> None:
        self._hosts, self._zones = hosts, zones
        self._tables = hostsfile.table(hosts, "", zones)

    def load(self, text: str) -> None:
        self._tables = hostsfile.table(self._hosts, text, self._zones)

    def names(self) -> Iterator[bytes]:
        for table in self._tables:
            for rows in (table.v4, table.v6):
                yield from (wire.name_of(name) for name in rows)

    def passes(self, origin: Name) -> bool:
        """Whether all names of a domain that have no row are the next plugin's."""
        within, hosts = hostsfile.within, self._hosts
        near = any(within(origin, (z,)) or within(z, (origin,)) for z in hosts.zones or self._zones)
        return not near or (hosts.fallthrough is not None and within(origin, hosts.fallthrough))

    def answer(self, name: bytes, kind: int) -> Answer | None:
        """None: the next plugin's."""
        found = hostsfile.answer(self._hosts, self._tables, self._zones, wire.to_name(name), kind)
        if found is None:
            return None
        ttl = self._hosts.ttl
        rows = [wire.address(ipaddress.ip_address(a).packed, ttl) for a in found.addresses]
        rows += [wire.record(TO_QUESTION, PTR, ttl, wire.name_of(n)) for n in found.names]
        return of_records(AA | found.rcode, rows) if found.rcode == NOERROR else failure(found.rcode)


def turned_back(answer: Answer, asked: bytes, rewritten: Rewritten) -> Answer:
    """The answer to a rewritten question as the asker's: its question stands in front of it again, so every name that pointed
    there is written out, then turned as the rules say."""
    back = rewritten.back
    question = wire.name_of(rewritten.name)
    sections = [wire_records(answer, question, section) for section in range(3)]
    body, ttls = bytearray(), []
    for records in sections:
        for record in records:
            owner, at = expand(record, 0)
            kind, cls, ttl, _ = FIXED.unpack_from(record, at)
            if kind != wire.OPT:
                ttl = back.ttl(ttl)
            data = _value(record[at + 10 :], kind, back)
            turned = wire.name_of(back.owner(wire.to_name(owner)))
            body += TO_QUESTION if turned == asked else turned
            if answer.ttls:
                ttls.append(len(body) + 4)
            body += FIXED.pack(kind, cls, ttl, len(data)) + data
    flags = (answer.flags & ~15) | back.rcode(answer.rcode) & 15
    return answer._replace(flags=flags, body=bytes(body), run=(0, 0, 0), ttls=tuple(ttls), target=b"")


def _value(data: bytes, kind: int, back: Back) -> bytes:
    at = AT_NAME.get(kind)
    if at is None or kind not in VALUE_TYPES or not back.values:
        return data
    name, end = expand(data, at)
    return data[:at] + wire.name_of(back.value(wire.to_name(name))) + data[end:]


class LogPlugin:
    """A block's `log` rules."""

    def __init__(self, block: Block) -> None:
        self._rules: tuple[Log, ...] = block.logs

    def line(self, exchange: Exchange, answered: int, soa: bool) -> str | None:
        """The line for an exchange; None: it is not logged."""
        rule = querylog.rule_for(self._rules, exchange.name)
        if rule is None:
            return None
        told = querylog.class_of(exchange.opcode, exchange.kind, exchange.rcode or 0, answered, soa)
        return querylog.line(rule.format)(exchange) if querylog.logs(rule, told) else None


class ErrorLines:
    """Which errors are told when: alike ones (`consolidate`) once a period with their number, others at most a few a second."""

    MOST = 20  # lines a second

    def __init__(self) -> None:
        self._second, self._number = 0, 0
        self._counted: dict[Consolidation, tuple[float, int]] = {}

    def told(self, errors: Errors, text: str, now: float) -> tuple[int, int]:
        """(how many this line stands for, its level); 0: say nothing now."""
        for rule in errors.consolidate:
            if pattern(rule.pattern).find(text, 2000) is None:
                continue
            began, number = self._counted.get(rule, (now, 0))
            number += 1
            if now - began >= rule.period:
                self._counted[rule] = (now, 0)
                return number, LEVELS[rule.level]
            self._counted[rule] = (began, number)
            return (1 if rule.show_first and number == 1 else 0), LEVELS[rule.level]
        if int(now) != self._second:
            self._second, self._number = int(now), 0
        self._number += 1
        return (1 if self._number <= self.MOST else 0), LEVELS["error"]
