"""What is wrong with the schema of a CRD (apiextensions-apiserver pkg/apis/apiextensions/validation/validation.go); pure.

Rules (x-kubernetes-validations) are judged elsewhere; here is what can be said of them without compiling them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from seaway.cluster.apiserver.status import Cause
from seaway.cluster.apiserver.structural import causes, checkdefaults, internalform, invariants
from seaway.cluster.apiserver.structural.invariants import is_set
from seaway.cluster.apiserver.structural.listproblems import list_problems
from seaway.cluster.apiserver.structural.nodes import META_FIELDS, Tree
from seaway.cluster.apiserver.structural.ruleproblems import rule_problems

TYPES = ("array", "boolean", "integer", "number", "object", "string")
# What the root may say beside the status subresource, whose schema is taken out of it; by Go's names, as they are told.
AT_ROOT = {
    "description": "Description",
    "type": "Type",
    "format": "Format",
    "title": "Title",
    "maximum": "Maximum",
    "exclusiveMaximum": "ExclusiveMaximum",
    "minimum": "Minimum",
    "exclusiveMinimum": "ExclusiveMinimum",
    "maxLength": "MaxLength",
    "minLength": "MinLength",
    "pattern": "Pattern",
    "maxItems": "MaxItems",
    "minItems": "MinItems",
    "uniqueItems": "UniqueItems",
    "multipleOf": "MultipleOf",
    "required": "Required",
    "items": "Items",
    "properties": "Properties",
    "externalDocs": "ExternalDocs",
    "example": "Example",
    "x-kubernetes-preserve-unknown-fields": "XPreserveUnknownFields",
    "x-kubernetes-validations": "XValidations",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What is not asked of a CRD whose stored version already broke it, so that old ones can still be changed.

    `default_rules` says what the rules of a schema say of its default, at a path.
    """

    default_rules: Callable[[Tree, Any, str], list[Cause]] = lambda schema, value, path: []
    valid_types: bool = True
    structural: bool = True
    pruned_defaults: bool = True
    atomic_sets: bool = True
    map_keys: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a schema a rule looks: inside metadata of a resource, and why defaults are not allowed there."""

    in_meta: bool = False
    no_defaults: str = ""


def problems(schema: Tree, path: str, status: bool = False, options: Options | None = None) -> list[Cause]:
    """Everything that is wrong with a schema, but what its rules say. `status`: the version has the status subresource."""
    options = options or Options()
    found = _status_problems(schema, path) if status else []
    if schema.get("nullable"):
        found.append(causes.forbidden(causes.child(path, "nullable"), "nullable cannot be true at the root"))
    unreadable = ""
    if options.structural:
        unreadable = invariants.unsupported(schema)
        if not unreadable:
            judge = checkdefaults.Judge(options.pruned_defaults, options.default_rules)
            found += invariants.violations(schema, path) or checkdefaults.problems(schema, path, judge)
    found += _problems(schema, path, Place(), options, True)
    if unreadable and not found:
        found.append(causes.invalid(path, "", unreadable))
    return found


def is_structural(schema: Tree) -> list[str]:
    """Why a schema is not structural, as the NonStructuralSchema condition tells it; nothing when it is."""
    if why := invariants.unsupported(schema):
        return [why]
    return [f"{c.field}: {c.message}" for c in invariants.violations(schema, "")]


def _status_problems(schema: Tree, path: str) -> list[Cause]:
    type_ = schema.get("type") or ""
    if type_ and type_ != "object":
        why = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
        return [causes.invalid(causes.child(path, "type"), type_, why)]
    if all(name in AT_ROOT for name in schema if is_set(schema, name)):
        return []
    allowed = f"[{' '.join(AT_ROOT.values())}]"
    why = f"only {allowed} fields are allowed at the root of the schema if the status subresource is enabled"
    return [causes.invalid_as(path, internalform.schema(schema), why)]


def _problems(schema: Tree, path: str, place: Place, options: Options, root: bool = False) -> list[Cause]:
    found = _keywords(schema, path, place, options)
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        found.append(causes.forbidden(causes.child(path, "uniqueItems"), why))
    properties: Tree = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    if additional is not None:
        where = causes.child(path, "additionalProperties")
        if properties and additional is not True:
            found.append(causes.forbidden(where, "additionalProperties and properties are mutual exclusive"))
        if isinstance(additional, dict):
            inside = place
            if place.in_meta:
                inside = replace(place, no_defaults="inside additionalProperties applying to object metadata")
            found += _problems(additional, where, inside, options)
    for name, child in sorted(properties.items()):
        inside = place
        if (root or schema.get("x-kubernetes-embedded-resource")) and name in META_FIELDS:
            inside = replace(place, in_meta=True)
            if root:
                inside = replace(inside, no_defaults=f"in top-level {name}")
        found += _problems(child, causes.key(causes.child(path, "properties"), name), inside, options)
    if isinstance(schema.get("not"), dict):
        found += _problems(schema["not"], causes.child(path, "not"), place, options)
    for name in ("allOf", "oneOf", "anyOf"):
        for i, child in enumerate(schema.get(name) or ()):
            found += _problems(child, causes.index(causes.child(path, name), i), place, options)
    for name, child in sorted((schema.get("definitions") or {}).items()):
        found += _problems(child, causes.key(causes.child(path, "definitions"), name), place, options)
    items, where = schema.get("items"), causes.child(path, "items")
    if isinstance(items, dict):
        found += _problems(items, where, place, options)
    for i, child in enumerate(items if isinstance(items, list) else ()):
        found += _problems(child, causes.index(where, i), place, options)
    for name, child in sorted((schema.get("dependencies") or {}).items()):
        if isinstance(child, dict):
            found += _problems(child, causes.key(causes.child(path, "dependencies"), name), place, options)
    found += list_problems(schema, path, options.atomic_sets, options.map_keys)
    return found + rule_problems(schema, path)


def _keywords(schema: Tree, path: str, place: Place, options: Options) -> list[Cause]:
    """Types and keywords that JSON Schema has and CRDs have not."""
    found: list[Cause] = []
    type_ = schema.get("type") or ""
    if options.valid_types and type_ and type_ not in TYPES:
        found.append(causes.unsupported(causes.child(path, "type"), type_, TYPES))
    if schema.get("default") is not None and place.no_defaults:
        found.append(causes.forbidden(causes.child(path, "default"), f"must not be set {place.no_defaults}"))
    for name in ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"):
        present = schema.get(name) is not None
        if name in ("id", "patternProperties", "definitions"):
            present = bool(schema.get(name))
        if present:
            found.append(causes.forbidden(causes.child(path, name), f"{name} is not supported"))
    if type_ == "null":
        why = "type cannot be set to null, use nullable as an alternative"
        found.append(causes.forbidden(causes.child(path, "type"), why))
    if isinstance(schema.get("items"), list) and schema["items"]:
        found.append(causes.forbidden(causes.child(path, "items"), "items must be a schema object and not an array"))
    if place.in_meta and schema.get("x-kubernetes-embedded-resource"):
        where = causes.child(path, "x-kubernetes-embedded-resource")
        found.append(causes.forbidden(where, "must not be used inside of resource meta"))
    return found
