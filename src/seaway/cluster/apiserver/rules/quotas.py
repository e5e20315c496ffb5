"""ResourceQuota and LimitRange (pkg/apis/core): defaults, validation; pure."""

from __future__ import annotations

from typing import Any

from seaway.api import quantities
from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import resources
from seaway.cluster.apiserver.rules.pod_resources import container_name_causes, name_causes
from seaway.cluster.apiserver.rules.resources import quantity_causes
from seaway.cluster.apiserver.status import Cause, duplicate, not_permitted, required, wrong

Tree = dict[str, Any]
SCOPES = (
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
)
QUOTA_NAMES = resources.STANDARD - {"storage"}
IMMUTABLE = "field is immutable"
FIELDS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


# ResourceQuotas


def validate_quota(tree: Tree) -> list[Cause]:
    spec, status = tree.get("spec") or {}, tree.get("status") or {}
    found = _amount_causes(spec.get("hard") or {}, "spec.hard")
    found += _scope_causes(spec)
    for name in ("hard", "used"):
        found += _amount_causes(status.get(name) or {}, f"status.{name}")
    return found


def _amount_causes(amounts: Tree, path: str) -> list[Cause]:
    found: list[Cause] = []
    for name, amount in sorted(amounts.items()):
        at = f"{path}[{name}]"
        found += name_causes(name, at)
        if "/" not in name and not _is_quota_name(name):
            found.append(wrong(at, name, "must be a standard resource for quota"))
        found += quantity_causes(name, amount, at)
    return found


def _is_quota_name(name: str) -> bool:
    return name in QUOTA_NAMES or name.startswith((resources.HUGE, f"requests.{resources.HUGE}"))


