"""HTTPRoutes and GRPCRoutes that want one host name at one listener: the older has it, the other is refused there.

GRPCRoute's rule (apis/v1/grpcroute_types.go): of two routes of both types with host names in common exactly one is accepted, the
older, then the first by namespace and name. Who looks for rivals finds them by index, and looks only where both types are there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from seaway.api.tree import Key
from seaway.routing.engine import Index
from seaway.routing.incremental import View

Tree = dict[str, Any]
OTHER = {"httproutes": "grpcroutes", "grpcroutes": "httproutes"}


class Rank(NamedTuple):
    """The smaller has precedence; the resource tells two of one name apart."""

    created: str
    namespace: str
    name: str
    resource: str


def rank(view: View, resource: str, key: Key) -> Rank:
    meta = (view.get(resource, *key) or {"metadata": {}})["metadata"]
    return Rank(str(meta.get("creationTimestamp") or ""), key.namespace, key.name, resource)


def _names(tree: Tree) -> list[str]:
    return [str(h).lower() for h in tree["spec"].get("hostnames") or ()] or ["*"]


def _wider(name: str) -> list[str]:
    """The wildcards that cover a name, from the nearest to `*`."""
    labels = name.removeprefix("*.").split(".") if name != "*" else []
    start = 0 if name.startswith("*.") else 1
    return [f"*.{'.'.join(labels[i:])}" for i in range(start, len(labels))] + ["*"] if labels else []


def _indexed(tree: Tree) -> Iterable[str]:
    """Under its own names, and under all that cover them."""
    for name in _names(tree):
        yield f"={name}"
        for wide in _wider(name):
            yield f"<{wide}"


def index(resource: str) -> str:
    return f"host names of {resource}"


def presence(resource: str) -> str:
    return f"any {resource}"


INDEXES = (
    *(Index(index(r), r, _indexed) for r in OTHER),
    *(Index(presence(r), r, lambda _: [""], presence=True) for r in OTHER),
)


def rivals(view: View, resource: str, namespace: str, name: str) -> tuple[Key, ...]:
    """A decision: the routes of the other type, older than this one, whose host names meet its own."""
    other = OTHER[resource]
    tree = view.get(resource, namespace, name)
    if tree is None or not view.has(presence(other)):
        return ()
    found: set[Key] = set()
    for host in _names(tree):
        found |= set(view.find(index(other), f"={host}"))
        for wide in _wider(host):
            found |= set(view.find(index(other), f"={wide}"))
        if host.startswith("*"):
            found |= set(view.find(index(other), f"<{host}"))
    mine = rank(view, resource, Key(namespace, name))
    return tuple(sorted(key for key in found if rank(view, other, key) < mine))
