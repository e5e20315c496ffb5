"""Events: one storage, two forms; events.k8s.io/v1 is strict, the core form lenient (pkg/apis/core/validation/events.go).

Everything here is about the core form, in which events are stored; `apiserver/forms.py` turns one into the other. Pure.
"""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.status import Cause, required, wrong

Tree = dict[str, Any]
LIMITS = {"reportingInstance": 128, "action": 128, "reason": 128, "message": 1024}
IMMUTABLE = (
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "reason",
    "type",
    "eventTime",
    "action",
    "related",
    "reportingComponent",
    "reportingInstance",
)


def validate_core(tree: Tree, controller: str = "reportingComponent") -> list[Cause]:
    """What both forms ask for; an event with an eventTime is one of the new kind."""
    namespace = tree["metadata"].get("namespace", "")
    about = (tree.get("involvedObject") or {}).get("namespace", "")
    found: list[Cause] = []
    stray = wrong("involvedObject.namespace", about, "does not match event.namespace")
    if not tree.get("eventTime"):
        if (namespace not in ("", "default")) if not about else namespace != about:
            found.append(stray)
        return found
    if not about and namespace not in ("default", "kube-system"):
        found.append(stray)
    name = tree.get("reportingComponent", "")
    if not name:
        found.append(required(controller))
    found += formats.causes(controller, name, formats.qualified_name)
    for field in ("reportingInstance", "action", "reason", "message"):
        text = tree.get(field, "")
        if not text and field != "message":
            found.append(required(field))
        if len(text.encode()) > LIMITS[field]:
            found.append(wrong(field, "", f"can have at most {LIMITS[field]} characters"))
    return found


def validate_new(tree: Tree) -> list[Cause]:
    """A create through events.k8s.io/v1."""
    found = validate_core(tree, "reportingController") + _series_causes(tree)
    if not tree.get("eventTime"):
        found.append(required("eventTime"))
    if tree.get("type") not in ("Normal", "Warning"):
        found.append(wrong("type", "", f"has invalid value: {tree.get('type', '')}"))
    source = tree.get("source") or {}
    for field in ("firstTimestamp", "lastTimestamp", "count"):
        if tree.get(field):
            found.append(wrong(field, "", "needs to be unset"))
    if source.get("component") or source.get("host"):
        found.append(wrong("source", "", "needs to be unset"))
    return found


def _series_causes(tree: Tree) -> list[Cause]:
    series = tree.get("series")
    if series is None:
        return []
    found = []
    if series.get("count", 0) < 2:
        found.append(wrong("series.count", "", "should be at least 2"))
    if not series.get("lastObservedTime"):
        found.append(required("series.lastObservedTime"))
    return found


def revalidate_core(tree: Tree, old: Tree) -> list[Cause]:
    return validate_core(tree)


def revalidate_new(tree: Tree, old: Tree) -> list[Cause]:
    """An update through events.k8s.io/v1: only the series may change."""
    found = validate_core(tree, "reportingController")
    if tree.get("series") != old.get("series"):
        found += _series_causes(tree)
    for field in IMMUTABLE:
        if (tree.get(field) or None) != (old.get(field) or None):
            shown = "reportingController" if field == "reportingComponent" else field
            found.append(wrong(shown, tree.get(field), "field is immutable"))
    return found
