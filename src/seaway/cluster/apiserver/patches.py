"""JSON Patch (RFC 6902) on trees, beside JSON Merge Patch (`api/merge.py`); pure. Inputs are never changed.

JSON Patch is our own because the API server's dialect is: `replace` of a missing key adds it (evanphx/json-patch).
"""

from __future__ import annotations

from typing import Any

import msgspec

from seaway.api import tree as trees
from seaway.api.merge import merge
from seaway.cluster.apiserver.schema import json_type

OPERATIONS = 10_000
COPY_LIMIT = 3 << 20


class PatchError(ValueError):
    """A patch that cannot be read; the text is for the Status."""


class DoesNotApply(PatchError):
    """A patch that is well formed but does not fit the object."""


class NoPlace(DoesNotApply):
    """A path that leads nowhere: at the last key (`is_key`), or before it."""

    def __init__(self, key: str, is_key: bool = False) -> None:
        super().__init__(f"doc is missing path: {key}")
        self.key, self.is_key = key, is_key


class TooLarge(PatchError):
    """A patch with more operations than one may have."""


def _pointer(text: str) -> list[str]:
    if text == "":
        return []
    if not text.startswith("/"):
        raise DoesNotApply(f"operation does not apply: doc is missing path: {text}")
    return [p.replace("~1", "/").replace("~0", "~") for p in text[1:].split("/")]


def _index(key: str, length: int, insert: bool) -> int:
    """The position that a pointer's part names; negative ones count from the end (evanphx/json-patch)."""
    if key == "-" and insert:
        return length
    digits = key.removeprefix("-")
    if not digits.isdecimal() or not digits.isascii():
        raise DoesNotApply(f"no array index: {key}")
    if len(digits) > 9:
        raise DoesNotApply(f"index out of bounds: {key[:9]}")
    index = int(key)
    if index < 0:
        index += length + insert
    if not 0 <= index < length + insert:
        raise DoesNotApply(f"index out of bounds: {key}")
    return index


def _find(doc: Any, path: list[str]) -> Any:
    for key in path:
        if isinstance(doc, dict) and key in doc:
            doc = doc[key]
        elif isinstance(doc, list):
            doc = doc[_index(key, len(doc), False)]
        else:
            raise NoPlace(key)
    return doc


def _put(doc: Any, path: list[str], value: Any, insert: bool) -> Any:
    if not path:
        return value
    parent = _find(doc, path[:-1])
    key = path[-1]
    if isinstance(parent, dict):
        parent[key] = value
    elif isinstance(parent, list):
        index = _index(key, len(parent), insert)
        if insert:
            parent.insert(index, value)
        else:
            parent[index] = value
    else:
        raise NoPlace(key)
    return doc


def _remove(doc: Any, path: list[str]) -> None:
    if not path:
        raise DoesNotApply("the whole document cannot be removed")
    parent = _find(doc, path[:-1])
    key = path[-1]
    if isinstance(parent, dict) and key in parent:
        del parent[key]
    elif isinstance(parent, list):
        del parent[_index(key, len(parent), False)]
    else:
        raise NoPlace(key, isinstance(parent, dict))


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902, all or nothing."""
    if not isinstance(operations, list):
        found = json_type(operations) if operations is not None else "null"
        raise PatchError(
            f"error decoding patch: json: cannot unmarshal {found} into Go value of type []handlers.jsonPatchOp"
        )
    if len(operations) > OPERATIONS:
        raise TooLarge(f"The allowed maximum operations in a JSON patch is {OPERATIONS}, got {len(operations)}")
    doc = trees.copied(target)
    copied = 0
    for operation in operations:
        if not isinstance(operation, dict):
            raise PatchError(f"json: cannot unmarshal {json_type(operation)} into Go value of type jsonpatch.Operation")
        if operation.get("op") == "copy" and isinstance(operation.get("from"), str):
            # Copies of copies double: what they add together is limited (--json-patch-max-copy-bytes).
            copied += len(msgspec.json.encode(_find(doc, _pointer(operation["from"]))))
            if copied > COPY_LIMIT:
                raise DoesNotApply(f"the accumulated size of copy operations exceeds the limit {COPY_LIMIT}")
        try:
            doc = _operate(doc, operation)
        except NoPlace as e:
            raise DoesNotApply(_worded(operation, e)) from None
    return doc


def _worded(operation: dict[str, Any], problem: NoPlace) -> str:
    """evanphx/json-patch's words for an operation whose place is not there; webhooks' authors read them."""
    op, text = operation.get("op"), operation.get("path")
    if problem.is_key and op == "remove":
        return f"error in remove for path: '{text}': unable to remove nonexistent key: {problem.key}: missing value"
    if op in ("move", "copy"):
        text = operation.get("from")
    return f'{op} operation does not apply: doc is missing path: "{text}": missing value'


def _operate(doc: Any, operation: dict[str, Any]) -> Any:
    op, text = operation.get("op"), operation.get("path")
    if not isinstance(text, str):
        raise DoesNotApply("operation missing path field")
    path = _pointer(text)
    if op in ("add", "replace"):
        if "value" not in operation:
            raise DoesNotApply(f"{op} operation missing value field")
        return _put(doc, path, trees.copied(operation["value"]), op == "add")
    if op == "remove":
        _remove(doc, path)
        return doc
    if op in ("move", "copy"):
        if not isinstance(operation.get("from"), str):
            raise DoesNotApply(f"{op} operation missing from field")
        source = _pointer(operation["from"])
        value = trees.copied(_find(doc, source))
        if op == "move":
            _remove(doc, source)
        return _put(doc, path, value, True)
    if op == "test":
        try:
            found = _find(doc, path)
        except DoesNotApply:
            found = None
        if found != operation.get("value") or isinstance(found, bool) is not isinstance(operation.get("value"), bool):
            raise DoesNotApply(f"testing value {text} failed: test failed")
        return doc
    raise DoesNotApply(f"Unexpected kind: {op}")


__all__ = ["DoesNotApply", "PatchError", "TooLarge", "json_patch", "merge"]
