"""Lines of the query log, the class of an answer, and the rule that decides."""

from __future__ import annotations

import pytest

from seaway.dns.querylog import PLACEHOLDERS, Exchange, class_of, line, logs, rule_for
from seaway.dns.settings import Log

UDP = Exchange(("a", "test"), 1, 1, "udp", "192.0.2.5", 40212, "10.96.0.10", 4711, 35, rcode=0, flags=0x8580, rsize=67, duration=0.000123)
TCP = Exchange((), 65, 3, "tcp", "2001:db8::5", 7, "fd00::a", 1, 12, opcode=4, do=True, bufsize=1232, rcode=3, flags=0x8003, rsize=12, duration=2.0)
NONE = UDP._replace(rcode=None, rsize=0, flags=0, duration=0.0)

LINES = [
    ("{common}", UDP, '192.0.2.5:40212 - 4711 "A IN a.test. udp 35 false 512" NOERROR qr,aa,rd,ra 67 0.000123s'),
    ("{combined}", TCP, '[2001:db8::5]:7 - 1 "HTTPS CH . tcp 12 true 65535" NXDOMAIN qr 12 2s "4"'),
    ("{common}", NONE, '192.0.2.5:40212 - 4711 "A IN a.test. udp 35 false 512" - - 0 0s'),
    ("{type} {name}", UDP, "A a.test."),
    ("{local}", TCP, "[fd00::a]"),
    ("{>bufsize}", UDP._replace(bufsize=4096), "4096"),
    ("{>bufsize}", UDP._replace(bufsize=100), "512"),
    ("{>rflags}", UDP._replace(flags=0xFFFF), "qr,aa,tc,rd,ra,z,ad,cd"),
    ("{>rflags}", UDP._replace(flags=0), ""),
    ("{type} {class}", UDP._replace(kind=65280, cls=9), "TYPE65280 CLASS9"),
    ("{rcode}", UDP._replace(rcode=12), "12"),
    ("{duration}", UDP._replace(duration=1.5), "1.5s"),
    ("{duration}", UDP._replace(duration=1e-9), "0.000000001s"),
    ("{/kubernetes/client-pod-name} {name}", UDP, "- a.test."),
    ("100% {name} %s", UDP, "100% a.test. %s"),
    ("{what} {name}", UDP, "{what} a.test."),
    ("{ {name} }", UDP, "{ a.test. }"),
    ("a } {name} {", UDP, "a } a.test. {"),
    ("{NAME}", UDP, "{NAME}"),
    ("plain", UDP, "plain"),
    ("", UDP, ""),
]


@pytest.mark.parametrize(("layout", "exchange", "expected"), LINES)
def test_a_format_makes_this_line(layout: str, exchange: Exchange, expected: str) -> None:
    assert line(layout)(exchange) == expected


def test_every_placeholder_of_coredns_is_known() -> None:
    words = "type name class proto size remote port local >id >opcode >do >bufsize rcode rsize duration >rflags"
    assert set(PLACEHOLDERS) == {"{" + w + "}" for w in words.split()}


CLASSES = [
    # opcode, type, rcode, answers, SOA
    ((0, 1, 0, 2, False), "success"),
    ((0, 1, 0, 2, True), "success"),
    ((0, 1, 0, 0, True), "denial"),
    ((0, 1, 0, 0, False), "success"),
    ((0, 1, 3, 0, True), "denial"),
    ((0, 1, 3, 0, False), "denial"),
    ((0, 1, 3, 1, True), "error"),
    ((0, 1, 2, 0, False), "error"),
    ((0, 1, 4, 0, False), "error"),
    ((0, 1, 5, 0, False), "error"),
    ((0, 252, 0, 1, False), "error"),
    ((0, 251, 0, 1, False), "error"),
    ((5, 6, 0, 0, False), "error"),
    ((4, 6, 0, 0, False), "error"),
]


@pytest.mark.parametrize(("facts", "expected"), CLASSES)
def test_answers_are_successes_denials_and_errors(facts: tuple, expected: str) -> None:
    assert class_of(*facts) == expected


def test_the_first_rule_that_holds_a_name_decides() -> None:
    rules = (Log((("a", "test"),), classes=("error",)), Log((("test",), ("other",))), Log((("b", "test"),)))
    found = [rule_for(rules, tuple(n.split("."))) for n in ("a.test", "x.a.test", "ba.test", "b.test", "x.other", "none")]
    assert found == [rules[0], rules[0], rules[1], rules[1], rules[1], None]
    assert rule_for((Log(),), ()) == Log()


def test_a_rule_logs_its_classes() -> None:
    assert [logs(Log(classes=("denial", "error")), c) for c in ("success", "denial", "error")] == [False, True, True]
    assert logs(Log(), "success")
