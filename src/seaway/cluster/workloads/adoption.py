"""Which objects belong to a controller: those that name it and match, orphans that match are adopted, owned ones that no
longer match are let go (pkg/controller/controller_ref_manager.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from seaway.api.selectors import Selector
from seaway.api.tree import controller_of, labels, owner_reference
from seaway.client.errors import ApiStatusError, NotFound
from seaway.client.rest import Api, kind_of
from seaway.controllers.writes import Patch, apply

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Claims:
    """What `claim` decided: what is owned already, what is to be adopted, what is to be let go."""

    owned: tuple[Tree, ...]
    adopt: tuple[Tree, ...]
    release: tuple[Tree, ...]


def _always(_: Tree) -> bool:
    return True


def claim(
    owner: Tree, selector: Selector | None, objects: Iterable[Tree], fits: Callable[[Tree], bool] = _always
) -> Claims:
    """`fits`: what else a candidate must have, such as a StatefulSet's pod name."""
    owned, adopt, release = [], [], []
    ending = bool(owner["metadata"].get("deletionTimestamp"))
    for tree in objects:
        ref = controller_of(tree)
        matches = selector is not None and selector.matches(labels(tree)) and fits(tree)
        if ref is not None:
            if ref["uid"] != owner["metadata"]["uid"]:
                continue
            if matches:
                owned.append(tree)
            elif not ending:
                release.append(tree)
        elif matches and not ending and not tree["metadata"].get("deletionTimestamp"):
            adopt.append(tree)
    return Claims(tuple(owned), tuple(adopt), tuple(release))


def adoption(owner: Tree, api_version: str, kind: str, resource: str, tree: Tree) -> Patch:
    meta = tree["metadata"]
    refs = [*(meta.get("ownerReferences") or ()), owner_reference(api_version, kind, owner)]
    patch = {"metadata": {"uid": meta["uid"], "ownerReferences": refs}}
    return Patch(kind_of(resource), meta["namespace"], meta["name"], patch, version=meta["resourceVersion"])


def releasing(owner: Tree, resource: str, tree: Tree, finalizer: str = "") -> Patch:
    """The owner's reference goes; with `finalizer`, that of the owner goes too."""
    meta = tree["metadata"]
    refs = [r for r in meta.get("ownerReferences") or () if r["uid"] != owner["metadata"]["uid"]]
    changed: Tree = {"uid": meta["uid"], "ownerReferences": refs or None}
    if finalizer:
        changed["finalizers"] = [f for f in meta.get("finalizers") or () if f != finalizer] or None
    return Patch(
        kind_of(resource), meta["namespace"], meta["name"], {"metadata": changed}, version=meta["resourceVersion"]
    )


async def carry_out(
    api: Api, owner: Tree, owner_resource: str, api_version: str, kind: str, resource: str, claims: Claims
) -> list[Tree]:
    """The objects that the owner has after adopting and releasing. Adoption asks the API once more whether the owner is
    still the same and not going: a cache may be behind a deletion with orphaned dependents."""
    found = list(claims.owned)
    if claims.adopt:
        meta = owner["metadata"]
        try:
            fresh = await api.get(kind_of(owner_resource), meta["namespace"], meta["name"])
        except NotFound:
            fresh = {"metadata": {"uid": ""}}
        if fresh["metadata"]["uid"] == meta["uid"] and not fresh["metadata"].get("deletionTimestamp"):
            for tree in claims.adopt:
                try:
                    found.append(await apply(api, adoption(owner, api_version, kind, resource, tree)))
                except NotFound:
                    continue
    for tree in claims.release:
        try:
            await apply(api, releasing(owner, resource, tree))
        except NotFound:
            continue
        except ApiStatusError as e:
            if e.code != 422:  # it is another object by now, or has no such owner any more
                raise
    return found
