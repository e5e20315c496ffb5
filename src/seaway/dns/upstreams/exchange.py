"""Questions on their way to upstreams. One goes out, a second (a hedge) when the first is late, to another where there is one;
the first good answer counts. Answers are held against the question they were asked for: socket, id, and every letter."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

from seaway.dns import relayed, wire
from seaway.dns.answer import Answer
from seaway.dns.presentation import RCODE_NUMBERS, rcode_word
from seaway.dns.resolving.course import AskUpstream, Question
from seaway.dns.resolving.engine import Clock, Timer
from seaway.dns.settings import Cache, Forward, Upstream
from seaway.dns.tally import DURATIONS, Tally
from seaway.dns.upstreams.health import Choice, State
from seaway.dns.wire import HEADER, IN, PAIR, RD, REFUSED, SERVFAIL

log = logging.getLogger("dns")
DEADLINE = 4.5  # seconds: a resolver's own patience is 5
HOPELESS = 1.0  # seconds, where every upstream is down: nobody shall wait long for what is not to be had
LATE = 1.0  # seconds after which a question without an answer counts against its upstream
AGAIN = (0.4, 0.8, 1.6)  # seconds between further questions
OPT = b"\0" + wire.FIXED.pack(wire.OPT, wire.UDP_LIMIT, 0, 0)
OPT_DO = b"\0" + wire.FIXED.pack(wire.OPT, wire.UDP_LIMIT, 0x8000, 0)


class Way(Protocol):
    """How an upstream is reached: `ask` sends a question (without id) and calls back, later and once, with the whole message,
    or None where the address refuses. What it returns is forgotten with `drop`."""

    def ask(self, message: bytes, question: bytes, then: Callable[[bytes | None], None]) -> object: ...

    def drop(self, ticket: object) -> None: ...


class Asked(NamedTuple):
    """A question as it goes to upstreams, without id."""

    message: bytes
    question: bytes


def message_of(question: Question) -> Asked:
    section = question.name + PAIR.pack(question.kind, IN)
    flags = RD | (wire.CD if question.cd else 0)
    extra = OPT_DO if question.do else OPT
    return Asked(HEADER.pack(0, flags, 1, 0, 0, 1)[2:] + section + extra, section)


class Exchange:
    """One question's tries."""

    __slots__ = (
        *("asked", "begun", "best", "deadline", "done", "late", "order"),
        *("relay", "rules", "then", "tickets", "timer", "tries"),
    )

    def __init__(self, relay: Relay, asked: Asked, rules: Cache, then: Callable[[Answer | None], None]) -> None:
        self.relay, self.asked, self.rules, self.then = relay, asked, rules, then
        self.order = relay.choice.order()
        self.begun = relay.clock.now
        self.deadline = HOPELESS if relay.choice.all_down else DEADLINE
        self.tries = self.late = 0
        self.tickets: list[tuple[Upstream, object, float]] = []
        self.best: Answer | None = None
        self.done = False
        self.timer: Timer | None = None

    def next(self) -> None:
        """One more try, and the time until the one after it."""
        relay, now = self.relay, self.relay.clock.now
        while self.late < len(self.tickets) and now - self.tickets[self.late][2] >= LATE:
            relay.failed(self.tickets[self.late][0])
            self.late += 1
        if now - self.begun >= self.deadline or (self.tries >= len(self.order) and self.best is not None):
            self.end(self.best)
            return
        upstream = self.order[self.tries % len(self.order)]
        state = relay.choice.states[upstream]
        first = self.tries == 0
        wait = state.hedge() if self.tries < len(self.order) else AGAIN[min(self.tries - len(self.order), len(AGAIN) - 1)]
        self.tries += 1
        wait = min(wait, max(self.deadline - (now - self.begun), 0.001))
        ticket = relay.ways[upstream].ask(
            self.asked.message, self.asked.question, partial(self._answered, upstream, now, first)
        )
        self.tickets.append((upstream, ticket, now))
        self.timer = relay.clock.later(wait, self._late)

    def _late(self) -> None:
        if not self.done:
            if self.tries > 1 or len(self.order) > 1:
                self.relay.tally.add("hedged", ())
            self.next()

    def _answered(self, upstream: Upstream, sent: float, first: bool, message: bytes | None) -> None:
        if self.done:
            return
        relay, now = self.relay, self.relay.clock.now
        if message is None:  # refused, or its connection ended
            relay.failed(upstream)
            self._instead()
            return
        try:
            answer = relayed.read(message, self.asked.question, self.rules, now)
        except relayed.Unusable:
            relay.tally.add("unusable", (relay.text(upstream),))
            self._instead()
            return
        relay.answered(upstream, now - sent if first or len(self.order) > 1 else None, answer.rcode, now - sent)
        if answer.rcode in relay.passed_on and len(self.order) > 1 and self.tries < len(self.order):
            self.best = self.best or answer
            self._instead()
            return
        self.end(answer)

    def _instead(self) -> None:
        """The next try at once, where there is an upstream that was not asked."""
        if self.tries < len(self.order):
            self._cancel()
            self.next()
        elif self.best is not None:
            self.end(self.best)

    def _cancel(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def end(self, answer: Answer | None) -> None:
        if self.done:
            return
        self.done = True
        self._cancel()
        relay = self.relay
        for upstream, ticket, _ in self.tickets:
            relay.ways[upstream].drop(ticket)
        relay.ended(self)
        self.then(answer)


class Relay:
    """A `forward`: its upstreams, their ways and health, and what is on its way. `make_way` opens the way to an upstream."""

    def __init__(
        self, forward: Forward, make_way: Callable[[Upstream, Forward], Way], choice: Choice[Upstream], clock: Clock, tally: Tally
    ) -> None:
        self.forward, self.choice, self.clock, self.tally = forward, choice, clock, tally
        self.ways = {u: make_way(u, forward) for u in choice.states}
        self._running: set[Exchange] = set()
        self._most = forward.max_concurrent
        self.passed_on = {SERVFAIL, REFUSED} | {RCODE_NUMBERS[r] for r in forward.failover_on}

    def ask(self, need: AskUpstream, then: Callable[[Answer | None], None]) -> None:
        if self._most and len(self._running) >= self._most:
            self.tally.add("rejected", ())
            then(Answer(REFUSED, (0, 0, 0), b""))
            return
        if self.choice.is_empty or (self.forward.failfast_all_unhealthy and self.choice.all_down):
            then(None)
            return
        exchange = Exchange(self, message_of(need.question), need.plan.cache, then)
        self._running.add(exchange)
        exchange.next()

    def loop_probe(self, upstream: Upstream, name: bytes) -> None:
        """A question that nobody but ourselves knows: whoever sees it come in knows that the upstream leads here."""
        if self.choice.has(upstream):
            section = name + PAIR.pack(wire.HINFO, IN)
            way = self.ways[upstream]
            ticket = way.ask(HEADER.pack(0, RD, 1, 0, 0, 0)[2:] + section, section, lambda reply: None)
            self.clock.later(LATE, lambda: way.drop(ticket))

    def ended(self, exchange: Exchange) -> None:
        self._running.discard(exchange)

    def answered(self, upstream: Upstream, took: float | None, rcode: int, measured: float) -> None:
        self.choice.states[upstream].answered(took)
        self.tally.observe("upstream", (self.text(upstream), rcode_word(rcode)), measured, DURATIONS)

    def failed(self, upstream: Upstream) -> None:
        state = self.choice.states[upstream]
        if state.failed(self.forward.max_fails):
            log.warning("upstream %s does not answer: only probes go there until it does", self.text(upstream))
        if state.fails >= 1 and not state.probing and self.forward.max_fails:
            state.probing = True
            self._probe(upstream, state)

    def _probe(self, upstream: Upstream, state: State) -> None:
        """`. NS` until something comes back, whatever it is (as CoreDNS's health checks)."""
        if not state.fails:
            state.probing = False
            return
        name = wire.name_of(self.forward.health_domain)
        section = name + PAIR.pack(wire.NS, IN)
        flags = RD if self.forward.health_recursion else 0
        message = HEADER.pack(0, flags, 1, 0, 0, 0)[2:] + section
        told: list[bytes | None] = []

        def then(reply: bytes | None) -> None:
            told.append(reply)
            if reply is not None:
                if state.down:
                    log.info("upstream %s answers again", self.text(upstream))
                state.answered(None)

        way = self.ways[upstream]
        ticket = way.ask(message, section, then)

        def after() -> None:
            if not told:
                way.drop(ticket)
            if not told or told[0] is None:
                state.failed_probes += 1
                self.tally.add("probe_failures", (self.text(upstream),))
                if state.failed(self.forward.max_fails):
                    log.warning("upstream %s does not answer: only probes go there until it does", self.text(upstream))
            self._probe(upstream, state)

        self.clock.later(self.forward.health_interval, after)

    @staticmethod
    def text(upstream: Upstream) -> str:
        host = f"[{upstream.host}]" if ":" in upstream.host else upstream.host
        return f"{host}:{upstream.port}"
