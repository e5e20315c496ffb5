"""Embedded resources: their metadata is read as ObjectMeta, and checked with apiVersion and kind; pure.

pkg/apiserver/schema/objectmeta of apiextensions-apiserver. The root of a resource is one too: `root` reads its metadata.
"""

from __future__ import annotations

import re
from typing import Any

from seaway.cluster.apiserver import metadata, schema, zeros
from seaway.cluster.apiserver.status import Cause
from seaway.cluster.apiserver.structural import causes
from seaway.cluster.apiserver.structural.nodes import Node, Tree

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z")
DNS_LABEL_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)


class Malformed(schema.TypeMismatch):
    """A resource in a field whose kind, apiVersion or metadata can not be read; the text is a field error."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(f"{cause.field}: {cause.message}")
        self.cause = cause


def root(tree: Tree, lenient: bool = False) -> list[str]:
    """The metadata of a resource as ObjectMeta, in place; unknown fields of it. `lenient`: what is malformed is dropped."""
    if "metadata" not in tree:
        return []
    read, unknown = _object_meta(tree["metadata"], lenient)
    if read is not None:
        tree["metadata"] = read
    return [f"metadata.{u}" for u in unknown]


def coerce(tree: Any, node: Node, lenient: bool = False, path: str = "") -> list[str]:
    """Reads the metadata of every embedded resource, in place; unknown fields. Raises Malformed unless `lenient`."""
    unknown: list[str] = []
    _coerce(tree, node, path, lenient, unknown)
    return sorted(unknown)


def _object_meta(value: Any, lenient: bool) -> tuple[Tree | None, list[str]]:
    """Metadata as read, and what is unknown in it; None where it is no object and `lenient`."""
    if value is None:
        return {}, []
    try:
        read, unknown = schema.read(OBJECT_META, value, None)
        return _written(read), unknown
    except schema.TypeMismatch:
        if not lenient:
            raise
    if not isinstance(value, dict):
        return None, []
    result: Tree = {}
    found: list[str] = []
    for name, field in value.items():
        try:
            read, unknown = schema.read(OBJECT_META, {name: field}, None)
        except schema.TypeMismatch:
            continue
        result.update(read)
        found += unknown
    return _written(result), found


def _written(meta: Tree) -> Tree:
    """ObjectMeta as Go writes it: what is empty is left out, but for what an owner must say."""
    written = {k: v for k, v in meta.items() if v not in ({}, [], None, "", 0)}
    zeros.complete(OBJECT_META, written)
    return written


def _coerce(value: Any, node: Node | None, path: str, lenient: bool, unknown: list[str]) -> None:
    if node is None or not node.has_embedded:
        return
    if isinstance(value, dict):
        if node.embedded:
            _coerce_resource(value, path, lenient, unknown)
        for name, child in value.items():
            found = node.properties.get(name)
            if found is not None:
                _coerce(child, found, causes.child(path, name), lenient, unknown)
            elif node.additional is not None:
                _coerce(child, node.additional, causes.key(path, name), lenient, unknown)
    elif isinstance(value, list):
        for i, child in enumerate(value):
            _coerce(child, node.items, causes.index(path, i), lenient, unknown)


def _coerce_resource(tree: Tree, path: str, lenient: bool, unknown: list[str]) -> None:
    for name in ("apiVersion", "kind"):
        if name in tree and not isinstance(tree[name], str):
            if not lenient:
                raise Malformed(causes.invalid(causes.child(path, name), tree[name], "must be a string"))
            del tree[name]
    if "metadata" not in tree:
        return
    where = causes.child(path, "metadata")
    try:
        read, found = _object_meta(tree["metadata"], lenient)
    except schema.TypeMismatch as e:
        raise Malformed(causes.invalid(where, tree["metadata"], str(e))) from None
    unknown += [f"{where}.{u}" for u in found]
    if read is not None:
        tree["metadata"] = read


def problems(tree: Any, node: Node | None, path: str = "") -> list[Cause]:
    """What is wrong with the embedded resources of a tree."""
    found: list[Cause] = []
    _problems(tree, node, path, found)
    return found


def _problems(value: Any, node: Node | None, path: str, found: list[Cause]) -> None:
    if node is None or not node.has_embedded:
        return
    if isinstance(value, dict):
        if node.embedded:
            found += resource_causes(value, path)
        for name in sorted(value):
            known = node.properties.get(name)
            if known is not None:
                _problems(value[name], known, causes.child(path, name), found)
            elif node.additional is not None:
                _problems(value[name], node.additional, causes.key(path, name), found)
    elif isinstance(value, list):
        for i, child in enumerate(value):
            _problems(child, node.items, causes.index(path, i), found)


def resource_causes(tree: Tree, path: str) -> list[Cause]:
    """What is wrong with apiVersion, kind and metadata of a resource in a field."""
    found = [causes.required(causes.child(path, name)) for name in ("apiVersion", "kind") if name not in tree]
    if "apiVersion" in tree:
        found += _version_causes(tree["apiVersion"], causes.child(path, "apiVersion"))
    if "kind" in tree:
        found += _kind_causes(tree["kind"], causes.child(path, "kind"))
    if "metadata" in tree:
        where = causes.child(path, "metadata")
        try:
            read, _ = _object_meta(tree["metadata"], False)
        except schema.TypeMismatch as e:
            return [*found, causes.invalid(where, tree["metadata"], str(e))]
        found += _meta_causes(read or {}, where)
    return found


def _meta_causes(meta: Tree, path: str) -> list[Cause]:
    """ObjectMeta in a field: a name is optional, and any path segment will do for one."""
    found = metadata.generic_causes({"name": "fakename", **meta}, _name_problems)
    namespace, generation = meta.get("namespace", ""), meta.get("generation", 0)
    own = [causes.invalid("metadata.namespace", namespace, w) for w in _namespace_problems(namespace)]
    if generation < 0:
        own.append(causes.invalid("metadata.generation", generation, "must be greater than or equal to 0"))
    names = sum(c.field in ("metadata.name", "metadata.generateName") for c in found)
    return [
        Cause(path + c.field.removeprefix("metadata"), c.reason, c.message) for c in found[:names] + own + found[names:]
    ]


def _name_problems(name: str, prefix: bool) -> list[str]:
    if not prefix and name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{c}'" for c in "/%" if c in name]


def _namespace_problems(namespace: str) -> list[str]:
    return metadata.name_problems("namespaces", namespace) if namespace else []


def _version_causes(value: Any, path: str) -> list[Cause]:
    if not isinstance(value, str):
        return [causes.invalid(path, value, "must be a string")]
    if not value:
        return [causes.invalid(path, value, "must not be empty")]
    if value.count("/") > 1:
        return [causes.invalid(path, value, f"unexpected GroupVersion string: {value}")]
    return []


def _kind_causes(value: Any, path: str) -> list[Cause]:
    if not isinstance(value, str):
        return [causes.invalid(path, value, "must be a string")]
    if not value:
        return [causes.invalid(path, value, "must not be empty")]
    wrong = []
    if len(value.lower().encode()) > 63:
        wrong.append("must be no more than 63 characters")
    if not DNS_LABEL.match(value.lower()):
        wrong.append(DNS_LABEL_TEXT)
    told = "may have mixed case, but should otherwise match: " + ",".join(wrong)
    return [causes.invalid(path, value, told)] if wrong else []
