"""Paths into schemas: selectable fields and the scale subresource."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.cluster.apiserver.status import Cause
from seaway.cluster.apiserver.structural import fieldpaths, scaling

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
        "spec": {
            "type": "object",
            "properties": {
                "s": {"type": "string", "format": "date"},
                "n": {"type": "integer"},
                "f": {"type": "number"},
                "m": {"type": "object", "additionalProperties": {"type": "string"}},
                "l": {"type": "array", "items": {"type": "string"}},
            },
        },
    },
}


def told(causes: list[Cause]) -> list[str]:
    return [f"{c.field} {c.message}" for c in causes]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (".spec.s", ""),
        (".spec.n", ""),
        (".spec.m.k", ""),
        (".spec.f", "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."),
        (".spec", "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."),
        (".spec.q", "is an invalid path: does not refer to a valid field"),
        (".spec.s.q", "is an invalid path: does not refer to a valid field"),
        (".spec.l[0]", "is an invalid path: array notation is not allowed"),
        (".spec['s']", "is an invalid path: array notation is not allowed"),
        ("spec.s", "is an invalid path: expected [ or . but got: spec"),
        (".spec.", "is an invalid path: unexpected end of JSON path"),
        (".metadata.name", "must not point to fields in metadata"),
    ],
)  # fmt: skip
def test_a_selectable_field_leads_to_a_scalar_outside_of_metadata(path: str, message: str) -> None:
    found = told(fieldpaths.selectable_problems([{"jsonPath": path}], SCHEMA, "f"))
    assert found == ([f'f[0].jsonPath Invalid value: "{path}": {message}'] if message else [])


def test_selectable_fields_are_told_once_and_at_most_eight() -> None:
    twice = fieldpaths.selectable_problems([{"jsonPath": ".spec.s"}, {"jsonPath": ".spec.s"}, {}], SCHEMA, "f")
    assert told(twice) == ['f[1].jsonPath Duplicate value: ".spec.s"', "f[2].jsonPath Required value"]
    many = [{"jsonPath": f".spec.m.k{i}"} for i in range(9)]
    assert told(fieldpaths.selectable_problems(many, SCHEMA, "f")) == ["f Too many: 9: must have at most 8 items"]
    assert fieldpaths.selectable_problems(many, SCHEMA, "f", over_limit=True) == []


def test_quoted_names_are_followed() -> None:
    assert fieldpaths.find(".spec['m']['a.b']", SCHEMA).path == "spec.m[a.b]"
    for path, why in {
        ".spec[m]": "expected single quoted string but got m",
        ".spec['m": "unexpected end of JSON path",
        ".spec['m'.": "expected ] but got .",
        ".spec[": "unexpected end of JSON path",
    }.items():
        with pytest.raises(fieldpaths.BadPath) as error:
            fieldpaths.find(path, SCHEMA)
        assert str(error.value) in (why, "expected single quoted string but got 'm")


def test_scale_paths_are_simple_and_below_spec_and_status() -> None:
    scale = {"specReplicasPath": ".foo.n", "statusReplicasPath": "status.n", "labelSelectorPath": ".metadata.x"}
    assert told(fieldpaths.scale_problems(scale, "sub")) == [
        'sub.scale.specReplicasPath Invalid value: ".foo.n": should be a json path under .spec',
        'sub.scale.statusReplicasPath Invalid value: "status.n": must be a simple json path starting with .',
        'sub.scale.labelSelectorPath Invalid value: ".metadata.x": should be a json path under either .spec or .status',
    ]
    assert told(fieldpaths.scale_problems({}, "sub")) == [
        "sub.scale.specReplicasPath Required value",
        "sub.scale.statusReplicasPath Required value",
    ]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"n": 3}, ""),
        ({}, ""),
        (None, ""),
        ({"n": -1}, "Invalid value: -1: should be a non-negative integer"),
        ({"n": 2**31}, "Invalid value: 2147483648: should be less than or equal to 2147483647"),
        ({"n": "x"}, "Invalid value: 0: .spec.n accessor error: x is of the type string, expected int64"),
        ({"n": 1.5}, "Invalid value: 0: .spec.n accessor error: 1.5 is of the type float64, expected int64"),
        ({"n": None}, "Invalid value: 0: .spec.n accessor error: <nil> is of the type <nil>, expected int64"),
        ("x", "Invalid value: 0: .spec.n accessor error: x is of the type string, expected map[string]interface{}"),
    ],
)
def test_replicas_are_told_with_their_path(spec: Any, message: str) -> None:
    found = told(scaling.spec_causes({"spec": spec}, {"specReplicasPath": ".spec.n"}))
    assert found == ([f".spec.n {message}"] if message else [])
