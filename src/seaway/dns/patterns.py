"""Regular expressions that a Corefile holds, in RE2's syntax, run by Python's `re` and bounded; pure.

CoreDNS is built on RE2, which takes linear time whatever the pattern; Python's matcher backtracks. So a pattern is read here
first (https://github.com/google/re2/wiki/Syntax), written anew in Python's syntax, and its steps against the longest name are
estimated: what could take too long is refused when the Corefile is read, and no query can make it slow afterwards.

A repeat costs nothing extra where the character after it cannot be one of its own ("[^.]+\\\\."): there is one place to stop.
Elsewhere it may stop anywhere, and the places of all such repeats multiply. A repeat of what may itself be read in several ways
("(a+)+") grows exponentially and is always refused.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import NamedTuple

from seaway.dns.patternsyntax import ALL, DOT, PatternError, Piece, parse

PATTERN_LIMIT = 10000  # CoreDNS's maxRegexpLen
TEXT_LIMIT = 320  # a name of 255 octets, a few of them escaped as \DDD
STEP_LIMIT = 400_000  # about 10 ms of a hostile name
_NAME, _LABELS, _LABEL = 255, 128, 64


class Cost(NamedTuple):
    """Of a piece: what it may begin with, whether it may be empty, and the places where its open repeats may stop."""

    first: int
    nullable: bool
    stops: tuple[int, ...] = ()


class Pattern(NamedTuple):
    """A pattern that is safe to run. `groups`: how many it captures."""

    source: str
    compiled: re.Pattern[str]
    anchored: bool
    groups: int

    def find(self, text: str, limit: int = TEXT_LIMIT) -> tuple[str, ...] | None:
        """The whole match and its groups ("" where one took no part), None where there is none or the text is too long."""
        if len(text) > limit:
            return None
        found = self.compiled.match(text) if self.anchored else self.compiled.search(text)
        return found and (found[0], *found.groups(""))


@lru_cache(maxsize=256)
def pattern(source: str) -> Pattern:
    """A pattern, read and bounded; PatternError says what is wrong with it and what to write instead."""
    if len(source) > PATTERN_LIMIT:
        raise PatternError(f"the regular expression is too long: {len(source)} characters, at most {PATTERN_LIMIT}")
    tree, text, groups = parse(source)
    cost = _cost(tree, 0)
    anchored = _anchored(tree)
    starts = 1 if anchored else _NAME
    steps = starts * math.prod(cost.stops) // math.factorial(len(cost.stops) + (0 if anchored else 1))
    if steps > STEP_LIMIT:
        raise PatternError(
            f"the regular expression {source!r} can take {steps:,} steps for one name, at most {STEP_LIMIT:,}: "
            "write [^.]+ for one label instead of .*, or begin with ^"
        )
    try:
        return Pattern(source, re.compile(text), anchored, groups)
    except (re.error, RecursionError, OverflowError) as e:
        raise PatternError(f"invalid regular expression {source!r}: {e}") from None


def substituted(template: str, groups: tuple[str, ...]) -> str:
    """`{0}`, `{1}` … replaced in turn, as CoreDNS does; what names no group stays."""
    for index, value in enumerate(groups):
        template = template.replace("{" + str(index) + "}", value)
    return template


def groups_used(template: str) -> int:
    """How many different groups a replacement names (rewrite's getSubExprUsage)."""
    return sum("{" + str(i) + "}" in template for i in range(101))


def _anchored(tree: Piece) -> bool:
    """Whether a match can only begin at the start. A leading `.*` is as good: if it matches later, it matches there."""
    if tree.kind == "sequence":
        return bool(tree.parts) and _anchored(tree.parts[0])
    if tree.kind == "group":
        return _anchored(tree.parts[0])
    if tree.kind == "choice":
        return all(_anchored(p) for p in tree.parts)
    if tree.kind == "repeat":
        inner = tree.parts[0]
        return tree.low == 0 and tree.high is None and inner.kind == "set" and inner.chars & DOT == DOT
    return tree.kind == "start"


def _cost(piece: Piece, after: int) -> Cost:
    """`after`: what may follow the piece; nothing (0) at the end of the pattern, where a greedy repeat is never asked back."""
    if piece.kind == "set":
        return Cost(piece.chars, False)
    if piece.kind == "group":
        return _cost(piece.parts[0], after)
    if piece.kind == "sequence":
        return _sequence(piece.parts, after)
    if piece.kind == "choice":
        costs = [_cost(p, after) for p in piece.parts]
        first = 0
        for cost in costs:
            first |= cost.first
        worst = max((c.stops for c in costs), key=math.prod, default=())
        return Cost(first, any(c.nullable for c in costs), (*worst, len(costs)) if _overlap(costs, after) else worst)
    if piece.kind == "repeat":
        return _repeat(piece, after)
    return Cost(0, True)  # start, end, boundary: no character


def _sequence(parts: tuple[Piece, ...], after: int) -> Cost:
    first, nullable = after, True
    stops: tuple[int, ...] = ()
    result = Cost(0, True)
    for part in reversed(parts):
        cost = _cost(part, first)
        stops = (*cost.stops, *stops)
        first = cost.first | (first if cost.nullable else 0)
        nullable = nullable and cost.nullable
        result = Cost((cost.first | result.first) if cost.nullable else cost.first, nullable, stops)
    return result


def _overlap(costs: list[Cost], after: int) -> bool:
    """Whether two branches may begin with the same character, so that a failed one is tried again as another."""
    seen = 0
    for cost in costs:
        reach = cost.first | (after if cost.nullable else 0)
        if reach & seen:
            return True
        seen |= reach
    return False


def _repeat(piece: Piece, after: int) -> Cost:
    low, high, inner = piece.low, piece.high, piece.parts[0]
    simple = _cost(inner, 0)
    nullable = low == 0 or simple.nullable
    if high == 0:
        return Cost(0, True)
    if high == 1:
        body = _cost(inner, after)
        doubt = low == 0 and bool((body.first & after) or body.nullable)
        return Cost(body.first, nullable, (*body.stops, 2) if doubt else body.stops)
    body = _cost(inner, simple.first | after)
    if body.stops or body.nullable:
        raise PatternError(
            "a repeat of what can itself be read in several ways, like (a+)+ or (a|ab)*, can take forever: "
            "let each round begin or end with a character that the rest of it cannot hold, like ([^.]+\\.)+"
        )
    if high == low or not body.first & after:
        return Cost(body.first, nullable)
    chars = inner.chars if inner.kind == "set" else ALL
    bound = _LABEL if not chars & 1 << ord(".") else _LABELS if after == 1 << ord(".") else _NAME
    return Cost(body.first, nullable, (min(bound, _NAME if high is None else high - low + 1),))
