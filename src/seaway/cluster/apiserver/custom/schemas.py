"""What the rules of a version's schema do: the seam to the library of expressions."""

from __future__ import annotations

from typing import Any, Protocol

from seaway.cluster.apiserver.status import Cause

Tree = dict[str, Any]


class Rules(Protocol):
    """The compiled x-kubernetes-validations of a schema (`expressions.rules.compiled`)."""

    def judge(self, new: Tree, old: Tree | None, at_status: bool = False) -> tuple[list[Cause], list[str]]: ...


class _NoRules:
    def judge(self, new: Tree, old: Tree | None, at_status: bool = False) -> tuple[list[Cause], list[str]]:
        return [], []


def rules(schema: Tree) -> Rules:
    return _NoRules()


def problems(schema: Tree, path: str, old: Tree | None) -> list[Cause]:
    """What is wrong with the rules of a schema; `old` is what was stored before."""
    return []
