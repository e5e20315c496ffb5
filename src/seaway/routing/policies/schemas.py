"""Policies judged by the schema of their kind.

The API server has done so with what is written today. What was stored under an older schema, or by somebody who went around it,
must not be guessed at: it is not in force, and where it was to keep somebody out nobody passes.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from seaway.api.policies import clients, security, traffic
from seaway.api.policies.shared import FRAMING, UNSECTIONED
from seaway.routing.durations import seconds
from seaway.routing.policies.quantities import size
from seaway.routing.policies.targets import CLIENTS, SECURITY, TRAFFIC

Tree = dict[str, Any]
SCHEMAS: dict[str, Tree] = {
    TRAFFIC: traffic.BACKEND_TRAFFIC_POLICY["spec!"],
    CLIENTS: clients.CLIENT_TRAFFIC_POLICY["spec!"],
    SECURITY: security.SECURITY_POLICY["spec!"],
}
KINDS = {TRAFFIC: traffic.TARGETS, CLIENTS: clients.TARGETS, SECURITY: security.TARGETS}
TYPES: dict[str, Any] = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}


def _of_kinds(kinds: tuple[tuple[str, str], ...]) -> Callable[[Any], bool]:
    return lambda refs: all((r.get("group"), r.get("kind")) in kinds for r in refs)


def _address(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _alone(values: list[str]) -> bool:
    return "*" not in values or len(values) == 1


# What the rules of the schemas ask for, each by its message (a test sees to it that none is left out).
RULES: dict[str, Callable[[Any], bool]] = {
    **{f"targets must be of kind {', '.join(k for _, k in kinds)}": _of_kinds(kinds) for kinds in KINDS.values()},
    "an Ingress and an IngressClass have no sections": lambda refs: (
        not any(r.get("kind") in UNSECTIONED and "sectionName" in r for r in refs)
    ),
    "must not be longer than 8760h": lambda v: seconds(v) <= 8760 * 3600,
    "must be longer than 0s": lambda v: seconds(v) > 0,
    "must be an address or a network, as 192.0.2.1 or 2001:db8::/32": _address,
    "must not be a header that frames messages": lambda v: v.lower() not in FRAMING,
    "must be less than 4Gi": lambda v: size(v) < 4 << 30,
    "name is required, except for ClientIP, which has none": lambda v: ("name" in v) == (v.get("type") != "ClientIP"),
    "ttl may only be given for a Cookie": lambda v: "ttl" not in v or v.get("type") == "Cookie",
    "hashOn may only be given for RingHash and Maglev": lambda v: (
        "hashOn" not in v or v.get("algorithm") in ("RingHash", "Maglev")
    ),
    "slowStart may only be given for LeastRequest and RoundRobin": lambda v: (
        "slowStart" not in v or v.get("algorithm") in (None, "LeastRequest", "RoundRobin")
    ),
    "lifetime may only be given for a Cookie": lambda v: "lifetime" not in v or v.get("type") == "Cookie",
    "path may only be given for a Cookie": lambda v: "path" not in v or v.get("type") == "Cookie",
    "path and statuses may only be given for HTTP": lambda v: (
        not {"path", "statuses"} & v.keys() or v.get("type") == "HTTP"
    ),
    "host may only be given for HTTP and GRPC": lambda v: "host" not in v or v.get("type") != "TCP",
    "name is required for a Header": lambda v: v.get("type") == "ClientIP" or "name" in v,
    "name and value may only be given for a Header": lambda v: (
        v.get("type") == "Header" or not {"name", "value"} & v.keys()
    ),
    "minVersion must not be above maxVersion": lambda v: (
        "minVersion" not in v or "maxVersion" not in v or v["minVersion"] <= v["maxVersion"]
    ),
    "exactly one of hops and addresses must be given": lambda v: ("hops" in v) != ("addresses" in v),
    "exactly one of jwks and remote must be given": lambda v: ("jwks" in v) != ("remote" in v),
    "AllowOrigins cannot contain '*' alongside other origins": _alone,
    "AllowMethods cannot contain '*' alongside other methods": _alone,
    "AllowHeaders cannot contain '*' alongside other methods": _alone,
}


def judged(resource: str, spec: object) -> tuple[Tree, str]:
    """The spec of a policy with its defaults, and the first thing that is wrong with it, "" for nothing."""
    problems: list[str] = []
    found = _sound(SCHEMAS[resource], spec, "spec", problems)
    return (found, "") if not problems else ({}, problems[0])


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """A pattern of a schema, which is RE2's: a line's end that comes last is not passed over."""
    return re.compile(text.removesuffix("$") + r"\Z" if text.endswith("$") else text)


def _shown(value: object) -> str:
    return json.dumps(value, default=str)[:100]


def _sound(node: Tree, value: Any, path: str, problems: list[str]) -> Any:
    """A value with its defaults; what is wrong with it is added to `problems`, as `PATH: MESSAGE`."""
    kind: str = node["type"]
    if not isinstance(value, TYPES[kind]) or (kind == "integer" and isinstance(value, bool)):
        problems.append(f"{path}: Invalid value: {_shown(value)}: must be of type {kind}")
        return None
    before = len(problems)
    if kind == "object":
        value = _record(node, value, path, problems)
    elif kind == "array":
        value = _listing(node, value, path, problems)
    else:
        _scalar(node, value, path, problems)
    if len(problems) == before:
        for rule in node.get("x-kubernetes-validations", ()):
            if not RULES[rule["message"]](value):
                shown = "" if kind == "object" else f"{_shown(value)}: "
                problems.append(f"{path}: Invalid value: {shown}{rule['message']}")
    return value


def _record(node: Tree, value: Tree, path: str, problems: list[str]) -> Tree:
    known: Tree = node["properties"]
    found = {}
    for name, entry in value.items():
        if name not in known:
            # Of a newer version than this controller: to go on without it would be to guess.
            problems.append(f"{path}.{name}: Forbidden: this field is not known")
        elif entry is not None:
            found[name] = _sound(known[name], entry, f"{path}.{name}", problems)
    for name, schema in known.items():
        if name not in found and "default" in schema:
            found[name] = schema["default"]
    problems += [f"{path}.{name}: Required value" for name in node.get("required", ()) if name not in found]
    return found


def _listing(node: Tree, value: list[Any], path: str, problems: list[str]) -> list[Any]:
    if len(value) < node.get("minItems", 0):
        problems.append(f"{path}: Invalid value: should have at least {node['minItems']} items")
    if len(value) > node.get("maxItems", len(value)):
        problems.append(f"{path}: Too many: {len(value)}: must have at most {node['maxItems']} items")
    if node.get("x-kubernetes-list-type") == "set" and len({_shown(v) for v in value}) < len(value):
        problems.append(f"{path}: Duplicate value")
    return [_sound(node["items"], entry, f"{path}[{i}]", problems) for i, entry in enumerate(value)]


def _scalar(node: Tree, value: Any, path: str, problems: list[str]) -> None:
    if "enum" in node and value not in node["enum"]:
        supported = ", ".join(f'"{v}"' for v in node["enum"])
        problems.append(f"{path}: Unsupported value: {_shown(value)}: supported values: {supported}")
    elif isinstance(value, str):
        if len(value) < node.get("minLength", 0):
            problems.append(
                f"{path}: Invalid value: {_shown(value)}: should be at least {node['minLength']} chars long"
            )
        elif len(value) > node.get("maxLength", len(value)):
            problems.append(f"{path}: Too long: may not be more than {node['maxLength']} bytes")
        elif "pattern" in node and not _pattern(node["pattern"]).search(value):
            problems.append(f"{path}: Invalid value: {_shown(value)}: should match '{node['pattern']}'")
    elif not isinstance(value, bool) and value < node.get("minimum", value):
        problems.append(f"{path}: Invalid value: {value}: should be greater than or equal to {node['minimum']}")
    elif not isinstance(value, bool) and value > node.get("maximum", value):
        problems.append(f"{path}: Invalid value: {value}: should be less than or equal to {node['maximum']}")
