"""Named formats (apiserver/pkg/cel/library/format.go)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.expressions.functions import urls
from seaway.cluster.apiserver.expressions.functions.overloads import Overload, one
from seaway.cluster.apiserver.expressions.values import NONE, Optional, parse_date, parse_timestamp

UUID = re.compile(r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\Z")
Check = Callable[[str], list[str]]


@dataclass(frozen=True, slots=True)
class Format:
    """A format; `longest` is the length of its pattern as costs count it."""

    name: str
    check: Check
    longest: int

    unit_equality = True
    cel_type = "kubernetes.NamedFormat"


def _prefix(check: Check) -> Check:
    """A name that something is appended to: it may end in a dash (apimachinery's maskTrailingDash)."""

    def of(value: str) -> list[str]:
        return check(value[:-1] + "a" if len(value) > 1 and value.endswith("-") else value)

    return of


def _uri(value: str) -> list[str]:
    why = urls.problem(value)
    return [why] if why is not None else []


def _byte(value: str) -> list[str]:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return ["invalid base64"]
    return []


def _when(right: bool, why: str) -> list[str]:
    return [] if right else [why]


FORMATS = {
    "dns1123Label": Format("DNS1123Label", formats.label, 30),
    "dns1123Subdomain": Format("DNS1123Subdomain", formats.subdomain, 60),
    "dns1035Label": Format("DNS1035Label", formats.label_1035, 30),
    "qualifiedName": Format("QualifiedName", formats.qualified_name, 60),
    "dns1123LabelPrefix": Format("DNS1123LabelPrefix", _prefix(formats.label), 30),
    "dns1123SubdomainPrefix": Format("DNS1123SubdomainPrefix", _prefix(formats.subdomain), 60),
    "dns1035LabelPrefix": Format("DNS1035LabelPrefix", _prefix(formats.label_1035), 30),
    "labelValue": Format("LabelValue", formats.label_value, 40),
    "uri": Format("URI", _uri, 1600),
    "uuid": Format("uuid", lambda v: _when(bool(UUID.match(v)), "does not match the UUID format"), 81),
    "byte": Format("byte", _byte, 84),
    "date": Format("date", lambda v: _when(parse_date(v) is not None, "invalid date"), 217),
    "datetime": Format("datetime", lambda v: _when(parse_timestamp(v) is not None, "invalid datetime"), 217),
}


def _named(name: str) -> Optional:
    return Optional(FORMATS[name]) if name in FORMATS else NONE


def _validate(format: Format, text: str) -> Optional:
    problems = format.check(text)
    return Optional(problems) if problems else NONE


def _constant(format: Format) -> tuple[Overload, ...]:
    return one(lambda: format)


FUNCTIONS: dict[str, tuple[Overload, ...]] = {
    "format.named": one(_named, str),
    "validate": one(_validate, Format, str),
    **{f"format.{name}": _constant(format) for name, format in FORMATS.items()},
}
