"""Label selectors in objects (k8s.io/apimachinery/pkg/apis/meta/v1/validation); pure."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver import formats, metadata
from seaway.cluster.apiserver.status import Cause, not_permitted, required, wrong

Tree = dict[str, Any]
OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def selector_causes(selector: Tree | None, path: str) -> list[Cause]:
    """Everything that is wrong with a LabelSelector."""
    if selector is None:
        return []
    found = metadata.label_causes(selector.get("matchLabels") or {}, f"{path}.matchLabels")
    for i, term in enumerate(selector.get("matchExpressions") or ()):
        found += _term_causes(term, f"{path}.matchExpressions[{i}]")
    return found


def _term_causes(term: Tree, path: str) -> list[Cause]:
    operator, values = term.get("operator", ""), term.get("values") or []
    found = []
    if operator in ("In", "NotIn") and not values:
        found.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist") and values:
        why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        found.append(not_permitted(f"{path}.values", why))
    elif operator not in OPERATORS:
        found.append(wrong(f"{path}.operator", operator, "not a valid selector operator"))
    found += [wrong(f"{path}.key", term.get("key", ""), why) for why in formats.qualified_name(term.get("key", ""))]
    for j, value in enumerate(values):
        found += [wrong(f"{path}.values[{j}]", value, why) for why in formats.label_value(value)]
    return found
