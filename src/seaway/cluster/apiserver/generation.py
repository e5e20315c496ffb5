"""metadata.generation: which kinds have one, and what raises it; pure."""

from __future__ import annotations

from typing import Any

from seaway.api import tree as trees
from seaway.api.kinds import Kind

Tree = dict[str, Any]
# Kinds with a spec whose generation upstream never sets.
NONE = frozenset(
    {
        "configmaps",
        "secrets",
        "serviceaccounts",
        "events",
        "endpoints",
        "nodes",
        "namespaces",
        "services",
        "limitranges",
        "resourcequotas",
        "leases.coordination.k8s.io",
        "persistentvolumes",
        "persistentvolumeclaims",
        "horizontalpodautoscalers.autoscaling",
        "certificatesigningrequests.certificates.k8s.io",
        "servicecidrs.networking.k8s.io",
        "ipaddresses.networking.k8s.io",
        "csidrivers.storage.k8s.io",
        "csinodes.storage.k8s.io",
        "volumeattachments.storage.k8s.io",
    }
)
# Kinds without a spec that have one all the same.
ALWAYS = frozenset(
    {
        "endpointslices.discovery.k8s.io",
        "podtemplates",
        "priorityclasses.scheduling.k8s.io",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
    }
)


def begins(kind: Kind, tree: Tree) -> bool:
    """Whether a new object starts at generation 1."""
    return (
        kind.custom is not None or kind.group_resource in ALWAYS or ("spec" in tree and kind.group_resource not in NONE)
    )


def moves(kind: Kind, new: Tree, old: Tree) -> bool:
    """Whether an update raises it."""
    if kind.group_resource == "endpointslices.discovery.k8s.io":
        changed = any(new.get(k) != old.get(k) for k in ("endpoints", "ports", "addressType"))
        return changed or trees.labels(new) != trees.labels(old)
    if kind.group_resource == "priorityclasses.scheduling.k8s.io":
        return False
    if kind.custom is not None or kind.group_resource in ALWAYS:
        return any(new.get(k) != old.get(k) for k in {*new, *old} - {"metadata", "kind", "apiVersion"})
    return bool(new.get("spec") != old.get("spec"))
