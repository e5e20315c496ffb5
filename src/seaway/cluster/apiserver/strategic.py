"""Strategic merge patch: lists of structs merge by their key, as the facts tables say; pure.

Directives: `$patch: replace|delete|merge`, `$deleteFromPrimitiveList/x`, `$setElementOrder/x`, `$retainKeys`
(k8s.io/apimachinery/pkg/util/strategicpatch). New elements of a merged list come first unless an order is given.
"""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver.patches import PatchError
from seaway.cluster.apiserver.schema import resolve

Schema = dict[str, Any]


def apply(target: dict[str, Any], patch: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """`target` with `patch` merged into it, by the schema of the kind."""
    return _object(target, patch, resolve(schema))


def _property(schema: Schema, name: str) -> Schema:
    properties = schema.get("properties")
    if properties:
        own: Schema = properties.get(name) or {}
        return own
    values = schema.get("additionalProperties")
    found: Schema = values if isinstance(values, dict) else {}
    return found


def _object(target: Any, patch: dict[str, Any], schema: Schema) -> dict[str, Any]:
    directive = patch.get("$patch")
    clean = {k: v for k, v in patch.items() if k != "$patch"}
    if directive == "replace":
        stripped: dict[str, Any] = _stripped(clean)
        return stripped
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise PatchError(f"Unrecognized patch directive type: {directive}")
    result = dict(target) if isinstance(target, dict) else {}
    if isinstance(clean.get("$retainKeys"), list):
        keep = set(clean["$retainKeys"])
        result = {k: v for k, v in result.items() if k in keep}
    for key, value in clean.items():
        if key == "$retainKeys":
            continue
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            if isinstance(result.get(name), list):
                result[name] = [v for v in result[name] if v not in value]
            continue
        if key.startswith("$setElementOrder/"):
            name = key.partition("/")[2]
            if name not in clean and isinstance(result.get(name), list):
                result[name] = _order(result[name], value, _key(_property(schema, name)))
            continue
        if value is None:
            result.pop(key, None)
            continue
        own = _property(schema, key)
        full = resolve(own)
        if isinstance(value, dict):
            if isinstance(result.get(key), dict):
                result[key] = _object(result[key], value, full)
            elif value.get("$patch") != "delete":
                result[key] = _object(None, value, full)
            if value.get("$patch") == "delete":
                result.pop(key, None)
        elif isinstance(value, list) and "merge" in str(own.get("x-kubernetes-patch-strategy", "")):
            order = clean.get(f"$setElementOrder/{key}")
            result[key] = _list(result.get(key), value, own, order)
        else:
            result[key] = _stripped(value)
    return result


def _key(schema: Schema) -> str:
    return str(schema.get("x-kubernetes-patch-merge-key", ""))


def _list(target: Any, patch: list[Any], schema: Schema, order: list[Any] | None) -> list[Any]:
    current = list(target) if isinstance(target, list) else []
    key = _key(schema)
    if not key:
        result = current + [v for v in patch if v not in current]
        return _order(result, order, key) if order is not None else result
    items = resolve(schema.get("items") or {})
    if any(isinstance(v, dict) and v.get("$patch") == "replace" and len(v) == 1 for v in patch):
        return [_stripped(v) for v in patch if not (isinstance(v, dict) and "$patch" in v)]
    added = []
    for element in patch:
        if not isinstance(element, dict) or key not in element:
            raise PatchError(f"map: {element} does not contain declared merge key: {key}")
        at = next((i for i, c in enumerate(current) if isinstance(c, dict) and c.get(key) == element[key]), None)
        if element.get("$patch") == "delete":
            current = [c for c in current if not (isinstance(c, dict) and c.get(key) == element[key])]
        elif at is None:
            added.append(_object(None, element, items))
        else:
            current[at] = _object(current[at], element, items)
    if order is not None:
        return _order(current + added, order, key)
    return added + current if added else current


def _order(values: list[Any], order: list[Any], key: str) -> list[Any]:
    """Elements named by the order come in that order; the others keep their place relative to those before them."""

    def identity(value: Any) -> Any:
        return value.get(key) if key and isinstance(value, dict) else value

    rank = {identity(v): i for i, v in enumerate(order)}
    named = sorted((v for v in values if identity(v) in rank), key=lambda v: rank[identity(v)])
    result: list[Any] = []
    pending = iter(named)
    for value in values:
        result.append(next(pending) if identity(value) in rank else value)
    return result


def _stripped(value: Any) -> Any:
    """A value of a patch as it is stored: directives and nulls are left out."""
    if isinstance(value, dict):
        return {k: _stripped(v) for k, v in value.items() if v is not None and not k.startswith("$")}
    if isinstance(value, list):
        return [_stripped(v) for v in value]
    return value
