"""References from one object to another: which kinds, and whether another namespace has granted them (ReferenceGrant)."""

from __future__ import annotations

from typing import Any, NamedTuple

from seaway.routing.conditions import GROUP
from seaway.routing.incremental import View

Tree = dict[str, Any]
GRANTS = "grants by namespace"  # index


class Reference(NamedTuple):
    group: str
    kind: str
    namespace: str
    name: str

    @property
    def title(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def reference(tree: Tree, namespace: str, kind: str) -> Reference:
    """An object reference, with `kind` for the core group where it names none."""
    return Reference(
        str(tree.get("group") or ""),
        str(tree.get("kind") or kind),
        str(tree.get("namespace") or namespace),
        str(tree.get("name") or ""),
    )


def permitted(view: View, kind: str, namespace: str, to: Reference, group: str = GROUP) -> bool:
    """Whether an object of `kind` in `namespace` may refer to `to`: in its own namespace, or by a grant there."""
    if namespace == to.namespace:
        return True
    for key in view.find(GRANTS, to.namespace):
        spec = (view.get("referencegrants", *key) or {}).get("spec") or {}
        comes = any(
            f.get("group") == group and f.get("kind") == kind and f.get("namespace") == namespace
            for f in spec.get("from") or ()
        )
        goes = any(
            (t.get("group") or "") == to.group
            and t.get("kind") == to.kind
            and (not t.get("name") or t["name"] == to.name)
            for t in spec.get("to") or ()
        )
        if comes and goes:
            return True
    return False
