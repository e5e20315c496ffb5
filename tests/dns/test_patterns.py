"""Regular expressions of a Corefile: RE2's syntax, captured groups, and what is refused before it can take long."""

from __future__ import annotations

import time

import pytest

from seaway.dns.patterns import STEP_LIMIT, TEXT_LIMIT, groups_used, pattern, substituted
from seaway.dns.patternsyntax import PatternError

FOUND = [
    ("a", "bab.", ("a",)),
    ("^a", "ba.", None),
    ("b$", "ab", ("b",)),
    ("b$", "ab.", None),
    (r"(.*)\.a\.test\.", "x.y.a.test.", ("x.y.a.test.", "x.y")),
    (r"(.*)-(us-west-1)\.a\.", "ftp-us-west-1.a.", ("ftp-us-west-1.a.", "ftp", "us-west-1")),
    (r"([^.]+)\.([^.]+)\.svc", "web.shop.svc", ("web.shop.svc", "web", "shop")),
    (r"(a)|(b)", "b", ("b", "", "b")),
    (r"(?:web|api)-(\d+)\.", "api-42.", ("api-42.", "42")),
    (r"(?P<host>\w+)\.test", "db.test", ("db.test", "db")),
    (r"(?<host>\w+)\.test", "db.test", ("db.test", "db")),
    (r"(?i)WEB\.Test", "web.test", ("web.test",)),
    (r"(?i:w)EB", "wEB", ("wEB",)),
    (r"[[:alpha:]]+[[:digit:]]", "ab1", ("ab1",)),
    (r"[^[:alpha:].]+", "ab12.", ("12",)),
    (r"[a-c\d_-]+", "-b_9", ("-b_9",)),
    (r"[]a]+", "]a", ("]a",)),
    (r"\Qa.b\E\.", "a.b.", ("a.b.",)),
    (r"\Qa.b\E\.", "axb.", None),
    (r"\x61\x{62}", "ab", ("ab",)),
    (r"a{2,3}?", "aaa", ("aa",)),
    (r"a{,2}", "a{,2}", ("a{,2}",)),
    (r"\bweb\b", "x-web.", ("web",)),
    (r"\Aa\z", "a", ("a",)),
    (r"([a-z0-9-]+\.)+test\.", "a.b.test.", ("a.b.test.", "b.")),
    (r"(?:ab|cd)*\.", "abcd.", ("abcd.",)),
    ("", "x", ("",)),
]


@pytest.mark.parametrize(("source", "text", "groups"), FOUND)
def test_what_is_found_is_what_re2_finds(source: str, text: str, groups: tuple | None) -> None:
    assert pattern(source).find(text) == groups


REFUSED = [
    ("(", "a ( without its )"),
    (")", "unexpected )"),
    ("[a", "it ends too early"),
    ("*a", "nothing stands before *"),
    ("a**", "a repeat of a repeat"),
    ("a{2,1}", "the smaller number first"),
    ("a{1001}", "a repeat counts up to 1000"),
    ("[b-a]", "a range runs from the smaller character to the larger"),
    ("[[:letter:]]", "unknown class [:letter:]"),
    (r"(a)\1", "back references are not part of RE2"),
    (r"\y", r"unknown escape \y"),
    ("(?=a)", "no look-around"),
    ("(?<!a)b", "no look-around"),
    ("(?P=a)", "no look-around"),
    ("^*", "a repeat of what holds no character"),
    ("(" * 60 + ")" * 60, "too many groups inside each other"),
    ("a" * 10001, "too long: 10001 characters, at most 10000"),
    ("(a+)+", "can take forever"),
    ("(a|a)*b", "can take forever"),
    ("(a|ab)*c", "can take forever"),
    ("(.*)*", "can take forever"),
    (r"(\w+-?)+\.", "can take forever"),
    ("(a?){9}b", "can take forever"),
    (r"(.*)\.(.*)\.(.*)\.(.*)\.test", "write [^.]+ for one label instead of .*, or begin with ^"),
    ("(.*)(.*)(.*)a", "at most 400,000"),
]


@pytest.mark.parametrize(("source", "why"), REFUSED)
def test_what_cannot_be_read_or_could_take_long_is_refused(source: str, why: str) -> None:
    with pytest.raises(PatternError) as e:
        pattern(source)
    assert why in str(e.value)


@pytest.mark.parametrize(
    "source",
    [r"(.*)\.(.*)\.(.*)\.test", r"([^.]+\.)+test", r"x([a-z]+-)*[0-9]+\.q", r"(.*)a(.*)b", r"([a-z]+)([0-9]+)([a-z]+)x", r"(?:a|b|c)*\.\."],
)
@pytest.mark.parametrize("hostile", ["a." * 160, "a" * TEXT_LIMIT, "a1" * 160, "a-" * 160, "ab" * 160])
def test_what_is_taken_is_quick_whatever_the_name(source: str, hostile: str) -> None:
    taken = pattern(source)
    begun = time.process_time()
    taken.find(hostile)
    assert time.process_time() - begun < 0.25, f"bound: {STEP_LIMIT} steps"


def test_a_text_longer_than_any_name_is_not_searched() -> None:
    assert pattern("a").find("a" * (TEXT_LIMIT + 1)) is None
    assert pattern("a$").find("b" * TEXT_LIMIT + "a", 1024) == ("a",)


def test_groups_are_put_in_their_places() -> None:
    assert substituted("{1}.x.{2}.{0}.{3}", ("all", "a", "b")) == "a.x.b.all.{3}"
    assert groups_used("{0}{1}{1}{100}{101}") == 3
