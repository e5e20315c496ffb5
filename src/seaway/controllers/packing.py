"""Where endpoints go in EndpointSlices, with the fewest writes; pure (kubernetes/endpointslice reconciler).

What is in a slice stays in it: existing places are kept, slices that are written anyway are filled first, then one slice that
ends closest to full, then new ones. Nothing is ever rebalanced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seaway.api.tree import get

Tree = dict[str, Any]
EndpointKey = tuple[tuple[str, ...], str, str, str]
PortRows = list[Tree] | None


@dataclass(slots=True)
class Draft:
    """A slice as it shall be: `old` is the object that is there (None: it is to be made). `endpoints` are ours to change."""

    old: Tree | None
    ports: PortRows
    endpoints: list[Tree]

    @property
    def name(self) -> str:
        return str(self.old["metadata"]["name"]) if self.old else ""


@dataclass(slots=True)
class Drafts:
    """The outcome for one address type, before it becomes writes."""

    create: list[Draft] = field(default_factory=list)
    update: list[Draft] = field(default_factory=list)
    unchanged: list[Draft] = field(default_factory=list)
    delete: list[Tree] = field(default_factory=list)

    def extend(self, other: Drafts) -> None:
        self.create += other.create
        self.update += other.update
        self.unchanged += other.unchanged
        self.delete += other.delete


def identity(entry: Tree) -> EndpointKey:
    """What makes an endpoint the same one: addresses, hostname, and whose they are."""
    ref = entry.get("targetRef") or {}
    return (
        tuple(found) if len(found := entry.get("addresses") or ()) < 2 else tuple(sorted(found)),
        entry.get("hostname") or "",
        ref.get("namespace") or "",
        ref.get("name") or "",
    )


def same(new: Tree, old: Tree) -> bool:
    """Equal beyond identity: hints are somebody else's to compare, a pod's resourceVersion does not count."""
    if new == old:
        return True  # nearly always, and quickly
    for name in ("nodeName", "zone", "deprecatedTopology"):
        if (new.get(name) or None) != (old.get(name) or None):
            return False
    if (new.get("conditions") or {}) != (old.get("conditions") or {}):
        return False
    mine, theirs = new.get("targetRef") or {}, old.get("targetRef") or {}
    return all(mine.get(k) == theirs.get(k) for k in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath"))


def port_key(ports: PortRows) -> tuple[tuple[str, str, int, str], ...]:
    """Ports as a key: order does not count."""
    return tuple(
        sorted(
            (p.get("name") or "", p.get("protocol") or "TCP", p.get("port") or 0, p.get("appProtocol") or "")
            for p in ports or ()
        )
    )


def pack(
    there: list[Tree], wanted: Mapping[EndpointKey, Tree], ports: PortRows, limit: int, labels: Mapping[str, str]
) -> Drafts:
    """Places the wanted endpoints of one port set. `labels`: what each slice shall be labelled with."""
    left = dict(wanted)
    drafts = Drafts()
    for tree in sorted(there, key=lambda t: str(t["metadata"]["name"])):
        kept, changed = [], False
        before = tree.get("endpoints") or ()
        for entry in before:
            new = left.pop(identity(entry), None)
            if new is not None:
                kept.append(new)
                changed = changed or not same(new, entry)
        if changed or len(kept) != len(before):
            if kept:
                drafts.update.append(Draft(tree, tree.get("ports"), kept))
            else:
                drafts.delete.append(tree)
        elif (get(tree, "metadata", "labels") or {}) != labels:
            drafts.update.append(Draft(tree, tree.get("ports"), kept))
        else:
            drafts.unchanged.append(Draft(tree, tree.get("ports"), kept))
    waiting = list(left.values())
    for draft in sorted(drafts.update, key=lambda d: -len(d.endpoints)):
        room = limit - len(draft.endpoints)
        if room > 0:
            draft.endpoints += waiting[:room]
            del waiting[:room]
    while waiting:
        # Each time anew: what full new slices leave over may fit into an untouched one.
        fits = [d for d in drafts.unchanged if len(d.endpoints) + len(waiting) <= limit]
        if fits and len(waiting) < limit:
            draft = max(fits, key=lambda d: len(d.endpoints))
            drafts.unchanged.remove(draft)
            draft.endpoints += waiting
            drafts.update.append(draft)
            break
        drafts.create.append(Draft(None, ports, waiting[:limit]))
        del waiting[:limit]
    return drafts


def recycle(drafts: Drafts, usable: list[Tree]) -> None:
    """Turns pairs of a create and a delete into updates of the slices that would have gone; `usable` may be so used."""
    for tree in list(drafts.delete):
        if not drafts.create:
            break
        if any(tree is u for u in usable):
            draft = drafts.create.pop()
            draft.old = tree
            drafts.update.append(draft)
            drafts.delete.remove(tree)
