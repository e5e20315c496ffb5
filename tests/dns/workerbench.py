"""A worker in the hand of a test: real blocks, table, engine and hot path; a clock, a socket, a zone and upstreams that are fakes."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable

import dns.message
import dns.rcode
import dns.rdatatype
from handclock import Clock
from packets import packet
from zonestates import Event, put

from seaway.dns import relayed, wire
from seaway.dns.access import Clients
from seaway.dns.answer import Answer
from seaway.dns.presentation import RCODE_NUMBERS, type_word
from seaway.dns.resolving.blocks import Blocks, Plan
from seaway.dns.resolving.course import Question
from seaway.dns.resolving.engine import Engine
from seaway.dns.serving.datagrams import Datagrams
from seaway.dns.settings import Block, Kubernetes
from seaway.dns.table import Table
from seaway.dns.tally import Tally
from seaway.dns.wire import IN, PAIR
from seaway.dns.zone.denials import Denials
from seaway.dns.zone.lookup import Zone
from seaway.dns.zone.outline import Outline
from seaway.dns.zone.store import Store

Then = Callable[[Answer | None], None]


class FakeSocket:
    """What Datagrams needs of a UDP socket."""

    family = socket.AF_INET

    def __init__(self) -> None:
        self.inbox: deque[tuple[bytes, tuple[str, int]]] = deque()
        self.sent: list[tuple[bytes, tuple[str, int]]] = []

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int]]:
        if not self.inbox:
            raise BlockingIOError
        data, address = self.inbox.popleft()
        return data[:size], address

    def sendto(self, data: bytes, address: tuple[str, int]) -> int:
        self.sent.append((data, address))
        return len(data)


class FakeZone:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def ask(self, name: bytes, kind: int, then: Then) -> None:
        bench = self._bench
        if bench.zone_held:
            bench.zone_waiting.append((name, kind, then))
        else:
            then(bench.zone.answer(name, kind))


class FakeUpstreams:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def ask(self, plan: Plan, number: int, question: Question, then: Then) -> None:
        text = f"> {wire.to_text(question.name)} {type_word(question.kind)}"
        self._bench.lines.append(text + (f" of forward {number}" if number else ""))
        self._bench.waiting.append((plan, question, then))

    def are_down(self, plan: Plan, name: bytes) -> bool:
        return self._bench.down


class Bench:
    """`zone_held`: what is asked of the zone waits for `zone_tells`."""

    def __init__(self, *blocks: Block, events: tuple[Event, ...] = (), limit: int = 0, zone_held: bool = False) -> None:
        self.clock, self.tally, self.store = Clock(), Tally(), Store()
        for event in events:
            put(self.store, event)
        kubernetes = next((b.kubernetes for b in blocks if b.kubernetes), None)
        self.outline: Outline | None = None
        if kubernetes is not None:
            self.zone = Zone(self.store, kubernetes)
            self.zone.synced = True
            self.outline = Outline(kubernetes)
            self.outline.replace([(k, self.zone.plain_addresses(k)) for k in self.store.services], 1)
        self.store.follow()
        self.plans = [Plan(block, self.outline if block.kubernetes else None) for block in blocks]
        self.blocks = Blocks(self.plans)
        self.table = Table(max(p.cache.entries for p in self.plans), max(p.cache.denial_entries for p in self.plans))
        self.lines: list[str] = []
        self.waiting: list[tuple[Plan, Question, Then]] = []
        self.zone_held, self.zone_waiting = zone_held, deque[tuple[bytes, int, Then]]()
        self.down = False
        self.engine = Engine(self.blocks, self.table, FakeZone(self), FakeUpstreams(self), self.clock, self.tally)
        rules = tuple(r for block in blocks for r in block.access)
        self.clients = Clients(limit, rules)
        self.sock = FakeSocket()
        denials = Denials(self.outline or Outline(Kubernetes(zones=())))
        self.face = Datagrams(self.sock, self.engine, self.clients, self.clock, self.tally, denials)  # type: ignore[arg-type]
        self.table.hots.append(self.face.hot)
        if self.outline is not None and self.blocks.denies_alone(self.outline.origins):
            self.face.short = self.face.denials.short

    def zone_tells(self) -> None:
        name, kind, then = self.zone_waiting.popleft()
        then(self.zone.answer(name, kind))

    def tell(self, *rows: str, tc: bool = False) -> None:
        """The upstream's answer to the oldest question: `TTL TYPE DATA` rows, an rcode, or `nothing`."""
        plan, question, then = self.waiting.pop(0)
        if rows == ("nothing",):
            then(None)
            return
        section = question.name + PAIR.pack(question.kind, IN)
        if rows[:1] and rows[0] in RCODE_NUMBERS:
            message = self._message(section, question, [], list(rows[1:]), RCODE_NUMBERS[rows[0]], tc)
        else:
            message = self._message(section, question, list(rows), [], 0, tc)
        then(relayed.read(message, section, plan.rules(question.name), self.clock.now))

    def _message(self, section: bytes, question: Question, rows: list[str], soa: list[str], code: int, tc: bool) -> bytes:
        name = wire.to_text(question.name)
        lines = ["id 1", "opcode QUERY", "flags QR RD RA" + (" TC" if tc else ""), ";QUESTION", f"{name} IN TYPE{question.kind}"]
        lines.append(";ANSWER")
        for row in rows:
            ttl, rest = row.split(" ", 1)
            lines.append(f"{name} {ttl} IN {rest}")
        lines.append(";AUTHORITY")
        lines += [f". {row.split(' ')[1]} IN SOA ns. host. 1 2 3 4 {row.split(' ')[2]}" for row in soa]
        data = bytearray(dns.message.from_text("\n".join(lines)).to_wire())
        data[3] |= code
        return bytes(data)

    # clients

    def send(self, asked: str, kind: str | int = "A", client: str = "10.0.0.1", **more: object) -> None:
        data = packet(asked, kind, **more)  # type: ignore[arg-type]
        self.sock.inbox.append((data, (client, 4000)))
        self.face.readable()

    def asks(self, asked: str, kind: str | int = "A", client: str = "10.0.0.1", **more: object) -> list[str]:
        """A query, and what happens at once: questions to upstreams and replies."""
        self.send(asked, kind, client, **more)
        return self.transcript()

    def transcript(self) -> list[str]:
        found, self.lines = self.lines, []
        found += [f"< {shown(data)}" for data, _ in self.sock.sent]
        self.sock.sent.clear()
        return found

    def passed(self, seconds: float) -> None:
        self.clock.passed(seconds)
        if seconds >= 1:
            self.clients.second()

    def change(self, *events: Event) -> None:
        """A watch event, as it reaches a worker."""
        for event in events:
            put(self.store, event)
        changes = self.store.take()
        assert self.outline is not None
        self.outline.change([(k, self.zone.plain_addresses(k)) for k in changes.come], changes.gone, self.store.serial)
        self.engine.void(sorted(changes.owners))

    def number(self, what: str, *labels: str) -> float:
        return self.tally.numbers.get((what, labels), 0)


def shown(reply: bytes) -> str:
    """`TTL TYPE DATA` of each answer, the owner before it where it is not the question's; else the rcode."""
    message = dns.message.from_wire(reply, one_rr_per_rrset=True)
    asked = message.question[0].name if message.question else None
    rows = [
        ("" if one.name == asked else f"{one.name} ") + f"{one.ttl} {dns.rdatatype.to_text(one.rdtype)} {data}"
        for one in message.answer
        for data in one
    ]
    code = dns.rcode.to_text(message.rcode())
    text = " | ".join(rows) or ("NODATA" if code == "NOERROR" else code)
    return text + (" (cut)" if message.flags & 0x0200 else "")

