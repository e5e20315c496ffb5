"""What makes a schema structural (KEP-1693; pkg/apiserver/schema/validation.go and complete.go of apiextensions-apiserver); pure.

Structure (types, items, properties) stands outside of anyOf, oneOf, allOf and not; inside them are value validations only,
of fields whose structure is told outside.
"""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver.status import Cause
from seaway.cluster.apiserver.structural import causes
from seaway.cluster.apiserver.structural.nodes import Tree
from seaway.re2 import syntax_error

ROOT, ITEM, FIELD = "at the root", "for specified array items", "for specified object fields"
INT_OR_STRING = ({"type": "integer"}, {"type": "string"})
# What the metadata of a resource may say: names alone can be restricted.
NAMES = frozenset(("name", "generateName"))
# What is told apart from its absence even when it is false, 0 or empty.
POINTERS = frozenset(
    """$ref default maximum minimum maxLength minLength maxItems minItems multipleOf maxProperties minProperties items not
    additionalProperties additionalItems externalDocs example x-kubernetes-preserve-unknown-fields x-kubernetes-list-type
    x-kubernetes-map-type""".split()
)
# Structure inside of a junctor, in upstream's order, and how it is told.
NESTED = (
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
)


def is_set(schema: Tree, name: str) -> bool:
    """Whether a keyword says anything: empty strings and lists and plain flags that are false do not."""
    value = schema.get(name)
    if name in POINTERS:
        return value is not None
    return value is not None and value is not False and value != "" and value != []


def violations(schema: Tree, path: str) -> list[Cause]:
    """Where a schema is not structural, sorted by what is told."""
    found = _invariants(schema, ROOT, path) + _completeness(schema, schema, path, path)
    return sorted(found, key=lambda c: f"{c.field}: {c.message}")


def unsupported(schema: Tree) -> str:
    """Why a schema can not be read as a structural one at all, "" when it can (convert.go)."""
    for name, told in (
        ("id", "id"),
        ("$schema", "schema"),
        ("$ref", "$ref"),
        ("patternProperties", "patternProperties"),
        ("dependencies", "dependencies"),
        ("additionalItems", "additionalItems"),
        ("definitions", "definitions"),
    ):
        present = schema.get(name) is not None if name == "additionalItems" else bool(schema.get(name))
        if present:
            return f"OpenAPIV3Schema '{told}' is not supported"
    for one in schema.get("not"), *_junctors(schema):
        if isinstance(one, dict) and (why := unsupported(one)):
            return why
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        return "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined"
    items = schema.get("items")
    if isinstance(items, list) and items:
        return "OpenAPIV3Schema 'items' must be a schema, but is an array"
    below = [
        items,
        *(v for _, v in sorted((schema.get("properties") or {}).items())),
        schema.get("additionalProperties"),
    ]
    for one in below:
        if isinstance(one, dict) and (why := unsupported(one)):
            return why
    return ""


def _junctors(schema: Tree) -> list[Any]:
    return [s for name in ("allOf", "anyOf", "oneOf") for s in schema.get(name) or ()]


def _subschema(schema: Tree, name: str) -> Tree | None:
    value = schema.get(name)
    return value if isinstance(value, dict) else None


def _is_int_or_string(alternatives: Any) -> bool:
    return isinstance(alternatives, list) and tuple(alternatives) == INT_OR_STRING


def _invariants(schema: Tree, level: str, path: str) -> list[Cause]:
    found: list[Cause] = []
    type_ = schema.get("type") or ""
    properties: Tree = schema.get("properties") or {}
    items, additional = _subschema(schema, "items"), schema.get("additionalProperties")
    if type_ == "array" and items is None:
        found.append(causes.required(causes.child(path, "items"), "must be specified"))
    if items is not None:
        found += _invariants(items, ITEM, causes.child(path, "items"))
    for name, value in properties.items():
        found += _invariants(value, FIELD, causes.key(causes.child(path, "properties"), name))
    if additional is not None:
        where = causes.child(path, "additionalProperties")
        if level == ROOT:
            found.append(causes.forbidden(where, "must not be used at the root"))
        if isinstance(additional, dict):
            found += _invariants(additional, FIELD, where)
    found += _extensions(schema, path)
    first = (schema.get("allOf") or [{}])[0]
    found += _values(schema, path, level, _is_int_or_string(schema.get("anyOf")), _is_int_or_string(first.get("anyOf")))
    found += _type(schema, level, path)
    if level == ROOT or schema.get("x-kubernetes-embedded-resource"):
        for name in ("kind", "apiVersion"):
            if name in properties and (have := properties[name].get("type") or "") != "string":
                where = causes.child(causes.key(causes.child(path, "properties"), name), "type")
                found.append(causes.invalid(where, have, "must be string"))
        if "metadata" in properties:
            where = causes.key(causes.child(path, "properties"), "metadata")
            found += _metadata(properties["metadata"], level, where)
    preserves = schema.get("x-kubernetes-preserve-unknown-fields")
    if schema.get("x-kubernetes-embedded-resource") and not properties and not preserves:
        why = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
        found.append(causes.required(causes.child(path, "properties"), why))
    return found


