"""Names as text and back, types, classes and rcodes by their words."""

from __future__ import annotations

import pytest

from seaway.dns.presentation import class_word, name, rcode_word, text, type_word

NAMES = [
    (".", ()),
    ("a.test.", ("a", "test")),
    (r"a\.b.test.", ("a.b", "test")),
    (r"a\032b\@.test.", ("a\x20b@", "test")),
    (r"\000\255.", ("\x00\xff",)),
    (r"\\\"\(\)\;.", ('\\"();',)),
    ("*._tcp.a-b.", ("*", "_tcp", "a-b")),
]


@pytest.mark.parametrize(("written", "labels"), NAMES)
def test_names_are_read_and_written_alike(written: str, labels: tuple) -> None:
    assert name(written) == labels
    assert text(labels) == written.replace(r"\032", "\\ ")


@pytest.mark.parametrize(("written", "labels"), [("A.Test", ("a", "test")), ("é.test", ("Ã©", "test")), (r"\065.b", ("a", "b"))])
def test_names_are_in_lower_case_and_octets(written: str, labels: tuple) -> None:
    assert name(written) == labels


@pytest.mark.parametrize("written", ["", "..", ".a", "a..b", "x" * 64, ".".join(["abcdefg"] * 32)])
def test_what_is_no_name_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is not a domain name"):
        name(written)


def test_numbers_have_their_words() -> None:
    assert [type_word(n) for n in (1, 28, 65, 255, 65280)] == ["A", "AAAA", "HTTPS", "ANY", "TYPE65280"]
    assert [class_word(n) for n in (1, 3, 255, 9)] == ["IN", "CH", "ANY", "CLASS9"]
    assert [rcode_word(n) for n in (0, 2, 3, 4, 5, 11, 16, 12)] == [
        "NOERROR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "DSOTYPENI", "BADSIG", "12",
    ]  # fmt: skip
