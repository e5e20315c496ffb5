"""The events of one watch as they leave, in its form: JSON lines, or protobuf in frames; pure.

In protobuf each event is a frame, its length in four bytes before it: a WatchEvent whose object is a whole body, with an
envelope of its own (k8s.io/apimachinery/pkg/runtime/serializer/protobuf, LengthDelimitedFramer).
"""

from __future__ import annotations

from typing import Any

from seaway.api.kinds import Kind
from seaway.cluster.apiserver import answers, forms, listing, protobuf, tables
from seaway.cluster.apiserver.answers import Form
from seaway.cluster.apiserver.calls import Edges
from seaway.cluster.apiserver.status import ApiError
from seaway.cluster.apiserver.storage import NAMES, Entry, Event, encode
from seaway.protowire import sized

Tree = dict[str, Any]
META = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
ENDED = {"k8s.io/initial-events-end": "true"}


def message_for(kind: Kind, form: Form) -> str:
    """The protobuf message of a watch's objects, "" where they leave as JSON."""
    if form.media != protobuf.CONTENT_TYPE or form.shape == "table":
        return ""
    shown = {"kind": kind.kind, "apiVersion": kind.api_version} if form.shape == "json" else META
    return answers.message_of(shown) or ""


def media(kind: Kind, form: Form) -> str:
    return f"{protobuf.CONTENT_TYPE};stream=watch" if message_for(kind, form) else answers.JSON


class Shower:
    """Encodes the events of one watch; a Table's columns come with its first event only."""

    def __init__(self, kind: Kind, form: Form, edges: Edges) -> None:
        self.kind, self.form, self.edges, self._first = kind, form, edges, True
        self.message = message_for(kind, form)
        # Whether all that is stored leaves as it is.
        self.as_stored = self._plain and kind.custom is None and forms.view_of(kind) is None

    @property
    def _plain(self) -> bool:
        return self.form.shape == "json" and not self.message

    def entry(self, name: str, entry: Entry) -> bytes:
        """An event of an object as it is stored."""
        if self._plain and forms.as_stored(self.kind, entry):
            return b'{"type":"' + name.encode() + b'","object":' + entry.data + b"}\n"
        return self.line(name, entry)

    def event(self, event: Event, kind: int) -> bytes:
        """An event of the journal, as the `kind` that this watch sees. Watches of one form share what it looks like."""
        plain = self._plain and forms.as_stored(self.kind, event.entry)
        if not plain and not self.message:
            return self.line(NAMES[kind], event.entry)
        key = kind if plain else (kind, self.message)
        line = event.cache.get(key)
        if line is None:
            line = event.cache[key] = self.entry(NAMES[kind], event.entry)
        return line

    def line(self, name: str, entry: Entry, rv: int = 0) -> bytes:
        """An event; `rv` is its version where that is not the object's own."""
        tree = forms.opened(self.kind, entry)
        if rv:
            tree["metadata"]["resourceVersion"] = str(rv)
        if self.form.shape == "table":
            meta = {"resourceVersion": tree["metadata"]["resourceVersion"]}
            shown = listing.table_of(self.kind, [tree], meta, self.edges.now(), self.form.include, self._first)
            self._first = False
        elif self.form.shape == "metadata":
            shown = tables.partial(tree)
        else:
            shown = forms.show(self.kind, tree)
        return self._written(name, shown, self.message)

    def bookmark(self, rv: int, ended: bool = False) -> bytes:
        """Everything up to a version has been sent; `ended`: the initial events have."""
        meta: Tree = {"resourceVersion": str(rv)}
        if self.form.shape == "table":
            table: Tree = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "columnDefinitions": None}
            row = {"cells": [], "object": {**META, "metadata": {**meta, "annotations": ENDED}}}
            return self._written("BOOKMARK", {**table, "rows": [row] if ended else []}, "")
        if ended:
            meta["annotations"] = ENDED
        head = META if self.form.shape == "metadata" else {"kind": self.kind.kind, "apiVersion": self.kind.api_version}
        return self._written("BOOKMARK", {**head, "metadata": meta}, self.message)

    def error(self, error: ApiError) -> bytes:
        return self._written("ERROR", error.tree, (answers.message_of(error.tree) or "") if self.message else "")

    @staticmethod
    def _written(name: str, shown: Tree, message: str) -> bytes:
        if not message:
            return encode({"type": name, "object": shown}) + b"\n"
        raw = sized(1, protobuf.encode(shown, message))
        frame = sized(1, name.encode()) + sized(2, raw)
        return len(frame).to_bytes(4, "big") + frame
