"""The `rewrite` plugin's rules applied (plugin/rewrite/*.go): a question turned into another, its answer turned back; pure.

A `Rewriter` holds compiled rules; `question` runs them in order until one that stops. What it did is a `Rewritten`, whose `back`
turns owner names, names in record data, TTLs and the rcode of the answer, the last rule's turns first. The question section of
the answer is the asker's own in any case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from seaway.dns.patterns import pattern, substituted
from seaway.dns.presentation import CLASSES, RCODE_NUMBERS, TYPES, name, text
from seaway.dns.settings import Name, Rewrite

MAX_TTL = (1 << 31) - 1
# Record types whose data holds a name that `answer value` and `answer auto` turn: NS, CNAME, SOA (its first), PTR, MX, SRV,
# NAPTR (its replacement), DNAME.
VALUE_TYPES = frozenset({2, 5, 6, 12, 15, 33, 35, 39})
_EDNS_ALWAYS = ("set", "append", "unset")  # an edns0 rule with `replace` is done only where the option is there

Turn = Callable[[str], str]


class Back(NamedTuple):
    """How an answer is turned back. Turns of texts are in the order in which they are made."""

    owners: tuple[Turn, ...] = ()
    values: tuple[Turn, ...] = ()
    ttls: tuple[tuple[int, int], ...] = ()  # bounds
    rcodes: tuple[tuple[int, int], ...] = ()  # from, to

    def owner(self, old: Name) -> Name:
        """The name that a record is given under."""
        return _turned(old, self.owners)

    def value(self, old: Name) -> Name:
        """The name in the data of a record whose type is of VALUE_TYPES."""
        return _turned(old, self.values)

    def ttl(self, seconds: int) -> int:
        for low, high in self.ttls:
            seconds = min(max(seconds, low), high)
        return seconds

    def rcode(self, code: int) -> int:
        for old, new in self.rcodes:
            code = new if code == old else code
        return code


NOTHING = Back()


class Rewritten(NamedTuple):
    """The question to ask in place of the asker's. Not `valid`: the rules made a name that is none; answer SERVFAIL."""

    name: Name
    kind: int
    cls: int
    back: Back = NOTHING
    valid: bool = True


class _Question(NamedTuple):
    text: str
    kind: int
    cls: int


class _Done(NamedTuple):
    """What a rule that matched made of the question, and its part of the way back, the turn to be made last first."""

    question: _Question
    owners: tuple[Turn, ...] = ()
    values: tuple[Turn, ...] = ()
    ttl: tuple[int, int] | None = None
    rcode: tuple[int, int] | None = None


_Rule = Callable[[_Question], _Done | None]


class Rewriter:
    """Rules, compiled once; PatternError for a regular expression that cannot be used."""

    def __init__(self, rules: Sequence[Rewrite]) -> None:
        self._rules = tuple((_compiled(rule), rule.stop) for rule in rules)

    def question(self, asked: Name, kind: int, cls: int) -> Rewritten:
        """`asked` in lower case. A question that no rule touches comes back as it is."""
        now = _Question(text(asked), kind, cls)
        done: list[_Done] = []
        for rule, stop in self._rules:
            result = rule(now)
            if result is None:
                continue
            if result.question.text != now.text and _name(result.question.text) is None:
                return Rewritten(asked, kind, cls, valid=False)
            now = result.question
            done.append(result)
            if stop:
                break
        if not done:
            return Rewritten(asked, kind, cls)
        last_first = done[::-1]
        back = Back(
            tuple(t for d in last_first for t in reversed(d.owners)),
            tuple(t for d in last_first for t in reversed(d.values)),
            tuple(d.ttl for d in last_first if d.ttl),
            tuple(d.rcode for d in last_first if d.rcode),
        )
        return Rewritten(_name(now.text) or (), now.kind, now.cls, back)


def _name(written: str) -> Name | None:
    try:
        return name(written)
    except ValueError:
        return None


def _turned(old: Name, turns: tuple[Turn, ...]) -> Name:
    """A name that would be none stays as it was."""
    if not turns:
        return old
    written = text(old)
    for turn in turns:
        written = turn(written)
    found = _name(written)
    return old if found is None else found


def _compiled(rule: Rewrite) -> _Rule:
    match rule.field:
        case "name":
            return _name_rule(rule)
        case "type":
            old, new = TYPES[rule.old], TYPES[rule.new]
            return lambda q: _Done(q._replace(kind=new)) if q.kind == old else None
        case "class":
            old, new = CLASSES[rule.old], CLASSES[rule.new]
            return lambda q: _Done(q._replace(cls=new)) if q.cls == old else None
        case "ttl":
            matches, bounds = _matcher(rule), _bounds(rule.new)
            return lambda q: _Done(q, ttl=bounds) if matches(q.text) else None
        case "rcode":
            matches, codes = _matcher(rule), (_code(rule.rcode), _code(rule.new))
            return lambda q: _Done(q, rcode=codes) if matches(q.text) else None
    # edns0 and cname have no effect here, and still end the chain where CoreDNS would end it
    always = rule.field == "cname" or rule.edns[1].lower() in _EDNS_ALWAYS
    return lambda q: _Done(q) if always else None


def _code(word: str) -> int:
    return int(word) if word.isdigit() else RCODE_NUMBERS[word]


def _bounds(words: str) -> tuple[int, int]:
    """`30`, `5-60`, `-60`, `30-`."""
    low, dash, high = words.partition("-")
    return (int(low or 0), int(high or MAX_TTL)) if dash else (int(low), int(low))


def _matcher(rule: Rewrite) -> Callable[[str], bool]:
    old = rule.old
    match rule.match:
        case "exact":
            return lambda t: t == old
        case "prefix":
            return lambda t: t.startswith(old)
        case "suffix":
            return lambda t: t.endswith(old)
        case "substring":
            return lambda t: old in t
    compiled = pattern(old)
    return lambda t: compiled.find(t) is not None


def _name_rule(rule: Rewrite) -> _Rule:
    old, new, matches = rule.old, rule.new, _matcher(rule)
    owners = tuple(_by_pattern(source, to) for kind, source, to in rule.answers if kind == "name")
    values = tuple(_by_pattern(source, to) for kind, source, to in rule.answers if kind == "value")
    match rule.match:
        case "exact":
            change: Turn = lambda t: new  # noqa: E731
        case "prefix":
            change = lambda t: new + t[len(old) :]  # noqa: E731
        case "suffix":
            change = lambda t: t[: len(t) - len(old)] + new  # noqa: E731
        case "substring":
            change = lambda t: t.replace(old, new)  # noqa: E731
        case _:
            change = _by_pattern(old, new)

    def apply(q: _Question) -> _Done | None:
        if not matches(q.text):
            return None
        made = change(q.text)
        auto: tuple[Turn, ...] = ()
        if rule.answer_auto:
            auto = (_suffix(new, old) if rule.match == "suffix" else _remap(made, q.text),)
        return _Done(q._replace(text=made), (*auto, *owners), (*auto, *values))

    return apply


def _by_pattern(source: str, template: str) -> Turn:
    """The whole text becomes the template with its groups, if the pattern is found."""
    compiled = pattern(source)

    def turn(written: str) -> str:
        groups = compiled.find(written)
        return written if groups is None else substituted(template, groups)

    return turn


def _suffix(old: str, new: str) -> Turn:
    return lambda t: t[: len(t) - len(old)] + new if t.endswith(old) else t


def _remap(old: str, new: str) -> Turn:
    """A name and all below it."""
    below = "." + old
    return lambda t: new if t == old else t[: len(t) - len(old)] + new if t.endswith(below) else t
