"""What a pod's status says of its claims on devices: claims made for it, extended resources backed by one, amounts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seaway.api.quantities import parse
from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.status import Cause, duplicate, required, wrong

Tree = dict[str, Any]


def _claims(claims: Iterable[Tree], spec: Tree) -> list[Cause]:
    found, names, known = [], set[str](), {c.get("name") for c in spec.get("resourceClaims") or ()}
    for i, claim in enumerate(claims):
        at, name = f"status.resourceClaimStatuses[{i}]", claim.get("name", "")
        if name not in known:
            why = "must match the name of an entry in `spec.resourceClaims`"
            found.append(wrong(f"{at}.name", name, why))
        if name in names:
            found.append(duplicate(f"{at}.name", name))
        names.add(name)
        if claim.get("resourceClaimName") is not None:
            found += formats.causes(f"{at}.resourceClaimName", claim["resourceClaimName"], formats.subdomain)
    return found


def _extended(claim: Tree, spec: Tree) -> list[Cause]:
    """The claim that stands behind the extended resources of containers."""
    path = "status.extendedResourceClaimStatus"
    containers = {c.get("name"): c for n in ("initContainers", "containers") for c in spec.get(n) or ()}
    mappings, found, seen = claim.get("requestMappings") or [], [], set[tuple[str, str, str]]()
    if not mappings:
        found.append(required(f"{path}.requestMappings", "at least one request mapping is required"))
    for i, mapping in enumerate(mappings):
        at = f"{path}.requestMappings[{i}]"
        container, resource, request = (mapping.get(n, "") for n in ("containerName", "resourceName", "requestName"))
        if container not in containers:
            why = "must match the name of an entry in spec.initContainers.name or spec.containers.name"
            found.append(wrong(f"{at}.containerName", container, why))
        elif resource not in ((containers[container].get("resources") or {}).get("requests") or {}):
            why = (
                "must match the extended resource name of an entry in spec.initContainers.resources.requests or "
                "spec.containers.resources.requests"
            )
            found.append(wrong(f"{at}.resourceName", resource, why))
        # Upstream names the field beside the mappings, not within its own.
        found += formats.causes(f"{path}.requestName", request, formats.label)
        if (container, resource, request) in seen:
            found.append(duplicate(f"{at}.containerName", container))
            found.append(duplicate(f"{at}.resourceName", resource))
            found.append(duplicate(f"{at}.requestName", request))
        seen.add((container, resource, request))
    name = claim.get("resourceClaimName", "")
    if name:
        return found + formats.causes(f"{path}.resourceClaimName", name, formats.subdomain)
    return [*found, required(f"{path}.resourceClaimName")]


def _allocatable(status: Tree, spec: Tree) -> list[Cause]:
    """Amounts of a node's own resources that claims took."""
    known = {
        claim["resourceClaimName"]
        for claim in (*(spec.get("resourceClaims") or ()), *(status.get("resourceClaimStatuses") or ()))
        if claim.get("resourceClaimName") is not None
    }
    found = []
    for i, entry in enumerate(status.get("nodeAllocatableResourceClaimStatuses") or ()):
        at, name = f"status.nodeAllocatableResourceClaimStatuses[{i}]", entry.get("resourceClaimName", "")
        if not name:
            found.append(required(f"{at}.resourceClaimName", "must not be empty"))
        if name not in known:
            found.append(wrong(f"{at}.resourceClaimName", name, "no mapping found in pod reference"))
        for field in ("containers", "resources"):
            if not entry.get(field):
                found.append(required(f"{at}.{field}", "must not be empty"))
        for resource, amount in (entry.get("resources") or {}).items():
            key = f"{at}.resources[{resource}]"
            if "/" in resource and "kubernetes.io/" not in resource:
                found.append(wrong(key, resource, "must be a node allocatable resource name"))
            if parse(amount) < 0:
                found.append(wrong(key, amount, "must be non-negative"))
    return found


def validate(status: Tree, spec: Tree) -> list[Cause]:
    found = _claims(status.get("resourceClaimStatuses") or (), spec)
    if status.get("extendedResourceClaimStatus") is not None:
        found += _extended(status["extendedResourceClaimStatus"], spec)
    return found + _allocatable(status, spec)
