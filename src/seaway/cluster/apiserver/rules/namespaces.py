"""Namespace and ServiceAccount (pkg/apis/core, pkg/registry/core/namespace); pure."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver import formats, metadata
from seaway.cluster.apiserver.status import Cause, wrong

Tree = dict[str, Any]
KUBERNETES = "kubernetes"
NAME_LABEL = "kubernetes.io/metadata.name"


def default_namespace(tree: Tree) -> None:
    """The label of the name always comes back."""
    meta = tree["metadata"]
    if meta.get("name"):
        meta["labels"] = {**(meta.get("labels") or {}), NAME_LABEL: meta["name"]}
    if tree.get("spec") is None:
        tree["spec"] = {}


def begin_namespace(tree: Tree) -> None:
    finalizers = tree["spec"].setdefault("finalizers", [])
    if KUBERNETES not in finalizers:
        finalizers.append(KUBERNETES)
    tree["status"] = {"phase": "Active"}


def prepare_namespace(tree: Tree, old: Tree) -> None:
    """spec.finalizers change through /finalize only."""
    tree["spec"] = {**tree["spec"], "finalizers": (old.get("spec") or {}).get("finalizers")}
    if not tree["spec"]["finalizers"]:
        del tree["spec"]["finalizers"]


def validate_namespace(tree: Tree) -> list[Cause]:
    found = []
    for name in tree["spec"].get("finalizers") or ():
        found += finalizer_causes("spec.finalizers", name)
    return found


def finalizer_causes(path: str, name: str) -> list[Cause]:
    """A finalizer is a qualified name, or one of the standard ones."""
    found = [wrong(path, name, why) for why in formats.qualified_name(name)]
    if not found and "/" not in name and name not in metadata.STANDARD_FINALIZERS:
        why = "name is neither a standard finalizer name nor is it fully qualified"
        found.append(wrong(path, name, why))
    return found


def validate_namespace_status(tree: Tree, old: Tree) -> list[Cause]:
    """The phase says what deletionTimestamp says."""
    phase = (tree.get("status") or {}).get("phase", "")
    if tree["metadata"].get("deletionTimestamp"):
        if phase != "Terminating":
            why = "may only be 'Terminating' if `deletionTimestamp` is not empty"
            return [wrong("status.Phase", phase, why)]
    elif phase != "Active":
        return [wrong("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")]
    return []


# ServiceAccounts

SECRET_ANNOTATION = "kubernetes.io/enforce-mountable-secrets"


def account_warnings(tree: Tree, old: Tree | None) -> list[str]:
    """Secrets that are listed mean something only with an annotation that is on its way out."""
    annotations = tree["metadata"].get("annotations") or {}
    before = ((old or {}).get("metadata") or {}).get("annotations") or {}
    if SECRET_ANNOTATION in annotations and SECRET_ANNOTATION not in before:
        return [
            f"metadata.annotations[{SECRET_ANNOTATION}]: deprecated in v1.32+; prefer separate namespaces to isolate "
            "access to mounted secrets"
        ]
    return []
