"""RE2's syntax, as far as names need it: text to a tree of pieces, and the same pattern in Python's syntax; pure."""

from __future__ import annotations

import re
from typing import NamedTuple

ALL = (1 << 256) - 1
_REPEAT_LIMIT = 1000  # RE2's
_GROUPS_LIMIT = 100


class PatternError(ValueError):
    """A pattern that cannot be used; the text says why."""


class Piece(NamedTuple):
    """A part of a pattern. `kind`: set, sequence, choice, group, repeat, start, end, boundary. `chars` is a bit a character."""

    kind: str
    parts: tuple[Piece, ...] = ()
    chars: int = 0
    low: int = 0
    high: int | None = 0


def _bits(characters: str) -> int:
    bits = 0
    for c in characters:
        bits |= 1 << ord(c) if ord(c) < 256 else 0
    return bits


def _span(first: str, last: str) -> int:
    return _bits("".join(map(chr, range(ord(first), min(ord(last), 255) + 1))))


DOT = ALL & ~_bits("\n")
DIGITS, LOWER, UPPER = _span("0", "9"), _span("a", "z"), _span("A", "Z")
SPACES = _bits("\t\n\f\r ")
WORDS = DIGITS | LOWER | UPPER | _bits("_")
CLASSES = {"d": DIGITS, "s": SPACES, "w": WORDS, "D": ALL & ~DIGITS, "S": ALL & ~SPACES, "W": ALL & ~WORDS}
POSIX = {
    "alnum": DIGITS | LOWER | UPPER, "alpha": LOWER | UPPER, "ascii": _span("\0", "\x7f"), "blank": _bits("\t "),
    "cntrl": _span("\0", "\x1f") | _bits("\x7f"), "digit": DIGITS, "graph": _span("!", "~"), "lower": LOWER,
    "print": _span(" ", "~"), "punct": _span("!", "~") & ~(DIGITS | LOWER | UPPER), "space": SPACES | _bits("\v"),
    "upper": UPPER, "word": WORDS, "xdigit": DIGITS | _span("a", "f") | _span("A", "F"),
}  # fmt: skip
CONTROLS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_COUNTS = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")


def parse(source: str) -> tuple[Piece, str, int]:
    """The tree, the pattern for Python, and the number of groups that it captures."""
    reader = _Reader(source)
    tree, text = reader.choice(0)
    if reader.at < len(source):
        raise reader.bad("unexpected )")
    return tree, text, reader.groups


def _folded(chars: int) -> int:
    """With the other case of each ASCII letter."""
    return chars | (chars & LOWER) >> 32 | (chars & UPPER) << 32


def _written(chars: int) -> str:
    """A set in Python's syntax."""
    if chars == ALL:
        return r"[\x00-\xff]"
    runs, start = [], None
    for code in range(257):
        if code < 256 and chars >> code & 1:
            start = code if start is None else start
        elif start is not None:
            runs.append((start, code - 1))
            start = None
    if len(runs) == 1 and runs[0][0] == runs[0][1]:
        return re.escape(chr(runs[0][0]))
    return "[" + "".join(f"\\x{a:02x}" + (f"-\\x{b:02x}" if b > a else "") for a, b in runs) + "]" if runs else "(?!)"


