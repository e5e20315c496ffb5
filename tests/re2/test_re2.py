"""Patterns take time as their text is long, and no more."""

from __future__ import annotations

import random
import time

from seaway import re2
from seaway.re2 import machine, syntax

PARTS = (
    "a",
    "b",
    "ab",
    ".",
    "[a-b]",
    "[^a]",
    r"\w",
    r"\b",
    "(a|b)",
    "(?:ab)?",
    "^",
    "$",
    "|",
    "a*",
    "b+",
    "(a*b)*",
    "c{1,3}",
)


def test_a_pattern_that_backtracks_without_end_elsewhere_is_quick() -> None:
    started = time.process_time()
    for pattern in ("^(a+)+$", "^(a|aa)+$", "(.*)(.*)(.*)(.*)x", "^(a?){30}a{30}$"):
        assert not re2.compiled(pattern).matches("a" * 20_000 + "b")
    assert time.process_time() - started < 5


def test_automaton_and_engine_agree() -> None:
    chooser = random.Random(7)
    texts = ["".join(chooser.choices("abc\n", k=chooser.randint(0, 6))) for _ in range(60)]
    for _ in range(400):
        pattern = "".join(chooser.choices(PARTS, k=chooser.randint(1, 4)))
        found = re2.Regexp(pattern)
        automaton = machine.Machine(syntax.parse(pattern))
        assert [found.matches(t) for t in texts] == [automaton.matches(t) for t in texts], pattern


def test_states_of_the_automaton_are_forgotten_when_they_are_many() -> None:
    automaton = machine.Machine(syntax.parse("(a|b)*a(a|b){12}$"))
    chooser = random.Random(3)
    text = "".join(chooser.choices("ab", k=30_000))
    assert automaton.matches(text) == (text[-13] == "a")
    assert len(automaton._states) <= machine.MOST_STATES
