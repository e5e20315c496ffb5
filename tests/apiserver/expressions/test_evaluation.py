"""Expressions come to what cel-go and Kubernetes' function libraries make of them, errors word for word."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from seaway.cluster.apiserver.expressions.library import CompileError, Environment
from seaway.cluster.apiserver.expressions.program import Outcome, Program

DATA = {"l": ["a", "b"], "m": {"x": 1}, "s": "abc", "n": None, "i": 3, "d": 1.5, "io": "5%"}


@functools.cache
def environment() -> Environment:
    return Environment({"v": "dyn"})


def run(source: str, limit: int = 1_000_000) -> Outcome:
    return Program(environment().check(source)).run({"v": DATA}, limit)


VALUES: list[tuple[str, Any]] = [
    ("1 + 2 * 3 - 4 / 3 % 2", 6),
    ("-7 / 2", -3),
    ("-7 % 3", -1),
    ("v.i == 3.0", True),
    ("v.i == '3'", False),
    ("true == dyn(1)", False),
    ("v.s.startsWith('a') && v.s.endsWith('c') && v.s.contains('b')", True),
    ("v.s.matches('^[a-c]+$')", True),
    ("v.l[1] + v.l[0]", "ba"),
    ("v.n == null", True),
    ("has(v.x)", False),
    ("has(v.m.x) && !has(v.m.y)", True),
    ("'x' in v.m && 'a' in v.l && !('z' in v.l)", True),
    ("v.l.map(x, x + '!')", ["a!", "b!"]),
    ("v.l.map(x, x == 'a', x + '!')", ["a!"]),
    ("v.l.filter(x, x != 'a')", ["b"]),
    ("v.l.exists_one(x, x == 'a')", True),
    ("v.l.all(i, x, i < 2 && size(x) == 1)", True),
    ("v.l.transformList(i, x, i)", [0, 1]),
    ("{'a': 1, 'b': 2}.transformMap(k, x, x > 1, x * 10)", {"b": 20}),
    ("{'a': 'b'}.transformMapEntry(k, x, {x: k})", {"b": "a"}),
    ("v.l[9] == 'x' || true", True),
    ("v.l.exists(x, x == 'b' || v.l[7] == '')", True),
    ("v.?x.orValue('none')", "none"),
    ("v.m.?x.hasValue()", True),
    ("v.l[?5].orValue('none')", "none"),
    ("[?v.?x, ?v.?s]", ["abc"]),
    ("{?'k': v.?x, 'j': 1}", {"j": 1}),
    ("optional.of(2).optMap(x, x + 1).value()", 3),
    ("optional.ofNonZeroValue(0).hasValue()", False),
    ("[1, 2, 3].sum() + [3, 1].max() + [3, 1].min()", 10),
    ("[1.5].sum()", 1.5),
    ("[1, 2].isSorted() && !['b', 'a'].isSorted()", True),
    ("['a', 'b', 'a'].indexOf('a') + ['a', 'b', 'a'].lastIndexOf('a')", 2),
    ("[3, 1, 2].sort() + [1, 2].reverse()", [1, 2, 3, 2, 1]),
    ("['bb', 'a'].sortBy(x, size(x))", ["a", "bb"]),
    ("[1, 1, 2].distinct().slice(0, 1)", [1]),
    ("[[1], [2, 3]].flatten().size()", 3),
    ("sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [2])", True),
    ("'a,b,c'.split(',', 2)", ["a", "b,c"]),
    ("['a', 'b'].join('-')", "a-b"),
    ("'abcabc'.indexOf('c', 3) + 'abcabc'.lastIndexOf('a')", 8),
    ("'hello'.replace('l', 'L', 1)", "heLlo"),
    ("' x '.trim() + 'ÀB'.lowerAscii() + 'b'.upperAscii() + 'abc'.substring(1, 2) + 'abc'.charAt(2)", "xÀbBbc"),
    ("'%s is %d, %.2f, %x, %b, %o, %%, %s'.format(['a', 5, 1.0, 255, 5, 8, [1, true]])", "a is 5, 1.00, ff, 101, 10, %, [1, true]"),
    ("strings.quote('a\"b\\n')", '"a\\"b\\n"'),
    ("'ab12cd3'.find('[0-9]+')", "12"),
    ("'ab12cd3'.findAll('([0-9])+')", ["12", "3"]),
    ("'ab12cd3'.findAll('[0-9]', 2)", ["1", "2"]),
    ("url('https://u@[::1]:80/a b?q=1&q=2').getHost()", "[::1]:80"),
    ("url('https://h:80/p').getHostname() + url('https://h:80/p').getPort() + url('/p').getScheme()", "h80"),
    ("url('https://h/a b?q=1&q=2').getQuery()['q']", ["1", "2"]),
    ("url('https://h/a b').getEscapedPath()", "/a%20b"),
    ("isURL('/p') && !isURL('p') && !isURL('')", True),
    ("ip('::1').family() + ip('127.0.0.1').family()", 10),
    ("isIP('1.2.3.4') && !isIP('1.2.3') && !isIP('::ffff:1.2.3.4') && !isIP('fe80::1%eth0')", True),
    ("ip.isCanonical('::1') && !ip.isCanonical('0:0::1')", True),
    ("ip('10.0.0.1').isGlobalUnicast() && ip('224.0.0.1').isLinkLocalMulticast()", True),
    ("cidr('10.0.0.0/8').containsIP('10.1.1.1') && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')", True),
    ("string(cidr('10.1.2.3/8').masked()) + string(cidr('10.1.2.3/8').ip())", "10.0.0.0/810.1.2.3"),
    ("isCIDR('10.0.0.0/33')", False),
    ("quantity('1Gi').isGreaterThan(quantity('1G')) && quantity('1k').isInteger()", True),
    ("quantity('500m').add(quantity('1.5')).asInteger()", 2),
    ("quantity('5').sub(6).sign() + quantity('1k').compareTo(quantity('1000'))", -1),
    ("isQuantity('1.3Gi') && !isQuantity('1,3')", True),
    ("semver('1.2.3-rc.1').isLessThan(semver('1.2.3'))", True),
    ("semver('v1.02', true).minor()", 2),
    ("isSemver('v1.0') || isSemver('01.0.0')", False),
    ("format.dns1123Label().validate('a-b')", "none"),
    ("format.named('uuid').value().validate('x').value()", ["does not match the UUID format"]),
    ("format.named('nope').hasValue()", False),
    ("timestamp('2024-02-29T23:59:59.5Z').getDayOfYear('UTC')", 59),
    ("string(timestamp('2024-01-01T00:00:00Z') + duration('1h30m'))", "2024-01-01T01:30:00Z"),
    ("string(duration('1.5s'))", "1.5s"),
    ("timestamp('2024-01-02T00:00:00Z') - timestamp('2024-01-01T00:00:00Z') == duration('24h')", True),
    ("duration('90m').getHours()", 1),
    ("int('12') + int(3.9) + int(uint(1))", 16),
    ("string(1.0) + string(1e7) + string(true) + string(b'x')", "11e+07truex"),
    ("double('1.5') + double(1)", 2.5),
    ("type(v.io) == string && type(1) == int && type(v.n) == type(null)", True),
    ("v.i > 2.5 && v.d < 2", True),
    ("5 < 10.0 && uint(3) >= 2.5 && 1 <= uint(2)", True),
    ("['a', ?optional.of('b')] == ['a', 'b'] && {'x': 'y', ?'z': optional.none()} == {'x': 'y'}", True),
    ("'%e %.1f %s'.format([3.14, 12345.67, {'a': ['b']}])", '3.140000×10⁰⁰ 12,345.7 {"a":["b"]}'),
    ("type(ip('1.2.3.4')) == net.IP && type(quantity('1')) == kubernetes.Quantity", True),
    ("string(timestamp('2011-08-18T19:03:37.01+01:00')) + string(timestamp('2011-08-18T19:03:37+01:00').getHours())", "2011-08-18T19:03:37.01+01:0018"),
    ("timestamp('2011-08-18T19:00:00+01:00') == timestamp('2011-08-18T18:00:00Z')", True),
    ("url('https:opaque').getHostname()", ""),
]


@pytest.mark.parametrize(("source", "value"), VALUES, ids=[v[0] for v in VALUES])
def test_an_expression_comes_to_its_value(source: str, value: Any) -> None:
    outcome = run(source)
    assert outcome.error == ""
    found = outcome.value
    if value == "none" and not isinstance(found, str):
        found = "none" if not found.present else found
    assert found == value
    assert type(found) is type(value)


ERRORS = [
    ("v.x", "no such key: x"),
    ("v.m.y.z", "no such key: y"),
    ("v.n.x", "no such key: x"),
    ("v.l[2]", "index out of bounds: 2"),
    ("v.i > 'a'", "no such overload"),
    ("v.i + 'a'", "no such overload"),
    ("1 / 0", "division by zero"),
    ("1 % 0", "modulus by zero"),
    ("9223372036854775807 + 1", "integer overflow"),
    ("uint(-1)", "unsigned integer overflow"),
    ("int('x')", "type conversion error from 'string' to 'int'"),
    ("v.l.all(x, v.l[5] == x)", "index out of bounds: 5"),
    ("optional.none().value()", "optional.none() dereference"),
    ("[1].filter(x, x > 1).max()", "max called on empty list"),
    ("'abc'.substring(5)", "index out of range: 5"),
    ("ip('1.2.3')", 'IP Address "1.2.3" parse error during conversion from string: ParseAddr("1.2.3"): IPv4 address too short'),
    ("quantity('x').isInteger()", "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
    ("semver('1.x.0')", 'Invalid character(s) found in minor number "x"'),
]


@pytest.mark.parametrize(("source", "error"), ERRORS, ids=[e[0] for e in ERRORS])
def test_an_expression_that_can_not_be_evaluated_says_why(source: str, error: str) -> None:
    assert run(source).error == error


REFUSED = [
    ("1 +", "ERROR: <input>:1:4: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | 1 +\n | ...^"),
    ("bad(v)", "ERROR: <input>:1:4: undeclared reference to 'bad' (in container '')\n | bad(v)\n | ...^"),
    ("1 == 'a'", "ERROR: <input>:1:3: found no matching overload for '_==_' applied to '(int, string)'\n | 1 == 'a'\n | ..^"),
    ("[1, 'a']", "ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a']\n | ....^"),
    ("duration('x')", "ERROR: <input>:1:10: invalid duration argument\n | duration('x')\n | .........^"),
    ("'a'.matches('a(?!b)')", "ERROR: <input>:1:13: invalid matches argument\n | 'a'.matches('a(?!b)')\n | ............^"),
    ("['a'].sum()", "ERROR: <input>:1:10: found no matching overload for 'sum' applied to 'list(string).()'\n | ['a'].sum()\n | .........^"),
    ("'a'.indexOf(1, 'b')", "ERROR: <input>:1:12: found no matching overload for 'indexOf' applied to 'string.(int, string)'\n | 'a'.indexOf(1, 'b')\n | ...........^"),
    ("'a' == null", "ERROR: <input>:1:5: found no matching overload for '_==_' applied to '(string, null)'\n | 'a' == null\n | ....^"),
    ("'a'.b", "ERROR: <input>:1:4: type 'string' does not support field selection\n | 'a'.b\n | ...^"),
]


@pytest.mark.parametrize(("source", "error"), REFUSED, ids=[r[0] for r in REFUSED])
def test_an_expression_that_does_not_compile_is_told_with_its_place(source: str, error: str) -> None:
    with pytest.raises(CompileError) as e:
        environment().check(source)
    assert str(e.value) == error


COSTS = [("v.i", 2), ("v.i == 3", 3), ("has(v.m.x)", 2), ("v.l.all(x, x == 'a' || x == 'b')", 15), ("[v.i, 2]", 12), ("{'a': v.i}", 32),
         ("[1, 2]", 0), ("{'a': [1]}", 0), ("v.s in ['a', 'b']", 2), ("duration('1h') > duration('1m')", 1), ("v.s.contains('abcdefghijk')", 4)]


@pytest.mark.parametrize(("source", "cost"), COSTS, ids=[c[0] for c in COSTS])
def test_an_evaluation_costs_what_the_interpreter_counts(source: str, cost: int) -> None:
    assert run(source).cost == cost


def test_an_expression_that_costs_too_much_is_stopped() -> None:
    outcome = run("lists.range(1000).all(x, lists.range(1000).all(y, x + y >= 0))", 100_000)
    assert outcome.exceeded
    assert outcome.error == "operation cancelled: actual cost limit exceeded"
    assert outcome.cost < 110_000


def test_an_expression_that_nests_too_deep_is_refused() -> None:
    for source in (" + ".join(["1"] * 300), "(" * 300 + "1" + ")" * 300, "v" + ".a" * 300, "[" * 300 + "]" * 300):
        with pytest.raises(CompileError) as e:
            environment().check(source)
        assert str(e.value) == "ERROR: <input>:1:1: expression recursion limit exceeded: 32"


def test_random_values_never_break_an_evaluation() -> None:
    sources = ["v.a + v.b", "v.a < v.b", "v.a in v.b", "v.a[v.b]", "v.a.b", "v.a.all(x, x == v.b)", "v.a.map(x, x + v.b)", "v.a.matches(v.b)",
               "size(v.a) > v.b", "v.a.startsWith(v.b)", "duration(v.a)", "timestamp(v.a)", "int(v.a) / int(v.b)", "string(v.a)", "ip(v.a).family()",
               "quantity(v.a).isLessThan(quantity(v.b))", "v.a.?b.orValue(v.b)", "v.a[?v.b]", "'%s %d'.format([v.a, v.b])", "v.a.sum()", "url(v.a).getHost()",
               "cidr(v.a).containsIP(v.b)", "v.a.split(v.b)", "v.a.substring(v.b)", "lists.range(v.a)", "v.a ? v.b : v.a", "!v.a", "-v.a", "v.a.sort()", "semver(v.a).major()",
               "v.a.transformMap(k, x, x)", "{v.a: v.b}", "v.a.flatten()", "sets.contains(v.a, v.b)", "v.a.find(v.b)", "format.named(v.a).hasValue()", "has(v.a.b)", "double(v.a)"]
    values: list[Any] = [None, True, 0, -1, 2**63 - 1, 1.5, float("inf"), "", "a", "(", "1", "1.2.3.4", [], [1], ["a", None], [[1], [2]], {}, {"b": 1}, {"b": None}]
    for source in sources:
        program = Program(environment().check(source))
        for a in values:
            for b in values:
                outcome = program.run({"v": {"a": a, "b": b}})
                assert outcome.error or outcome.value is not None or None in (a, b) or "b" in source


HOSTILE = ["'%.999999999f'.format([1.0])", "int('" + "9" * 5000 + "')", "semver('" + "9" * 5000 + ".0.0')", "double('1e999')", "quantity('1e99999999')",
           "lists.range(9223372036854775807)", "duration(v.s + '" + "9" * 5000 + "h')", "timestamp(v.s + '1970-01-01T00:00:00." + "9" * 5000 + "Z').getHours() > 'a'"]


@pytest.mark.parametrize("source", HOSTILE, ids=range(len(HOSTILE)))
def test_numbers_without_bounds_are_errors_at_once(source: str) -> None:
    try:
        assert run(source).error
    except CompileError:
        pass
    with pytest.raises(CompileError):
        environment().check("duration('" + "9" * 5000 + "h')")
