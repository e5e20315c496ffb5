"""Tables (meta.k8s.io/v1): the columns that `kubectl get` prints, with upstream's names; pure (pkg/printers/internalversion).

`COLUMNS` maps a resource to its columns, gathered from the files of this folder, one an area. Kinds that are not listed
show Name and Created At, as upstream's kinds without a printer do.
"""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver.tables import (
    access,
    configuration,
    events,
    networking,
    nodes,
    pods,
    services,
    storage,
    workloads,
)
from seaway.cluster.apiserver.tables.cells import NAME, Column, at, format_selector, labels_text

__all__ = ["COLUMNS", "columns", "columns_of", "format_selector", "labels_text", "partial", "row", "table"]

Tree = dict[str, Any]
COLUMNS: dict[str, tuple[Column, ...]] = {
    **pods.COLUMNS,
    **workloads.COLUMNS,
    **services.COLUMNS,
    **networking.COLUMNS,
    **configuration.COLUMNS,
    **events.COLUMNS,
    **nodes.COLUMNS,
    **storage.COLUMNS,
    **access.COLUMNS,
}
WITHOUT_PRINTER = (NAME, Column("Created At", "date", 0, at("metadata", "creationTimestamp", default=None)))


def columns_of(resource: str) -> tuple[Column, ...]:
    """The columns of a resource (`deployments.apps`)."""
    return COLUMNS.get(resource, WITHOUT_PRINTER)


def columns(found: tuple[Column, ...]) -> list[Tree]:
    """columnDefinitions."""
    return [
        {"name": c.name, "type": c.type, "format": c.format, "description": c.description, "priority": c.priority}
        for c in found
    ]


def row(resource: str, found: tuple[Column, ...], tree: Tree, now: float, include: str) -> Tree:
    """One row: cells, and the object as `includeObject` asks (Metadata, Object, None)."""
    result: Tree = {"cells": [c.cell(tree, now) for c in found]}
    conditions = pods.row_conditions(tree) if resource == "pods" else []
    if conditions:
        result["conditions"] = conditions
    if include == "Object":
        result["object"] = tree
    else:
        result["object"] = partial(tree) if include != "None" else None
    return result


def partial(tree: Tree) -> Tree:
    """PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": tree.get("metadata") or {}}


def table(
    resource: str,
    trees: list[Tree],
    meta: Tree,
    now: float,
    include: str,
    with_columns: bool = True,
    own: tuple[Column, ...] = (),
) -> Tree:
    """A Table by a resource's printer, or by columns of its own."""
    found = own or columns_of(resource)
    result: Tree = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
    result["columnDefinitions"] = columns(found) if with_columns else None
    rows: list[Tree] | None = [row(resource, found, t, now, include) for t in trees]
    result["rows"] = rows if rows or own or resource in COLUMNS else None
    return result
