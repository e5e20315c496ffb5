"""A pattern compiled for matching: by Python's engine where that takes little time, by the automaton otherwise; pure."""

from __future__ import annotations

import functools
import re

from seaway.re2.charsets import LAST, Ranges
from seaway.re2.machine import Machine, TooLarge
from seaway.re2.syntax import (
    Alt,
    Assert,
    At,
    Cat,
    Chars,
    Repeat,
    SyntaxProblem,
    Tree,
    parse,
)

# The steps that backtracking may take at worst, and the choices outside of loops that may double them.
MOST_STEPS = 1_000_000
MOST_CHOICES = 8


class Regexp:
    """A pattern that matches anywhere in a text, as Go's MatchString."""

    __slots__ = ("_longest", "_machine", "_python", "_tree", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._tree = parse(text)
        self._longest = _longest(self._tree)
        self._python: re.Pattern[str] | None = None  # made when a text is to be matched: most patterns are only checked
        self._machine: Machine | None = None

    def matches(self, text: str) -> bool:
        if len(text) <= self._longest:
            if self._python is None:
                self._python = re.compile(_translated(self._tree), re.ASCII)
            return self._python.search(text) is not None
        if self._machine is None:
            try:
                self._machine = Machine(self._tree)
            except TooLarge:  # there is no cheaper way then
                self._python = re.compile(_translated(self._tree), re.ASCII)
                self._longest = LAST
                return self._python.search(text) is not None
        return self._machine.matches(text)


@functools.lru_cache(maxsize=4096)
def compiled(text: str) -> Regexp:
    """A pattern compiled, once for all schemas that have it; raises SyntaxProblem."""
    return Regexp(text)


def syntax_error(text: str) -> str:
    """Why a pattern is no regular expression, "" when it is one."""
    try:
        compiled(text)
    except SyntaxProblem as e:
        return str(e)
    except RecursionError:
        return str(SyntaxProblem("expression nests too deeply", text))
    return ""


def _longest(tree: Tree) -> int:
    """The longest text that Python's engine may have: loops over one set of characters cost a power of the length."""
    loops, choices = _cost(tree)
    if loops < 0 or choices > MOST_CHOICES:
        return 0
    power = loops + (0 if _is_anchored(tree) else 1)
    return int(MOST_STEPS ** (1 / power)) if power else LAST


def _cost(tree: Tree) -> tuple[int, int]:
    """Loops and choices of a tree; loops are -1 where one has more than a set of characters inside."""
    if isinstance(tree, Repeat):
        if isinstance(tree.item, Chars):
            return (0, 0) if tree.most == tree.least else (1, 0)
        if (tree.least, tree.most) == (0, 1):
            loops, choices = _cost(tree.item)
            return loops, choices + 1
        return -1, 0
    if isinstance(tree, Assert):
        return (-1, 0) if tree.at is At.NO_BOUNDARY else (0, 0)  # Python's \B differs on an empty text
    if isinstance(tree, Chars):
        return 0, 0
    below = [_cost(item) for item in tree.items]
    if any(loops < 0 for loops, _ in below):
        return -1, 0
    choices = sum(c for _, c in below) + (len(below) - 1 if isinstance(tree, Alt) else 0)
    return sum(loops for loops, _ in below), choices


def _is_anchored(tree: Tree) -> bool:
    """Whether a match can begin at the start of a text only."""
    if isinstance(tree, Cat):
        return bool(tree.items) and _is_anchored(tree.items[0])
    if isinstance(tree, Alt):
        return all(map(_is_anchored, tree.items))
    return isinstance(tree, Assert) and tree.at is At.BEGIN_TEXT


def _translated(tree: Tree) -> str:
    """A tree in Python's syntax."""
    if isinstance(tree, Chars):
        return _class(tree.ranges)
    if isinstance(tree, Assert):
        return tree.at.value
    if isinstance(tree, Cat):
        return "".join(map(_translated, tree.items))
    if isinstance(tree, Alt):
        return f"(?:{'|'.join(map(_translated, tree.items))})"
    most = "" if tree.most is None else tree.most
    return f"(?:{_translated(tree.item)}){{{tree.least},{most}}}"


def _class(ranges: Ranges) -> str:
    if not ranges:
        return r"(?!)"
    if ranges == ((0, LAST),):
        return r"(?s:.)"
    return "[" + "".join(f"{_character(low)}-{_character(high)}" for low, high in ranges) + "]"


def _character(code: int) -> str:
    return f"\\U{code:08x}"
