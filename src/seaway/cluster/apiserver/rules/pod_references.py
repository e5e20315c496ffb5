"""Secrets that a pod refers to, against those that its ServiceAccount grants (plugin ServiceAccount)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Tree = dict[str, Any]
PLACES = (("initContainers", "init container"), ("containers", "container"))


def _in_containers(spec: Tree) -> Iterator[tuple[str, str]]:
    """(secret, where it is asked for) of every container's environment."""
    for field, noun in PLACES:
        for container in spec.get(field) or ():
            name = container.get("name", "")
            for variable in container.get("env") or ():
                ref = (variable.get("valueFrom") or {}).get("secretKeyRef")
                if ref is not None:
                    yield ref.get("name", ""), f"{noun} {name} with envVar {variable.get('name', '')} referencing"
            for source in container.get("envFrom") or ():
                if source.get("secretRef") is not None:
                    yield source["secretRef"].get("name", ""), f"{noun} {name} with envFrom referencing"


def not_granted(spec: Tree, account: Tree) -> str:
    """The first reference to a Secret that the account does not list, empty where there is none."""
    who = account["metadata"]["name"]
    granted = {s.get("name") for s in account.get("secrets") or ()}
    refused = f"is not allowed because service account {who} does not reference that"
    for volume in spec.get("volumes") or ():
        name = (volume.get("secret") or {}).get("secretName", "")
        if "secret" in volume and name not in granted:
            return f'volume with secret.secretName="{name}" {refused} secret'
    for name, where in _in_containers(spec):
        if name not in granted:
            return f'{where} secret.secretName="{name}" {refused} secret'
    pulls = {s.get("name") for s in account.get("imagePullSecrets") or ()}
    for i, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if secret.get("name") not in pulls:
            return f'imagePullSecrets[{i}].name="{secret.get("name", "")}" {refused} imagePullSecret'
    return ""


def _secrets(spec: Tree) -> Iterator[str]:
    """Every Secret that a pod names, of whatever use."""
    for secret in spec.get("imagePullSecrets") or ():
        yield secret.get("name", "")
    for name, _ in _in_containers(spec):
        yield name
    for volume in spec.get("volumes") or ():
        for source in volume.values():
            if not isinstance(source, dict):
                continue
            yield source.get("secretName", "")
            yield from (source.get(ref, {}).get("name", "") for ref in ("secretRef", "nodePublishSecretRef"))
            for entry in source.get("sources") or ():
                yield (entry.get("secret") or {}).get("name", "")


def of_mirror(spec: Tree) -> str:
    """A mirror pod stands for one that a kubelet runs by itself: it may ask nothing of the API."""
    if spec.get("serviceAccountName"):
        return "a mirror pod may not reference service accounts"
    if any(_secrets(spec)):
        return "a mirror pod may not reference secrets"
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if "serviceAccountToken" in source:
                return "a mirror pod may not use ServiceAccountToken volume projections"
    return ""
