"""An object judged by its kind's rules alone, as the API server would: defaults, then validation. For tables of tests."""

from __future__ import annotations

import copy
import functools
from typing import Any

from seaway.api import kinds
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import bodies, metadata, zeros
from seaway.cluster.apiserver.rules import rule_for, servicechange
from seaway.cluster.apiserver.rules import service as services
from seaway.cluster.apiserver.status import Cause

Tree = dict[str, Any]


@functools.cache
def kind_of(resource: str, version: str = "") -> Kind:
    """The newest served form of `resource.group`."""
    found = [k for k in kinds.builtin() if k.group_resource == resource and version in ("", k.version)]
    return max(found, key=lambda k: k.version)


def made(resource: str, tree: Tree) -> Tree:
    """A new object with its defaults."""
    kind, rule = kind_of(resource), rule_for(resource)
    tree = copy.deepcopy(tree)
    tree.setdefault("metadata", {}).setdefault("name", "x")
    if kind.namespaced:
        tree["metadata"].setdefault("namespace", "n")
    tree = bodies.typed(tree, kind, None, "Strict", [])
    rule.default(tree)
    rule.begin(tree)
    return tree


def causes(resource: str, tree: Tree) -> list[Cause]:
    """What is wrong with a new object."""
    kind, tree = kind_of(resource), made(resource, tree)
    found = metadata.validate(tree["metadata"], kind)
    if resource == "services":
        servicechange.align_cluster_ips(tree["spec"], None)
        return found + services.validate_service(tree)
    return found + rule_for(resource).validate(tree)


def update_causes(resource: str, before: Tree, after: Tree) -> list[Cause]:
    """What is wrong with an update."""
    old, new, rule = made(resource, before), made(resource, after), rule_for(resource)
    rule.prepare(new, old)
    if resource == "services":
        servicechange.align_cluster_ips(old["spec"], None)
        servicechange.keep_allocated(new["spec"], old["spec"])
        servicechange.align_cluster_ips(new["spec"], old["spec"])
        servicechange.drop_unneeded(new, old)
        return servicechange.causes(new, old) + services.validate_service(new, old)
    return rule.judge_update(new, old)


def stored(resource: str, tree: Tree) -> Tree:
    """A new object as it is written down, without metadata."""
    tree = made(resource, tree)
    zeros.complete(kind_of(resource).definition, tree)
    return {k: v for k, v in tree.items() if k not in ("metadata", "kind", "apiVersion")}


def told(found: list[Cause]) -> list[tuple[str, str]]:
    """(field, message) of causes."""
    return [(c.field, c.message) for c in found]


def matches(found: list[Cause], expected: list[tuple[str, str]]) -> bool:
    """Whether the causes are those of the table, in its order; a table's text is a part of the message."""
    return len(found) == len(expected) and all(
        cause.field == field and text in cause.message for cause, (field, text) in zip(found, expected, strict=True)
    )
