"""Rules of schemas are refused, and judge objects, in the words of apiextensions-apiserver."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.cluster.apiserver.expressions import rules
from seaway.cluster.apiserver.expressions.declarations import declare

Tree = dict[str, Any]
STRING, INTEGER = {"type": "string"}, {"type": "integer"}


def of_spec(spec: Tree) -> Tree:
    return {"type": "object", "properties": {"spec": {"type": "object", **spec}}}


def told(spec: Tree, *rule_trees: Tree) -> list[tuple[str, str, str]]:
    schema = of_spec({**spec, "x-kubernetes-validations": list(rule_trees)})
    return [(c.field, c.reason, c.message) for c in rules.problems(schema, "s")]


LISTS = {"properties": {"l": {"type": "array", "items": STRING}, "a": STRING, "n": INTEGER}}
HINT = " (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
WHERE = "s.properties[spec].x-kubernetes-validations[0]"


def test_a_rule_that_does_not_compile_is_shown_with_all_its_fields() -> None:
    shown = '{"Rule":"self.y","Message":"m","MessageExpression":"","Reason":null,"FieldPath":"","OptionalOldSelf":null}'
    why = "compilation failed: ERROR: <input>:1:5: undefined field 'y'\n | self.y\n | ....^"
    assert told(LISTS, {"rule": "self.y", "message": "m"}) == [
        (f"{WHERE}.rule", "FieldValueInvalid", f"Invalid value: {shown}: {why}")
    ]


@pytest.mark.parametrize(
    ("rule", "field", "ending"),
    [
        ({"rule": "self.n"}, "rule", ": cel expression must evaluate to a bool"),
        ({"rule": "true", "messageExpression": "self.n"}, "messageExpression", ": messageExpression must evaluate to a string"),
        ({"rule": "true", "messageExpression": "'"}, "messageExpression", "messageExpression compilation failed: ERROR: <input>:1:1: Syntax error: token recognition error at: '''"),
        ({"rule": "self.a.find(')') == ''"}, "rule", "program instantiation failed: error parsing regexp: unexpected ): `)`"),
        ({"rule": "self.n > 1", "optionalOldSelf": True}, "optionalOldSelf", "Invalid value: true: may not be set if oldSelf is not used in rule"),
        ({"rule": "oldSelf.n > self.n", "optionalOldSelf": True}, "rule", "found no matching overload for '_>_' applied to '(optional_type(int), int)'"),
    ],
)
def test_what_is_wrong_with_a_rule_is_told(rule: Tree, field: str, ending: str) -> None:
    found = told(LISTS, rule)
    assert found and found[0][0] == f"{WHERE}.{field}"
    assert ending in found[0][2]


def test_a_rule_that_may_cost_too_much_is_refused_with_the_total() -> None:
    found = told(LISTS, {"rule": "self.l.all(x, self.l.all(y, self.l.all(z, x == y || y == z)))"})
    over = f"exceeds budget by factor of more than 100x{HINT}"
    assert found == [
        (f"{WHERE}.rule", "FieldValueForbidden", f"Forbidden: estimated rule cost {over}"),
        (f"{WHERE}.rule", "FieldValueForbidden", "Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"),
        ("s", "FieldValueForbidden", f"Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema {over}"),
    ]


def test_bounds_make_the_same_rule_cheap() -> None:
    bounded = {"properties": {"l": {"type": "array", "maxItems": 16, "items": {"type": "string", "maxLength": 10}}}}
    assert told(bounded, {"rule": "self.l.all(x, self.l.all(y, self.l.all(z, x == y || y == z)))"}) == []


def test_an_unchanged_schema_keeps_a_rule_that_costs_too_much() -> None:
    spec = {"properties": {"l": {"type": "array", "items": {"type": "object", "properties": {"a": STRING}, "x-kubernetes-validations": [{"rule": "self.a.contains('abcdefghijkl')"}]}}}}
    schema = of_spec(spec)
    found = rules.problems(schema, "s")
    assert "estimated rule cost exceeds budget by factor of" in found[0].message
    assert all("estimated rule cost exceeds" not in c.message for c in rules.problems(schema, "s", schema))


def test_old_values_are_not_known_in_atomic_lists() -> None:
    items = {"type": "string", "maxLength": 5, "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}
    found = rules.problems(of_spec({"properties": {"l": {"type": "array", "maxItems": 5, "items": items}}}), "s")
    why = "oldSelf cannot be used on the uncorrelatable portion of the schema within s.properties[spec].properties[l]"
    assert [c.message for c in found] == [f'Invalid value: "self == oldSelf": {why}']


ARRAY, MAP = {"type": "array"}, {"type": "object"}
# Worst costs of rules over schemas without bounds and with them, as the API server's estimator has them.
ESTIMATES: list[tuple[Tree, str, int]] = [
    ({**ARRAY, "items": {"type": "number"}}, "self.all(x, true)", 4718591),
    ({**ARRAY, "items": {"type": "number"}, "maxItems": 10}, "self.all(x, true)", 32),
    ({**ARRAY, "items": STRING}, "self.all(x, true)", 3145727),
    ({**ARRAY, "items": {"type": "boolean"}}, "self.all(x, true)", 1887437),
    ({**ARRAY, "items": {"type": "object", "properties": {"required": STRING, "optional": STRING}, "required": ["required"]}}, "self.all(x, true)", 555128),
    ({**MAP, "additionalProperties": {"type": "number"}}, "self.all(x, true)", 1348169),
    ({**MAP, "additionalProperties": {**STRING, "format": "date-time"}}, "self['a'] == self['b']", 8),
    (STRING, "self.contains('test')", 314574),
    ({**STRING, "maxLength": 10}, "self.contains('test')", 5),
    ({**STRING, "enum": ["A", "LongValue"]}, "self.contains('A')", 2),
    (STRING, "size(self + 'hello') > size('hello')", 314578),
    ({**STRING, "maxLength": 10}, "self.lowerAscii() == 'lower!'", 6),
    ({"x-kubernetes-int-or-string": True}, "isQuantity(self)", 314574),
]


@pytest.mark.parametrize(("schema", "text", "worst"), ESTIMATES)
def test_the_worst_cost_of_a_rule_follows_from_the_bounds_of_its_schema(schema: Tree, text: str, worst: int) -> None:
    decl = declare(schema)
    assert decl is not None
    assert rules.Compiler(schema, decl).rule({"rule": text}).cost == worst


def judged(schema: Tree, new: Any, old: Any = None) -> tuple[list[tuple[str, str]], list[str]]:
    wrapped = None if old is None else {"spec": old}
    causes, warnings = rules.compiled(of_spec(schema)).judge({"spec": new}, wrapped)
    return [(c.field, c.message) for c in causes], warnings


def rule(text: str, **more: Any) -> Tree:
    return {"rule": text, **more}


def at_spec(properties: Tree, *rule_trees: Tree) -> Tree:
    return {"properties": properties, "x-kubernetes-validations": list(rule_trees)}


KEYED = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "items": {
        "type": "object",
        "properties": {"name": STRING, "v": {**INTEGER, "x-kubernetes-validations": [rule("self >= oldSelf", message="no way back")]}},
    },
}
CASES: list[tuple[str, Tree, Any, Any, list[tuple[str, str]]]] = [
    ("a failed rule tells itself", at_spec({"n": INTEGER}, rule("self.n < 3")), {"n": 5}, None, [("spec", "Invalid value: failed rule: self.n < 3")]),
    ("a reason, a field path", at_spec({"n": INTEGER}, rule("self.n < 3", message=" no ", reason="FieldValueForbidden", fieldPath=".n")), {"n": 5}, None, [("spec.n", "Forbidden: no")]),
    ("a message expression", at_spec({"n": INTEGER}, rule("self.n < 3", messageExpression="'got %d'.format([self.n])", message="m")), {"n": 5}, None, [("spec", "Invalid value: got 5")]),
    ("a message expression that fails", at_spec({"n": INTEGER}, rule("false", messageExpression="string(1 / (self.n - 5))", message="m")), {"n": 5}, None, [("spec", "Invalid value: m")]),
    ("a missing key", at_spec({"a": STRING, "n": INTEGER}, rule("self.a == 'x'")), {"n": 5}, None, [("spec", 'Invalid value: "object": no such key: a evaluating rule: self.a == \'x\'')]),
    ("int-or-string of the wrong kind", at_spec({"p": {"x-kubernetes-int-or-string": True}}, rule("self.p > 1", message="p")), {"p": "5%"}, None, [("spec", "Invalid value: \"object\": 'no such overload': call arguments did not match a supported operator, function or macro signature for rule: p")]),
    ("escaped names", at_spec({"a-b": STRING, "namespace": STRING, "x.y/z": STRING}, rule("self.a__dash__b + self.__namespace__ + self.x__dot__y__slash__z == '123'")), {"a-b": "1", "namespace": "2", "x.y/z": "3"}, None, []),
    ("numbers that are whole", at_spec({"n": {"type": "number"}}, rule("self.n / 2.0 == 0.5")), {"n": 1}, None, []),
    ("times, durations, bytes", at_spec({"t": {"type": "string", "format": "date-time"}, "d": {"type": "string", "format": "duration"}, "b": {"type": "string", "format": "byte"}}, rule("self.t.getFullYear() == 2024 && self.d == duration('60s') && self.b == b'abc'")), {"t": "2024-05-05T00:00:00Z", "d": "1m", "b": "YWJj"}, None, []),
    ("sets are equal in any order and unite", at_spec({"s": {"type": "array", "x-kubernetes-list-type": "set", "items": STRING}}, rule("self.s == ['b', 'a'] && self.s + ['a', 'c'] == ['a', 'b', 'c']")), {"s": ["a", "b"]}, None, []),
    ("transition rules wait for an old value", at_spec({"n": INTEGER}, rule("self.n >= oldSelf.n")), {"n": 1}, None, []),
    ("transition rules judge a change", at_spec({"n": INTEGER}, rule("self.n >= oldSelf.n", message="shrinks")), {"n": 1}, {"n": 2}, [("spec", "Invalid value: shrinks")]),
    ("optionalOldSelf without an old value", at_spec({"n": INTEGER}, rule("oldSelf.hasValue() || self.n == 0", optionalOldSelf=True, message="starts at 0")), {"n": 1}, None, [("spec", "Invalid value: starts at 0")]),
    ("optionalOldSelf with one", at_spec({"n": INTEGER}, rule("oldSelf.optMap(o, o.n <= self.n).orValue(self.n == 0)", optionalOldSelf=True)), {"n": 1}, {"n": 1}, []),
    ("items of keyed lists stand for those of their key", {"properties": {"l": KEYED}}, {"l": [{"name": "b", "v": 1}, {"name": "a", "v": 1}]}, {"l": [{"name": "a", "v": 1}, {"name": "b", "v": 2}]}, [("spec.l[0].v", "Invalid value: 1: no way back")]),
    ("values of maps by their key", {"properties": {"m": {"type": "object", "additionalProperties": {**INTEGER, "x-kubernetes-validations": [rule("self < 3", message="big")]}}}}, {"m": {"a": 5, "b": 1}}, None, [("spec.m[a]", "Invalid value: 5: big")]),
    ("a field that is null is not there", at_spec({"a": {**STRING, "nullable": True}}, rule("!has(self.a) && self.?a.orValue('none') == 'none'")), {"a": None}, None, []),
    ("null is not judged", {"properties": {"a": {**STRING, "nullable": True, "x-kubernetes-validations": [rule("false")]}}}, {"a": None}, None, []),
    ("a duplicate shows a scalar", {"properties": {"a": {**STRING, "x-kubernetes-validations": [rule("false", reason="FieldValueDuplicate")]}}}, {"a": "x"}, None, [("spec.a", 'Duplicate value: "x"')]),
]


@pytest.mark.parametrize(("schema", "new", "old", "causes"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_rules_judge_an_object(schema: Tree, new: Any, old: Any, causes: list[tuple[str, str]]) -> None:
    assert rules.problems(of_spec(schema), "s") == []
    assert judged(schema, new, old) == (causes, [])


def test_a_failure_in_what_did_not_change_is_a_warning() -> None:
    schema = {"properties": {"a": {**STRING, "x-kubernetes-validations": [rule("self == 'y'", message="must be y")]}, "b": STRING}}
    assert judged(schema, {"a": "x", "b": "2"}, {"a": "x", "b": "1"}) == ([], ['spec.a: Invalid value: "x": must be y'])
    assert judged(schema, {"a": "z"}, {"a": "x"}) == ([("spec.a", 'Invalid value: "z": must be y')], [])


def test_a_rule_that_runs_too_long_stops_all_rules() -> None:
    spec = at_spec({"n": INTEGER}, rule("lists.range(2000).all(x, lists.range(2000).all(y, x + y >= 0))", message="long"), rule("false"))
    found, _ = judged(spec, {"n": 1})
    assert found == [("spec", "Invalid value: \"object\": 'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: long")]


def test_the_root_sees_name_and_kind_and_nothing_else_of_metadata() -> None:
    schema = {"type": "object", "x-kubernetes-validations": [rule("self.metadata.name.startsWith('ok') && self.kind == 'Thing'", message="name")]}
    assert rules.problems(schema, "s") == []
    causes, _ = rules.compiled(schema).judge({"kind": "Thing", "metadata": {"name": "a"}})
    assert [(c.field, c.message) for c in causes] == [("<nil>", "Invalid value: name")]
    schema["x-kubernetes-validations"] = [rule("size(self.metadata.labels) > 0")]
    assert "undefined field 'labels'" in rules.problems(schema, "s")[0].message


def test_the_rules_of_one_schema_are_compiled_once_for_all_its_versions() -> None:
    first, second = (of_spec(at_spec({"n": INTEGER}, rule("self.n != 12345"))) for _ in range(2))
    assert rules.problems(first, "s") == []
    places = [rules.compiled(s).root for s in (first, second)]
    found = [p.properties["spec"].rules for p in places if p is not None]
    assert found[0] is found[1]
