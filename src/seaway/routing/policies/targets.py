"""Which policies hold for what: by target, the most specific first, field by field (GEP-713, merging by fields)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from seaway.api.tree import Key
from seaway.routing.incremental import View

Tree = dict[str, Any]
TRAFFIC, CLIENTS, SECURITY = "backendtrafficpolicies", "clienttrafficpolicies", "securitypolicies"
KINDS = {TRAFFIC: "BackendTrafficPolicy", CLIENTS: "ClientTrafficPolicy", SECURITY: "SecurityPolicy"}
GATEWAY_GROUP = "gateway.networking.k8s.io"
CLUSTER_SCOPED = ("IngressClass",)


class Target(NamedTuple):
    """`section`: a listener, a rule by its name, a Service's port; "" for the whole."""

    kind: str
    namespace: str
    name: str
    section: str = ""


class Won(NamedTuple):
    """A field's value, and the policy that it comes from."""

    value: Any
    policy: Key


def index(resource: str) -> str:
    """The index of a policy resource by its targets."""
    return f"{resource} by target"


def targets(tree: Tree) -> list[Target]:
    """What a policy is attached to: objects of its own namespace, and classes."""
    own = str(tree["metadata"].get("namespace") or "")
    return [
        Target(
            str(ref["kind"]),
            "" if ref["kind"] in CLUSTER_SCOPED else own,
            str(ref["name"]),
            str(ref.get("sectionName") or ""),
        )
        for ref in tree["spec"].get("targetRefs") or ()
    ]


def indexed(tree: Tree) -> Iterable[str]:
    for target in targets(tree):
        yield f"{target.kind}/{target.namespace}/{target.name}"


def attached(view: View, resource: str, kind: str, namespace: str, name: str) -> tuple[tuple[str, Key], ...]:
    """A decision: (section, policy) of every policy on an object, the older first."""
    found = []
    for key in view.find(index(resource), f"{kind}/{namespace}/{name}"):
        tree = view.get(resource, *key)
        if tree is None:
            continue
        created = str(tree["metadata"].get("creationTimestamp") or "")
        for target in targets(tree):
            if target[:3] == (kind, namespace, name):
                found.append((created, key, target.section))
    return tuple((section, key) for _, key, section in sorted(found))


def holding(view: View, resource: str, chain: Iterable[Target]) -> list[Key]:
    """The policies that hold, those that win first."""
    found: list[Key] = []
    for target in chain:
        for section, key in view.ask(attached, resource, target.kind, target.namespace, target.name):
            if section == target.section and key not in found:
                found.append(key)
    return found


def fields(view: View, resource: str, chain: Iterable[Target]) -> dict[str, Won]:
    """What holds for a chain of targets, field by field."""
    found: dict[str, Won] = {}
    for key in holding(view, resource, chain):
        spec = (view.get(resource, *key) or {}).get("spec") or {}
        for name, value in spec.items():
            if name != "targetRefs":
                found.setdefault(name, Won(value, key))
    return found
