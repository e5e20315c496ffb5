"""APIServices: one for each group version that this server answers itself; others cannot be added here.

An APIService with a Service behind it would need the aggregation layer, which is not here: it is refused, not ignored.
"""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver.rules import Rule
from seaway.cluster.apiserver.status import Cause, not_permitted, required, wrong

Tree = dict[str, Any]
PRIORITY_LIMIT, VERSION_LIMIT = 20000, 1000


def validate(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    group, version = spec.get("group", ""), spec.get("version", "")
    found: list[Cause] = []
    name, wanted = tree["metadata"].get("name", ""), f"{version}.{group}"
    if name != wanted:
        found.append(wrong("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{wanted}"'))
    if not version:
        found.append(required("spec.version"))
    priority = spec.get("groupPriorityMinimum", 0)
    if not 0 < priority <= PRIORITY_LIMIT:
        found.append(wrong("spec.groupPriorityMinimum", priority, f"must be positive and less than {PRIORITY_LIMIT}"))
    order = spec.get("versionPriority", 0)
    if not 0 < order <= VERSION_LIMIT:
        found.append(wrong("spec.versionPriority", order, f"must be positive and less than {VERSION_LIMIT}"))
    if spec.get("service") is not None:
        found.append(not_permitted("spec.service", "API servers behind a Service are not supported by this cluster"))
    return found


def begin(tree: Tree) -> None:
    """A group version that this server answers itself is available at once."""
    condition = {
        "type": "Available",
        "status": "True",
        "lastTransitionTime": tree["metadata"]["creationTimestamp"],
        "reason": "Local",
        "message": "Local APIServices are always available",
    }
    tree["status"] = {"conditions": [condition]}


APISERVICES = Rule(begin=begin, validate=validate)
