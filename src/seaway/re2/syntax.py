"""Patterns parsed as Go's regexp/syntax does with its Perl flags, errors in the same words; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from seaway.re2 import charsets
from seaway.re2.charsets import Ranges

LIMIT = 1000
LARGEST = (128 << 20) // 40  # instructions: 128 MB of 40 bytes (syntax.maxSize)
COUNT = re.compile(r"\{(0|[1-9][0-9]*)(,(0|[1-9][0-9]*)?)?\}")
CONTROLS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class SyntaxProblem(ValueError):
    """A pattern that does not parse: the text is Go's."""

    def __init__(self, why: str, where: str) -> None:
        super().__init__(f"error parsing regexp: {why}: `{where}`")


class At(Enum):
    """Places that an assertion asks for."""

    BEGIN_TEXT = "\\A"
    END_TEXT = "\\Z"
    BEGIN_LINE = "(?m:^)"
    END_LINE = "(?m:$)"
    BOUNDARY = "\\b"
    NO_BOUNDARY = "\\B"


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set; of an empty set, none."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Assert:
    at: At


@dataclass(frozen=True, slots=True)
class Cat:
    items: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Alt:
    items: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`most` is None where there is no limit."""

    item: Tree
    least: int
    most: int | None


Tree = Chars | Assert | Cat | Alt | Repeat


@dataclass(slots=True)
class _Flags:
    fold: bool = False
    multi: bool = False
    dot_all: bool = False


@dataclass(slots=True)
class _Level:
    """An open parenthesis: the alternatives read so far, the one being read, and the flags that its end restores."""

    flags: _Flags
    alternatives: list[Tree]
    items: list[Tree]


def parse(text: str) -> Tree:
    """The tree of a pattern; raises SyntaxProblem."""
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.flags = _Flags()
        self.levels = [_Level(self.flags, [], [])]

    def parse(self) -> Tree:
        last_repeat = -1
        while self.at < len(self.text):
            before, character = self.at, self.text[self.at]
            repeat = -1
            if character in "*+?":
                self.at += 1
                least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[character]
                self._repeat(least, most, before, last_repeat, counted=False)
                repeat = before
            elif character == "{" and (count := COUNT.match(self.text, self.at)) is not None:
                self.at = count.end()
                self._count(count, before, last_repeat)
                repeat = before
            else:
                self._one(character)
            last_repeat = repeat
        if len(self.levels) > 1:
            raise SyntaxProblem("missing closing )", self.text)
        tree = _closed(self.levels[0])
        if _size(tree) > LARGEST:
            raise SyntaxProblem("expression too large", self.text)
        return tree

    def _push(self, tree: Tree) -> None:
        self.levels[-1].items.append(tree)

    def _literal(self, character: str) -> None:
        ranges = charsets.of(character)
        self._push(Chars(charsets.folded(ranges) if self.flags.fold else ranges))

    def _one(self, character: str) -> None:
        if character == "(":
            self._open()
        elif character == ")":
            self._close()
        elif character == "[":
            self._class()
        elif character == "\\":
            self._escape()
        else:
            self.at += 1
            self._simple(character)

    def _simple(self, character: str) -> None:
        multi = self.flags.multi
        if character == "|":
            level = self.levels[-1]
            level.alternatives.append(_joined(level.items))
            level.items = []
        elif character == "^":
            self._push(Assert(At.BEGIN_LINE if multi else At.BEGIN_TEXT))
        elif character == "$":
            self._push(Assert(At.END_LINE if multi else At.END_TEXT))
        elif character == ".":
            any_ = ((0, charsets.LAST),)
            self._push(Chars(any_ if self.flags.dot_all else charsets.negated(charsets.of("\n"))))
        else:
            self._literal(character)

    def _count(self, count: re.Match[str], before: int, last_repeat: int) -> None:
        least = int(count[1])
        most = least if count[2] is None else None if count[3] is None else int(count[3])
        if least > LIMIT or (most is not None and (most > LIMIT or least > most)):
            raise SyntaxProblem("invalid repeat count", count[0])
        self._repeat(least, most, before, last_repeat, counted=True)

    def _repeat(self, least: int, most: int | None, before: int, last_repeat: int, counted: bool) -> None:
        if self.text[self.at : self.at + 1] == "?":
            self.at += 1
        if last_repeat >= 0:  # a** is an error in Perl, and a++ means something else
            raise SyntaxProblem("invalid nested repetition operator", self.text[last_repeat : self.at])
        items = self.levels[-1].items
        if not items:
            raise SyntaxProblem("missing argument to repetition operator", self.text[before : self.at])
        tree = Repeat(items.pop(), least, most)
        if counted and (least >= 2 or (most or 0) >= 2) and not _repeats_fit(tree, LIMIT):
            raise SyntaxProblem("invalid repeat count", self.text[before : self.at])
        items.append(tree)

    def _open(self) -> None:
        if self.text.startswith("(?", self.at):
            self._perl_group()
            return
        self.at += 1
        self._open_level()

    def _open_level(self) -> None:
        if len(self.levels) > LIMIT // 4:  # upstream counts the height of the tree, which is at most 1000
            raise SyntaxProblem("expression nests too deeply", self.text)
        flags = self.flags
        self.levels.append(_Level(_Flags(flags.fold, flags.multi, flags.dot_all), [], []))

    def _close(self) -> None:
        if len(self.levels) == 1:
            raise SyntaxProblem("unexpected )", self.text)
        self.at += 1
        level = self.levels.pop()
        self.flags = level.flags
        self._push(_closed(level))

    def _perl_group(self) -> None:
        """A named group, a group of its own flags, or flags for the rest of this one."""
        start, text = self.at, self.text
        named = 4 if text.startswith("(?P<", start) else 3 if text.startswith("(?<", start) else 0
        if named and len(text) - start > named:
            end = text.find(">", start)
            if end < 0:
                raise SyntaxProblem("invalid named capture", text[start:])
            name = text[start + named : end]
            if re.fullmatch(r"[A-Za-z0-9_]+", name) is None:
                raise SyntaxProblem("invalid named capture", text[start : end + 1])
            self._open_level()
            self.at = end + 1
            return
        flags = _Flags(self.flags.fold, self.flags.multi, self.flags.dot_all)
        on, seen = True, False
        for at in range(start + 2, len(text)):
            character = text[at]
            if character in "imsU":
                seen = True
                if character != "U":
                    setattr(flags, {"i": "fold", "m": "multi", "s": "dot_all"}[character], on)
            elif character == "-" and on:
                on, seen = False, False
            elif character in ":)" and (on or seen):
                if character == ":":
                    self._open_level()
                self.flags, self.at = flags, at + 1
                return
            else:
                raise SyntaxProblem("invalid or unsupported Perl syntax", text[start : at + 1])
        raise SyntaxProblem("invalid or unsupported Perl syntax", text[start:])

    def _escape(self) -> None:
        following = self.text[self.at + 1 : self.at + 2]
        asserts = {"A": At.BEGIN_TEXT, "z": At.END_TEXT, "b": At.BOUNDARY, "B": At.NO_BOUNDARY}
        if following in asserts and following:
            self.at += 2
            self._push(Assert(asserts[following]))
        elif following == "C":
            raise SyntaxProblem("invalid escape sequence", "\\C")
        elif following == "Q":
            end = self.text.find("\\E", self.at + 2)
            literal = self.text[self.at + 2 : end if end >= 0 else None]
            self.at = end + 2 if end >= 0 else len(self.text)
            for character in literal:
                self._literal(character)
        elif (ranges := self._group()) is not None:
            self._push(Chars(ranges))
        else:
            self._literal(self._escaped())

    def _group(self) -> Ranges | None:
        """`\\p{Greek}` or `\\d` where one stands here; moves on."""
        kind = self.text[self.at + 1 : self.at + 2]
        if self.text[self.at : self.at + 1] != "\\" or not kind:
            return None
        if kind.lower() in charsets.PERL:
            self.at += 2
            ranges = charsets.PERL[kind.lower()]
            if self.flags.fold:
                ranges = charsets.folded(ranges)
            return charsets.negated(ranges) if kind.isupper() else ranges
        return self._unicode() if kind in "pP" else None

    def _unicode(self) -> Ranges | None:
        start, text = self.at, self.text
        if len(text) == start + 2:
            return None  # upstream reads an ordinary escape here, which \p is none
        negative = text[start + 1] == "P"
        if text[start + 2] != "{":
            name, self.at = text[start + 2], start + 3
        else:
            end = text.find("}", start)
            if end < 0:
                raise SyntaxProblem("invalid character class range", text[start:])
            name, self.at = text[start + 3 : end], end + 1
        if name.startswith("^"):
            negative, name = not negative, name[1:]
        ranges = charsets.group(name)
        if ranges is None:
            raise SyntaxProblem("invalid character class range", text[start : self.at])
        if self.flags.fold:
            ranges = charsets.folded(ranges)
        return charsets.negated(ranges) if negative else ranges

    def _escaped(self) -> str:
        """The character of an escape like `\\n`, `\\x41` or `\\.`."""
        start, text = self.at, self.text
        if start + 1 >= len(text):
            raise SyntaxProblem("trailing backslash at end of expression", "")
        character = text[start + 1]
        self.at = start + 2
        if ord(character) < 0x80 and not character.isalnum():
            return character
        if character in CONTROLS:
            return CONTROLS[character]
        octal = re.compile(r"[1-7][0-7]{1,2}|0[0-7]{0,2}").match(text, start + 1)
        if octal is not None:
            self.at = octal.end()
            return chr(int(octal[0], 8))
        if character == "x":
            return self._hex(start)
        raise SyntaxProblem("invalid escape sequence", text[start : self.at])

    def _hex(self, start: int) -> str:
        text = self.text
        plain = re.compile(r"[0-9A-Fa-f]{2}").match(text, self.at)
        if plain is not None:
            self.at = plain.end()
            return chr(int(plain[0], 16))
        end = min(self.at + 2, len(text))
        if text.startswith("{", self.at):
            braced = re.compile(r"\{([0-9A-Fa-f]*)").match(text, self.at)
            assert braced is not None
            digits, end = braced[1], braced.end() + 1
            code = int(digits or "0", 16)
            if code > charsets.LAST:
                end = self.at + 2 + next(i for i in range(len(digits)) if int(digits[: i + 1], 16) > charsets.LAST)
            elif digits and text.startswith("}", braced.end()):
                self.at = end
                return chr(code)
        raise SyntaxProblem("invalid escape sequence", text[start:end])

    def _class(self) -> None:
        start, text = self.at, self.text
        self.at += 1
        negative = text.startswith("^", self.at)
        self.at += negative
        found: list[tuple[int, int]] = []
        first = True
        while first or not text.startswith("]", self.at):
            first = False
            posix = re.compile(r"\[:(\^?)(.*?):\]", re.DOTALL).match(text, self.at)
            if posix is not None:
                if posix[2] not in charsets.POSIX:
                    raise SyntaxProblem("invalid character class range", posix[0])
                self.at = posix.end()
                ranges = charsets.POSIX[posix[2]]
                ranges = charsets.folded(ranges) if self.flags.fold else ranges
                found += charsets.negated(ranges) if posix[1] else ranges
            elif (group := self._group()) is not None:
                found += group
            else:
                found += self._class_range(start)
        self.at += 1
        ranges = charsets.normal(found)
        self._push(Chars(charsets.negated(ranges) if negative else ranges))

    def _class_range(self, start: int) -> Ranges:
        begin, text = self.at, self.text
        low = high = self._class_char(start)
        if text.startswith("-", self.at) and len(text) > self.at + 1 and text[self.at + 1] != "]":
            self.at += 1
            high = self._class_char(start)
            if high < low:
                raise SyntaxProblem("invalid character class range", text[begin : self.at])
        ranges = ((ord(low), ord(high)),)
        return charsets.folded(ranges) if self.flags.fold else ranges

    def _class_char(self, start: int) -> str:
        if self.at >= len(self.text):
            raise SyntaxProblem("missing closing ]", self.text[start:])
        if self.text[self.at] == "\\":
            return self._escaped()
        self.at += 1
        return self.text[self.at - 1]


def _joined(items: list[Tree]) -> Tree:
    return items[0] if len(items) == 1 else Cat(tuple(items))


def _closed(level: _Level) -> Tree:
    """What a level says; alternatives of one character each are a set."""
    found = [*level.alternatives, _joined(level.items)]
    if all(isinstance(f, Chars) for f in found):
        return Chars(charsets.normal(r for f in found if isinstance(f, Chars) for r in f.ranges))
    return Alt(tuple(found))


def _repeats_fit(tree: Tree, budget: int) -> bool:
    """Whether counted repeats inside of each other multiply to no more than the budget (repeatIsValid)."""
    if isinstance(tree, Repeat):
        if (tree.least, tree.most) in ((0, None), (1, None), (0, 1)):
            return _repeats_fit(tree.item, budget)
        most = tree.least if tree.most is None else tree.most
        if most == 0 and tree.most == 0:
            return True
        if most > budget:
            return False
        return _repeats_fit(tree.item, budget // most if most > 0 else budget)
    return all(_repeats_fit(item, budget) for item in _items(tree))


def _items(tree: Tree) -> tuple[Tree, ...]:
    return tree.items if isinstance(tree, (Cat, Alt)) else ()


def _size(tree: Tree) -> int:
    """How many instructions a pattern takes (calcSize)."""
    if isinstance(tree, Repeat):
        inner = _size(tree.item)
        if tree.most is None:
            return 2 + inner if tree.least == 0 else 1 + max(1, tree.least) * inner
        return max(1, tree.most * inner + tree.most - tree.least)
    extra = len(tree.items) - 1 if isinstance(tree, Alt) else 0
    return max(1, extra + sum(map(_size, _items(tree))))
