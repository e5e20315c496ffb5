"""A pattern as an automaton whose states are made as a text meets them: time grows with the text, never faster; pure.

Thompson's construction and a lazy DFA, as RE2's. Assertions are judged between a character and the next one.
"""

from __future__ import annotations

import bisect
from typing import NamedTuple

from seaway.re2.charsets import LAST, WORD, Ranges
from seaway.re2.syntax import Alt, Assert, At, Cat, Chars, Repeat, Tree

MOST_STEPS = 100_000
MOST_STATES = 2_000
MATCH = 0
NEWLINE: Ranges = ((0x0A, 0x0A),)


class TooLarge(Exception):
    """A pattern that would take too many steps."""


class _Step(NamedTuple):
    """A place in the automaton: it reads a character of a set, asks an assertion, or goes on in two ways."""

    ranges: Ranges | None
    at: At | None
    next: tuple[int, ...]


class _Before(NamedTuple):
    """What stands before a place: nothing, a newline, a word character."""

    begin: bool
    newline: bool
    word: bool


class Machine:
    """A compiled automaton; `matches` searches anywhere in a text."""

    def __init__(self, tree: Tree) -> None:
        self._steps: list[_Step] = [_Step(None, None, ())]
        self._start = self._build(tree, MATCH)
        sets = [s.ranges for s in self._steps if s.ranges is not None]
        bounds = {b for ranges in [*sets, WORD, NEWLINE] for low, high in ranges for b in (low, high + 1)}
        self._bounds = sorted(b for b in bounds if 0 < b <= LAST)
        # A character of each class stands for it: those of a class are in the same sets.
        self._examples = [0, *self._bounds]
        self._ascii = [bisect.bisect_right(self._bounds, code) for code in range(128)]
        self._clear()

    def _clear(self) -> None:
        self._numbers: dict[tuple[frozenset[int], _Before], int] = {}
        self._states: list[tuple[frozenset[int], _Before]] = []
        self._moves: list[dict[int, int]] = []
        self._ends: dict[int, bool] = {}

    def _add(self, ranges: Ranges | None, at: At | None, *following: int) -> int:
        if len(self._steps) >= MOST_STEPS:
            raise TooLarge
        self._steps.append(_Step(ranges, at, following))
        return len(self._steps) - 1

    def _build(self, tree: Tree, after: int) -> int:
        """The first step of a tree that goes on to `after`."""
        if isinstance(tree, Chars):
            return self._add(tree.ranges, None, after)
        if isinstance(tree, Assert):
            return self._add(None, tree.at, after)
        if isinstance(tree, Cat):
            for item in reversed(tree.items):
                after = self._build(item, after)
            return after
        if isinstance(tree, Alt):
            return self._add(None, None, *(self._build(item, after) for item in tree.items))
        return self._build_repeat(tree, after)

    def _build_repeat(self, tree: Repeat, after: int) -> int:
        if tree.most is None:
            loop = self._add(None, None)
            body = self._build(tree.item, loop)
            self._steps[loop] = _Step(None, None, (body, after))
            first = loop
        else:
            first = after
            for _ in range(tree.most - tree.least):
                first = self._add(None, None, self._build(tree.item, first), after)
        for _ in range(tree.least):
            first = self._build(tree.item, first)
        return first

    def matches(self, text: str) -> bool:
        """Whether the pattern matches anywhere in a text."""
        state = self._state(frozenset(), _Before(True, False, False))
        moves, ascii_, bounds = self._moves, self._ascii, self._bounds
        for character in text:
            code = ord(character)
            class_ = ascii_[code] if code < 128 else bisect.bisect_right(bounds, code)
            following = moves[state].get(class_)
            if following is None:
                following = self._move(state, class_)
                moves = self._moves  # it may have begun anew
            if following < 0:
                return True
            state = following
        if state not in self._ends:
            before = self._states[state]
            self._ends[state] = MATCH in self._reached(before[0], before[1], None)
        return self._ends[state]

    def _state(self, steps: frozenset[int], before: _Before) -> int:
        key = (steps, before)
        number = self._numbers.get(key)
        if number is None:
            if len(self._states) >= MOST_STATES:
                self._clear()
            number = self._numbers[key] = len(self._states)
            self._states.append(key)
            self._moves.append({})
        return number

    def _move(self, state: int, class_: int) -> int:
        """The state after a character of a class, -1 where the pattern has matched before it."""
        steps, before = self._states[state]
        code = self._examples[class_]
        reached = self._reached(steps, before, code)
        if MATCH in reached:
            self._moves[state][class_] = -1
            return -1
        found: set[int] = set()
        for number in reached:
            step = self._steps[number]
            if step.ranges is not None and _holds(step.ranges, code):
                found.update(step.next)
        moves = self._moves[state]
        following = self._state(frozenset(found), _Before(False, code == 0x0A, _holds(WORD, code)))
        moves[class_] = following
        return following

    def _reached(self, steps: frozenset[int], before: _Before, code: int | None) -> set[int]:
        """The steps that stand at a place without reading on; a match may begin anywhere. `code` is what comes next."""
        seen: set[int] = set()
        open_ = [*steps, self._start]
        while open_:
            number = open_.pop()
            if number in seen:
                continue
            seen.add(number)
            step = self._steps[number]
            if step.ranges is None and (step.at is None or _is_at(step.at, before, code)):
                open_.extend(step.next)
        return seen


def _holds(ranges: Ranges, code: int) -> bool:
    at = bisect.bisect_right(ranges, (code, LAST + 1))
    return at > 0 and ranges[at - 1][1] >= code


def _is_at(at: At, before: _Before, code: int | None) -> bool:
    if at is At.BEGIN_TEXT:
        return before.begin
    if at is At.BEGIN_LINE:
        return before.begin or before.newline
    if at is At.END_TEXT:
        return code is None
    if at is At.END_LINE:
        return code is None or code == 0x0A
    boundary = before.word != (code is not None and _holds(WORD, code))
    return boundary if at is At.BOUNDARY else not boundary
