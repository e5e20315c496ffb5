"""A schema compiled: prune, default and validate objects of a custom resource by it; pure but for objects changed in place."""

from __future__ import annotations

import copy
from typing import Any

from seaway.cluster.apiserver.status import Cause
from seaway.cluster.apiserver.structural import defaulting, embedded, faults, listtypes, pruning, quick
from seaway.cluster.apiserver.structural.correlation import Correlation
from seaway.cluster.apiserver.structural.nodes import Node, Tree
from seaway.cluster.apiserver.structural.scaling import spec_causes, status_causes
from seaway.cluster.apiserver.structural.validators import Validator


class Structural:
    """A schema of a version of a custom resource. Objects are changed in place; causes come in upstream's order."""

    __slots__ = ("_quick", "_resource", "_status", "_status_quick", "node", "validator")

    def __init__(self, schema: Tree) -> None:
        self.node = Node(schema)
        _prune_defaults(self.node)
        self._resource = self.node if self.node.embedded else Node(schema, embedded=True)
        self.validator = Validator(schema)
        self._quick = quick.table(self.validator)
        self._status = self.validator.properties.get("status")
        self._status_quick: quick.Table = {} if self._status is None else quick.table(self._status)

    def prune(self, tree: Tree, lenient: bool = False, nulls: bool = False) -> list[str]:
        """Drops what the schema does not know and reads metadata as ObjectMeta; the paths of what was dropped.

        Nulls of fields that may hold none and have no default go too, unless `nulls` (of what was applied they stay).
        Metadata that can not be read raises `Malformed` or TypeMismatch; with `lenient` it is dropped, as for stored objects.
        """
        unknown = embedded.root(tree, lenient)
        unknown += pruning.prune(tree, self._resource)
        if not nulls:
            defaulting.drop_nulls(tree, self.node)
        return unknown + embedded.coerce(tree, self.node, lenient)

    def fill(self, tree: Tree) -> None:
        """Fills in defaults only: an applied null stays, and is told of, unless it becomes the default."""
        defaulting.fill(tree, self.node)

    def default(self, tree: Tree) -> None:
        """Fills in defaults; nulls that may not be become the default or go."""
        defaulting.default(tree, self.node)

    def validate(self, tree: Tree, scale: Tree | None = None) -> list[Cause]:
        """What is wrong with a new object; `scale` is the scale subresource of the version."""
        found = self._schema_causes(tree, None)
        if scale is not None:
            found += spec_causes(tree, scale) + status_causes(tree, scale)
        return found + embedded.problems(tree, self.node) + listtypes.duplicates(tree, self.node)

    def validate_update(self, new: Tree, old: Tree, scale: Tree | None = None) -> tuple[list[Cause], list[str]]:
        """What is wrong with a changed object but was not before, or did change (KEP-4008); the warnings are none so far."""
        found = self._schema_causes(new, Correlation(new, old, self.node))
        if scale is not None:
            found += spec_causes(new, scale) + status_causes(new, scale)
        found += embedded.problems(new, self.node)
        if not listtypes.duplicates(old, self.node):
            found += listtypes.duplicates(new, self.node)
        return found, []

    def validate_status(self, new: Tree, old: Tree, scale: Tree | None = None) -> tuple[list[Cause], list[str]]:
        """What is wrong with a write of the status subresource: only the status is judged, as a schema of its own."""
        found: list[Cause] = []
        if self._status is not None and "status" in new and not quick.is_valid(self._status_quick, new["status"]):
            below = Correlation(new, old, self.node).field("status")
            found = _told(self._status, new["status"], "status", below)
        if scale is not None:
            found += status_causes(new, scale)
        if not listtypes.duplicates(old, self.node):
            found += listtypes.duplicates(new, self.node)
        return found, []

    def _schema_causes(self, tree: Tree, old: Correlation | None) -> list[Cause]:
        return [] if quick.is_valid(self._quick, tree) else _told(self.validator, tree, "", old)


def _prune_defaults(node: Node) -> None:
    """Unknown fields of defaults go: those of values of maps are in no check of the schema (defaulting.PruneDefaults)."""
    if isinstance(node.default, (dict, list)):
        node.default = copy.deepcopy(node.default)
        pruning.prune(node.default, node)
    for below in (*node.properties.values(), node.items, node.additional):
        if below is not None:
            _prune_defaults(below)


def _told(validator: Validator, value: Any, path: str, old: Correlation | None) -> list[Cause]:
    """What is wrong, fields in the order of their names."""
    found: list[faults.Fault] = []
    ordered = _ordered(value)
    if old is None:
        validator.check(ordered, "", found)
    else:
        validator.check_update(ordered, "", found, Correlation(ordered, old.old, old.node))
    return faults.told(found, path)


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _ordered(v) for k, v in sorted(value.items())}
    return [_ordered(v) for v in value] if isinstance(value, list) else value


def compiled(schema: Tree) -> Structural:
    """A schema compiled; compile it once a version of a CRD."""
    return Structural(schema)
