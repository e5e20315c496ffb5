"""Questions to upstreams as transcripts: `> a` a question goes out to `a`, `< TEXT` what the asker is told, with milliseconds."""

from __future__ import annotations

import random

import pytest
from handclock import Clock
from packets import ID, name

from seaway.dns.answer import Answer
from seaway.dns.presentation import RCODE_NUMBERS, rcode_word
from seaway.dns.resolving.course import Question
from seaway.dns.settings import Cache, Forward, Upstream
from seaway.dns.tally import Tally
from seaway.dns.upstreams.exchange import Relay, message_of
from seaway.dns.upstreams.health import FIRST_HEDGE, LEAST_HEDGE, MOST_HEDGE, Choice, State, Watched
from seaway.dns.wire import CD, FIXED, HEADER, IN, OPT, PAIR, QR, RA, RD, A, read

HOSTS = {"a": "192.0.2.1", "b": "192.0.2.2", "c": "192.0.2.3"}
WWW = Question(name("www.test"), A)


class Ask:
    """A question that is on its way: `answer`, `fail`, `refuse` or silence."""

    def __init__(self, way: FakeWay, message: bytes, question: bytes, then: object) -> None:
        self.way, self.message, self.question, self.then = way, message, question, then
        self.open = True

    def tell(self, message: bytes | None) -> None:
        assert self.open, "a way calls back once, and never after `drop`"
        self.open = False
        self.then(message)  # type: ignore[operator]


class FakeWay:
    def __init__(self, letter: str, bench: Bench) -> None:
        self.letter, self.bench = letter, bench
        self.asks: list[Ask] = []
        self.silent = self.refuses = False

    def ask(self, message: bytes, question: bytes, then: object) -> object:
        ask = Ask(self, message, question, then)
        self.asks.append(ask)
        self.bench.note(f"> {self.letter}" + ("" if question == message_of(WWW).question else " probe"))
        if self.refuses:
            self.bench.clock.later(0, lambda: ask.tell(None) if ask.open else None)
        return ask

    def drop(self, ticket: object) -> None:
        assert isinstance(ticket, Ask)
        ticket.open = False

    @property
    def open(self) -> list[Ask]:
        return [ask for ask in self.asks if ask.open]

    def answer(self, text: str = "192.0.2.80") -> None:
        """To the oldest question that is open: an address, an rcode, or bytes that make no sense."""
        ask = next(ask for ask in self.open if ask.question == message_of(WWW).question)
        if text == "nonsense":
            ask.tell(ID + HEADER.pack(0, QR, 1, 9, 9, 9)[2:] + ask.question)
            return
        text, _, edns = text.partition(" ")
        code = RCODE_NUMBERS.get(text, 0)
        opt = b"\0" + FIXED.pack(OPT, 1232, 0, 0) if edns else b""
        row = b"" if text in RCODE_NUMBERS else b"\xc0\x0c" + FIXED.pack(A, IN, 60, 4) + bytes(map(int, text.split(".")))
        ask.tell(ID + HEADER.pack(0, QR | RA | code, 1, 1 if row else 0, 0, 1 if opt else 0)[2:] + ask.question + row + opt)


