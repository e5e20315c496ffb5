"""What each kind adds to the common path: defaults, validation, update rules. Pure.

`RULES` maps `resource.group` to a `Rule`; a kind without one is stored as its schema says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from seaway.cluster.apiserver.status import Cause

Tree = dict[str, Any]


def _nothing(tree: Tree) -> None:
    return None


def _nothing_to_carry(tree: Tree, old: Tree) -> None:
    return None


def _valid(tree: Tree) -> list[Cause]:
    return []


def _valid_update(tree: Tree, old: Tree) -> list[Cause]:
    return []


def _admitted(tree: Tree, old: Tree | None, others: Callable[[str], Iterable[Tree]]) -> str:
    return ""


def _no_warnings(tree: Tree, old: Tree | None) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class Part:
    """A subresource with rules of its own. `prepare` makes the object of what was sent and the old one."""

    prepare: Callable[[Tree, Tree], Tree] | None = None
    validate: Callable[[Tree, Tree], list[Cause]] = _valid_update
    warnings: Callable[[Tree, Tree | None], list[str]] = _no_warnings
    moves_generation: bool = False
    stamp: Callable[[Tree, Tree, str], None] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """`default` changes the tree in place; the others say what is wrong. `begin` sets a new object's status.

    `prepare` carries over to the new tree (first) what an update may not lose from the old one. An update is judged by
    `validate` and then `validate_update`, or by `revalidate` alone where the kind judges it in another way.
    """

    default: Callable[[Tree], None] = _nothing
    begin: Callable[[Tree], None] = _nothing
    validate: Callable[[Tree], list[Cause]] = _valid
    validate_update: Callable[[Tree, Tree], list[Cause]] = _valid_update
    grace: Callable[[Tree, int | None], int] | None = None
    put_creates: bool = False
    prepare: Callable[[Tree, Tree], None] = _nothing_to_carry
    revalidate: Callable[[Tree, Tree], list[Cause]] | None = None
    warnings: Callable[[Tree, Tree | None], list[str]] = _no_warnings
    parts: Mapping[str, Part] = field(default_factory=dict)
    admit: Callable[[Tree, Tree | None, Callable[[str], Iterable[Tree]]], str] = _admitted
    sign: Callable[[Tree, Tree], None] | None = None
    keeps_status: bool = False

    def part(self, subresource: str) -> Part:
        """The rules of a subresource; of the object itself where none is named."""
        return self.parts.get(subresource, NO_PART) if subresource else WHOLE

    def judge_update(self, tree: Tree, old: Tree) -> list[Cause]:
        """What is wrong with an update."""
        if self.revalidate is not None:
            return self.revalidate(tree, old)
        return self.validate(tree) + self.validate_update(tree, old)


def rule_for(group_resource: str) -> Rule:
    from seaway.cluster.apiserver.rules.table import RULES

    return RULES.get(group_resource, NO_RULE)


NO_RULE = Rule()
NO_PART = Part()
WHOLE = Part(moves_generation=True)  # no subresource: the object itself
