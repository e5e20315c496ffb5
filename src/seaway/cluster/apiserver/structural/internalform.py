"""A schema or a rule as the server's own Go structs print it, which some messages show; pure.

Upstream marks its internal types as not to be printed, and prints them all the same (types_jsonschema.go).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seaway.cluster.apiserver.structural.gotext import json_text
from seaway.cluster.apiserver.structural.nodes import Tree

Write = Callable[[Any], str]


def _or_null(write: Write) -> Write:
    return lambda value: "null" if value is None else write(value)


def _text(value: Any) -> str:
    return json_text(value or "")


def _flag(value: Any) -> str:
    return json_text(bool(value))


def _schemas(value: Any) -> str:
    return "[" + ",".join(map(schema, value)) + "]"


def _properties(value: Any) -> str:
    return "{" + ",".join(f"{json_text(k)}:{schema(v)}" for k, v in sorted(value.items())) + "}"


def _schema_or_bool(value: Any) -> str:
    allows = bool(value) or isinstance(value, dict)
    return f'{{"Allows":{json_text(allows)},"Schema":{_or_null(schema)(value if isinstance(value, dict) else None)}}}'


def _schema_or_list(value: Any) -> str:
    one, many = (value, None) if isinstance(value, dict) else (None, value)
    return f'{{"Schema":{_or_null(schema)(one)},"JSONSchemas":{_or_null(_schemas)(many)}}}'


def _dependencies(value: Any) -> str:
    told = []
    for name, one in sorted(value.items()):
        found, names = (one, None) if isinstance(one, dict) else (None, one)
        told.append(f'{json_text(name)}:{{"Schema":{_or_null(schema)(found)},"Property":{json_text(names)}}}')
    return "{" + ",".join(told) + "}"


def _documentation(value: Any) -> str:
    return f'{{"Description":{_text(value.get("description"))},"URL":{_text(value.get("url"))}}}'


def rule(value: Any) -> str:
    """A rule of x-kubernetes-validations."""
    fields: tuple[tuple[str, str, Write], ...] = (
        ("Rule", "rule", _text),
        ("Message", "message", _text),
        ("MessageExpression", "messageExpression", _text),
        ("Reason", "reason", json_text),
        ("FieldPath", "fieldPath", _text),
        ("OptionalOldSelf", "optionalOldSelf", json_text),
    )
    return "{" + ",".join(f'"{go}":{write(value.get(name))}' for go, name, write in fields) + "}"


def _rules(value: Any) -> str:
    return "[" + ",".join(map(rule, value)) + "]"


def schema(value: Tree) -> str:
    """A schema, every field of it, in the order of its struct."""
    return "{" + ",".join(f'"{go}":{write(value.get(name))}' for go, name, write in FIELDS) + "}"


FIELDS: tuple[tuple[str, str, Write], ...] = (
    ("ID", "id", _text),
    ("Schema", "$schema", _text),
    ("Ref", "$ref", json_text),
    ("Description", "description", _text),
    ("Type", "type", _text),
    ("Nullable", "nullable", _flag),
    ("Format", "format", _text),
    ("Title", "title", _text),
    ("Default", "default", json_text),
    ("Maximum", "maximum", json_text),
    ("ExclusiveMaximum", "exclusiveMaximum", _flag),
    ("Minimum", "minimum", json_text),
    ("ExclusiveMinimum", "exclusiveMinimum", _flag),
    ("MaxLength", "maxLength", json_text),
    ("MinLength", "minLength", json_text),
    ("Pattern", "pattern", _text),
    ("MaxItems", "maxItems", json_text),
    ("MinItems", "minItems", json_text),
    ("UniqueItems", "uniqueItems", _flag),
    ("MultipleOf", "multipleOf", json_text),
    ("Enum", "enum", json_text),
    ("MaxProperties", "maxProperties", json_text),
    ("MinProperties", "minProperties", json_text),
    ("Required", "required", json_text),
    ("Items", "items", _or_null(_schema_or_list)),
    ("AllOf", "allOf", _or_null(_schemas)),
    ("OneOf", "oneOf", _or_null(_schemas)),
    ("AnyOf", "anyOf", _or_null(_schemas)),
    ("Not", "not", _or_null(schema)),
    ("Properties", "properties", _or_null(_properties)),
    ("AdditionalProperties", "additionalProperties", _or_null(_schema_or_bool)),
    ("PatternProperties", "patternProperties", _or_null(_properties)),
    ("Dependencies", "dependencies", _or_null(_dependencies)),
    ("AdditionalItems", "additionalItems", _or_null(_schema_or_bool)),
    ("Definitions", "definitions", _or_null(_properties)),
    ("ExternalDocs", "externalDocs", _or_null(_documentation)),
    ("Example", "example", json_text),
    ("XPreserveUnknownFields", "x-kubernetes-preserve-unknown-fields", json_text),
    ("XEmbeddedResource", "x-kubernetes-embedded-resource", _flag),
    ("XIntOrString", "x-kubernetes-int-or-string", _flag),
    ("XListMapKeys", "x-kubernetes-list-map-keys", json_text),
    ("XListType", "x-kubernetes-list-type", json_text),
    ("XMapType", "x-kubernetes-map-type", json_text),
    ("XValidations", "x-kubernetes-validations", _or_null(_rules)),
)


def items(value: Any) -> str:
    """What `items` says, one schema or several."""
    return _schema_or_list(value)


def _scale(value: Any) -> str:
    told = {
        "SpecReplicasPath": value.get("specReplicasPath") or "",
        "StatusReplicasPath": value.get("statusReplicasPath") or "",
        "LabelSelectorPath": value.get("labelSelectorPath"),
    }
    return "{" + ",".join(f'"{k}":{json_text(v)}' for k, v in told.items()) + "}"


def _subresources(value: Any) -> str:
    status = "null" if value.get("status") is None else "{}"
    return f'{{"Status":{status},"Scale":{_or_null(_scale)(value.get("scale"))}}}'


def _columns(value: Any) -> str:
    told = []
    for column in value:
        texts = (("Name", "name"), ("Type", "type"), ("Format", "format"), ("Description", "description"))
        fields = [f'"{go}":{_text(column.get(name))}' for go, name in texts]
        fields += [f'"Priority":{column.get("priority") or 0}', f'"JSONPath":{_text(column.get("jsonPath"))}']
        told.append("{" + ",".join(fields) + "}")
    return "[" + ",".join(told) + "]"


def _selectable(value: Any) -> str:
    return "[" + ",".join(f'{{"JSONPath":{_text(field.get("jsonPath"))}}}' for field in value) + "]"


def _validation(value: Any) -> str:
    return f'{{"OpenAPIV3Schema":{_or_null(schema)(value.get("openAPIV3Schema"))}}}'


def version(value: Tree) -> str:
    """A version of a CRD; what it shares with all others is to be left out of it before."""
    fields: tuple[tuple[str, str, Write], ...] = (
        ("Name", "name", _text),
        ("Served", "served", _flag),
        ("Storage", "storage", _flag),
        ("Deprecated", "deprecated", _flag),
        ("DeprecationWarning", "deprecationWarning", json_text),
        ("Schema", "schema", _or_null(_validation)),
        ("Subresources", "subresources", _or_null(_subresources)),
        ("AdditionalPrinterColumns", "additionalPrinterColumns", _or_null(_columns)),
        ("SelectableFields", "selectableFields", _or_null(_selectable)),
    )
    return "{" + ",".join(f'"{go}":{write(value.get(name))}' for go, name, write in fields) + "}"
