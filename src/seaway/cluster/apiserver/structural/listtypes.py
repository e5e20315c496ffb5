"""Lists that are sets or maps hold each value or key once (pkg/apiserver/schema/listtype/validation.go); pure."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver.status import Cause
from seaway.cluster.apiserver.structural import causes
from seaway.cluster.apiserver.structural.gotext import is_float, json_text
from seaway.cluster.apiserver.structural.nodes import Node


def duplicates(tree: Any, node: Node | None, path: str = "") -> list[Cause]:
    """The second of each value of a set, and of each key of a map, anywhere in the tree."""
    found: list[Cause] = []
    if not _is_unique(tree, node):
        _walk(tree, node, path, found)
    return found


def _is_unique(value: Any, node: Node | None) -> bool:
    """Whether there is nothing to tell, which is cheap to say."""
    if node is None or not node.has_list_types:
        return True
    if isinstance(value, dict):
        for name, child in value.items():
            if isinstance(child, (dict, list)):
                # Of a schema with both, upstream looks at each.
                if node.additional is not None and not _is_unique(child, node.additional):
                    return False
                if (known := node.properties.get(name)) is not None and not _is_unique(child, known):
                    return False
        return True
    if not isinstance(value, list):
        return True
    if node.list_type == "set" and len(value) > 1 and len({_identity(v) for v in value}) < len(value):
        return False
    if node.list_type == "map" and _map_causes(value, node.list_keys, ""):
        return False
    items = node.items
    if items is None or not items.has_list_types:
        return True
    return all(_is_unique(child, items) for child in value)


def _walk(value: Any, node: Node | None, path: str, found: list[Cause]) -> None:
    if node is None or not node.has_list_types:
        return
    if isinstance(value, dict):
        if node.additional is not None:
            for name in sorted(value):
                _walk(value[name], node.additional, causes.key(path, name), found)
        for name in sorted(value) if node.properties else ():
            _walk(value[name], node.properties.get(name), causes.child(path, name), found)
    elif isinstance(value, list):
        if node.list_type == "set":
            found += [
                causes.duplicate(causes.index(path, i), value[i]) for i in _seconds([_identity(v) for v in value])
            ]
        elif node.list_type == "map":
            found += _map_causes(value, node.list_keys, path)
        for i, child in enumerate(value):
            _walk(child, node.items, causes.index(path, i), found)


def _identity(value: Any) -> tuple[str, Any]:
    """What two equal values share, as Go compares them: 1 is neither true nor 1.0."""
    if isinstance(value, (dict, list)):
        return "tree", json_text(value)
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return type(value).__name__, value
    return ("float", float(value)) if is_float(value) else ("int", value)


def _seconds(identities: list[tuple[str, Any] | None]) -> list[int]:
    """Where something is seen for the second time; the third is not told."""
    seen: dict[tuple[str, Any] | None, int] = {}
    found = []
    for i, identity in enumerate(identities):
        seen[identity] = seen.get(identity, 0) + 1
        if seen[identity] == 2:
            found.append(i)
    return found


def _map_causes(values: list[Any], keys: tuple[str, ...], path: str) -> list[Cause]:
    for i, value in enumerate(values):
        if value is not None and not isinstance(value, dict):
            return [causes.invalid(causes.index(path, i), value, "must be an object for an array of list-type map")]
    if len(values) < 2:
        return []
    told = [{k: value[k] for k in keys if k in value} if value else {} for value in values]
    # One key is compared as a value (1 is not 1.0), several as JSON.
    compared: list[tuple[str, Any] | None]
    compared = [_identity(t[keys[0]]) if t else None for t in told] if len(keys) == 1 else [_identity(t) for t in told]
    return [causes.duplicate(causes.index(path, i), told[i]) for i in _seconds(compared)]