class Bench:
    def __init__(self, letters: str = "ab", **forward: object) -> None:
        self.clock, self.tally = Clock(), Tally()
        self.lines: list[str] = []
        self.started = self.clock.now
        self.ways: dict[str, FakeWay] = {}
        by_host = {host: letter for letter, host in HOSTS.items()}

        def make(upstream: Upstream, _: Forward) -> FakeWay:
            letter = by_host[upstream.host]
            return self.ways.setdefault(letter, FakeWay(letter, self))

        forward = {"policy": "sequential", "upstreams": tuple(Upstream(HOSTS[x]) for x in letters), **forward}
        self.relay = Relay(Forward(**forward), make, random.Random(1), self.clock, self.tally)  # type: ignore[arg-type]

    def note(self, text: str) -> None:
        self.lines.append(f"{round((self.clock.now - self.started) * 1000)} {text}")

    def ask(self, question: Question = WWW) -> None:
        def told(answer: Answer | None) -> None:
            if answer is None:
                self.note("< nothing")
            elif answer.counts[0]:
                self.note("< " + ".".join(map(str, answer.body[-4:])))
            else:
                self.note("< " + rcode_word(answer.rcode))

        self.relay.ask(question, Cache(), told)

    def passed(self, milliseconds: float) -> None:
        self.clock.passed(milliseconds / 1000)

    def transcript(self) -> list[str]:
        found, self.lines = self.lines, []
        return found

    def settled(self) -> bool:
        """Nothing is on its way any more, nothing holds on to a question."""
        return self.relay.running == 0 and not any(ask.open for way in self.ways.values() for ask in way.asks)


def test_the_first_good_answer_is_the_answer() -> None:
    bench = Bench()
    bench.ask()
    bench.passed(7)
    bench.ways["a"].answer()
    assert bench.transcript() == ["0 > a", "7 < 192.0.2.80"]
    assert bench.settled()
    bench.passed(5000)
    assert bench.transcript() == []
    assert bench.clock.waiting == 0, "no timer turns when nothing is on its way"


@pytest.mark.parametrize("rcode", ["NXDOMAIN", "NOERROR", "NOTIMP", "FORMERR EDNS"])
def test_an_answer_that_is_no_failure_is_not_held_against_others(rcode: str) -> None:
    bench = Bench()
    bench.ask()
    bench.ways["a"].answer(rcode)
    assert bench.transcript() == ["0 > a", f"0 < {rcode.split()[0]}"]


def test_an_upstream_without_edns_is_asked_without_for_a_while() -> None:
    bench = Bench()
    bench.ask()
    bench.ways["a"].answer("FORMERR")
    bench.passed(5)
    bench.ways["a"].answer("192.0.2.80")
    assert bench.transcript() == ["0 > a", "0 > a", "5 < 192.0.2.80"]
    assert bench.settled()
    bench.ask()
    bench.ways["a"].answer("192.0.2.81")
    assert bench.transcript() == ["5 > a", "5 < 192.0.2.81"]
    bench.passed(301_000)
    bench.ask()
    bench.ways["a"].answer("192.0.2.82")
    went = [read(ID + ask.message).edns for ask in bench.ways["a"].asks if ask.question == message_of(WWW).question]
    assert went == [True, False, False, True], "RFC 6891 6.2.2: it may have learned it"


def test_who_finds_fault_without_edns_too_is_believed() -> None:
    bench = Bench()
    bench.ask()
    bench.ways["a"].answer("FORMERR")
    bench.ways["a"].answer("FORMERR")
    assert bench.transcript() == ["0 > a", "0 > a", "0 < FORMERR"]
    assert bench.settled()


def test_one_that_is_silent_without_edns_is_late_as_any_other() -> None:
    bench = Bench()
    bench.ask()
    bench.ways["a"].answer("FORMERR")
    bench.passed(150)
    bench.ways["b"].answer()
    assert bench.transcript()[-1] == "150 < 192.0.2.80"
    assert not bench.ways["a"].open or all(ask.question != message_of(WWW).question for ask in bench.ways["a"].open)


def test_a_second_is_asked_when_the_first_is_late() -> None:
    bench = Bench()
    bench.ask()
    bench.passed(150)
    bench.ways["b"].answer("192.0.2.81")
    lines = bench.transcript()
    assert lines[:1] + lines[2:] == ["0 > a", "150 > a probe", "150 < 192.0.2.81"]
    at, text = lines[1].split(" ", 1)
    assert (text, 100 <= int(at) <= 120) == ("> b", True)
    assert bench.relay.running == 0, "the first is not waited for"
    assert bench.tally.numbers[("hedged", ())] == 1


