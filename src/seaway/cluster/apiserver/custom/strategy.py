"""What a custom kind adds to the common path of writes, in the form of the built-in kinds' rules."""

from __future__ import annotations

import copy
from typing import Any

from seaway.api.kinds import Kind
from seaway.cluster.apiserver.custom.definition import Version
from seaway.cluster.apiserver.custom.judging import finalizer_warnings
from seaway.cluster.apiserver.rules import Part, Rule, rule_for

Tree = dict[str, Any]


def status_only(new: Tree, old: Tree) -> Tree:
    """A write to /status changes nothing else, metadata neither (status_strategy.go)."""
    result = copy.deepcopy(old)
    if "status" in new:
        result["status"] = new["status"]
    else:
        result.pop("status", None)
    return result


def rule_of(kind: Kind) -> Rule:
    """The rule of any kind."""
    if kind.custom is None:
        return rule_for(kind.group_resource)
    version: Version = kind.custom
    rule: Rule | None = version.__dict__.get("rule")
    if rule is None:
        rule = Rule(
            default=version.structural.fill,
            warnings=finalizer_warnings,
            parts={"status": Part(prepare=status_only)},
        )
        version.__dict__["rule"] = rule
    return rule
