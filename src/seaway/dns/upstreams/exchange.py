"""Questions on their way to upstreams. One goes out, a second (a hedge) when the first is late, to another where there is one;
the first good answer counts. Answers are held against the question they were asked for: socket, id, and every letter."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

from seaway.dns import relayed, wire
from seaway.dns.answer import Answer
from seaway.dns.presentation import RCODE_NUMBERS, rcode_word
from seaway.dns.resolving.course import Question
from seaway.dns.resolving.engine import Clock
from seaway.dns.settings import Cache, Forward, Upstream
from seaway.dns.tally import DURATIONS, Tally
from seaway.dns.upstreams.health import Choice, Watched
from seaway.dns.wire import FORMERR, HEADER, IN, NXDOMAIN, PAIR, RD, REFUSED, SERVFAIL

log = logging.getLogger("dns")
DEADLINE = 4.5  # seconds: a resolver's own patience is 5
HOPELESS = 0.3  # seconds, where every upstream is down or refuses: nobody shall wait long for what is not to be had
LATE = 1.0  # seconds after which a question without an answer counts against its upstream
AGAIN = (0.4, 0.8, 1.6)  # seconds between further questions
WITHOUT_EDNS = 300.0  # seconds that an upstream which knows no EDNS is asked without it
TICK = 0.01  # seconds between looks at what is late
HEAD = HEADER.pack(0, RD, 1, 0, 0, 1)[2:]
OPT = b"\0" + wire.FIXED.pack(wire.OPT, wire.UDP_LIMIT, 0, 0)
OPT_DO = b"\0" + wire.FIXED.pack(wire.OPT, wire.UDP_LIMIT, 0x8000, 0)
Then = Callable[[Answer | None], None]


class Way(Protocol):
    """How an upstream is reached: `ask` sends a question (without id) and calls back, later and once, with the whole message,
    or None where the address refuses. What it returns is forgotten with `drop`."""

    def ask(self, message: bytes, question: bytes, then: Callable[[bytes | None], None]) -> object: ...

    def drop(self, ticket: object) -> None: ...


class Target(Watched):
    """An upstream, the way to it, its name in metrics; until when it is asked without EDNS."""

    __slots__ = ("bare_until", "good", "text", "upstream", "way")

    def __init__(self, upstream: Upstream, way: Way, tally: Tally) -> None:
        super().__init__()
        self.upstream, self.way = upstream, way
        self.bare_until = 0.0
        host = f"[{upstream.host}]" if ":" in upstream.host else upstream.host
        self.text = f"{host}:{upstream.port}"
        self.good = tally.histogram("upstream", (self.text, "NOERROR"), DURATIONS)


class Asked(NamedTuple):
    """A question as it goes to upstreams, without id."""

    message: bytes
    question: bytes


def message_of(question: Question) -> Asked:
    section = question.name + PAIR.pack(question.kind, IN)
    if not question.do and not question.cd:
        return Asked(HEAD + section + OPT, section)
    flags = RD | (wire.CD if question.cd else 0)
    return Asked(HEADER.pack(0, flags, 1, 0, 0, 1)[2:] + section + (OPT_DO if question.do else OPT), section)


def bare(asked: Asked) -> bytes:
    """The question without its OPT record: what it asks for by that (DO) such an upstream does not have."""
    return asked.message[:8] + b"\0\0" + asked.question


class Exchange:
    """One question's tries. `bare`: those that went without EDNS."""

    __slots__ = (
        *("asked", "bare", "begun", "best", "deadline", "done", "due", "late"),
        *("order", "refused", "relay", "rules", "silent", "then", "tickets", "tries"),
    )

    def __init__(self, relay: Relay, asked: Asked, rules: Cache, then: Then) -> None:
        self.relay, self.asked, self.rules, self.then = relay, asked, rules, then
        self.order = relay.choice.order()
        self.begun = relay.clock.now
        self.deadline = HOPELESS if relay.choice.all_down else DEADLINE
        self.tries = self.late = self.refused = 0
        self.tickets: list[tuple[Target, object, float]] = []
        self.silent: set[int] = set()  # tries without a reply
        self.bare: tuple[int, ...] = ()
        self.best: Answer | None = None
        self.done = False
        self.due = 0.0

    def next(self) -> None:
        """One more try, and the time until the one after it."""
        relay, order = self.relay, self.order
        now = relay.clock.now
        tries = self.tries
        if tries:
            self._count_late(now)
            if now - self.begun >= self.deadline or (tries >= len(order) and self.best is not None):
                self.end(self.best)
                return
        target = order[tries % len(order)]
        wait = target.state.hedge() if tries < len(order) else AGAIN[min(tries - len(order), len(AGAIN) - 1)]
        self.tries = tries + 1
        self.due = min(now + wait, self.begun + self.deadline)
        self.tickets.append((target, self._send(target, now, tries), now))
        self.silent.add(tries)
        relay.wait(self)

    def _send(self, target: Target, now: float, tries: int) -> object:
        message = self.asked.message
        if target.bare_until > now:
            message, self.bare = bare(self.asked), (*self.bare, tries)
        return target.way.ask(message, self.asked.question, partial(self.answered, target, now, tries))

    def is_late(self) -> None:
        """Its time has come without an answer."""
        if self.tries > 1 or len(self.order) > 1:
            self.relay.tally.add("hedged", ())
        self.next()

    def _count_late(self, now: float) -> None:
        while self.late < len(self.tickets) and now - self.tickets[self.late][2] >= LATE:
            if self.late in self.silent:
                self.relay.failed(self.tickets[self.late][0])
            self.late += 1

    def answered(self, target: Target, sent: float, tries: int, message: bytes | None) -> None:
        if self.done:
            return
        relay = self.relay
        now = relay.clock.now
        self.silent.discard(tries)
        if message is None:  # refused, or its connection ended
            relay.failed(target)
            self.refused += 1
            if self.refused >= len(self.order) and self.deadline > HOPELESS:
                self.deadline = HOPELESS
                self.due = max(min(self.due, self.begun + HOPELESS), now)
                relay.wait(self)
            self._instead()
            return
        try:
            answer = relayed.read(message, self.asked.question, self.rules, now)
        except relayed.Unusable:
            relay.tally.add("unusable", (target.text,))
            self._instead()
            return
        if not tries or len(self.order) > 1:
            target.state.measured(now - sent)
        relay.heard(target)
        code = answer.flags & 15
        if code == FORMERR and tries not in self.bare and not relayed.has_additional(message):
            # RFC 6891 6.2.2, 7: without an OPT record in return it is EDNS that was not understood.
            if not target.bare_until:
                log.info("upstream %s knows no EDNS: it is asked without", target.text)
            target.bare_until = now + WITHOUT_EDNS
            self.tickets[tries] = (target, self._send(target, now, tries), now)
            self.silent.add(tries)
            return
        if not code:
            target.good.observe(now - sent)
        else:
            relay.tally.histogram("upstream", (target.text, rcode_word(code)), DURATIONS).observe(now - sent)
            if code in relay.passed_on and len(self.order) > 1 and (self.tries < len(self.order) or self.silent):
                self.best = self.best or answer
                self._instead()
                return
        for earlier in self.silent:
            if earlier < tries and (other := self.tickets[earlier][0]) is not target:
                relay.suspect(other)
        self.end(answer)

    def _instead(self) -> None:
        """The next try at once, where there is an upstream that was not asked; else what is on its way is waited for."""
        if self.tries < len(self.order):
            self.next()
        elif self.best is not None and not self.silent:
            self.end(self.best)

    def end(self, answer: Answer | None) -> None:
        if self.done:
            return
        self.done = True
        tickets, self.tickets = self.tickets, []
        for target, ticket, _ in tickets:
            target.way.drop(ticket)
        self.relay.running -= 1
        self.then(answer)


