"""The status of a CustomResourceDefinition: which of its names it gets, whether it is established, how it ends; pure.

Upstream has a controller for each (pkg/controller/status, establish, nonstructuralschema, apiapproval, finalizer); here one
function says what the status should be, from the definition and the names that others of its group have.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seaway.api import tree as trees
from seaway.cluster.apiserver.rules import webhooks
from seaway.cluster.apiserver.rules.definition_spec import schema_of
from seaway.cluster.apiserver.rules.definitions import BYPASSED, GRANTED, INVALID, MISSING, approval, is_protected
from seaway.cluster.apiserver.status import quoted
from seaway.cluster.apiserver.structural import is_structural

Tree = dict[str, Any]
FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
ACCEPTED, ESTABLISHED, TERMINATING = "NamesAccepted", "Established", "Terminating"
APPROVAL, NON_STRUCTURAL = "KubernetesAPIApprovalPolicyConformant", "NonStructuralSchema"
APPROVALS = {GRANTED: "True", BYPASSED: "False", INVALID: "False", MISSING: "False"}


def condition(kind: str, on: bool, reason: str, message: str) -> Tree:
    return {"type": kind, "status": "True" if on else "False", "reason": reason, "message": message}


def with_condition(conditions: Iterable[Tree], new: Tree, now: str) -> list[Tree]:
    """Conditions with `new` in the place of the one of its type; only another status is another time."""
    dated = {"type": new["type"], "status": new["status"], "lastTransitionTime": now}
    return trees.with_condition(conditions, {**dated, "reason": new["reason"], "message": new["message"]})


def terminating(reason: str, message: str, on: bool = True) -> Tree:
    return condition(TERMINATING, on, reason, message)


PENDING = terminating(
    "InstanceDeletionPending", "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
)
IN_PROGRESS = terminating("InstanceDeletionInProgress", "CustomResource deletion is in progress")


def _taken(definitions: Iterable[Tree]) -> tuple[set[str], set[str]]:
    """(resource names, kinds) that the definitions of a group have been given."""
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in definitions:
        names = (other.get("status") or {}).get("acceptedNames") or {}
        resources |= {names.get("plural") or "", names.get("singular") or "", *(names.get("shortNames") or ())}
        kinds |= {names.get("kind") or "", names.get("listKind") or ""}
    return resources - {""}, kinds - {""}


def names(tree: Tree, others: Iterable[Tree]) -> tuple[Tree, Tree]:
    """(the names that a definition gets, its NamesAccepted condition). What is in conflict stays as it was."""
    asked: Tree = tree["spec"].get("names") or {}
    kind = asked.get("kind") or ""
    wanted = {"singular": kind.lower(), "listKind": f"{kind}List", **asked}
    have = (tree.get("status") or {}).get("acceptedNames") or {}
    resources, kinds = _taken([*others, tree])  # a name of its own cannot be given for something else either
    given: Tree = {n: v for n, v in have.items() if v}
    reason = message = ""
    for name, used in (
        ("plural", resources),
        ("singular", resources),
        ("shortNames", resources),
        ("kind", kinds),
        ("listKind", kinds),
    ):
        new, old = wanted.get(name), have.get(name)
        if name == "shortNames":
            lost = [n for n in new or () if n not in (old or ()) and n in used]
            told = ", ".join(f"{quoted(n)} is already in use" for n in dict.fromkeys(lost))
            why = f"[{told}]" if len(lost) > 1 else told
        else:
            why = f"{quoted(new)} is already in use" if new and new != old and new in used else ""
        if why:
            reason, message = f"{name[0].upper()}{name[1:]}Conflict", why
        elif new:
            given[name] = new
        else:
            given.pop(name, None)
    if wanted.get("categories"):
        given["categories"] = wanted["categories"]
    else:
        given.pop("categories", None)
    if reason:
        return given, condition(ACCEPTED, False, reason, message)
    return given, condition(ACCEPTED, True, "NoConflicts", "no conflicts found")


def established(tree: Tree, accepted: Tree) -> Tree:
    """The Established condition, which stays once it is true."""
    old = trees.condition(tree, ESTABLISHED)
    if old is not None and old["status"] == "True":
        return old
    if accepted["status"] != "True":
        if old is not None:
            return old
        return condition(ESTABLISHED, False, "NotAccepted", "not all names are accepted")
    client = trees.get(tree, "spec", "conversion", "webhook", "clientConfig") or {}
    if client.get("caBundle") and webhooks.bundle_causes(client["caBundle"], ""):
        return condition(ESTABLISHED, False, "InvalidCABundle", "The conversion webhook CABundle is invalid")
    return condition(ESTABLISHED, True, "InitialNamesAccepted", "the initial names have been accepted")


def non_structural(tree: Tree) -> Tree | None:
    """What is told of schemas that an earlier version of the server took."""
    spec, found = tree["spec"], list[str]()
    if spec.get("preserveUnknownFields"):
        found.append("spec.preserveUnknownFields: Invalid value: true: must be false")
    for i, version in enumerate(spec.get("versions") or ()):
        schema = schema_of(version)
        if schema is not None:
            path = f"spec.versions[{i}].schema.openAPIV3Schema"
            found += [f"{path}.{why}" for why in is_structural(schema)]
    if not found:
        return None
    return condition(NON_STRUCTURAL, True, "Violations", found[0] if len(found) == 1 else f"[{', '.join(found)}]")


def approved(tree: Tree) -> Tree | None:
    if not is_protected(tree["spec"].get("group") or ""):
        return None
    reason, message = approval(tree)
    return condition(APPROVAL, APPROVALS[reason] == "True", reason, message)


def status(tree: Tree, others: Iterable[Tree], now: str) -> Tree:
    """The status that a definition should have; `others` are those of its group."""
    old: Tree = tree.get("status") or {}
    conditions: list[Tree] = list(old.get("conditions") or ())
    unstructured = non_structural(tree)
    for one in (approved(tree), unstructured):
        if one is not None:
            conditions = with_condition(conditions, one, now)
    if unstructured is None:
        conditions = [c for c in conditions if c["type"] != NON_STRUCTURAL]
    given, accepted = names(tree, others)
    conditions = with_condition(conditions, accepted, now)
    conditions = with_condition(conditions, established(tree, accepted), now)
    stored = old.get("storedVersions") or [v["name"] for v in tree["spec"].get("versions") or () if v.get("storage")]
    return {**old, "conditions": conditions, "acceptedNames": given, "storedVersions": stored}


def marked(tree: Tree, now: str) -> Tree:
    """A definition that somebody deletes: its objects go first."""
    meta = dict(tree["metadata"])
    meta["deletionTimestamp"] = now
    finalizers = list(meta.get("finalizers") or ())
    meta["finalizers"] = finalizers if FINALIZER in finalizers else [*finalizers, FINALIZER]
    old = tree.get("status") or {}
    conditions = with_condition(old.get("conditions") or (), PENDING, now)
    return {**tree, "metadata": meta, "status": {**old, "conditions": conditions}}


def is_ending(tree: Tree) -> bool:
    """Whether its objects are to be deleted."""
    meta = tree["metadata"]
    return bool(meta.get("deletionTimestamp")) and FINALIZER in (meta.get("finalizers") or ())


def said(tree: Tree, new: Tree, now: str) -> Tree:
    """The definition with a condition."""
    old = tree.get("status") or {}
    return {**tree, "status": {**old, "conditions": with_condition(old.get("conditions") or (), new, now)}}


def let_go(tree: Tree) -> Tree:
    """The definition without the finalizer that kept it."""
    meta = dict(tree["metadata"])
    meta["finalizers"] = [f for f in meta.get("finalizers") or () if f != FINALIZER]
    return {**tree, "metadata": meta}
