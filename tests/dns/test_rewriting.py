"""The rules of `rewrite`, applied: the question that is asked, and the answer turned back. Rules are written as in a Corefile."""

from __future__ import annotations

import pytest

from seaway.dns.corefile import read
from seaway.dns.presentation import CLASSES, TYPES, name, text
from seaway.dns.rewriting import NOTHING, Rewriter


def rewriter(rules: str) -> Rewriter:
    lines = "".join(f"rewrite {line.strip()}\n" for line in rules.split(" ; "))
    return Rewriter(read(f". {{\n{lines}}}\n").blocks[0].rewrites)


def question(rules: str, asked: str) -> str:
    """`NAME [TYPE [CLASS]]` to the same, `!` where the name is none."""
    written, *more = asked.split()
    kind, cls = (more + ["A", "IN"][len(more) :])[:2] if more else ("A", "IN")
    found = rewriter(rules).question(name(written), TYPES[kind], CLASSES[cls])
    if not found.valid:
        return "!"
    words = {v: k for k, v in TYPES.items()}[found.kind], {v: k for k, v in CLASSES.items()}[found.cls]
    return " ".join([text(found.name), *(w for w, default in zip(words, ("A", "IN"), strict=True) if w != default)])


QUESTIONS = [
    ("name a.test b.test", "a.test.", "b.test."),
    ("name a.test b.test", "x.a.test.", "x.a.test."),
    ("name exact A.TEST. B.test", "a.test.", "b.test."),
    ("name prefix web www", "web.a.test.", "www.a.test."),
    ("name prefix web www", "webs.a.test.", "webs.a.test."),  # Normalize puts a dot behind a prefix
    ("name prefix coredns-rocks x.y", "coredns-rocks.com.", "x.y.com."),
    ("name suffix .a.test .b.test", "x.y.a.test.", "x.y.b.test."),
    ("name suffix .a.test .b.test", "a.test.", "a.test."),
    ("name suffix a.test b.test", "xa.test.", "xb.test."),
    ("name suffix .a.test .", "x.a.test.", "x."),
    ("name substring us.east eu.west", "db.us.east.a.test.", "db.eu.west.a.test."),
    ("name substring a b", "a.a.test.", "b.b.test."),
    ("name substring a b", "xa.test.", "xb.test."),
    (r"name regex (.*)-(us-west-1)\.a\.test {1}.svc.{2}.b", "ftp-us-west-1.a.test.", "ftp.svc.us-west-1.b."),
    (r"name regex (.*)\.a\.test\.$ {1}.svc.cluster.local", "web.shop.a.test.", "web.shop.svc.cluster.local."),
    (r"name regex ^([^.]+)\.a\.test\.$ {1}.b.test", "x.y.a.test.", "x.y.a.test."),
    (r"name regex x(a)(x) {0}.{1}.b", "yxax.", "xax.a.b."),
    (r"name regex (x)?a {1}.b", "a.", "!"),  # an empty label
    (r"name regex (.*) {1}{1}{1}{1}{1}{1}{1}{1}x", "abcdefghij.abcdefghij.abcdefghij.", "!"),  # longer than 255
    ("name suffix .a.test .b.test ; name suffix .b.test .c.test", "x.a.test.", "x.b.test."),
    ("continue name suffix .a.test .b.test ; name suffix .b.test .c.test", "x.a.test.", "x.c.test."),
    ("continue name a.test b.test ; continue name b.test c.test ; name d.test e.test", "a.test.", "c.test."),
    ("name x.test y.test ; name a.test b.test", "a.test.", "b.test."),
    ("type ANY HINFO", "a.test. ANY", "a.test. HINFO"),
    ("type ANY HINFO", "a.test. AAAA", "a.test. AAAA"),
    ("continue type AAAA A ; name a.test b.test", "a.test. AAAA", "b.test."),
    ("class CH IN", "a.test. A CH", "a.test."),
    ("ttl a.test 30 ; name a.test b.test", "a.test.", "a.test."),
    ("continue ttl a.test 30 ; name a.test b.test", "a.test.", "b.test."),
    ("edns0 local set 0xffee x ; name a.test b.test", "a.test.", "a.test."),
    ("edns0 local replace 0xffee x ; name a.test b.test", "a.test.", "b.test."),
    ("continue edns0 nsid set ; name a.test b.test", "a.test.", "b.test."),
    ("cname x.test y.test ; name a.test b.test", "a.test.", "a.test."),
    ("rcode suffix .a.test NXDOMAIN NOERROR ; name a.test b.test", "a.test.", "b.test."),
]


@pytest.mark.parametrize(("rules", "asked", "expected"), QUESTIONS)
def test_a_question_becomes_the_one_that_the_rules_make(rules: str, asked: str, expected: str) -> None:
    assert question(rules, asked) == expected


