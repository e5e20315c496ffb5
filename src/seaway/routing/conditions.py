"""Conditions as values; the reasons are those that Gateway API names (apis/v1 of its Go module)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

Tree = dict[str, Any]
GROUP = "gateway.networking.k8s.io"


class Condition(NamedTuple):
    type: str
    status: bool | None  # None: Unknown
    reason: str
    message: str = ""


def rendered(conditions: Iterable[Condition], generation: int) -> list[Tree]:
    """As a status has them, without lastTransitionTime: who writes knows when."""
    return [
        {
            "type": c.type,
            "status": {True: "True", False: "False", None: "Unknown"}[c.status],
            "reason": c.reason,
            "message": c.message[:32768],
            "observedGeneration": generation,
        }
        for c in conditions
    ]


def worst(problems: Iterable[tuple[str, str]], kind: str, good: str, message: str) -> Condition:
    """A condition that is true without (reason, message) problems; else it has the first one's reason and all messages."""
    found = list(problems)
    if not found:
        return Condition(kind, True, good, message)
    return Condition(kind, False, found[0][0], "; ".join(dict.fromkeys(m for _, m in found)))