def _type(schema: Tree, level: str, path: str) -> list[Cause]:
    found: list[Cause] = []
    type_, where = schema.get("type") or "", causes.child(path, "type")
    if schema.get("x-kubernetes-embedded-resource") and type_ != "object":
        why = "must be object if x-kubernetes-embedded-resource is true"
        found.append(causes.invalid(where, type_, why) if type_ else causes.required(where, why))
    elif not type_ and not (
        schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    ):
        found.append(causes.required(where, f"must not be empty {level}"))
    if schema.get("x-kubernetes-embedded-resource") and schema.get("additionalProperties") is not None:
        why = "must not be used if x-kubernetes-embedded-resource is set"
        found.append(causes.forbidden(causes.child(path, "additionalProperties"), why))
    if level == ROOT and type_ and type_ != "object":
        found.append(causes.invalid(where, type_, "must be object at the root"))
    return found


def _extensions(schema: Tree, path: str) -> list[Cause]:
    if not schema.get("x-kubernetes-int-or-string"):
        return []
    return [
        causes.invalid(causes.child(path, name), True, "must be false if x-kubernetes-int-or-string is true")
        for name in ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource")
        if schema.get(name)
    ]


def _metadata(schema: Tree, level: str, path: str) -> list[Cause]:
    """Metadata is there without being told; a schema of it may restrict the names, at the root only."""
    found: list[Cause] = []
    if (type_ := schema.get("type") or "") != "object":
        found.append(causes.invalid(causes.child(path, "type"), type_, "must be object"))
    if level == ROOT:
        properties = schema.get("properties") or {}
        rest = {k for k in schema if k not in ("type", "default", "properties") and is_set(schema, k)}
        if rest or not properties.keys() <= NAMES:
            why = "must not specify anything other than name and generateName, but metadata is implicitly specified"
            found.append(causes.forbidden(path, why))
    return found


def _values(schema: Tree, path: str, level: str, skip_any: bool, skip_first_any: bool) -> list[Cause]:
    """The value validations of a schema; `skip_any`: its anyOf says integer or string, which is let through."""
    found: list[Cause] = []
    for name in ("anyOf", "allOf", "oneOf"):
        for i, one in enumerate(schema.get(name) or ()):
            if name == "anyOf" and skip_any:
                break
            first = name == "allOf" and i == 0 and skip_first_any
            found += _nested(one, causes.index(causes.child(path, name), i), level, first)
    negated = _subschema(schema, "not")
    if negated is not None:
        found += _nested(negated, causes.child(path, "not"), level)
    if schema.get("pattern") and (error := syntax_error(schema["pattern"])):
        why = f"must be a valid regular expression, but isn't: {error}"
        found.append(causes.invalid(causes.child(path, "pattern"), schema["pattern"], why))
    return found


def _nested(schema: Tree, path: str, level: str, skip_any: bool = False) -> list[Cause]:
    """A schema inside of a junctor."""
    found = _values(schema, path, level, skip_any, False)
    items, additional = _subschema(schema, "items"), schema.get("additionalProperties")
    if items is not None:
        found += _nested(items, causes.child(path, "items"), level)
    for name, value in (schema.get("properties") or {}).items():
        found += _nested(value, causes.key(causes.child(path, "properties"), name), FIELD)
    for name, why in NESTED:
        if is_set(schema, name) and not (name == "additionalProperties" and additional is False):
            found.append(causes.forbidden(causes.child(path, name), why))
    if "metadata" in (schema.get("properties") or {}):
        where = causes.key(causes.child(path, "properties"), "metadata")
        found.append(causes.forbidden(where, "must not be specified in a nested context"))
    return found


def _completeness(values: Tree, schema: Tree | None, path: str, value_path: str) -> list[Cause]:
    """Fields that junctors speak of must be told outside of them too."""
    found: list[Cause] = []
    negated = _subschema(values, "not")
    if negated is not None:
        found += _nested_completeness(negated, schema, path, causes.child(value_path, "not"))
    for name in ("allOf", "anyOf", "oneOf"):
        for i, one in enumerate(values.get(name) or ()):
            where = causes.index(causes.child(value_path, name), i)
            found += _nested_completeness(one, schema, path, where)
    return found


def _nested_completeness(values: Tree, schema: Tree | None, path: str, value_path: str) -> list[Cause]:
    if schema is None:
        return [causes.required(path, f"because it is defined in {value_path}")]
    found = _completeness(values, schema, path, value_path)
    items = _subschema(values, "items")
    if items is not None:
        found += _nested_completeness(
            items, _subschema(schema, "items"), causes.child(path, "items"), causes.child(value_path, "items")
        )
    properties = schema.get("properties") or {}
    for name, value in (values.get("properties") or {}).items():
        where = causes.key(causes.child(path, "properties"), name)
        value_where = causes.key(causes.child(value_path, "properties"), name)
        found += _nested_completeness(value, properties.get(name), where, value_where)
    return found