def test_the_late_first_may_still_win() -> None:
    bench = Bench()
    bench.ask()
    bench.passed(150)
    bench.ways["a"].answer()
    assert bench.transcript()[-1] == "150 < 192.0.2.80"
    assert bench.settled()


def test_a_hedge_comes_as_late_as_the_upstream_is_slow() -> None:
    bench = Bench()
    for _ in range(50):
        bench.ask()
        bench.passed(4)
        bench.ways["a"].answer()
    bench.transcript()
    started = bench.clock.now
    bench.started = started
    bench.ask()
    bench.passed(60)
    assert [line.split(" ", 1)[1] for line in bench.transcript()] == ["> a", "> b"], "20 ms, for one that needs 4"


def test_a_refused_address_is_passed_by_at_once() -> None:
    bench = Bench("abc")
    bench.ways["a"].refuses = bench.ways["b"].refuses = True
    bench.ask()
    bench.passed(1)
    bench.ways["c"].answer()
    lines = bench.transcript()
    assert [line for line in lines if "probe" not in line] == ["0 > a", "0 > b", "0 > c", "1 < 192.0.2.80"]
    assert [line for line in lines if "probe" in line] == ["0 > a probe", "0 > b probe"]


@pytest.mark.parametrize("code", ["SERVFAIL", "REFUSED"])
def test_a_failure_makes_the_next_be_asked_and_is_the_answer_if_there_is_no_better(code: str) -> None:
    bench = Bench()
    bench.ask()
    bench.ways["a"].answer(code)
    bench.ways["b"].answer("192.0.2.81")
    assert bench.transcript() == ["0 > a", "0 > b", "0 < 192.0.2.81"]
    bench.ask()
    bench.ways["a"].answer(code)
    bench.ways["b"].answer("SERVFAIL")
    assert bench.transcript() == ["0 > a", "0 > b", "0 < SERVFAIL"]
    bench.ask()
    bench.ways["a"].answer(code)
    bench.passed(450)
    lines = bench.transcript()
    assert lines[:2] == ["0 > a", "0 > b"]
    assert lines[2].endswith(f"< {code}"), "the second is late: what the first said is better than to wait"
    assert bench.settled()


def test_a_hedges_failure_does_not_hide_the_answer_that_comes_late() -> None:
    bench = Bench()
    bench.ask()
    bench.passed(120)
    bench.ways["b"].answer("SERVFAIL")
    assert [line.split(" ", 1)[1] for line in bench.transcript()] == ["> a", "> b"], "the first is still on its way"
    bench.passed(20)
    bench.ways["a"].answer()
    assert bench.transcript() == ["140 < 192.0.2.80"]
    assert bench.settled()


def test_failover_names_other_rcodes() -> None:
    bench = Bench(failover_on=("NXDOMAIN",))
    bench.ask()
    bench.ways["a"].answer("NXDOMAIN")
    bench.ways["b"].answer()
    assert bench.transcript() == ["0 > a", "0 > b", "0 < 192.0.2.80"]


def test_nonsense_is_passed_by() -> None:
    bench = Bench()
    bench.ask()
    bench.ways["a"].answer("nonsense")
    bench.ways["b"].answer()
    assert bench.transcript() == ["0 > a", "0 > b", "0 < 192.0.2.80"]


def test_one_upstream_is_asked_again_and_given_up_in_time() -> None:
    bench = Bench("a", max_fails=0)
    bench.ask()
    bench.passed(6000)
    lines = bench.transcript()
    assert [line.split(" ", 1)[1] for line in lines] == ["> a"] * (len(lines) - 1) + ["< nothing"]
    assert 4 <= len(lines) - 1 <= 6
    assert 4500 <= int(lines[-1].split()[0]) <= 4530
    assert bench.settled()
    assert bench.clock.waiting == 0


