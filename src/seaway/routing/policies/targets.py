"""What policies are attached to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from seaway.api.tree import Key
from seaway.routing.incremental import View

Tree = dict[str, Any]
TRAFFIC, CLIENTS, SECURITY = "backendtrafficpolicies", "clienttrafficpolicies", "securitypolicies"
KINDS = {TRAFFIC: "BackendTrafficPolicy", CLIENTS: "ClientTrafficPolicy", SECURITY: "SecurityPolicy"}
GATEWAY_GROUP, NETWORKING = "gateway.networking.k8s.io", "networking.k8s.io"
GROUPS = {"Service": "", "Ingress": NETWORKING, "IngressClass": NETWORKING}  # of all other kinds: Gateway API's
CLASS = "IngressClass"
# Whoever may write a policy here may speak for a whole class: it has no namespace of its own.
CLASSES_FROM = "seaway-system"


class Target(NamedTuple):
    """`section`: a listener, a rule by its name, a Service's port; "" for the whole."""

    kind: str
    namespace: str
    name: str
    section: str = ""

    @property
    def whole(self) -> Target:
        return self._replace(section="")

    @property
    def title(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {where}{' ' + self.section if self.section else ''}"


class Won(NamedTuple):
    """A field's value, and the policy that it comes from."""

    value: Any
    policy: Key


def index(resource: str) -> str:
    """The index of a policy resource by its targets."""
    return f"{resource} by target"


def targets(tree: Tree) -> list[Target]:
    """What a policy is attached to: objects of its own namespace; a class only from the system's. Entries that cannot be read are
    none: the others count, so that a policy that is to close something closes it whatever else stands in it."""
    own = str(tree["metadata"].get("namespace") or "")
    spec = tree.get("spec")
    refs = spec.get("targetRefs") if isinstance(spec, dict) else None
    found = []
    for ref in refs if isinstance(refs, list) else ():
        if not isinstance(ref, dict):
            continue
        kind, name = str(ref.get("kind") or ""), str(ref.get("name") or "")
        group = GROUPS.get(kind, GATEWAY_GROUP)
        if not kind or not name or ref.get("group", group) != group or (kind == CLASS and own != CLASSES_FROM):
            continue
        found.append(Target(kind, "" if kind == CLASS else own, name, str(ref.get("sectionName") or "")))
    return list(dict.fromkeys(found))


def foreign_class(tree: Tree) -> bool:
    """Whether a policy speaks of a class from a namespace whose word does not count."""
    refs = (tree.get("spec") or {}).get("targetRefs") or ()
    return tree["metadata"].get("namespace") != CLASSES_FROM and any(r.get("kind") == CLASS for r in refs)


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
    """The policies that are attached to some of these, those that win first."""
    found: list[Key] = []
    for target in chain:
        for section, key in view.ask(attached, resource, target.kind, target.namespace, target.name):
            if section == target.section and key not in found:
                found.append(key)
    return found
