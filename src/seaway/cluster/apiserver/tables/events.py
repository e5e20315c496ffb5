"""The Table of Events, which has no Name first (printEvent in pkg/printers/internalversion); pure."""

from __future__ import annotations

from seaway.api.tree import get
from seaway.cluster.apiserver.tables.cells import Column, S, Tree, ago, at


def first_seen(tree: Tree, now: float) -> str:
    return ago(tree.get("firstTimestamp") or tree.get("eventTime"), now)


def last_seen(tree: Tree, now: float) -> str:
    if tree.get("series"):
        return ago(tree["series"].get("lastObservedTime"), now)
    return ago(tree["lastTimestamp"], now) if tree.get("lastTimestamp") else first_seen(tree, now)


def times_seen(tree: Tree, now: float) -> int:
    series = tree.get("series")
    return int(series.get("count", 0) if series else tree.get("count") or 1)


def event_object(tree: Tree, now: float) -> str:
    ref = tree.get("involvedObject") or {}
    kind = str(ref.get("kind", "")).lower()
    return f"{kind}/{ref['name']}" if ref.get("name") else kind


def event_source(tree: Tree, now: float) -> str:
    source = tree.get("source") or {}
    component = source.get("component") or tree.get("reportingComponent") or ""
    host = source.get("host") or tree.get("reportingInstance") or ""
    return f"{component}, {host}" if host else str(component)


COLUMNS = {
    "events": (
        Column("Last Seen", S, 0, last_seen),
        Column("Type", S, 0, at("type")),
        Column("Reason", S, 0, at("reason")),
        Column("Object", S, 0, event_object),
        Column("Subobject", S, 1, lambda t, n: get(t, "involvedObject", "fieldPath") or ""),
        Column("Source", S, 1, event_source),
        Column("Message", S, 0, lambda t, n: str(t.get("message", "")).strip()),
        Column("First Seen", S, 1, first_seen),
        Column("Count", S, 1, times_seen),
        Column("Name", S, 1, at("metadata", "name"), "name"),
    ),
}