def test_an_answer_to_the_repeated_question_counts_too() -> None:
    bench = Bench("a")
    bench.ask()
    bench.passed(700)
    assert len(bench.ways["a"].open) == 3
    bench.ways["a"].answer()  # to the first of them: it was only late
    assert bench.transcript()[-1] == "700 < 192.0.2.80"
    assert bench.settled()


def test_who_is_silent_is_suspected_then_down_until_a_probe_is_answered() -> None:
    bench = Bench()
    state = bench.relay.choice.targets[0].state
    bench.ask()
    bench.passed(130)
    bench.ways["b"].answer()  # which was quicker, although it was asked later
    assert [line.split(" ", 1)[1] for line in bench.transcript()] == ["> a", "> b", "> a probe", "< 192.0.2.80"]
    assert (state.fails, state.down) == (1, False)
    bench.passed(510)  # the probe is not answered either
    assert state.down
    bench.transcript()
    bench.ask()
    bench.ways["b"].answer()
    assert [line.split(" ", 1)[1] for line in bench.transcript()] == ["> b", "< 192.0.2.80"], "nobody waits for it any more"
    bench.ways["a"].open[0].tell(ID + HEADER.pack(0, QR | 5, 1, 0, 0, 0)[2:])  # a reply, whatever it says
    assert not state.down
    bench.passed(5000)
    assert bench.tally.numbers[("probe_failures", ("192.0.2.1:53",))] == 1
    bench.transcript()
    bench.ask()
    assert [line.split(" ", 1)[1] for line in bench.transcript()] == ["> a"]


def test_a_probe_that_is_answered_clears_the_suspicion() -> None:
    bench = Bench()
    bench.ask()
    bench.passed(130)
    bench.ways["b"].answer()
    bench.ways["a"].open[0].tell(ID + HEADER.pack(0, QR, 1, 0, 0, 0)[2:])
    bench.passed(3000)
    state = bench.relay.choice.targets[0].state
    assert (state.fails, state.down, state.probing) == (0, False, False)


def test_all_that_refuse_are_given_up_soon_and_probed() -> None:
    bench = Bench()
    for way in bench.ways.values():
        way.refuses = True
    bench.ask()
    bench.passed(1200)
    lines = bench.transcript()
    told = [line for line in lines if "<" in line]
    assert len(told) == 1
    assert told[0].endswith("< nothing")
    assert int(told[0].split()[0]) <= 1030, "a resolver's patience is 5 s: nobody waits that long for what is not to be had"
    assert bench.relay.choice.all_down
    assert sum("probe" in line for line in lines) >= 4, "two a second for each"
    for way in bench.ways.values():
        way.refuses = False
    bench.passed(600)
    for way in bench.ways.values():
        way.open[0].tell(ID + HEADER.pack(0, QR, 1, 0, 0, 0)[2:] + way.open[0].question)
    assert not bench.relay.choice.all_down
    bench.passed(2000)
    bench.transcript()
    bench.passed(5000)
    assert bench.transcript() == [], "who answers is not probed"


def test_fail_fast_asks_nobody_when_all_are_down() -> None:
    bench = Bench("a", failfast_all_unhealthy=True)
    bench.ways["a"].refuses = True
    bench.ask()
    bench.passed(1500)
    bench.transcript()
    bench.ask()
    assert bench.transcript() == ["1500 < nothing"]


def test_more_than_max_concurrent_is_refused() -> None:
    bench = Bench("a", max_concurrent=2)
    for _ in range(3):
        bench.ask()
    assert bench.transcript() == ["0 > a", "0 > a", "0 < REFUSED"]
    assert bench.tally.numbers[("rejected", ())] == 1
    bench.ways["a"].answer()
    bench.ask()
    assert bench.transcript() == ["0 < 192.0.2.80", "0 > a"]


