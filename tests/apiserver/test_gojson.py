"""Go's words for what is wrong with a body, as clients of Kubernetes know them."""

from __future__ import annotations

import json

import pytest

from seaway.cluster.apiserver import bodies, gojson
from seaway.cluster.apiserver.structural import gotext


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (b"", "unexpected end of JSON input"),
        (b"{", "unexpected end of JSON input"),
        (b'{"a":', "unexpected end of JSON input"),
        (b"x", "invalid character 'x' looking for beginning of value"),
        (b"\x9ex", r"invalid character '\u009e' looking for beginning of value"),
        (b"{a:1}", "invalid character 'a' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1 2}', "invalid character '2' after object key:value pair"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"{} {}", "invalid character '{' after top-level value"),
    ],
)
def test_a_syntax_error_is_told_as_go_tells_it(text: bytes, want: str) -> None:
    assert gojson.syntax_error(text) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (b'{"a":1,"b":{"a":2}}', []),
        (b'{"a":1,"a":2}', ['duplicate field "a"']),
        (b'{"a" :1,"a":2,"a":3}', ['duplicate field "a"']),
        (b'{"s":{"l":[{"n":1},{"n":1,"n":2}]}}', ['duplicate field "s.l[1].n"']),
        (rb'{"a":"x\":y"}', []),
    ],
)
def test_a_key_given_twice_is_told_with_its_path(text: bytes, want: list) -> None:
    assert gojson.duplicates(text, json.loads(text)) == want


def test_yaml_keys_given_twice_are_told_by_line() -> None:
    assert bodies.yaml_duplicates("a: 1\nb:\n  c: 1\n  c: 2\na: 2\n") == [
        'line 4: key "c" already set in map',
        'line 5: key "a" already set in map',
    ]


def test_trees_are_printed_as_maps() -> None:
    assert gotext.printed({"b": [1, "x"], "a": {"n": None, "t": True}}) == "map[a:map[n:<nil> t:true] b:[1 x]]"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"nul", "unexpected end of JSON input"),
        (b"nulx", "invalid character 'x' in literal null (expecting 'l')"),
        (b"[tRue]", "invalid character 'R' in literal true (expecting 'r')"),
        (b"[fals1]", "invalid character '1' in literal false (expecting 'e')"),
        (b'{"a":1.}', "invalid character '}' after decimal point in numeric literal"),
        (b'{"a":1.', "unexpected end of JSON input"),
        (b'{"a":1e}', "invalid character '}' in exponent of numeric literal"),
        (b'{"a":1e+x}', "invalid character 'x' in exponent of numeric literal"),
        (b'{"a":-x}', "invalid character 'x' in numeric literal"),
        (b'{"a":"\\x"}', "invalid character 'x' in string escape code"),
        (b'{"a":"\\u12g4"}', r"invalid character 'g' in \u hexadecimal character escape"),
        (b'{"NaN":NaN}', "invalid character 'N' looking for beginning of value"),
        (b'{"a":-Infinity}', "invalid character 'I' in numeric literal"),
        (b'{"a":1e999}', "json: cannot unmarshal number 1e999 into Go value of type float64"),
        (b'{"a":"\xff"}', "invalid UTF-8 at byte 6"),
    ],
)
def test_a_syntax_error_names_the_character_and_where_it_stands(text: bytes, told: str) -> None:
    assert gojson.syntax_error(text) == told
