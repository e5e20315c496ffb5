"""The commonest rule of all, `self == oldSelf` of a text, without the CEL library.

Where no other rule is needed, as of a GatewayClass, the server does without the library's ten megabytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seaway.cluster.apiserver.expressions.program import PER_CALL, Outcome

Tree = dict[str, Any]


class Unchanged:
    """`self == oldSelf` of two texts, at the price that the library's form of it has."""

    def run(self, variables: Mapping[str, Any], limit: int = PER_CALL) -> Outcome:
        new, old = variables["self"], variables["oldSelf"]
        cost = 2 + -(-min(len(new), len(old)) // 10)  # two variables, and a tenth of what is compared
        return Outcome(new == old, "", cost)


def is_unchanged(schema: Tree) -> bool:
    """Whether that is all that the rules of a place say."""
    rules: list[Tree] = schema.get("x-kubernetes-validations") or []
    return (
        schema.get("type") == "string"
        and not schema.get("format")
        and len(rules) == 1
        and rules[0].get("rule") == "self == oldSelf"
        and not rules[0].get("messageExpression")
        and not rules[0].get("optionalOldSelf")
        and not rules[0].get("fieldPath")
    )
