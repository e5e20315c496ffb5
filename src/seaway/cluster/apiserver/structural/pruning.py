"""Unknown fields are dropped and told, sorted by path (apiextensions-apiserver pkg/apiserver/schema/pruning); pure."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver.structural.nodes import META_FIELDS, Node


def prune(tree: Any, node: Node) -> list[str]:
    """Drops what the schema does not know, in place. The fields of a resource itself (kind, metadata) are left alone."""
    unknown: list[str] = []
    _prune(tree, node, "", unknown)
    return sorted(unknown)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _prune(value: Any, node: Node | None, path: str, unknown: list[str]) -> None:
    if node is not None and node.preserve:
        _preserve(value, node, path, unknown)
    elif isinstance(value, dict):
        if node is None:
            unknown.extend(_below(path, k) for k in value)
            value.clear()
            return
        properties, additional, dropped = node.properties, node.additional, []
        for name, child in value.items():
            found = properties.get(name)
            if node.embedded and name in META_FIELDS:
                continue
            if found is not None or node.is_map:
                if isinstance(child, (dict, list)):
                    _prune(child, found if found is not None else additional, _below(path, name), unknown)
                continue
            if path or name not in META_FIELDS:
                unknown.append(_below(path, name))
            dropped.append(name)
        for name in dropped:
            del value[name]
    elif isinstance(value, list):
        items = None if node is None else node.items
        for i, child in enumerate(value):
            if isinstance(child, (dict, list)):
                _prune(child, items, f"{path}[{i}]", unknown)


def _preserve(value: Any, node: Node | None, path: str, unknown: list[str]) -> None:
    """Unknown fields stay; pruning begins again below the fields that the schema names."""
    if node is None:
        return
    if isinstance(value, dict):
        for name, child in value.items():
            if node.embedded and name in META_FIELDS:
                continue
            found = node.properties.get(name)
            if found is not None or node.is_map:
                _prune(child, found if found is not None else node.additional, _below(path, name), unknown)
    elif isinstance(value, list):
        for i, child in enumerate(value):
            _preserve(child, node.items, f"{path}[{i}]", unknown)
