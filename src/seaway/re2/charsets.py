"""Sets of characters as sorted, disjoint ranges of code points: classes, Unicode groups, case folding; pure."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable, Iterator

Ranges = tuple[tuple[int, int], ...]
LAST = 0x10FFFF
# The characters beside lower and upper case that simple folding joins to ASCII letters.
FOLDED = {"k": "\u212a", "s": "\u017f"}


def normal(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Sorted, with what touches joined."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return tuple(found)


def of(text: str) -> Ranges:
    return normal((ord(c), ord(c)) for c in text)


def negated(ranges: Ranges) -> Ranges:
    found, at = [], 0
    for low, high in normal(ranges):
        if low > at:
            found.append((at, low - 1))
        at = high + 1
    if at <= LAST:
        found.append((at, LAST))
    return tuple(found)


DIGIT: Ranges = ((0x30, 0x39),)
SPACE = of("\t\n\f\r ")
WORD = normal([*DIGIT, (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)])
PERL = {"d": DIGIT, "s": SPACE, "w": WORD}
UPPER, LOWER = ((0x41, 0x5A),), ((0x61, 0x7A),)
POSIX: dict[str, Ranges] = {
    "alnum": normal([*DIGIT, *UPPER, *LOWER]),
    "alpha": normal([*UPPER, *LOWER]),
    "ascii": ((0, 0x7F),),
    "blank": of("\t "),
    "cntrl": ((0, 0x1F), (0x7F, 0x7F)),
    "digit": DIGIT,
    "graph": ((0x21, 0x7E),),
    "lower": LOWER,
    "print": ((0x20, 0x7E),),
    "punct": ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)),
    "space": of("\t\n\v\f\r "),
    "upper": UPPER,
    "word": WORD,
    "xdigit": normal([*DIGIT, (0x41, 0x46), (0x61, 0x66)]),
}
# The long names of categories (PropertyValueAliases.txt), written as `canonical` does.
ALIASES = {
    "Other": "C", "Control": "Cc", "Cntrl": "Cc", "Format": "Cf", "Unassigned": "Cn", "Privateuse": "Co", "Surrogate": "Cs",
    "Letter": "L", "Casedletter": "LC", "Lowercaseletter": "Ll", "Modifierletter": "Lm", "Otherletter": "Lo",
    "Titlecaseletter": "Lt", "Uppercaseletter": "Lu", "Mark": "M", "Combiningmark": "M", "Spacingmark": "Mc",
    "Enclosingmark": "Me", "Nonspacingmark": "Mn", "Number": "N", "Decimalnumber": "Nd", "Digit": "Nd",
    "Letternumber": "Nl", "Othernumber": "No", "Punctuation": "P", "Punct": "P", "Connectorpunctuation": "Pc",
    "Dashpunctuation": "Pd", "Closepunctuation": "Pe", "Finalpunctuation": "Pf", "Initialpunctuation": "Pi",
    "Otherpunctuation": "Po", "Openpunctuation": "Ps", "Symbol": "S", "Currencysymbol": "Sc", "Modifiersymbol": "Sk",
    "Mathsymbol": "Sm", "Othersymbol": "So", "Separator": "Z", "Lineseparator": "Zl", "Paragraphseparator": "Zp",
    "Spaceseparator": "Zs",
}  # fmt: skip


def canonical(name: str) -> str:
    """A group's name as it is looked up: `greek`, `GREEK` and `Greek` are one, dashes and blanks do not count."""
    return "".join(c for c in name if c not in "_- ").capitalize()


@functools.cache
def categories() -> dict[str, Ranges]:
    """The code points of every general category and of their first letters."""
    found: dict[str, list[tuple[int, int]]] = {}
    start, current = 0, unicodedata.category("\0")
    for code in range(1, LAST + 2):
        category = unicodedata.category(chr(code)) if code <= LAST else ""
        if category != current:
            found.setdefault(current, []).append((start, code - 1))
            start, current = code, category
    whole: dict[str, Ranges] = {k: tuple(v) for k, v in found.items()}
    for letter in {k[0] for k in found}:
        whole[letter] = normal(r for k, v in found.items() if k[0] == letter for r in v)
    whole["LC"] = normal([*whole["Lu"], *whole["Ll"], *whole["Lt"]])
    return whole


@functools.cache
def _first_words() -> frozenset[str]:
    """The first words of the names of all characters: what is none of them is no script, without a look at each."""
    return frozenset(unicodedata.name(chr(c), "").partition(" ")[0] for c in range(LAST + 1))


@functools.lru_cache(maxsize=256)
def script(name: str) -> Ranges:
    """The letters of a script, told by the names of the characters: there is no table of scripts here."""
    words = {"Han": ("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH", "CJK RADICAL", "KANGXI RADICAL")}
    starts = words.get(name, (name.upper() + " ",))
    if not name.isalpha() or not {s.partition(" ")[0] for s in starts} & _first_words():
        return ()
    return normal((c, c) for c in range(LAST + 1) if unicodedata.name(chr(c), "").startswith(starts))


def group(name: str) -> Ranges | None:
    """The characters of `\\p{name}`, None where there is no such group."""
    name = canonical(name)
    if name == "Any":
        return ((0, LAST),)
    if name == "Assigned":
        return negated(categories()["Cn"])
    if name == "Ascii":
        return ((0, 0x7F),)
    found = categories().get("LC" if name == "Lc" else ALIASES.get(name, name))
    return found or script(name) or None


def folded(ranges: Ranges) -> Ranges:
    """With the other cases of every character (unicode.SimpleFold)."""
    return normal([*ranges, *((c, c) for c in _others(ranges))])


def _others(ranges: Ranges) -> Iterator[int]:
    for low, high in ranges:
        if high - low > 0x3000:  # a set that large is a negation or a group, whose other cases are in it
            continue
        for code in range(low, high + 1):
            yield from _orbit(code)


@functools.lru_cache(maxsize=4096)
def _orbit(code: int) -> tuple[int, ...]:
    character = chr(code)
    simple = {c for c in (character.lower(), character.upper(), character.title()) if len(c) == 1}
    simple |= {c for s in tuple(simple) for c in (s.lower(), s.upper()) if len(c) == 1}
    simple |= {FOLDED[c] for c in tuple(simple) if c in FOLDED}
    return tuple(ord(c) for c in simple if len(c) == 1)
