"""The writes that make an owner's EndpointSlices of one address type be as drafted; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from seaway.api.tree import labels, owner_reference
from seaway.client.rest import kind_of
from seaway.controllers.ownslices import delete_write
from seaway.controllers.packing import Drafts
from seaway.controllers.writes import Create, Patch, Write

Tree = dict[str, Any]


def slice_writes(
    owner: Tree,
    kind: str,
    family: str,
    drafts: Drafts,
    wanted: Mapping[str, str],
    annotations: Mapping[str, str | None],
    replaced: Callable[[Tree], Iterable[str]] = lambda old: (),
) -> list[Write]:
    """`wanted` are a slice's labels, all of them; of its annotations those that are `replaced` go, `annotations` come."""
    resource, meta = kind_of("endpointslices.discovery.k8s.io"), owner["metadata"]
    found: list[Write] = []
    # The garbage collector is removing the slices of an owner in deletion: do not race it with new ones.
    for draft in drafts.create if not meta.get("deletionTimestamp") else ():
        given = {k: v for k, v in annotations.items() if v is not None}
        tree: Tree = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "addressType": family,
            "metadata": {
                "generateName": f"{meta['name']}-",
                "namespace": meta["namespace"],
                "labels": dict(wanted),
                **({"annotations": given} if given else {}),
                "ownerReferences": [owner_reference("v1", kind, owner)],
            },
            "endpoints": draft.endpoints or None,
            "ports": draft.ports,
        }
        found.append(Create(resource, meta["namespace"], tree))
    for draft in drafts.update:
        old = draft.old or {}
        patch: Tree = {
            "metadata": {
                "labels": {**dict.fromkeys(labels(old)), **wanted},
                "annotations": {**dict.fromkeys(replaced(old)), **annotations},
            },
            "endpoints": draft.endpoints or None,
            "ports": draft.ports,
        }
        version = old["metadata"]["resourceVersion"]
        found.append(Patch(resource, meta["namespace"], draft.name, patch, version=version))
    return found + [delete_write(tree) for tree in drafts.delete]
