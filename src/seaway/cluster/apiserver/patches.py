"""JSON Patch (RFC 6902) on trees, beside JSON Merge Patch (`api/merge.py`); pure. Inputs are never changed.

JSON Patch is our own because the API server's dialect is: `replace` of a missing key adds it (evanphx/json-patch).
"""

from __future__ import annotations

import copy
from typing import Any

from seaway.api.merge import merge


class PatchError(ValueError):
    """A patch that cannot be applied; the text is for the Status."""


def _pointer(text: str) -> list[str]:
    if text == "":
        return []
    if not text.startswith("/"):
        raise PatchError(f"invalid JSON pointer {text!r}")
    return [p.replace("~1", "/").replace("~0", "~") for p in text[1:].split("/")]


def _index(key: str, length: int, op: str, path: str) -> int:
    if key == "-" and op == "add":
        return length
    if not key.isdigit():
        raise PatchError(f"{op} operation does not apply: doc is missing path: {path}: missing value")
    index = int(key)
    if index > length or (index == length and op != "add"):
        raise PatchError(f"{op} operation does not apply: doc is missing key: {path}: missing value")
    return index


def _find(doc: Any, path: list[str], op: str, text: str) -> Any:
    for key in path:
        if isinstance(doc, dict) and key in doc:
            doc = doc[key]
        elif isinstance(doc, list) and key.isdigit() and int(key) < len(doc):
            doc = doc[int(key)]
        else:
            raise PatchError(f"{op} operation does not apply: doc is missing path: {text}: missing value")
    return doc


def _put(doc: Any, path: list[str], value: Any, op: str, text: str) -> Any:
    if not path:
        return value
    parent = _find(doc, path[:-1], op, text)
    key = path[-1]
    if isinstance(parent, dict):
        parent[key] = value
    elif isinstance(parent, list):
        index = _index(key, len(parent), op, text)
        if op == "add":
            parent.insert(index, value)
        else:
            parent[index] = value
    else:
        raise PatchError(f"{op} operation does not apply: doc is missing path: {text}: missing value")
    return doc


def _remove(doc: Any, path: list[str], op: str, text: str) -> None:
    if not path:
        raise PatchError(f"{op} operation does not apply: cannot remove the whole document")
    parent = _find(doc, path[:-1], op, text)
    key = path[-1]
    if isinstance(parent, dict):
        if key not in parent:
            raise PatchError(f"{op} operation does not apply: Unable to remove nonexistent key: {key}: missing value")
        del parent[key]
    elif isinstance(parent, list):
        del parent[_index(key, len(parent), op, text)]


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902, all or nothing."""
    if not isinstance(operations, list):
        raise PatchError("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(operations) > 10000:
        raise PatchError(f"The allowed maximum operations in a JSON patch is 10000, got {len(operations)}")
    doc = copy.deepcopy(target)
    for operation in operations:
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise PatchError("a JSON patch operation needs an op and a path")
        op, text = operation.get("op"), operation["path"]
        path = _pointer(text)
        if op in ("add", "replace", "test") and "value" not in operation and op != "test":
            raise PatchError(f"{op} operation does not apply: missing value")
        if op in ("add", "replace"):
            doc = _put(doc, path, copy.deepcopy(operation["value"]), op, text)
        elif op == "remove":
            _remove(doc, path, op, text)
        elif op in ("move", "copy"):
            source = _pointer(str(operation.get("from", "")))
            value = copy.deepcopy(_find(doc, source, op, text))
            if op == "move":
                _remove(doc, source, op, text)
            doc = _put(doc, path, value, "add", text)
        elif op == "test":
            try:
                found = _find(doc, path, op, text)
            except PatchError:
                found = None
            if found != operation.get("value"):
                raise PatchError(f"testing value {text} failed: test failed")
        else:
            raise PatchError(f"Unexpected kind: {op}")
    return doc


__all__ = ["PatchError", "json_patch", "merge"]
