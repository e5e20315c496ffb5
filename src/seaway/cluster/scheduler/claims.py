"""What a pod's volume claims hold it for (plugin VolumeBinding's PreFilter); pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seaway.api.tree import get

Tree = dict[str, Any]
Fetch = Callable[[str], Tree | None]


def names(pod: Tree) -> list[tuple[str, bool]]:
    """(claim, made for the pod) of each volume that needs one; generic ephemeral volumes have a claim of their own."""
    found = []
    for volume in pod["spec"].get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            found.append((str(volume["persistentVolumeClaim"]["claimName"]), False))
        elif "ephemeral" in volume:
            found.append((f"{pod['metadata']['name']}-{volume['name']}", True))
    return found


def hindrance(pod: Tree, claim: Fetch, storage_class: Fetch) -> str:
    """Why the pod cannot be placed anywhere yet; empty where nothing holds it."""
    unbound = False
    for name, ephemeral in names(pod):
        tree = claim(name)
        if tree is None:
            if ephemeral:
                return f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
            return f'persistentvolumeclaim "{name}" not found'
        if get(tree, "status", "phase") == "Lost":
            return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{tree["spec"].get("volumeName", "")}"'
        if tree["metadata"].get("deletionTimestamp"):
            return f'persistentvolumeclaim "{name}" is being deleted'
        if not get(tree, "spec", "volumeName"):
            owner = storage_class(str(get(tree, "spec", "storageClassName") or ""))
            unbound = unbound or (owner or {}).get("volumeBindingMode") != "WaitForFirstConsumer"
    return "pod has unbound immediate PersistentVolumeClaims" if unbound else ""