class _Reader:
    def __init__(self, source: str) -> None:
        self.source, self.at, self.groups = source, 0, 0
        self.fold = self.lines = self.dotall = False

    def bad(self, why: str) -> PatternError:
        return PatternError(f"invalid regular expression {self.source!r}: {why} at character {self.at + 1}")

    def peek(self, text: str) -> bool:
        return self.source.startswith(text, self.at)

    def take(self, count: int = 1) -> str:
        if self.at + count > len(self.source):
            raise self.bad("it ends too early")
        self.at += count
        return self.source[self.at - count : self.at]

    def choice(self, depth: int) -> tuple[Piece, str]:
        if depth > 50:
            raise self.bad("too many groups inside each other")
        flags = self.fold, self.lines, self.dotall
        branches = [self.sequence(depth)]
        while self.peek("|"):
            self.take()
            branches.append(self.sequence(depth))
        self.fold, self.lines, self.dotall = flags
        if len(branches) == 1:
            return branches[0]
        return Piece("choice", tuple(p for p, _ in branches)), "|".join(t for _, t in branches)

    def sequence(self, depth: int) -> tuple[Piece, str]:
        parts, texts = [], []
        while self.at < len(self.source) and not self.peek("|") and not self.peek(")"):
            if self.peek("\\Q"):
                self.take(2)
                end = self.source.find("\\E", self.at)
                literal = self.take((len(self.source) if end < 0 else end) - self.at)
                if end >= 0:
                    self.take(2)
                parts += [self.set_of(_bits(c)) for c in literal]
                texts += [_written(p.chars) for p in parts[len(parts) - len(literal) :]]
                continue
            found = self.atom(depth)
            if found is not None:
                piece, text = self.repeated(*found)
                parts.append(piece)
                texts.append(text)
        return Piece("sequence", tuple(parts)), "".join(texts)

    def set_of(self, chars: int) -> Piece:
        return Piece("set", chars=_folded(chars) if self.fold else chars)

    def repeated(self, piece: Piece, text: str) -> tuple[Piece, str]:
        done = False
        while self.at < len(self.source):
            counts = _COUNTS.match(self.source, self.at)
            if self.source[self.at] in "*+?":
                low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}[self.take()]
            elif counts:
                self.take(len(counts[0]))
                low = int(counts[1])
                high = low if not counts[2] else int(counts[3]) if counts[3] else None
                if low > _REPEAT_LIMIT or (high or 0) > _REPEAT_LIMIT or (high is not None and high < low):
                    raise self.bad(f"a repeat counts up to {_REPEAT_LIMIT}, the smaller number first; not {counts[0]}")
            else:
                break
            if done:
                raise self.bad("a repeat of a repeat")
            done = True
            lazy = self.peek("?")
            if lazy:
                self.take()
            if piece.kind in ("start", "end", "boundary"):
                raise self.bad("a repeat of what holds no character")
            text = f"(?:{text}){{{low},{'' if high is None else high}}}" + ("?" if lazy else "")
            piece = Piece("repeat", (piece,), low=low, high=high)
        return piece, text

    def atom(self, depth: int) -> tuple[Piece, str] | None:
        c = self.take()
        if c == "(":
            return self.group(depth)
        if c == "[":
            piece = self.set_of(self.bracket())
        elif c == ".":
            piece = Piece("set", chars=ALL if self.dotall else DOT)
        elif c == "^":
            return Piece("boundary" if self.lines else "start"), "(?m:^)" if self.lines else r"\A"
        elif c == "$":
            return Piece("end"), "(?m:$)" if self.lines else r"\Z"
        elif c == "\\":
            return self.escape()
        elif c in "*+?":
            self.at -= 1
            raise self.bad(f"nothing stands before {c}")
        else:
            piece = self.set_of(_bits(c))
        return piece, _written(piece.chars)

    def escape(self) -> tuple[Piece, str]:
        if self.peek("A"):
            self.take()
            return Piece("start"), r"\A"
        if self.peek("z"):
            self.take()
            return Piece("end"), r"\Z"
        if self.peek("b") or self.peek("B"):
            return Piece("boundary"), "(?a:\\" + self.take() + ")"
        piece = self.set_of(self.escaped())
        return piece, _written(piece.chars)

    def escaped(self) -> int:
        """The set that a backslash and what follows it stand for."""
        c = self.take()
        if c in CLASSES:
            return CLASSES[c]
        if c in CONTROLS:
            return _bits(CONTROLS[c])
        if c == "x":
            digits = self.take(2)
            if digits.startswith("{"):
                end = self.source.find("}", self.at)
                if end < 0:
                    raise self.bad("a { without its }")
                digits = digits[1:] + self.take(end + 1 - self.at)[:-1]
            if not re.fullmatch(r"[0-9A-Fa-f]{1,6}", digits):
                raise self.bad("\\x takes two hexadecimal digits")
            return _bits(chr(int(digits, 16))) if int(digits, 16) < 256 else 0
        if c.isdigit() and c != "0":
            raise self.bad("back references are not part of RE2")
        if c.isalnum():
            raise self.bad(f"unknown escape \\{c}")
        return _bits(c)

    def bracket(self) -> int:
        negated = self.peek("^")
        if negated:
            self.take()
        chars, begun = 0, False
        while not (self.peek("]") and begun):
            begun = True
            if self.peek("[:"):
                end = self.source.find(":]", self.at)
                name = self.take(end + 2 - self.at)[2:-2] if end > 0 else self.take(2)
                if name.removeprefix("^") not in POSIX:
                    raise self.bad(f"unknown class [:{name}:]")
                chars |= ALL & ~POSIX[name[1:]] if name.startswith("^") else POSIX[name]
                continue
            first, single = self.member()
            if single and self.peek("-") and not self.source.startswith("-]", self.at):
                self.take()
                last, _ = self.member()
                low, high = first.bit_length() - 1, last.bit_length() - 1
                if last.bit_count() != 1 or high < low:
                    raise self.bad("a range runs from the smaller character to the larger")
                first = _span(chr(low), chr(high))
            chars |= first
        self.take()
        if self.fold:
            chars = _folded(chars)
        return ALL & ~chars if negated else chars

    def member(self) -> tuple[int, bool]:
        c = self.take()
        chars = self.escaped() if c == "\\" else _bits(c)
        return chars, chars.bit_count() == 1

    def group(self, depth: int) -> tuple[Piece, str] | None:
        flags = self.fold, self.lines, self.dotall
        opening = "("
        if self.peek("?"):
            self.take()
            named = re.compile(r"P?<([A-Za-z_]\w*)>").match(self.source, self.at)
            if named:
                self.take(len(named[0]))
            else:
                opening = "(?:"
                if not self.flags():
                    return None  # (?i) alone: for the rest of the group around it
        if opening == "(":
            self.groups += 1
            if self.groups > _GROUPS_LIMIT:
                raise self.bad(f"more than {_GROUPS_LIMIT} groups")
        piece, text = self.choice(depth + 1)
        if not self.peek(")"):
            raise self.bad("a ( without its )")
        self.take()
        self.fold, self.lines, self.dotall = flags
        return Piece("group", (piece,)), f"{opening}{text})"

    def flags(self) -> bool:
        """Reads flags; whether a group follows them."""
        value = True
        while True:
            c = self.take()
            if c in ":)":
                return c == ":"
            if c == "-" and value:
                value = False
            elif c == "i":
                self.fold = value
            elif c == "m":
                self.lines = value
            elif c == "s":
                self.dotall = value
            else:
                raise self.bad("RE2 has groups (?:…), (?P<name>…) and the flags i, m and s only: no look-around")
