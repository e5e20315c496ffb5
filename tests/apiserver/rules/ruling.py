"""Objects as the server would judge them, without a server: read, defaulted, begun, and asked what is wrong."""

from __future__ import annotations

import copy
from typing import Any

from seaway.api import kinds
from seaway.cluster.apiserver import schema, zeros
from seaway.cluster.apiserver.rules import Rule, rule_for
from seaway.cluster.apiserver.status import Cause

Tree = dict[str, Any]
MOMENT = "2026-03-04T05:06:07Z"
UID = "11111111-2222-3333-4444-555555555555"
KINDS = {k.kind: k for k in kinds.by_kind().values()}
CONTAINER: Tree = {"name": "c", "image": "registry.example/app:1"}
LABELS = {"app": "x"}


def rule(kind: str) -> Rule:
    return rule_for(KINDS[kind].group_resource)


def pod(**spec: Any) -> Tree:
    """A pod of one container; `spec` has more fields, or other ones."""
    return {"metadata": {"name": "p"}, "spec": {"containers": [copy.deepcopy(CONTAINER)], "serviceAccountName": "default", **spec}}


def container(**fields: Any) -> Tree:
    """A pod whose container has more fields."""
    return pod(containers=[{**CONTAINER, **fields}])


def workload(pod_spec: Tree | None = None, **spec: Any) -> Tree:
    """A workload that selects its template."""
    template = {"metadata": {"labels": dict(LABELS)}, "spec": {"containers": [copy.deepcopy(CONTAINER)], **(pod_spec or {})}}
    return {"metadata": {"name": "w"}, "spec": {"selector": {"matchLabels": dict(LABELS)}, "template": template, **spec}}


def job(pod_spec: Tree | None = None, **spec: Any) -> Tree:
    template = {"spec": {"containers": [copy.deepcopy(CONTAINER)], "restartPolicy": "Never", **(pod_spec or {})}}
    return {"metadata": {"name": "w"}, "spec": {"template": template, **spec}}


def read(kind: str, tree: Tree) -> Tree:
    found, _ = schema.read(KINDS[kind].definition, copy.deepcopy(tree), None)
    return found


def made(kind: str, tree: Tree) -> Tree:
    """A new object as it is stored."""
    found = read(kind, tree)
    found.setdefault("metadata", {}).update(uid=UID, creationTimestamp=MOMENT, generation=1)
    rule(kind).default(found)
    rule(kind).begin(found)
    zeros.complete(KINDS[kind].definition, found)
    return found


def told(causes: list[Cause]) -> list[str]:
    return [f"{c.field}: {c.message}" for c in causes]


def refusals(kind: str, tree: Tree) -> list[str]:
    """What is wrong with a new object."""
    return told(rule(kind).validate(made(kind, tree)))


def updated(kind: str, old: Tree, **fields: Any) -> Tree:
    """An object with other fields in its spec (None: without them), as an update leaves it."""
    found = copy.deepcopy(old)
    for name, value in fields.items():
        if value is None:
            found["spec"].pop(name, None)
        else:
            found["spec"][name] = value
    found = read(kind, found)
    rule(kind).default(found)
    rule(kind).prepare(found, old)
    return found


def update_refusals(kind: str, old: Tree, **fields: Any) -> list[str]:
    """What is wrong with an update of a stored object."""
    return told(rule(kind).judge_update(updated(kind, old, **fields), old))


def status_refusals(kind: str, old: Tree, status: Tree) -> list[str]:
    """What is wrong with a write to /status."""
    part = rule(kind).part("status")
    new = {**copy.deepcopy(old), "status": status}
    return told(part.validate(part.prepare(new, old) if part.prepare else new, old))


def begins(found: list[str], expected: tuple[str, ...]) -> bool:
    """Whether there are exactly the expected refusals, each of which may be told by its beginning."""
    return len(found) == len(expected) and all(f.startswith(e) for f, e in zip(found, expected, strict=True))