class Relay:
    """A `forward`: its targets and their health, and what is on its way. `make_way` opens the way to an upstream."""

    def __init__(
        self, forward: Forward, make_way: Callable[[Upstream, Forward], Way], chance: random.Random, clock: Clock, tally: Tally
    ) -> None:
        self.forward, self.clock, self.tally = forward, clock, tally
        targets = [Target(u, make_way(u, forward), tally) for u in forward.upstreams]
        self.choice = Choice(targets, forward.policy, chance)
        self.passed_on = {SERVFAIL, REFUSED} | {RCODE_NUMBERS[r] for r in forward.failover_on}
        self.running = 0
        self._most = forward.max_concurrent
        self._waiting: dict[int, list[Exchange]] = {}  # by the tick in which they are late
        self._ticking, self._ticks = False, 0

    def ask(self, question: Question, rules: Cache, then: Then) -> None:
        if self._most and self.running >= self._most:
            self.tally.add("rejected", ())
            then(Answer(REFUSED, (0, 0, 0), b""))
            return
        choice = self.choice
        if not self.forward.upstreams:  # nobody was ever named: there is nothing beyond the cluster
            then(Answer(NXDOMAIN, (0, 0, 0), b""))
            return
        if not choice.targets or (self.forward.failfast_all_unhealthy and choice.all_down):
            then(None)
            return
        self.running += 1
        Exchange(self, message_of(question), rules, then).next()

    # what is late

    def wait(self, exchange: Exchange) -> None:
        """Looks at it when its time has come; one timer for all, since most are answered before."""
        self._waiting.setdefault(int(exchange.due / TICK) + 1, []).append(exchange)
        if not self._ticking:
            self._ticking, self._ticks = True, int(self.clock.now / TICK)
            self.clock.later(TICK, self._tick)

    def _tick(self) -> None:
        now = self.clock.now
        begun, self._ticks = self._ticks, int(now / TICK)
        for tick in range(begun + 1, self._ticks + 1):
            for exchange in self._waiting.pop(tick, ()):
                if not exchange.done and exchange.due <= now:
                    exchange.is_late()
        self._ticking = bool(self._waiting)
        if self._ticking:
            self.clock.later(TICK, self._tick)

    # health

    def heard(self, target: Target) -> None:
        if self.choice.answered(target):
            log.info("upstream %s answers again", target.text)

    def failed(self, target: Target) -> None:
        if self.choice.failed(target, self.forward.max_fails):
            log.warning("upstream %s does not answer: only probes go there until it does", target.text)
        if not target.state.probing and self.forward.max_fails:
            target.state.probing = True
            self._probe(target)

    def suspect(self, target: Target) -> None:
        """Another was quicker although it was asked later: a probe tells whether it is there at all."""
        if not target.state.fails:
            self.failed(target)

    def _probe(self, target: Target) -> None:
        """`. NS` until something comes back, whatever it is (as CoreDNS's health checks)."""
        state = target.state
        if not state.fails:
            state.probing = False
            return
        section = wire.name_of(self.forward.health_domain) + PAIR.pack(wire.NS, IN)
        flags = RD if self.forward.health_recursion else 0
        told: list[bytes | None] = []

        def then(reply: bytes | None) -> None:
            told.append(reply)
            if reply is not None:
                self.heard(target)

        ticket = target.way.ask(HEADER.pack(0, flags, 1, 0, 0, 0)[2:] + section, section, then)

        def after() -> None:
            if not told:
                target.way.drop(ticket)
            if not told or told[0] is None:
                self.tally.add("probe_failures", (target.text,))
                if self.choice.failed(target, self.forward.max_fails):
                    log.warning("upstream %s does not answer: only probes go there until it does", target.text)
            self._probe(target)

        self.clock.later(self.forward.health_interval, after)

    def loop_probe(self, target: Target, name: bytes) -> None:
        """A question that nobody but ourselves knows: whoever sees it come in knows that the upstream leads here."""
        if target in self.choice.targets:
            section = name + PAIR.pack(wire.HINFO, IN)
            ticket = target.way.ask(HEADER.pack(0, RD, 1, 0, 0, 0)[2:] + section, section, lambda reply: None)
            self.clock.later(LATE, lambda: target.way.drop(ticket))
