"""Definitions of custom resources that cannot be taken, and objects that break theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from bad import APPLY, JSON, MERGE, PROTOBUF, STRATEGIC, YAML, Bad, Tree
from badbodies import envelope, nested

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
WIDGET: Tree = {"apiVersion": "example.com/v1", "kind": "Widget"}
SCHEMA: Tree = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1, "maximum": 10},
                "small": {"type": "integer", "format": "int32"},
                "name": {"type": "string", "maxLength": 5, "pattern": "^[a-z]*$"},
                "on": {"type": "boolean"},
                "ratio": {"type": "number"},
                "when": {"type": "string", "format": "date-time"},
                "mode": {"type": "string", "enum": ["a", "b"]},
                "list": {"type": "array", "maxItems": 3, "items": {"type": "string"}},
                "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port"],
                    "items": {"type": "object", "required": ["port"], "properties": {"port": {"type": "integer"}}},
                },
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "either": {"x-kubernetes-int-or-string": True},
                "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "embedded": {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
            },
            "x-kubernetes-validations": [{"rule": "!has(self.name) || self.size > 1", "message": "a name needs a size"}],
        },
        "status": {"type": "object", "properties": {"done": {"type": "integer"}}},
    },
}


def definition(schema: Any, plural: str = "widgets", **more: Any) -> Tree:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}
    names = {"plural": plural, "singular": plural[:-1], "kind": plural[:-1].capitalize(), "listKind": f"{plural[:-1].capitalize()}List"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version], **more}
    return {"metadata": {"name": f"{plural}.example.com"}, "spec": spec}


def custom() -> Iterator[Bad]:
    dry = (("dryRun", "All"),)
    for key, wrongs in {
        "size": ("5", True, 1.5, [], {}, 0, 11, -(2**63) - 1, 10**30, None), "small": (2**31, 1.5, "x", -(2**31) - 1), "name": (5, "toolong", "A", True, [], {}),
        "on": ("true", 1, []), "ratio": ("1", True, []), "when": ("yesterday", 5, "2026-13-01T00:00:00Z"), "mode": ("c", 5, ""), "list": ("x", {}, [5], ["a"] * 4, [None]),
        "set": (["a", "a"], "x", [5]), "ports": ([{}], [{"port": 1}, {"port": 1}], [{"port": "x"}], [5], {}), "labels": ({"a": 5}, [], "x", {"a": {}}),
        "either": (1.5, True, [], {}), "any": (5, "x", []), "embedded": (5, {}, {"kind": "X"}, {"apiVersion": 5, "kind": "X"}, {"apiVersion": "v1", "kind": "X", "metadata": 5}),
    }.items():  # fmt: skip
        for wrong in wrongs:
            spec = {"size": 5, key: wrong}
            # a null that is not nullable goes away; the rest of `any` is free
            yield Bad(f"a widget with {key}={str(wrong)[:20]}", "POST", WIDGETS, {**WIDGET, "metadata": {"name": "y"}, "spec": spec}, names=(key, "spec"))
            yield Bad(f"merge {key}={str(wrong)[:20]}", "PATCH", f"{WIDGETS}/x", {"spec": {key: wrong}}, MERGE, names=(key, "spec"))
            applied = {**WIDGET, "metadata": {"name": "x"}, "spec": {key: wrong}}
            yield Bad(f"apply {key}={str(wrong)[:20]}", "PATCH", f"{WIDGETS}/x", applied, APPLY, (("fieldManager", "m"), ("force", "true")), (key, "spec"))
    for text, tree in (
        ("no kind", {"metadata": {"name": "y"}, "spec": {"size": 5}}), ("another kind", {**WIDGET, "kind": "Pod", "metadata": {"name": "y"}}), ("another version", {**WIDGET, "apiVersion": "example.com/v9"}),
        ("no spec", {**WIDGET, "metadata": {"name": "y"}}), ("no metadata", {**WIDGET, "spec": {"size": 5}}), ("a bad name", {**WIDGET, "metadata": {"name": "A"}, "spec": {"size": 5}}),
        ("metadata 5", {**WIDGET, "metadata": 5}), ("bad labels", {**WIDGET, "metadata": {"name": "y", "labels": {"a b": "c"}}, "spec": {"size": 5}}),
        ("wrong labels", {**WIDGET, "metadata": {"name": "y", "labels": {"a": 5}}, "spec": {"size": 5}}), ("a broken rule", {**WIDGET, "metadata": {"name": "y"}, "spec": {"size": 1, "name": "a"}}),
        ("spec 5", {**WIDGET, "metadata": {"name": "y"}, "spec": 5}), ("spec []", {**WIDGET, "metadata": {"name": "y"}, "spec": []}),
    ):  # fmt: skip
        yield Bad(f"a widget with {text}", "POST", WIDGETS, tree)
    yield Bad("a strategic patch of a widget", "PATCH", f"{WIDGETS}/x", {}, STRATEGIC)
    yield Bad("a widget in protobuf", "POST", WIDGETS, envelope("example.com/v1", "Widget", b""), PROTOBUF)
    yield Bad("a widget with what is unknown", "POST", WIDGETS, {**WIDGET, "metadata": {"name": "y"}, "spec": {"size": 5, "none": 1}}, query=(("fieldValidation", "Strict"),), names=("spec.none",))
    yield Bad("status 5", "PUT", f"{WIDGETS}/x/status", {**WIDGET, "metadata": {"name": "x"}, "status": 5})
    yield Bad("status of text", "PATCH", f"{WIDGETS}/x/status", {"status": {"done": "x"}}, MERGE, names=("status.done",))
    yield Bad("no scale", "GET", f"{WIDGETS}/x/scale")
    for depth in (150, 250, 5000, 100_000):
        for kind in ("list", "map"):
            body = b'{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"y"},"spec":{"size":5,"any":{"a":' + nested(depth, kind) + b"}}}"
            for media, method, path in ((JSON, "POST", WIDGETS), (MERGE, "PATCH", f"{WIDGETS}/x"), (APPLY, "PATCH", f"{WIDGETS}/x")):
                query = (*dry, ("fieldManager", "m")) if media == APPLY else dry
                yield Bad(f"{kind} {depth} deep in a widget, {media[12:20]}", method, path, body, media, query, sure=False)
    for number in ("1e400", "-1e400", "9" * 5000, "1" + "0" * 400, "0." + "9" * 5000, "1e-5000"):
        body = b'{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"y"},"spec":{"size":5,"any":{"a":' + number.encode() + b"}}}"
        yield Bad(f"{number[:9]} in a widget", "POST", WIDGETS, body, query=dry, sure=False)
        yield Bad(f"{number[:9]} in a widget, YAML", "POST", WIDGETS, body, YAML, dry, sure=False)
        yield Bad(f"{number[:9]} applied", "PATCH", f"{WIDGETS}/x", body, APPLY, (*dry, ("fieldManager", "m")), sure=False)
        yield Bad(f"{number[:9]} merged", "PATCH", f"{WIDGETS}/x", body, MERGE, dry, sure=False)
    for text, schema in (
        ("5", 5), ("text", "x"), ("list", []), ("nothing", {}), ("no type", {"properties": {}}), ("a wrong type", {"type": "thing"}), ("a type 5", {"type": 5}), ("properties 5", {"type": "object", "properties": 5}),
        ("a property 5", {"type": "object", "properties": {"a": 5}}), ("items missing", {"type": "object", "properties": {"a": {"type": "array"}}}), ("a bad pattern", {"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}),
        ("a bad default", {"type": "object", "properties": {"a": {"type": "string", "default": 5}}}), ("a bad rule", {"type": "object", "x-kubernetes-validations": [{"rule": "self.("}]}),
        ("a rule of text", {"type": "object", "x-kubernetes-validations": [{"rule": "'a'"}]}), ("rules 5", {"type": "object", "x-kubernetes-validations": 5}), ("a rule 5", {"type": "object", "x-kubernetes-validations": [5]}),
        ("a dear rule", {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}}, "x-kubernetes-validations": [{"rule": "self.a.all(x, x.all(y, self.a.all(z, z.all(w, w == y))))"}]}),
        ("a reference", {"type": "object", "properties": {"a": {"$ref": "#/x"}}}), ("a list type", {"type": "object", "properties": {"a": {"type": "array", "x-kubernetes-list-type": "heap", "items": {"type": "string"}}}}),
        ("map keys missing", {"type": "object", "properties": {"a": {"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object"}}}}), ("required 5", {"type": "object", "required": 5}),
        ("enum 5", {"type": "object", "properties": {"a": {"type": "string", "enum": 5}}}), ("a long minimum", {"type": "object", "properties": {"a": {"type": "integer", "minimum": "x"}}}),
        ("both kinds", {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": False}}}), ("a rule without end", {"type": "object", "x-kubernetes-validations": [{"rule": "(" * 3000}]}),
    ):  # fmt: skip
        yield Bad(f"a schema: {text}", "POST", DEFINITIONS, definition(schema, "gadgets"), names=("openAPIV3Schema", "schema", "x-kubernetes", "Schema"))
    for text, tree in (
        ("name", {**definition(SCHEMA, "gadgets"), "metadata": {"name": "other"}}), ("no versions", definition(SCHEMA, "gadgets", versions=[])), ("versions 5", definition(SCHEMA, "gadgets", versions=5)), ("scope", definition(SCHEMA, "gadgets", scope="Moon")),
        ("group", definition(SCHEMA, "gadgets", group="A B")), ("names 5", definition(SCHEMA, "gadgets", names=5)), ("conversion", definition(SCHEMA, "gadgets", conversion={"strategy": "Magic"})), ("no spec", {"metadata": {"name": "a.b"}}),
        ("two versions stored", definition(SCHEMA, "gadgets", versions=[{"name": n, "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}} for n in ("v1", "v2")])),
    ):  # fmt: skip
        yield Bad(f"a definition with a bad {text}", "POST", DEFINITIONS, tree)
    for depth in (100, 250, 5000):
        schema: Any = b'{"type":"object","properties":{"a":' * depth + b'{"type":"string"}' + b"}}" * depth
        body = json.dumps(definition("@", "gadgets")).encode().replace(b'"@"', schema)
        yield Bad(f"a schema {depth} deep", "POST", DEFINITIONS, body, query=dry, sure=False)
