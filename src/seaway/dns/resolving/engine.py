"""Queries in, replies out: what is known is said at once, what is not is asked for once for all who want it. The engine does no
I/O of its own: sinks take replies, `zone` and `upstreams` are asked, `clock` tells the time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from math import inf
from typing import NamedTuple, Protocol

from seaway.dns import wire
from seaway.dns.answer import Answer, aged, failure, image, images, minimal, of_records
from seaway.dns.presentation import type_word
from seaway.dns.querylog import Exchange
from seaway.dns.resolving.blocks import Blocks, Plan
from seaway.dns.resolving.counting import LABELS, Counting, Sink
from seaway.dns.resolving.course import AskUpstream, AskZone, Course, Need, Question, course
from seaway.dns.resolving.plugins import ErrorLines, LogPlugin
from seaway.dns.settings import Errors
from seaway.dns.table import Image, Known, Table, key_of
from seaway.dns.tally import Tally
from seaway.dns.wire import ANY, AXFR, IN, IXFR, NOERROR, NXDOMAIN, REFUSED, SERVFAIL, BadMessage, Query

log = logging.getLogger("dns")
RUNNING = 20_000  # questions on their way at once
VOIDED = 10_000  # owners that are remembered while questions are on their way
ANEW = 3  # times that a question is asked because of what changed meanwhile
STALE_WAIT = 0.03  # seconds that a fresh answer is waited for where a stale one is at hand
SECOND = 1.0
OBSOLETE = wire.record(wire.TO_QUESTION, wire.HINFO, 8482, b"\x08RFC 8482\0")  # RFC 8482 4.2


class Zone(Protocol):
    def ask(self, name: bytes, kind: int, then: Callable[[Answer | None], None]) -> None: ...


class Upstreams(Protocol):
    def ask(self, plan: Plan, number: int, question: Question, then: Callable[[Answer | None], None]) -> None: ...

    def are_down(self, plan: Plan, name: bytes) -> bool: ...


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    """`now`: monotonic seconds, as they were when the loop last woke."""

    @property
    def now(self) -> float: ...

    def later(self, seconds: float, call: Callable[[], None]) -> Timer: ...


class Waiter(NamedTuple):
    query: Query
    bytes: bytes  # the query from byte 2 on
    sink: Sink
    address: tuple[object, ...]
    began: float


class Run:
    """A question on its way. `stale`: what may be said meanwhile; `since`: the last change that it knows of; `times`: how often
    it was asked."""

    __slots__ = ("course", "key", "plan", "question", "since", "stale", "timed", "times", "waiters", "zone")

    def __init__(
        self, course: Course | None, question: Question, key: bytes, plan: Plan, zone: bytes, stale: Known | None
    ) -> None:
        self.course, self.question, self.key, self.plan, self.zone, self.stale = course, question, key, plan, zone, stale
        self.timed = False
        self.since = self.times = 0
        self.waiters: list[Waiter] = []


class Engine:
    """One port's blocks. `handle` takes a packet that the hot path could not answer."""

    def __init__(self, blocks: Blocks, table: Table, zone: Zone, upstreams: Upstreams, clock: Clock, tally: Tally) -> None:
        self.blocks, self.table, self._zone, self._upstreams = blocks, table, zone, upstreams
        self._clock, self._tally = clock, tally
        self.running: dict[bytes, Run] = {}
        self._turn = 0
        self.errors = ErrorLines()
        self._changes = self._void_all = 0
        self._voided: dict[bytes, int] = {}
        self.counting = Counting(tally)
        self.probes: dict[bytes, Callable[[], None]] = {}  # names that tell of a loop: what to do when one comes in

    def handle(self, data: bytes, sink: Sink, address: tuple[object, ...]) -> None:
        try:
            query = wire.read(data)
        except BadMessage as e:
            if e.reply:
                sink.send(e.reply, address)
                self._tally.add("responses", ("dropped", e.word, ""))
            else:
                self._tally.add("ignored", ())
            return
        self.answer(Waiter(query, data[2:], sink, address, self._clock.now))

    def answer(self, waiter: Waiter) -> None:
        query = waiter.query
        found = self.blocks.find(query.name)
        if query.cls != IN or query.kind in (AXFR, IXFR) or found is None:
            self._say(waiter, failure(REFUSED), found[0] if found else None, b"\0")
            return
        plan, zone = found
        if query.kind == wire.HINFO and (looped := self.probes.get(query.name)) is not None:
            looped()
            self._say(waiter, failure(REFUSED), plan, zone)
            return
        if plan.access:
            verdict = plan.access.verdict(str(waiter.address[0]), query.name, query.kind)
            if verdict != "allow":
                self._tally.add("acl", (verdict, wire.to_text(zone)))
                if verdict != "drop":
                    self._say(waiter, failure(REFUSED if verdict == "block" else NOERROR), plan, zone)
                return
        if query.kind == ANY and plan.block.hinfo_for_any:
            self._say(waiter, of_records(0, [OBSOLETE]), plan, zone)
            return
        key = key_of(query.name, query.kind, query.do, bool(query.flags & wire.CD))
        known = self.table.get(key)
        if known is not None and known.answer.until > self._clock.now:
            self._say_known(waiter, known, plan, zone)
            return
        self._ask(waiter, key, known, plan, zone)

    def void(self, owners: Iterable[bytes] | None) -> None:
        """What the zone said of these is no longer so, nor what is on its way to be said of them; None: of all."""
        if owners is None:
            self.table.clear_zone()
        else:
            self.table.void(owners)
        if not self.running:
            self._voided.clear()
            return
        self._changes += 1
        if owners is None or len(self._voided) > VOIDED:
            self._voided.clear()
            self._void_all = self._changes
        else:
            self._voided.update(dict.fromkeys(owners, self._changes))

    def _is_void(self, run: Run, answer: Answer) -> bool:
        """Whether what an answer was made of changed while it was made."""
        since = run.since
        if self._changes == since or not answer.owners:
            return False
        return self._void_all > since or any(self._voided.get(owner, 0) > since for owner in answer.owners)

    # asking

    def _ask(self, waiter: Waiter, key: bytes, known: Known | None, plan: Plan, zone: bytes) -> None:
        query, now = waiter.query, self._clock.now
        stale = known if known is not None and known.answer.until + plan.cache.serve_stale > now else None
        if stale is not None and now - stale.failed < plan.cache.stale_recheck:
            self._say(waiter, self._old(stale.answer, plan), plan, zone)
            return
        run = self.running.get(key)
        if run is not None:
            run.waiters.append(waiter)
            run.stale = run.stale or stale
        elif len(self.running) >= RUNNING:
            self._say(waiter, failure(SERVFAIL), plan, zone)
            return
        else:
            run = self._start(key, query, plan, zone, stale)
            run.waiters.append(waiter)
            self._go(run)
        if stale is None or not run.waiters:
            return
        if not plan.cache.stale_verify or self._upstreams.are_down(plan, query.name):
            self._say_stale(run)
        elif not run.timed:
            run.timed = True
            self._clock.later(plan.cache.stale_verify_timeout or STALE_WAIT, lambda: self._say_stale(run))

    def _start(self, key: bytes, query: Query, plan: Plan, zone: bytes, stale: Known | None) -> Run:
        question = Question(query.name, query.kind, query.do, bool(query.flags & wire.CD))
        run = self.running[key] = Run(None, question, key, plan, zone, stale)
        return run

    def _go(self, run: Run) -> None:
        run.since, run.times = self._changes, run.times + 1
        if not run.plan.is_direct(run.question.name):
            run.course = course(self.blocks, run.plan, run.question)
        if run.course is None:
            self._upstreams.ask(run.plan, 0, run.question, partial(self._told, run))
        else:
            self._advance(run, None)

    def _told(self, run: Run, answer: Answer | None) -> None:
        """The upstream's answer where that is all there is to it: most of what is forwarded."""
        self._finish(run, self._failed(run.plan, run.question) if answer is None else answer)

    def _failed(self, plan: Plan, question: Question) -> Answer:
        """No upstream answered: kept for a moment, so that not everybody waits for that."""
        if plan.block.errors is not None:
            self._tell_error(plan, question)
        now = self._clock.now
        return failure(SERVFAIL)._replace(born=now, until=now + plan.cache.servfail_ttl)

    def _advance(self, run: Run, answer: Answer | None) -> None:
        assert run.course is not None
        try:
            need: Need = run.course.send(answer)
        except StopIteration as done:
            self._finish(run, done.value)
            return
        except Exception:
            log.exception("a question failed")
            self._tally.add("panics", ())
            self._finish(run, failure(SERVFAIL))
            return
        if isinstance(need, AskZone):
            self._zone.ask(need.name, need.kind, lambda told: self._advance(run, told))
            return
        self._ask_upstream(run, need)

    def _ask_upstream(self, run: Run, need: AskUpstream) -> None:
        plan, question = need.plan, need.question
        key = key_of(question.name, question.kind, question.do, question.cd)
        if key != run.key:
            known = self.table.get(key)
            if known is not None and known.answer.until > self._clock.now and known.answer.owners == need.owners:
                self._advance(run, aged(known.answer, self._clock.now))
                return

        def then(answer: Answer | None) -> None:
            if answer is None:
                answer = self._failed(plan, question)
            if need.owners:
                answer = answer._replace(owners=need.owners)
            if key != run.key and not self._is_void(run, answer):
                self._keep(key, answer, plan, question.name)
            self._advance(run, answer)

        self._upstreams.ask(plan, need.number, question, then)

    def _tell_error(self, plan: Plan, question: Question) -> None:
        """The `errors` plugin: a line for a question that no upstream answered, or one for many alike."""
        text = f"{wire.to_text(question.name)} {type_word(question.kind)}: no upstream answered"
        number, level = self.errors.told(plan.block.errors or Errors(), text, self._clock.now)
        if number:
            log.log(level, "%s", text if number == 1 else f"{text} (and {number - 1} alike)")

    def _finish(self, run: Run, answer: Answer) -> None:
        void = self._is_void(run, answer)
        if void and run.times < ANEW:
            self._go(run)
            return
        del self.running[run.key]
        now, stale = self._clock.now, run.stale
        if stale is not None and answer.rcode not in (NOERROR, NXDOMAIN) and self.table.get(run.key) is stale:
            stale.refreshing, stale.failed = False, now
            if stale.answer.until + run.plan.cache.serve_stale > now:
                self._say_stale(run)  # RFC 8767 4: better old than none
                return
        if run.plan.block.minimal:
            answer = minimal(answer)
        known = None if void else self._keep(run.key, answer, run.plan, run.key[:-3])
        waiters, run.waiters = run.waiters, []
        if answer.ttls:
            self._tally.add("cache_misses", (), len(waiters))
        if known is not None and answer.until != inf:
            # Most names outside are asked for once: whoever asks again makes the image.
            known.since, known.recent = now, len(waiters)
            known = None
        for waiter in waiters:
            if known is not None:
                self._say_known(waiter, known, run.plan, run.zone)
            else:
                self._say(waiter, answer, run.plan, run.zone)

    def _keep(self, key: bytes, answer: Answer, plan: Plan, name: bytes) -> Known | None:
        """Keeps an answer that may be said again: of the cluster's zone where its name is bounded, of others by the cache."""
        if answer.until == inf:
            return self.table.keep(key, answer) if answer.owners and answer.rcode == NOERROR else None
        if answer.flags & wire.TC or answer.until <= self._clock.now or not plan.is_kept(name, not answer.is_positive):
            self.table.drop(key)
            return None
        return self.table.keep(key, answer)

    def _say_stale(self, run: Run) -> None:
        """What is old, to all who wait; the question goes on for those who come."""
        run.timed = False
        if run.stale is None or not run.waiters:
            return
        old = self._old(run.stale.answer, run.plan)
        waiters, run.waiters = run.waiters, []
        for waiter in waiters:
            self._say(waiter, old, run.plan, run.zone)

    def _old(self, answer: Answer, plan: Plan) -> Answer:
        """An answer past its time, with the TTL that such are given."""
        self._tally.add("served_stale", ())
        body = bytearray(answer.body)
        for at in answer.ttls:
            body[at : at + 4] = plan.cache.stale_ttl.to_bytes(4, "big")
        return answer._replace(body=bytes(body))

    # saying

    def _say_known(self, waiter: Waiter, known: Known, plan: Plan, zone: bytes) -> None:
        query, sink = waiter.query, waiter.sink
        now = self._clock.now
        answer = known.answer
        if answer.ttls and not plan.cache.keepttl:
            answer = aged(answer, now)
        if not query.plain or plan.log is not None:
            self._say(waiter, answer, plan, zone)
            return
        until = inf if answer.until == inf else min(answer.born + SECOND, answer.until)
        limit = self._limit(query, plan, sink)
        if plan.block.loadbalance and answer.run[2] > 1:
            made = tuple(images(query, answer, limit))
        else:
            made = (image(query, answer, limit),)
        kept = Image(made, until, self.counting.same(self.counting.labels(query, answer, zone, len(made[0]) + 2)))
        asked = self.table.heat(known, sink.hot, waiter.bytes, kept)
        sink.send(query.id + kept.turn(), waiter.address)
        self.counting.took(zone).observe(now - waiter.began)
        if answer.until != inf and plan.cache.prefetch:
            self._prefetch(known, waiter, plan, zone, asked)

    def _prefetch(self, known: Known, waiter: Waiter, plan: Plan, zone: bytes, hits: int) -> None:
        """Asks again before the end for what is asked often. `hits`: replies since the last time here, without this one."""
        now, rules = self._clock.now, plan.cache
        if now - known.since > rules.prefetch_window:
            known.since, known.recent = now, 0
        known.recent += hits
        left, whole = known.answer.until - now, known.answer.until - known.answer.born
        if known.recent + 1 < rules.prefetch or known.refreshing or left > whole * rules.prefetch_percent / 100:
            return
        known.refreshing = True
        query = waiter.query
        key = key_of(query.name, query.kind, query.do, bool(query.flags & wire.CD))
        if key not in self.running:
            self._tally.add("prefetch", ())
            self._go(self._start(key, query, plan, zone, known))

    @staticmethod
    def _limit(query: Query, plan: Plan | None, sink: Sink) -> int:
        if sink.proto != "udp":
            return sink.limit
        bound = plan.block.bufsize if plan is not None else 0
        return min(query.size, sink.limit, bound or sink.limit)

    def _say(self, waiter: Waiter, answer: Answer, plan: Plan | None, zone: bytes) -> None:
        query, sink = waiter.query, waiter.sink
        self._turn += 1
        turn = self._turn if plan is not None and plan.block.loadbalance else 0
        reply = query.id + image(query, answer, self._limit(query, plan, sink), turn)
        sink.send(reply, waiter.address)
        took = self._clock.now - waiter.began
        if plan is None:
            zone = b""
        labels = self.counting.labels(query, answer, zone, len(reply))
        sink.counted[labels] = sink.counted.get(labels, 0) + 1
        if len(sink.counted) > LABELS:
            self.counting.fold(sink)
        self.counting.took(zone).observe(took)
        if plan is not None and plan.log is not None:
            self._log(plan.log, waiter, answer, len(reply), took)

    def _log(self, log_plugin: LogPlugin, waiter: Waiter, answer: Answer, size: int, took: float) -> None:
        query, address = waiter.query, waiter.address
        told = Exchange(
            wire.to_name(query.name), query.kind, query.cls, waiter.sink.proto, str(address[0]), int(str(address[1])), "",
            int.from_bytes(query.id, "big"), len(waiter.bytes) + 2, 0, query.do, query.size if query.edns else 0,
            answer.rcode, answer.flags | wire.QR | (query.flags & (wire.RD | wire.CD)), size, took,
        )  # fmt: skip
        line = log_plugin.line(told, answer.counts[0], bool(answer.counts[1]))
        if line is not None:
            log.info("%s", line)