def _scope_causes(spec: Tree) -> list[Cause]:
    found: list[Cause] = []
    scopes = spec.get("scopes") or []
    for scope in scopes:
        if scope not in SCOPES:
            found.append(wrong("spec.scopes", scopes, "unsupported scope"))
    for one, other in (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")):
        if one in scopes and other in scopes:
            found.append(wrong("spec.scopes", scopes, "conflicting scopes"))
    for i, term in enumerate((spec.get("scopeSelector") or {}).get("matchExpressions") or ()):
        at = f"spec.scopeSelector.matchExpressions[{i}]"
        if term.get("scopeName") not in SCOPES:
            found.append(wrong(f"{at}.scopeName", term.get("scopeName", ""), "unsupported scope"))
        operator, values = term.get("operator", ""), term.get("values") or []
        if operator in ("In", "NotIn") and not values:
            why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            found.append(required(f"{at}.values", why))
        elif operator in ("Exists", "DoesNotExist") and values:
            why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            found.append(wrong(f"{at}.values", values, why))
        elif operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            found.append(wrong(f"{at}.operator", operator, "not a valid selector operator"))
    return found


def quota_update_causes(tree: Tree, old: Tree) -> list[Cause]:
    new, was = (sorted((t.get("spec") or {}).get("scopes") or ()) for t in (tree, old))
    return [wrong("spec.scopes", (tree.get("spec") or {}).get("scopes"), IMMUTABLE)] if new != was else []


def validate_quota_status(tree: Tree, old: Tree) -> list[Cause]:
    status = tree.get("status") or {}
    return [c for name in ("hard", "used") for c in _amount_causes(status.get(name) or {}, f"status.{name}")]


# LimitRanges


def default_limits(tree: Tree) -> None:
    """For containers: default follows max, defaultRequest follows default and then min."""
    for item in (tree.get("spec") or {}).get("limits") or ():
        if item.get("type") != "Container":
            continue
        default = {**(item.get("max") or {}), **(item.get("default") or {})}
        request = {**(item.get("min") or {}), **default, **(item.get("defaultRequest") or {})}
        if default:
            item["default"] = default
        if request:
            item["defaultRequest"] = request


def validate_limits(tree: Tree) -> list[Cause]:
    found: list[Cause] = []
    seen: set[str] = set()
    for i, item in enumerate((tree.get("spec") or {}).get("limits") or ()):
        found += _limit_causes(item, f"spec.limits[{i}]", seen)
    return found


def _type_causes(kind: str, at: str) -> list[Cause]:
    found = formats.causes(f"{at}.type", kind, formats.qualified_name)
    if not found and "/" not in kind and kind not in ("Container", "Pod", "PersistentVolumeClaim"):
        found.append(wrong(f"{at}.type", kind, "must be a standard limit type or fully qualified"))
    return found


def _limit_causes(item: Tree, at: str, seen: set[str]) -> list[Cause]:
    kind = item.get("type", "")
    found = _type_causes(kind, at)
    if kind in seen:
        found.append(duplicate(f"{at}.type", kind))
    seen.add(kind)
    low, high = item.get("min") or {}, item.get("max") or {}
    found += _resource_causes(kind, "max", at, item) + _resource_causes(kind, "min", at, item)
    for field in ("default", "defaultRequest"):
        if kind != "Pod":
            found += _resource_causes(kind, field, at, item)
        elif item.get(field):
            found.append(not_permitted(f"{at}.{field}", "may not be specified when `type` is 'Pod'"))
    found += _resource_causes(kind, "maxLimitRequestRatio", at, item)
    fields = [f for f in FIELDS if kind != "Pod" or f not in ("default", "defaultRequest")]
    names = {name for f in fields for name in item.get(f) or ()}
    if kind == "PersistentVolumeClaim" and "storage" not in low and "storage" not in high:
        why = "either minimum or maximum storage value is required, but neither was provided"
        found.append(required(f"{at}.limits", why))
    for name in sorted(names):
        found += _order_causes(item, at, name)
    return found


def _resource_causes(kind: str, field: str, at: str, item: Tree) -> list[Cause]:
    """The names in a field: of resources that containers have, where they are what is limited."""
    judge = container_name_causes if kind in ("Pod", "Container") else name_causes
    return [cause for name in sorted(item.get(field) or ()) for cause in judge(name, f"{at}.{field}[{name}]")]


def _order_causes(item: Tree, at: str, name: str) -> list[Cause]:
    """min <= defaultRequest <= default <= max, each where it is given."""
    text = {f: (item.get(f) or {}).get(name) for f in FIELDS}
    value = {f: quantities.parse(t) for f, t in text.items() if t is not None}
    found: list[Cause] = []

    def over(low: str, high: str, field: str, shown: str, noun_low: str, noun_high: str) -> None:
        if low in value and high in value and value[low] > value[high]:
            why = f"{noun_low} value {text[low]} is greater than {noun_high} value {text[high]}"
            found.append(wrong(f"{at}.{field}[{name}]", text[shown], why))

    over("min", "max", "min", "min", "min", "max")
    over("min", "defaultRequest", "defaultRequest", "defaultRequest", "min", "default request")
    over("defaultRequest", "max", "defaultRequest", "defaultRequest", "default request", "max")
    over("defaultRequest", "default", "defaultRequest", "defaultRequest", "default request", "default limit")
    over("min", "default", "default", "min", "min", "default")
    over("default", "max", "default", "max", "default", "max")
    ratio = value.get("maxLimitRequestRatio")
    if ratio is not None and ratio < 1:
        why = f"ratio {text['maxLimitRequestRatio']} is less than 1"
        found.append(wrong(f"{at}.maxLimitRequestRatio[{name}]", text["maxLimitRequestRatio"], why))
    if ratio is not None and value.get("max") and value.get("min"):
        limit = value["max"] / value["min"]
        if ratio > limit:
            why = f"ratio {text['maxLimitRequestRatio']} is greater than max/min = {float(limit):f}"
            found.append(wrong(f"{at}.maxLimitRequestRatio[{name}]", text["maxLimitRequestRatio"], why))
    if (
        not resources.is_overcommitted(name)
        and text["default"] is not None
        and text["default"] != text["defaultRequest"]
    ):
        why = f"default value {text['default']} must equal to defaultRequest value {text['defaultRequest']}"
        found.append(wrong(f"{at}.defaultRequest[{name}]", text["defaultRequest"], f"{why} in {name}"))
    return found
