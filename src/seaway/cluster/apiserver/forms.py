"""Kinds that are served in two forms and stored in one: Events (core stored), HorizontalPodAutoscalers (v2 stored); pure.

A request about the other form is translated as it comes in and as it goes out; rules, selectors and watches see the
stored form only. Fields that neither form knows are carried along.

Versions of custom resources are another matter: a request works in the version that it asks for, and only the storage
knows another one (`custom/objects`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from seaway.api import facts, kinds
from seaway.api.kinds import Kind
from seaway.api.selectors import FieldTerm
from seaway.cluster.apiserver import hpaforms, zeros
from seaway.cluster.apiserver.custom import objects
from seaway.cluster.apiserver.storage import Entry, encode

Tree = dict[str, Any]
EVENT_FIELDS = {  # events.k8s.io/v1 -> core/v1
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
EVENT_FIELDS_BACK = {core: new for new, core in EVENT_FIELDS.items()}


class View(NamedTuple):
    """How one form of a kind is stored: as what, and the ways in and out."""

    group: str
    version: str
    resource: str
    store: Callable[[Tree], Tree]
    show: Callable[[Tree], Tree]


def _renamed(tree: Tree, names: dict[str, str]) -> Tree:
    return {names.get(name, name): value for name, value in tree.items()}


def _event_field(path: str) -> str:
    first, dot, rest = path.partition(".")
    return EVENT_FIELDS.get(first, first) + dot + rest


VIEWS: dict[tuple[str, str, str], View] = {
    ("events.k8s.io", "v1", "events"): View(
        "", "v1", "events", lambda t: _renamed(t, EVENT_FIELDS), lambda t: _renamed(t, EVENT_FIELDS_BACK)
    ),
    ("autoscaling", "v1", "horizontalpodautoscalers"): View(
        "autoscaling", "v2", "horizontalpodautoscalers", hpaforms.to_v2, hpaforms.to_v1
    ),
}


def view_of(kind: Kind) -> View | None:
    return VIEWS.get((kind.group, kind.version, kind.resource))


@functools.cache
def _stored(group: str, version: str, resource: str) -> Kind:
    return kinds.by_resource()[(group, version, resource)]


def stored_kind(kind: Kind) -> Kind:
    """The kind that a kind's objects are stored as: mostly itself."""
    if kind.custom is not None:
        return objects.stored_kind(kind)
    view = view_of(kind)
    return kind if view is None else _stored(view.group, view.version, view.resource)


def opened(kind: Kind, entry: Entry) -> Tree:
    """A stored object as a write to a kind finds it: a custom resource in the version that was asked for."""
    return entry.tree if kind.custom is None else objects.opened(kind, entry)


async def prepare(kind: Kind, entries: Iterable[Entry], is_list: bool = False) -> None:
    """Has whatever it takes to show stored objects as a kind ready: conversions that a webhook makes."""
    if kind.custom is not None:
        await objects.prepare(kind, entries, is_list)


def kept(kind: Kind, tree: Tree) -> Tree:
    """An object of a kind as the storage has it: custom resources in their storage version, all others as they are."""
    return tree if kind.custom is None else objects.stored(kind, tree)


def as_stored(kind: Kind, entry: Entry) -> bool:
    """Whether an object is stored just as it is to be shown."""
    return objects.is_current(kind, entry) if kind.custom is not None else view_of(kind) is None


def seen(kind: Kind, entry: Entry) -> Tree:
    """A stored object, in the form of a kind."""
    return objects.opened(kind, entry) if kind.custom is not None else show(kind, entry.tree)


def data(kind: Kind, entry: Entry) -> bytes:
    """A stored object, encoded in the form of a kind."""
    return entry.data if as_stored(kind, entry) else encode(seen(kind, entry))


def store(kind: Kind, tree: Tree) -> Tree:
    """An object of a kind, in its stored form."""
    view = view_of(kind)
    if view is None:
        return tree
    stored = stored_kind(kind)
    return {**view.store(tree), "kind": stored.kind, "apiVersion": stored.api_version}


def show(kind: Kind, tree: Tree) -> Tree:
    """A stored object, in the form of a kind."""
    if kind.custom is not None:
        return objects.shown(kind, tree)
    view = view_of(kind)
    if view is None:
        return tree
    shown = view.show(tree)
    shown = {**shown, "kind": kind.kind, "apiVersion": kind.api_version}
    always = facts.zeros().get(kind.definition, {}).get("show", {})
    shown = {k: v for k, v in shown.items() if k in always or not (v is None or zeros.is_zero(v))}
    zeros.complete(kind.definition, shown)
    return shown


def terms(kind: Kind, found: tuple[FieldTerm, ...]) -> tuple[FieldTerm, ...]:
    """Field selectors over the stored form."""
    if (kind.group, kind.resource) != ("events.k8s.io", "events"):
        return found
    return tuple(FieldTerm(_event_field(t.path), t.value, t.equal) for t in found)
