"""A compiled schema prunes, defaults and validates in the words of a recorded server."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.cluster.apiserver import structural

Tree = dict[str, Any]


def of_spec(**properties: Tree) -> structural.Structural:
    spec = {"type": "object", "properties": properties}
    return structural.compiled({"type": "object", "properties": {"spec": spec}})


def judged(schema: structural.Structural, spec: Tree) -> list[tuple[str, str, str]]:
    return [(c.field, c.reason, c.message) for c in schema.validate({"kind": "Thing", "spec": spec})]


def test_a_value_of_another_type_is_told_with_both_types() -> None:
    schema = of_spec(i={"type": "integer"})
    message = 'Invalid value: "string": spec.i in body must be of type integer: "string"'
    assert judged(schema, {"i": "1"}) == [("spec.i", "FieldValueTypeInvalid", message)]


def test_the_alternative_that_matches_most_is_told() -> None:
    schema = of_spec(a={"type": "string", "anyOf": [{"pattern": "^a"}, {"pattern": "z$"}]})
    assert judged(schema, {"a": "b"}) == [
        ("<nil>", "FieldValueInvalid", 'Invalid value: "": "spec.a" must validate at least one schema (anyOf)'),
        ("spec.a", "FieldValueInvalid", "Invalid value: \"b\": spec.a in body should match '^a'"),
    ]


def test_unknown_fields_are_told_by_path_but_kept_where_the_schema_preserves() -> None:
    known = {"type": "object", "properties": {"b": {"type": "string"}}}
    kept = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"k": known}}
    tree = {"kind": "Thing", "spec": {"x": {"any": [1], "k": {"b": "1", "c": "2"}}, "zz": 1}}
    assert of_spec(x=kept).prune(tree) == ["spec.x.k.c", "spec.zz"]
    assert tree["spec"] == {"x": {"any": [1], "k": {"b": "1"}}}


def test_a_null_becomes_the_default_or_goes() -> None:
    schema = of_spec(a={"type": "string", "default": "x"}, b={"type": "string"}, n={"type": "string", "nullable": True})
    tree = {"kind": "Thing", "spec": {"a": None, "b": None, "n": None}}
    schema.default(tree)
    assert tree["spec"] == {"a": "x", "n": None}


def test_what_was_wrong_before_and_did_not_change_is_let_through() -> None:
    schema = of_spec(a={"type": "string", "maxLength": 1}, b={"type": "string"})
    old = {"kind": "Thing", "spec": {"a": "long", "b": "1"}}
    assert schema.validate_update({"kind": "Thing", "spec": {"a": "long", "b": "2"}}, old) == ([], [])
    changed, _ = schema.validate_update({"kind": "Thing", "spec": {"a": "longer", "b": "1"}}, old)
    assert [c.field for c in changed] == ["spec.a"]


def test_metadata_of_an_embedded_resource_is_read_and_checked() -> None:
    resource = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    schema = of_spec(e=resource)
    tree: Tree = {"kind": "Thing", "spec": {"e": {"kind": "X", "metadata": {"name": "x", "bogus": 1}, "data": {}}}}
    assert schema.prune(tree) == ["spec.e.metadata.bogus"]
    assert judged(schema, tree["spec"]) == [("spec.e.apiVersion", "FieldValueRequired", "Required value")]
    with pytest.raises(
        structural.Malformed, match=r"spec\.e\.metadata: Invalid value: 5: json: cannot unmarshal number"
    ):
        schema.prune({"kind": "Thing", "spec": {"e": {"metadata": 5}}})
