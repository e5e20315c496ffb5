"""Strategic merge patch: lists of structs merge by their key, as the facts tables say; pure.

Directives: `$patch: replace|delete`, `$deleteFromPrimitiveList/x`, `$setElementOrder/x`, `$retainKeys`. The order of a
merged list, and the errors, are those of k8s.io/apimachinery/pkg/util/strategicpatch: elements of the patch come in the
patch's order, the server's own keep theirs, and where the server knew both their old order decides.
"""

from __future__ import annotations

from typing import Any

import msgspec

from seaway.cluster.apiserver.patches import DoesNotApply, PatchError
from seaway.cluster.apiserver.schema import resolve
from seaway.cluster.apiserver.structural.gotext import printed

Schema = dict[str, Any]
ORDER, DELETE, RETAIN, DIRECTIVE = "$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys", "$patch"


def apply(target: dict[str, Any], patch: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """`target` with `patch` merged into it, by the schema of the kind."""
    return _map(target, patch, resolve(schema))


def _property(schema: Schema, name: str) -> Schema:
    properties = schema.get("properties")
    if properties:
        own: Schema = properties.get(name) or {}
        return own
    values = schema.get("additionalProperties")
    found: Schema = values if isinstance(values, dict) else {}
    return found


def _map(target: Any, patch: dict[str, Any], schema: Schema) -> dict[str, Any]:
    if DIRECTIVE in patch:
        directive = patch[DIRECTIVE]
        if directive == "replace":
            return {k: v for k, v in patch.items() if k != DIRECTIVE}
        if directive == "delete":
            return {}
        raise PatchError(f"unknown patch type: {printed(directive)} in map: {printed(patch)}")
    result = dict(target) if isinstance(target, dict) else {}
    patch = dict(patch)
    result = _retained(result, patch)
    for key in [k for k in patch if k.startswith(ORDER)]:
        _ordered(result, patch, key, schema)
    for key, value in patch.items():
        if key.startswith(DELETE):
            name = key.removeprefix(DELETE)
            if not isinstance(value, list):
                raise PatchError("The patch for $deleteFromPrimitiveList is not a list")
            if isinstance(result.get(name), list):
                gone = _places(value, "")
                result[name] = [v for v in result[name] if _identity(v, "") not in gone]
        elif value is None:
            result.pop(key, None)
        elif key not in result or type(result[key]) is not type(value):
            kept = _without_directives(value)
            if kept is not _GONE:
                result[key] = kept
            else:
                result.pop(key, None)
        elif isinstance(value, dict):
            own = _property(schema, key)
            if _strategy(own) == "replace":
                result[key] = value
            else:
                result[key] = _map(result[key], value, resolve(own))
        elif isinstance(value, list):
            own = _property(schema, key)
            result[key] = _list(result[key], value, own) if _strategy(own) == "merge" else _without_directives(value)
        else:
            result[key] = value
    return result


def _strategy(schema: Schema) -> str:
    strategies = str(schema.get("x-kubernetes-patch-strategy", "")).split(",")
    return next((s for s in strategies if s in ("merge", "replace")), "")


def _retained(result: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Drops what $retainKeys does not name; it must name every field that the patch sets."""
    keep = patch.pop(RETAIN, None)
    if keep is None:
        return result
    if not isinstance(keep, list):
        raise PatchError("invalid patch format of retainKeys")
    if any(k not in keep for k, v in patch.items() if v is not None and not k.startswith("$")):
        raise PatchError("The keys in the patch do not match the list in $retainKeys")
    return {k: v for k, v in result.items() if k in keep}


def _ordered(result: dict[str, Any], patch: dict[str, Any], directive: str, schema: Schema) -> None:
    """Merges the list that a $setElementOrder is about and puts it into that order."""
    order, name = patch.pop(directive), directive.removeprefix(ORDER)
    if not isinstance(order, list):
        raise PatchError("invalid patch format of setElementOrder list")
    own = _property(schema, name)
    key, current, wanted = _key(own), result.get(name), patch.get(name)
    if wanted is not None:
        _check_order(wanted, order, key)
    if isinstance(current, list) and isinstance(wanted, list):
        merged = _list(current, wanted, own) if _strategy(own) == "merge" else wanted
    elif isinstance(wanted, list):
        merged = _without_directives(wanted)
    elif isinstance(current, list):
        merged = current
    else:
        return
    result[name] = _arranged(merged, order, current if isinstance(current, list) else [], key)
    patch.pop(name, None)


def _check_order(wanted: Any, order: list[Any], key: str) -> None:
    """What a patch adds must come in the order that it gives."""
    if not isinstance(wanted, list):
        return
    known = _places(order, key)
    named = [_identity(v, key) for v in wanted if not (isinstance(v, dict) and DIRECTIVE in v)]
    places = [known.get(v, -1) for v in named]
    if -1 in places or places != sorted(places):
        raise PatchError(
            f"The order in patch list:\n{printed(wanted)}\n doesn't match $setElementOrder list:\n{printed(order)}\n"
        )


def _key(schema: Schema) -> str:
    return str(schema.get("x-kubernetes-patch-merge-key", ""))


def _identity(value: Any, key: str) -> Any:
    """What an element of a merged list is known by; a value that can be looked up."""
    found = value.get(key) if key and isinstance(value, dict) else value
    return msgspec.json.encode(found) if isinstance(found, (dict, list)) else found


def _places(values: list[Any], key: str) -> dict[Any, int]:
    """Where each element comes first."""
    found: dict[Any, int] = {}
    for i, value in enumerate(values):
        found.setdefault(_identity(value, key), i)
    return found


def _list(current: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    key = _key(schema)
    if not key:
        have = _places(current, key)
        merged = current + [patch[i] for known, i in _places(patch, key).items() if known not in have]
        return _arranged(merged, patch, current, key)
    items = resolve(schema.get("items") or {})
    added: list[Any] = []
    gone: set[Any] = set()
    replace, original = False, current
    for element in patch:
        if not isinstance(element, dict):
            raise DoesNotApply("a list of maps is patched with something else")
        directive = element.get(DIRECTIVE)
        if directive == "replace":
            replace = True
        elif directive == "delete":
            if key not in element:
                raise _no_key(element, key)
            gone.add(_identity(element, key))
        elif DIRECTIVE not in element:
            added.append(element)
        elif directive == "merge":
            raise PatchError("merging lists cannot yet be specified in the patch")
        else:
            raise PatchError(f"unknown patch type: {printed(directive)} in map: {printed(element)}")
    if replace:
        return [_without_directives(v) for v in added]
    current = [c for c in current if _identity(c, key) not in gone]
    merged, where = list(current), _places(current, key)
    for element in added:
        if key not in element:
            raise _no_key(element, key)
        at = where.get(_identity(element, key))
        if at is None:
            where[_identity(element, key)] = len(merged)
            merged.append(_without_directives(element))
        else:
            merged[at] = _map(merged[at], element, items)
    return _arranged(merged, added, original, key)


def _no_key(element: dict[str, Any], key: str) -> PatchError:
    return PatchError(f"map: {printed(element)} does not contain declared merge key: {key}")


def _arranged(merged: list[Any], order: list[Any], before: list[Any], key: str) -> list[Any]:
    """`merged` with the elements that `order` names in its order, and the server's own among them (mergeSortedSlice)."""
    wanted, server = _places(order, key), _places(before, key)
    ours = [v for v in merged if _identity(v, key) in wanted]
    theirs = [v for v in merged if _identity(v, key) not in wanted]
    ours.sort(key=lambda v: wanted[_identity(v, key)])
    theirs.sort(key=lambda v: server.get(_identity(v, key), len(server)))
    result: list[Any] = []
    i = j = 0
    while i < len(theirs) and j < len(ours):
        left, right = server.get(_identity(theirs[i], key)), server.get(_identity(ours[j], key))
        if left is not None and right is not None and left < right:
            result.append(theirs[i])
            i += 1
        else:
            result.append(ours[j])
            j += 1
    return result + theirs[i:] + ours[j:]


class _Gone:
    """A value that was nothing but a directive to delete."""


_GONE = _Gone()


def _without_directives(value: Any) -> Any:
    """A value of a patch as it is stored where nothing was before: directives and nulls are left out."""
    if isinstance(value, dict):
        if value.get(DIRECTIVE) == "delete":
            return _GONE
        kept = {k: _without_directives(v) for k, v in value.items() if v is not None and not k.startswith("$")}
        return {k: v for k, v in kept.items() if v is not _GONE}
    if isinstance(value, list):
        found = [_without_directives(v) for v in value if not (isinstance(v, dict) and v.get(DIRECTIVE) == "replace")]
        return [v for v in found if v is not _GONE]
    return value
