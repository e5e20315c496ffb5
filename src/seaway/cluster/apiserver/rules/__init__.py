"""What each kind adds to the common path: defaults, validation, update rules. Pure.

`RULES` maps `resource.group` to a `Rule`; a kind without one is stored as its schema says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seaway.cluster.apiserver.status import Cause

Tree = dict[str, Any]


def _nothing(tree: Tree) -> None:
    return None


def _valid(tree: Tree) -> list[Cause]:
    return []


def _valid_update(tree: Tree, old: Tree) -> list[Cause]:
    return []


@dataclass(frozen=True, slots=True)
class Rule:
    """`default` changes the tree in place; the others say what is wrong. `begin` sets a new object's status."""

    default: Callable[[Tree], None] = _nothing
    begin: Callable[[Tree], None] = _nothing
    validate: Callable[[Tree], list[Cause]] = _valid
    validate_update: Callable[[Tree, Tree], list[Cause]] = _valid_update
    grace: Callable[[Tree, int | None], int] | None = None
    put_creates: bool = False


def rule_for(group_resource: str) -> Rule:
    from seaway.cluster.apiserver.rules.table import RULES

    return RULES.get(group_resource, NO_RULE)


NO_RULE = Rule()
