"""get, list and watch: selectors, pages, versions, and the forms answers take (JSON, Table, PartialObjectMetadata)."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from seaway.api import selectors
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import fields, tables
from seaway.cluster.apiserver.journal import ADDED, DELETED, MODIFIED
from seaway.cluster.apiserver.status import ApiError, Cause, bad_request, expired, invalid, not_found
from seaway.cluster.apiserver.storage import NAMES, Compacted, Entry, Event, Storage, encode
from seaway.cluster.apiserver.verbs import Edges

Tree = dict[str, Any]
BOOKMARK_EVERY = 55.0
WATCH_LONGEST = 3600.0


@dataclass(frozen=True, slots=True)
class Form:
    """How an answer is shown: `json`, `table` or `metadata`; `include` is Table's includeObject."""

    shape: str = "json"
    include: str = "Metadata"


def accept(header: str, query: Mapping[str, str]) -> Form:
    """The first form of an Accept header that we have; ApiError 406 where there is none."""
    include = query.get("includeObject", "") or "Metadata"
    for part in (header or "*/*").split(","):
        media, *parameters = (p.strip() for p in part.split(";"))
        values = dict(p.partition("=")[::2] for p in parameters)
        if media not in (
            "application/json",
            "*/*",
            "application/*",
            "application/yaml",
            "application/vnd.kubernetes.protobuf",
        ):
            continue
        kind = values.get("as", "")
        if kind == "Table" and media == "application/json":
            return Form("table", include)
        if kind.startswith("PartialObjectMetadata"):
            return Form("metadata", include)
        if not kind or kind in ("APIGroupDiscoveryList",):
            return Form("json", include)
    accepted = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    raise ApiError(406, "NotAcceptable", f"only the following media types are accepted: {accepted}")


def flag(query: Mapping[str, str], name: str) -> bool:
    value = query.get(name)
    return value is not None and value not in ("false", "0")


def number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


@dataclass(frozen=True, slots=True)
class Filter:
    """The selectors of a list or watch."""

    kind: Kind
    labels: selectors.Selector
    terms: tuple[selectors.FieldTerm, ...]

    @classmethod
    def read(cls, kind: Kind, query: Mapping[str, str], name: str = "") -> Filter:
        try:
            labels = selectors.parse_labels(query.get("labelSelector", ""))
            terms = selectors.parse_fields(query.get("fieldSelector", ""))
        except selectors.SelectorError as e:
            raise bad_request(str(e)) from None
        fields.check(kind.group_resource, kind.kind, terms)
        if name:
            terms = (*terms, selectors.FieldTerm("metadata.name", name, True))
        return cls(kind, labels, terms)

    @property
    def everything(self) -> bool:
        return not self.terms and not self.labels.requirements

    def matches(self, entry: Entry) -> bool:
        if self.everything:
            return True
        index = entry.index(self._index)
        return self.labels.matches(index["labels"]) and fields.matches(self.terms, index["fields"])

    def _index(self, tree: Tree) -> Tree:
        return {"labels": tree["metadata"].get("labels") or {}, "fields": fields.values(self.kind.group_resource, tree)}


def encode_continue(rv: int, start: str) -> str:
    return base64.urlsafe_b64encode(encode({"v": "meta.k8s.io/v1", "rv": rv, "start": start})).rstrip(b"=").decode()


def decode_continue(token: str) -> tuple[int, str]:
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if found["v"] != "meta.k8s.io/v1":
            raise ValueError("version")
        return int(found["rv"]), str(found["start"])
    except (ValueError, KeyError, TypeError, binascii.Error, msgspec.DecodeError):
        raise bad_request("continue key is not valid: illegal base64 data or unknown version") from None


def list_options_error(field_name: str, why: str, value: Any = None, reason: str = "FieldValueForbidden") -> ApiError:
    word = "Forbidden: " if reason == "FieldValueForbidden" else f"Invalid value: {value}: "
    return invalid("meta.k8s.io", "ListOptions", "", [Cause(field_name, reason, word + why)])


def check_version(version: str) -> None:
    if version and not version.isdigit():
        why = f'strconv.ParseUint: parsing "{version}": invalid syntax'
        raise list_options_error("resourceVersion", why, f'"{version}"', "FieldValueInvalid")


