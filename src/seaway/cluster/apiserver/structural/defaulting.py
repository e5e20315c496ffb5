"""Defaults are filled in, and nulls that a field may not hold become the default or go; pure.

KEP-2261: pkg/apiserver/schema/defaulting/algorithm.go and prunenulls.go of apiextensions-apiserver.
"""

from __future__ import annotations

import copy
from typing import Any

from seaway.cluster.apiserver.structural.nodes import Node


def default(tree: Any, node: Node) -> None:
    """Fills in what is absent, in place, then drops the nulls that have no default to become."""
    fill(tree, node)
    drop_nulls(tree, node)


def fill(value: Any, node: Node | None) -> None:
    """Fills in, in place, what is absent or a null that may not be."""
    if node is None:
        return
    if isinstance(value, dict):
        for name, found in node.defaulted:
            if name not in value or (value[name] is None and not found.nullable):
                value[name] = copy.deepcopy(found.default)
        for name, child in value.items():
            known = node.properties.get(name)
            if known is None:
                known = node.additional
                if child is None and known is not None and not known.nullable:
                    child = value[name] = copy.deepcopy(known.default)
            if isinstance(child, (dict, list)):
                fill(child, known)
    elif isinstance(value, list) and node.items is not None:
        for i, child in enumerate(value):
            if child is None and not node.items.nullable:
                child = value[i] = copy.deepcopy(node.items.default)
            if isinstance(child, (dict, list)):
                fill(child, node.items)


def drop_nulls(value: Any, node: Node | None) -> None:
    """Drops, in place, the nulls of fields that may hold none and have no default."""
    if node is None:
        return
    if isinstance(value, dict):
        dropped = []
        for name, child in value.items():
            known = node.child(name)
            if child is None:
                if known is not None and not known.nullable and known.default is None:
                    dropped.append(name)
            elif known is not None and isinstance(child, (dict, list)):
                drop_nulls(child, known)
        for name in dropped:
            del value[name]
    elif isinstance(value, list) and node.items is not None:
        for child in value:
            if isinstance(child, (dict, list)):
                drop_nulls(child, node.items)