# rules, the question, a name of the answer; what it is as an owner, as a value
ANSWERS = [
    ("name a.test b.test", "a.test.", "b.test.", "a.test.", "a.test."),
    ("name a.test b.test", "a.test.", "x.b.test.", "x.a.test.", "x.a.test."),
    ("name a.test b.test", "a.test.", "xb.test.", "xb.test.", "xb.test."),
    ("name a.test b.test", "a.test.", "other.test.", "other.test.", "other.test."),
    ("name suffix .a.test .b.test", "x.a.test.", "x.b.test.", "x.b.test.", "x.b.test."),
    ("name suffix .a.test .b.test answer auto", "x.a.test.", "x.b.test.", "x.a.test.", "x.a.test."),
    ("name suffix .a.test .b.test answer auto", "x.a.test.", "other.b.test.", "other.a.test.", "other.a.test."),
    ("name prefix web www answer auto", "web.a.test.", "www.a.test.", "web.a.test.", "web.a.test."),
    ("name prefix web www answer auto", "web.a.test.", "www.b.test.", "www.b.test.", "www.b.test."),
    ("name substring a b answer auto", "a.test.", "b.test.", "a.test.", "a.test."),
    (r"name regex (.*)\.a\.test {1}.b.test answer auto", "x.a.test.", "x.b.test.", "x.a.test.", "x.a.test."),
    (r"name regex (.*)\.a {1}.b answer name (.*)\.b {1}.a", "x.a.", "x.b.", "x.a.", "x.b."),
    (r"name regex (.*)\.a {1}.b answer name (.*)\.b {1}.a", "x.a.", "y.c.", "y.c.", "y.c."),
    (r"name regex (.*)\.a {1}.b answer value (.*)\.b {1}.a", "x.a.", "x.b.", "x.b.", "x.a."),
    (r"name regex (.*)\.a {1}.b answer name (.*)\.b {1}.a answer value (.*)\.b {1}.c", "x.a.", "x.b.", "x.a.", "x.c."),
    (r"name suffix .a .b answer auto answer value (.*)\.int\.b {1}.b", "x.a.", "y.int.b.", "y.int.a.", "y.a."),
    ("continue name suffix .a .b answer auto ; name suffix .b .c answer auto", "x.a.", "x.c.", "x.a.", "x.a."),
    ("continue name a.test b.test ; name b.test c.test", "a.test.", "c.test.", "a.test.", "a.test."),
    (r"name regex (.*)\.a {1}.b answer name (.*)\.b {1}..a", "x.a.", "x.b.", "x.b.", "x.b."),  # would be no name: left alone
    ("type ANY HINFO", "a.test.", "a.test.", "a.test.", "a.test."),
]


@pytest.mark.parametrize(("rules", "asked", "answered", "owner", "value"), ANSWERS)
def test_the_names_of_an_answer_are_turned_back(rules: str, asked: str, answered: str, owner: str, value: str) -> None:
    back = rewriter(rules).question(name(asked), 1, 1).back
    assert (text(back.owner(name(answered))), text(back.value(name(answered)))) == (owner, value)


TTLS = [
    ("ttl a.test 30", "a.test.", 3600, 30),
    ("ttl a.test 30", "b.test.", 3600, 3600),
    ("ttl suffix .test 5-60", "a.test.", 3, 5),
    ("ttl suffix .test 5-60", "a.test.", 40, 40),
    ("ttl suffix .test 5-60", "a.test.", 100, 60),
    ("ttl prefix a 30-", "a.test.", 10, 30),
    ("ttl substring test -60", "a.test.", 61, 60),
    (r"ttl regex ^[a-c]\. 7", "b.test.", 1, 7),
    ("continue ttl a.test 5-60 ; ttl a.test 10-20", "a.test.", 100, 20),
]


@pytest.mark.parametrize(("rules", "asked", "old", "new"), TTLS)
def test_ttls_are_put_within_bounds(rules: str, asked: str, old: int, new: int) -> None:
    assert rewriter(rules).question(name(asked), 1, 1).back.ttl(old) == new


RCODES = [
    ("rcode a.test NXDOMAIN NOERROR", "a.test.", 3, 0),
    ("rcode a.test NXDOMAIN NOERROR", "a.test.", 2, 2),
    ("rcode a.test NXDOMAIN NOERROR", "b.test.", 3, 3),
    (r"rcode regex (.*)\.test SERVFAIL 3", "x.test.", 2, 3),
    ("rcode suffix .test 12 REFUSED", "x.test.", 12, 5),
]


@pytest.mark.parametrize(("rules", "asked", "old", "new"), RCODES)
def test_rcodes_are_turned(rules: str, asked: str, old: int, new: int) -> None:
    assert rewriter(rules).question(name(asked), 1, 1).back.rcode(old) == new


def test_a_question_that_no_rule_touches_comes_back_as_it_is() -> None:
    found = rewriter("name a.test b.test").question(("c", "test"), 28, 1)
    assert found == (("c", "test"), 28, 1, NOTHING, True)
    assert Rewriter(()).question((), 1, 1).back is NOTHING


def test_octets_that_are_not_plain_pass_rules_as_escapes() -> None:
    found = rewriter(r"name suffix .a.test .b.test answer auto").question(("\x00\xff.x", "a", "test"), 1, 1)
    assert found.name == ("\x00\xff.x", "b", "test") and found.back.owner(found.name) == ("\x00\xff.x", "a", "test")


def test_a_hostile_name_takes_no_time() -> None:
    hostile = tuple(["\x00" * 60] * 4)
    found = rewriter(r"name regex (.*)\.(.*)\.(.*)\.a\.test {1}.b").question(hostile, 1, 1)
    assert found.name == hostile and found.back is NOTHING
