"""Values against the validations of a schema, word for word as kube-openapi judges them (pkg/validation/validate); pure.

A schema is compiled once. `check` returns how much of a schema matched, by which anyOf and oneOf choose the alternative
whose faults are told.
"""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver.status import quoted
from seaway.cluster.apiserver.structural import faults, stringformats
from seaway.cluster.apiserver.structural.correlation import Correlation, same
from seaway.cluster.apiserver.structural.faults import Fault
from seaway.cluster.apiserver.structural.gotext import is_float
from seaway.cluster.apiserver.structural.nodes import Tree
from seaway.cluster.apiserver.structural.numbers import Numbers, is_integral
from seaway.re2 import Regexp, compiled

# Go's names for the format of a decoded number, by JSON type; nothing else has one.
NUMBER_FORMATS = {"integer": "int64", "number": "float64"}
TYPE_META = frozenset(("kind", "apiVersion"))


def json_type(value: Any) -> str:
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    if isinstance(value, bool):
        return "boolean"
    return "number" if is_float(value) else "integer"


def _limit(schema: Tree, name: str) -> float | None:
    value = schema.get(name)
    return None if value is None else float(value)


class Validator:
    """A schema compiled. `stored` schemas of a CRD know int-or-string and drop unknown formats; others are taken as they are
    (upstream checks defaults with the latter)."""

    __slots__ = (
        "additional",
        "all_of",
        "any_of",
        "closed",
        "enum",
        "format",
        "format_check",
        "items",
        "max_items",
        "max_length",
        "max_properties",
        "min_items",
        "min_length",
        "min_properties",
        "negated",
        "nullable",
        "numbers",
        "one_of",
        "pattern",
        "properties",
        "required",
        "types",
        "unique",
    )

    def __init__(self, schema: Tree, stored: bool = True) -> None:
        type_ = schema.get("type") or ""
        self.types: tuple[str, ...] = (type_,) if type_ else ()
        if stored and schema.get("x-kubernetes-int-or-string"):
            self.types = ("integer", "string")
        self.nullable = bool(schema.get("nullable"))
        self.format: str = schema.get("format") or ""
        if stored and self.format and not stringformats.is_supported(self.types, self.format):
            self.format = ""
        self.format_check = stringformats.check(self.format) if self.format else None
        self.numbers = self._numbers(schema)
        self.max_length: int | None = schema.get("maxLength")
        self.min_length: int | None = schema.get("minLength")
        self.pattern: Regexp | None = compiled(schema["pattern"]) if schema.get("pattern") else None
        self.max_items: int | None = schema.get("maxItems")
        self.min_items: int | None = schema.get("minItems")
        self.unique = bool(schema.get("uniqueItems"))
        self.max_properties: int | None = schema.get("maxProperties")
        self.min_properties: int | None = schema.get("minProperties")
        self.enum: tuple[Any, ...] = tuple(schema.get("enum") or ())
        self.required: tuple[str, ...] = tuple(schema.get("required") or ())
        self.properties = {k: Validator(v, stored) for k, v in sorted((schema.get("properties") or {}).items())}
        items, values, negated = schema.get("items"), schema.get("additionalProperties"), schema.get("not")
        self.items = Validator(items, stored) if isinstance(items, dict) else None
        self.closed = values is False
        self.additional = Validator(values, stored) if isinstance(values, dict) else None
        self.negated = Validator(negated, stored) if isinstance(negated, dict) else None
        self.all_of = tuple(Validator(s, stored) for s in schema.get("allOf") or ())
        self.any_of = tuple(Validator(s, stored) for s in schema.get("anyOf") or ())
        self.one_of = tuple(Validator(s, stored) for s in schema.get("oneOf") or ())

    def _numbers(self, schema: Tree) -> Numbers | None:
        type_ = self.types[0] if len(self.types) == 1 and self.types[0] in NUMBER_FORMATS else ""
        formats = {"integer": ("int32", "int64"), "number": ("float", "double")}.get(type_, ())
        found = Numbers(
            type=type_,
            format=self.format if self.format in formats else "",
            multiple=_limit(schema, "multipleOf"),
            maximum=_limit(schema, "maximum"),
            exclusive_maximum=bool(schema.get("exclusiveMaximum")),
            minimum=_limit(schema, "minimum"),
            exclusive_minimum=bool(schema.get("exclusiveMinimum")),
        )
        return None if found == Numbers() else found

    def accepts(self, kind: str) -> bool:
        """Whether every value of a type has the right one."""
        if not self.types and not self.format:
            return True
        if kind in self.types or (kind == "integer" and "number" in self.types):
            return True
        return bool(self.format) and kind in ("string", "array") and not {"number", "integer"} & set(self.types)

    def check(self, value: Any, path: str, found: list[Fault], old: Correlation | None = None) -> int:
        """Adds what is wrong with a value; returns how much matched."""
        if value is None:
            return self._check_null(path, found)
        kind = json_type(value)
        matches = 1
        if self.types or self.format:
            fault = self.type_fault(value, kind, path)
            if fault is None:
                matches += 2
            else:
                matches += 1
                found.append(fault)
        matches += 2
        if self.any_of or self.one_of or self.all_of or self.negated is not None:
            matches += self._check_junctors(value, path, found)
        if kind == "string":
            matches += self._check_string(value, path, found)
        elif kind == "array":
            matches += self._check_list(value, path, found, old)
        elif kind in NUMBER_FORMATS:
            matches += 2
            if self.numbers is not None:
                self.numbers.check(value, path, found)
        matches += 1
        if self.enum and not self.is_listed(value):
            found.append(faults.not_listed(path, value, self.enum))
        if kind == "object":
            matches += self._check_object(value, path, found, old)
        return matches

    def check_update(self, value: Any, path: str, found: list[Fault], old: Correlation) -> int:
        """As `check`, but what is wrong with a value that did not change is let through."""
        before = len(found)
        matches = self.check(value, path, found, old)
        if len(found) > before and old.unchanged():
            del found[before:]
        return matches

    def _check_null(self, path: str, found: list[Fault]) -> int:
        matches = 1
        if self.types and not self.nullable:
            found.append(faults.wrong_type(path, ",".join(self.types), "null"))
            matches = 0
        if self.enum:
            found.append(faults.not_listed(path, None, self.enum))
        return matches

    def type_fault(self, value: Any, kind: str, path: str) -> Fault | None:
        types = self.types
        if kind in types:
            return None
        integral = kind == "number" and "integer" in types and is_integral(float(value))
        if integral or (kind == "integer" and "number" in types):
            return None
        if self.format:
            if kind not in ("string", "array"):
                have = NUMBER_FORMATS.get(kind, "")
                if have != self.format:
                    return faults.wrong_type(path, self.format, have)
            elif "number" not in types and "integer" not in types:
                return None
        return faults.wrong_type(path, ",".join(types), kind)

    def _check_string(self, value: str, path: str, found: list[Fault]) -> int:
        """Of length and pattern only the first that is wrong is told."""
        if self.max_length is not None and len(value) > self.max_length:
            found.append(faults.too_long(path, self.max_length))
        elif self.min_length is not None and len(value) < self.min_length:
            found.append(faults.wrong(path, value, f"should be at least {self.min_length} chars long"))
        elif self.pattern is not None and not self.pattern.matches(value):
            found.append(faults.wrong(path, value, f"should match '{self.pattern.text}'"))
        if self.format_check is None:
            return 1
        if not self.format_check(value):
            found.append(faults.wrong_type(path, self.format, value))
        return 2

    def _check_list(self, value: list[Any], path: str, found: list[Fault], old: Correlation | None) -> int:
        matches = 2
        if self.items is not None:
            for i, item in enumerate(value):
                below = old.item(i) if old is not None else None
                where = f"{path}[{i}]"
                if below is None:
                    matches += self.items.check(item, where, found)
                else:
                    matches += self.items.check_update(item, where, found, below)
        size = len(value)
        if self.min_items is not None and size < self.min_items:
            found.append(faults.wrong(path, size, f"should have at least {self.min_items} items"))
        if self.max_items is not None and size > self.max_items:
            found.append(faults.too_many(path, size, self.max_items, "items"))
        if self.unique and not self.is_unique(value):
            found.append(faults.wrong(path, None, "shouldn't contain duplicates"))
        return matches

    def _check_object(self, value: Tree, path: str, found: list[Fault], old: Correlation | None) -> int:
        matches, size = 1, len(value)
        if self.min_properties is not None and size < self.min_properties:
            found.append(faults.wrong(path, size, f"should have at least {self.min_properties} properties"))
        if self.max_properties is not None and size > self.max_properties:
            found.append(faults.too_many(path, size, self.max_properties, "properties"))
        properties, additional = self.properties, self.additional
        for name, child in value.items():
            known = properties.get(name)
            if known is not None:
                where = f"{path}.{name}" if path else name
            elif additional is not None:
                known, where = additional, f"{path}.{name}"
            elif self.closed:
                text = f"{path}.{name} in body is a forbidden property"
                found.append(Fault(faults.VALUE, path, text, name))
                continue
            else:
                continue
            below = None
            if old is not None and (path or name not in TYPE_META):
                below = old.field(name)
            if below is None:
                matches += known.check(child, where, found)
            else:
                matches += known.check_update(child, where, found, below)
        for name in self.required:
            if name not in value:
                found.append(faults.missing(f"{path}.{name}"))
        return matches

    def is_unique(self, value: list[Any]) -> bool:
        return not any(same(v, u) for i, v in enumerate(value) for u in value[:i])

    def is_listed(self, value: Any) -> bool:
        """Whether a value is one of the enum."""
        return any(_equals_listed(value, listed) for listed in self.enum)

    def _check_junctors(self, value: Any, path: str, found: list[Fault]) -> int:
        """anyOf, oneOf, allOf and not. What is unchanged inside them is not let through."""
        matches = 0
        if self.any_of:
            matches += self._check_any(value, path, found)
        if self.one_of:
            matches += self._check_one(value, path, found)
        if self.all_of:
            valid = 0
            for schema in self.all_of:
                before = len(found)
                matches += schema.check(value, path, found)
                valid += len(found) == before
            if valid != len(self.all_of):
                told = "" if valid else ". None validated"
                found.append(faults.plain(f"{quoted(path)} must validate all the schemas (allOf){told}"))
        if self.negated is not None:
            below: list[Fault] = []
            self.negated.check(value, path, below)
            if not below:
                found.append(faults.plain(f"{quoted(path)} must not validate the schema (not)"))
        return matches

    def _check_any(self, value: Any, path: str, found: list[Fault]) -> int:
        best: list[Fault] = []
        most = -1
        for schema in self.any_of:
            below: list[Fault] = []
            matches = schema.check(value, path, below)
            if not below:
                return matches
            if matches > most:
                best, most = below, matches
        found.append(faults.plain(f"{quoted(path)} must validate at least one schema (anyOf)"))
        found += best
        return most

    def _check_one(self, value: Any, path: str, found: list[Fault]) -> int:
        best: list[Fault] = []
        most, valid, first = -1, 0, 0
        for schema in self.one_of:
            below: list[Fault] = []
            matches = schema.check(value, path, below)
            if not below:
                valid += 1
                if valid == 1:
                    first = matches
            elif not valid and matches > most:
                best, most = below, matches
        if valid == 1:
            return first
        told = f"Found {valid} valid alternatives" if valid else "Found none valid"
        found.append(faults.plain(f"{quoted(path)} must validate one and only one schema (oneOf). {told}"))
        if valid:
            return 0
        found += best
        return most


def _equals_listed(value: Any, listed: Any) -> bool:
    """Whether a value equals one of an enum once it has its Go type: numbers are converted, a whole number is a rune too."""
    if isinstance(value, bool) or isinstance(listed, bool):
        return value is listed
    if isinstance(value, (int, float)) and isinstance(listed, (int, float)):
        if is_float(listed):
            return float(value) == float(listed)
        return value == listed if not is_float(value) else int(float(value)) == listed
    if isinstance(value, int) and isinstance(listed, str):
        return len(listed) == 1 and ord(listed) == value
    return listed is not None and same(value, listed)