def test_hedges_come_in_time_whatever_else_waits() -> None:
    """A thousand questions that nobody answers, on their way to their third try, do not delay the second of another."""
    bench = Bench(max_fails=0)
    for _ in range(1000):
        bench.ask()
    bench.passed(620)
    bench.transcript()
    bench.ask(WWW._replace(name=name("other.test")))
    bench.passed(135)
    asked = [ask.way.letter for way in bench.ways.values() for ask in way.asks if ask.question.startswith(name("other.test"))]
    assert asked == ["a", "b"]


def test_a_question_goes_out_in_lower_case_with_our_opt() -> None:
    for question, flags in ((WWW, RD), (WWW._replace(do=True), RD), (WWW._replace(cd=True), RD | CD)):
        asked = message_of(question)
        query = read(ID + asked.message)
        assert (query.name, query.kind, query.flags, query.edns, query.size, query.do) == (
            name("www.test"), A, flags, True, 1232, question.do,
        )  # fmt: skip
        assert asked.question == name("www.test") + PAIR.pack(A, IN)


def test_a_loop_probe_goes_where_questions_go_and_never_where_they_do_not() -> None:
    bench = Bench()
    first, second = bench.relay.choice.targets
    bench.relay.loop_probe(first, name("probe.test"))
    assert bench.transcript() == ["0 > a probe"]
    bench.relay.choice.exclude(first)
    bench.relay.loop_probe(first, name("probe.test"))
    bench.ask()
    bench.ways["b"].answer()
    assert bench.transcript() == ["0 > b", "0 < 192.0.2.80"]
    bench.relay.choice.exclude(second)
    bench.ask()
    assert bench.transcript() == ["0 < nothing"], "everything leads back here"
    bench.passed(2000)
    assert bench.settled()


def choice(policy: str, number: int = 3) -> Choice[Watched]:
    return Choice([Watched() for _ in range(number)], policy, random.Random(4))


def test_policies_are_coredns() -> None:
    ordered = choice("sequential")
    assert all(ordered.order() == ordered.targets for _ in range(5))
    turning = choice("round_robin")
    firsts = [turning.targets.index(turning.order()[0]) for _ in range(6)]
    assert sorted(firsts[:3]) == sorted(firsts[3:]) == [0, 1, 2]
    dice = choice("random")
    assert {dice.targets.index(dice.order()[0]) for _ in range(100)} == {0, 1, 2}
    for each in (ordered, turning, dice):
        assert sorted(map(id, each.order())) == sorted(map(id, each.targets)), "each is asked in its turn"


@pytest.mark.parametrize("policy", ["sequential", "round_robin", "random"])
def test_who_is_down_comes_last(policy: str) -> None:
    some = choice(policy)
    down = some.targets[0]
    assert not some.failed(down, 2)
    assert some.failed(down, 2)
    assert not some.failed(down, 2), "it is so already"
    assert not some.all_down
    for _ in range(20):
        assert some.order()[-1] is down
    assert some.answered(down)
    assert not down.state.down
    assert some.answered(down) is False


def test_max_fails_0_takes_nobody_down() -> None:
    some = choice("random", 1)
    for _ in range(100):
        assert not some.failed(some.targets[0], 0)
    assert not some.all_down


def test_all_are_down_when_each_is_and_nobody_else_counts() -> None:
    some = choice("random")
    for target in some.targets:
        some.failed(target, 1)
    assert some.all_down
    some.exclude(some.targets[0])
    assert some.all_down
    some.answered(some.targets[0])
    assert not some.all_down


def test_a_hedge_is_worth_it_after_the_usual_time_and_its_spread() -> None:
    state = State()
    assert state.hedge() == FIRST_HEDGE
    state.measured(0.010)
    assert state.hedge() == pytest.approx(0.030)  # RFC 6298 2.2: the spread begins as half of it
    for _ in range(100):
        state.measured(0.010)
    assert state.hedge() == LEAST_HEDGE
    for _ in range(100):
        state.measured(3.0)
    assert state.hedge() == MOST_HEDGE
