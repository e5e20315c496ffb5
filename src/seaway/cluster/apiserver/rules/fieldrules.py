"""Checks that many kinds share: numbers, label selectors, quantities, immutable fields, values in the order of their type.

Messages are those of k8s.io/apimachinery/pkg/api/validation and pkg/apis/meta/v1/validation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seaway.api.selectors import Selector, label_selector
from seaway.cluster.apiserver import formats, metadata
from seaway.cluster.apiserver.status import Cause, not_permitted, required, unlisted, wrong

Tree = dict[str, Any]
NEGATIVE = "must be greater than or equal to 0"
NOT_POSITIVE = "must be greater than zero"
IMMUTABLE = "field is immutable"
SELECTOR_FIELDS = ("matchLabels", "matchExpressions")
TERM_FIELDS = ("key", "operator", "values")


def not_negative(path: str, value: int | None) -> list[Cause]:
    """A number that may not be below zero; None is not there."""
    return [wrong(path, value, NEGATIVE)] if value is not None and value < 0 else []


def not_negatives(tree: Tree, path: str, *names: str) -> list[Cause]:
    return [cause for name in names for cause in not_negative(f"{path}.{name}", tree.get(name))]


def positive(path: str, value: int) -> list[Cause]:
    return [] if value > 0 else [wrong(path, value, NOT_POSITIVE)]


def unchanged(path: str, new: Any, old: Any, shown: Any = None) -> list[Cause]:
    """A field that stays as it is; `shown` is what the error shows where it is not the value itself."""
    return [] if new == old else [wrong(path, new if shown is None else shown, IMMUTABLE)]


def one_of(path: str, value: Any, supported: Iterable[str], because: str = "") -> list[Cause]:
    """A value of a closed set, required."""
    if not value:
        return [required(path, because)]
    return [] if value in supported else [unlisted(path, value, supported)]


def listed(path: str, value: Any, supported: Iterable[str]) -> list[Cause]:
    """A value of a closed set; an empty one is as unsupported as any other."""
    return [] if value in supported else [unlisted(path, value, supported)]


def label_key(path: str, key: str) -> list[Cause]:
    return formats.causes(path, key, metadata.qualified_name_problems)


def selector_causes(selector: Tree | None, path: str) -> list[Cause]:
    """What is wrong with a LabelSelector."""
    if selector is None:
        return []
    found = metadata.label_causes(selector.get("matchLabels") or {}, f"{path}.matchLabels")
    for i, term in enumerate(selector.get("matchExpressions") or ()):
        at = f"{path}.matchExpressions[{i}]"
        operator, values = term.get("operator", ""), term.get("values") or []
        if operator in ("In", "NotIn"):
            if not values:
                found.append(required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                found.append(not_permitted(f"{at}.values", why))
        else:
            found.append(wrong(f"{at}.operator", operator, "not a valid selector operator"))
        found += label_key(f"{at}.key", term.get("key", ""))
        for j, value in enumerate(values):
            found += formats.causes(f"{at}.values[{j}]", value, formats.label_value)
    return found


def compiled_selector(selector: Tree | None) -> Selector | None:
    """The selector that can be asked, None where it cannot be made. No selector at all matches nothing."""
    if selector is None or selector_causes(selector, ""):
        return None
    return label_selector(selector)


def selector_shown(selector: Tree | None) -> Any:
    """A LabelSelector with its fields in the order of its type."""
    if selector is None:
        return None
    found = {name: selector[name] for name in SELECTOR_FIELDS if selector.get(name)}
    if "matchLabels" in found:
        found["matchLabels"] = dict(sorted(found["matchLabels"].items()))
    if "matchExpressions" in found:
        found["matchExpressions"] = [
            {name: term[name] for name in TERM_FIELDS if name in term} for term in found["matchExpressions"]
        ]
    return found


def is_empty_selector(selector: Tree) -> bool:
    return not selector.get("matchLabels") and not selector.get("matchExpressions")