class Reads:
    def __init__(self, storage: Storage, edges: Edges) -> None:
        self.storage, self.edges = storage, edges

    def get(self, kind: Kind, key: str, name: str) -> Entry:
        entry = self.storage.get(kind.group_resource, key)
        if entry is None:
            raise not_found(kind, name)
        return entry

    def show(self, kind: Kind, entry: Entry, form: Form) -> bytes:
        if form.shape == "table":
            tree = entry.tree
            meta = {"resourceVersion": tree["metadata"]["resourceVersion"]}
            return encode(tables.table(kind.group_resource, [tree], meta, self.edges.now(), form.include))
        if form.shape == "metadata":
            return encode(tables.partial(entry.tree))
        return entry.data

    def list(self, kind: Kind, namespace: str, query: Mapping[str, str], form: Form) -> bytes:
        """The answer to a list, encoded."""
        storage, wanted = self.storage, Filter.read(kind, query)
        prefix = f"{namespace}/" if namespace else ""
        limit = number(query, "limit") or 0
        start, rv = "", storage.rv
        version, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
        check_version(version)
        if match and not version:
            raise list_options_error(
                "resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"
            )
        if match not in ("", "Exact", "NotOlderThan"):
            raise invalid(
                "meta.k8s.io",
                "ListOptions",
                "",
                [
                    Cause(
                        "resourceVersionMatch",
                        "FieldValueNotSupported",
                        f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""',
                    )
                ],
            )
        if match == "Exact" and version == "0":
            raise list_options_error(
                "resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            )
        token = query.get("continue", "")
        if token:
            rv, start = decode_continue(token)
        elif match == "Exact" or (version not in ("", "0") and limit and not match):
            rv = int(version)
        if version and version != "0" and int(version) > storage.rv:
            raise self._too_large(int(version))
        if rv > storage.rv:
            raise self._too_large(rv)
        try:
            entries = (
                storage.entries(kind.group_resource, prefix)
                if rv == storage.rv
                else storage.list_at(kind.group_resource, prefix, rv)
            )
        except Compacted:
            if token:
                error = expired(
                    "The provided continue parameter is too old to display a consistent list result. You can "
                    "start a new list without the continue parameter, or use the continue token in this response "
                    "to retrieve the remainder of the results. Continuing with the provided token results in an "
                    "inconsistent list - objects that were created, modified, or deleted between the time the "
                    "first chunk was returned and now may show up in the list."
                )
                error.tree["metadata"] = {"continue": encode_continue(storage.rv, start)}
                raise error from None
            raise expired(f"The resourceVersion for the provided list is too old: {rv}") from None
        chosen: list[Entry] = []
        remaining = 0
        for entry in entries:
            if start and entry.key < start:
                continue
            if not wanted.matches(entry):
                continue
            if limit and len(chosen) >= limit:
                remaining += 1
                continue
            chosen.append(entry)
        meta: Tree = {"resourceVersion": str(rv)}
        if remaining:
            meta["continue"] = encode_continue(rv, chosen[-1].key + "\0")
            if wanted.everything:
                meta["remainingItemCount"] = remaining
        if form.shape == "table":
            shown = [e.tree for e in chosen]
            return encode(tables.table(kind.group_resource, shown, meta, self.edges.now(), form.include))
        if form.shape == "metadata":
            items = [encode(tables.partial(e.tree)) for e in chosen]
            head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
        else:
            # Items of a built-in list say neither kind nor apiVersion; stored objects begin with just these.
            start_of = b'{"kind":"' + kind.kind.encode() + b'","apiVersion":"' + kind.api_version.encode() + b'",'
            cut = len(start_of)
            items = [b"{" + e.data[cut:] if e.data.startswith(start_of) else e.data for e in chosen]
            head = {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": meta}
        return encode(head)[:-1] + b',"items":[' + b",".join(items) + b"]}"

    def _too_large(self, rv: int) -> ApiError:
        message = f"Too large resource version: {rv}, current: {self.storage.rv}"
        details = {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        }
        return ApiError(504, "Timeout", f"Timeout: {message}", details)

    async def watch(
        self, kind: Kind, namespace: str, query: Mapping[str, str], form: Form, name: str = ""
    ) -> AsyncIterator[bytes]:
        """The lines of a watch. Errors before the first line are raised, later ones are ERROR events."""
        wanted = Filter.read(kind, query, name)
        version = query.get("resourceVersion", "")
        initial = flag(query, "sendInitialEvents")
        match = query.get("resourceVersionMatch", "")
        if match and not initial:
            raise list_options_error(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            )
        if initial and match != "NotOlderThan":
            raise list_options_error(
                "resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            )
        check_version(version)
        timeout = min(float(number(query, "timeoutSeconds") or WATCH_LONGEST), WATCH_LONGEST)
        return self._stream(wanted, namespace, version, initial, form, timeout, flag(query, "allowWatchBookmarks"))

    async def _stream(
        self, wanted: Filter, namespace: str, version: str, initial: bool, form: Form, timeout: float, bookmarks: bool
    ) -> AsyncIterator[bytes]:
        kind, storage = wanted.kind, self.storage
        prefix = f"{namespace}/" if namespace else ""
        from_now = version in ("", "0") or initial
        if version not in ("", "0") and int(version) > storage.rv:
            yield self._error(self._too_large(int(version)))
            return
        try:
            watch = storage.watch(kind.group_resource, prefix, None if from_now else int(version))
        except Compacted:
            yield self._error(expired(f"too old resource version: {version} ({storage.compacted + 1})"))
            return
        shower = _Shower(kind, form, self.edges)
        try:
            if from_now:
                start = storage.rv
                lines = [
                    shower.line("ADDED", e.tree)
                    if form.shape != "json"
                    else b'{"type":"ADDED","object":' + e.data + b"}\n"
                    for e in storage.entries(kind.group_resource, prefix)
                    if wanted.matches(e)
                ]
                for at in range(0, len(lines), 500):
                    yield b"".join(lines[at : at + 500])
                if initial:
                    yield shower.bookmark(start, ended=True)
            loop = asyncio.get_running_loop()
            end = loop.time() + timeout
            next_bookmark = loop.time() + BOOKMARK_EVERY
            while not watch.closed and (left := end - loop.time()) > 0:
                events = await watch.take(min(left, max(next_bookmark - loop.time(), 0.01)))
                out = [line for event in events if (line := self._line(wanted, event, shower))]
                if out:
                    yield b"".join(out)
                if loop.time() >= next_bookmark:
                    next_bookmark = loop.time() + BOOKMARK_EVERY
                    if bookmarks and not events:
                        yield shower.bookmark(storage.rv)
        finally:
            watch.close()

    @staticmethod
    def _line(wanted: Filter, event: Event, shower: _Shower) -> bytes:
        """An event as this watch sees it: what enters or leaves its selectors is ADDED or DELETED."""
        kind = event.kind
        if not wanted.everything:
            now = kind != DELETED and wanted.matches(event.entry)
            before = event.prev is not None and wanted.matches(event.prev)
            if kind == DELETED:
                if not before and not wanted.matches(event.entry):
                    return b""
            elif now:
                kind = MODIFIED if before else ADDED
            elif before and event.prev is not None:
                tree = event.prev.tree
                tree["metadata"]["resourceVersion"] = str(event.entry.rv)
                return shower.line(NAMES[DELETED], tree)
            else:
                return b""
        if shower.form.shape == "json":
            line = event.cache.get(kind)
            if line is None:
                line = b'{"type":"' + NAMES[kind].encode() + b'","object":' + event.entry.data + b"}\n"
                event.cache[kind] = line
            return line
        return shower.line(NAMES[kind], event.entry.tree)

    @staticmethod
    def _error(error: ApiError) -> bytes:
        return encode({"type": "ERROR", "object": error.tree}) + b"\n"


class _Shower:
    """Encodes the events of one watch in its form; a Table's columns come with its first event only."""

    def __init__(self, kind: Kind, form: Form, edges: Edges) -> None:
        self.kind, self.form, self.edges, self._first = kind, form, edges, True

    def line(self, name: str, tree: Tree) -> bytes:
        shown: Tree = tree
        if self.form.shape == "table":
            meta = {"resourceVersion": tree["metadata"]["resourceVersion"]}
            shown = tables.table(
                self.kind.group_resource, [tree], meta, self.edges.now(), self.form.include, self._first
            )
            self._first = False
        elif self.form.shape == "metadata":
            shown = tables.partial(tree)
        return encode({"type": name, "object": shown}) + b"\n"

    def bookmark(self, rv: int, ended: bool = False) -> bytes:
        meta: Tree = {"resourceVersion": str(rv)}
        if self.form.shape == "table":
            shown: Tree = {
                "kind": "Table",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": meta,
                "columnDefinitions": None,
                "rows": [],
            }
            if ended:
                shown["rows"] = [
                    {
                        "cells": [],
                        "object": {
                            "kind": "PartialObjectMetadata",
                            "apiVersion": "meta.k8s.io/v1",
                            "metadata": {**meta, "annotations": {"k8s.io/initial-events-end": "true"}},
                        },
                    }
                ]
            return encode({"type": "BOOKMARK", "object": shown}) + b"\n"
        if ended:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        meta["creationTimestamp"] = None
        kind, version = self.kind.kind, self.kind.api_version
        if self.form.shape == "metadata":
            kind, version = "PartialObjectMetadata", "meta.k8s.io/v1"
        return encode({"type": "BOOKMARK", "object": {"kind": kind, "apiVersion": version, "metadata": meta}}) + b"\n"
