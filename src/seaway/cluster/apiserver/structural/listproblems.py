"""What is wrong with the list and map types that a schema gives (validation.go of apiextensions-apiserver); pure."""

from __future__ import annotations

from seaway.cluster.apiserver.status import Cause
from seaway.cluster.apiserver.structural import causes, internalform
from seaway.cluster.apiserver.structural.nodes import Tree


def list_problems(schema: Tree, path: str, atomic_sets: bool, map_keys: bool) -> list[Cause]:
    """`atomic_sets`: items of a set must be atomic; `map_keys`: keys of a map must always be there."""
    found: list[Cause] = []
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        where = causes.child(path, "x-kubernetes-preserve-unknown-fields")
        found.append(causes.invalid(where, False, "must be true or undefined"))
    type_, map_type, list_type = schema.get("type") or "", _text(schema, "map"), _text(schema, "list")
    if map_type is not None and type_ != "object":
        found.append(_type_cause(path, type_, "must be object if x-kubernetes-map-type is specified"))
    if map_type is not None and map_type not in ("atomic", "granular"):
        where = causes.child(path, "x-kubernetes-map-type")
        found.append(causes.unsupported(where, map_type, ("atomic", "granular")))
    items = schema.get("items")
    if list_type is not None and type_ != "array":
        found.append(_type_cause(path, type_, "must be array if x-kubernetes-list-type is specified"))
    elif atomic_sets and list_type == "set" and isinstance(items, dict):
        found += _set_problems(items, causes.child(path, "items"))
    if list_type is not None and list_type not in ("atomic", "set", "map"):
        where = causes.child(path, "x-kubernetes-list-type")
        found.append(causes.unsupported(where, list_type, ("atomic", "set", "map")))
    if schema.get("x-kubernetes-list-map-keys") and list_type != "map":
        where = causes.child(path, "x-kubernetes-list-type")
        why = "must be map if x-kubernetes-list-map-keys is non-empty"
        found.append(causes.required(where, why) if list_type is None else causes.invalid(where, list_type, why))
    if list_type == "map":
        found += _map_problems(schema, path)
    if map_keys and list_type in ("set", "map") and isinstance(items, dict):
        found += presence_problems(schema, path)
    return found


def _text(schema: Tree, which: str) -> str | None:
    value = schema.get(f"x-kubernetes-{which}-type")
    return value if isinstance(value, str) else None


def _type_cause(path: str, type_: str, why: str) -> Cause:
    where = causes.child(path, "type")
    return causes.invalid(where, type_, why) if type_ else causes.required(where, why)


def _set_problems(items: Tree, path: str) -> list[Cause]:
    why = "must be atomic as item of a list with x-kubernetes-list-type=set"
    list_type, map_type = _text(items, "list"), _text(items, "map")
    if items.get("type") == "array" and list_type not in (None, "atomic"):
        return [causes.invalid(causes.child(path, "x-kubernetes-list-type"), list_type, why)]
    if items.get("type") == "object" and map_type != "atomic":
        # Upstream tells the list type here, which an object has none of.
        return [causes.invalid(causes.child(path, "x-kubernetes-map-type"), list_type, why)]
    return []


def _map_problems(schema: Tree, path: str) -> list[Cause]:
    found: list[Cause] = []
    keys, items = schema.get("x-kubernetes-list-map-keys") or [], schema.get("items")
    where = causes.child(path, "items")
    keys_path = causes.child(path, "x-kubernetes-list-map-keys")
    if not keys:
        found.append(causes.required(keys_path, "must not be empty if x-kubernetes-list-type is map"))
    if items is None:
        found.append(causes.required(where, "must have a schema if x-kubernetes-list-type is map"))
    elif not isinstance(items, dict):
        why = "must only have a single schema if x-kubernetes-list-type is map"
        found.append(causes.invalid_as(where, internalform.items(items), why))
    elif (type_ := items.get("type") or "") != "object":
        why = "must be object if parent array's x-kubernetes-list-type is map"
        found.append(causes.invalid(causes.child(where, "type"), type_, why))
    else:
        seen: set[str] = set()
        properties: Tree = items.get("properties") or {}
        for key in keys:
            if key not in properties:
                found.append(causes.invalid(keys_path, keys, "entries must all be names of item properties"))
            elif properties[key].get("type") in ("array", "object"):
                of_key = causes.child(causes.key(causes.child(where, "properties"), key), "type")
                why = "must be a scalar type if parent array's x-kubernetes-list-type is map"
                found.append(causes.invalid(of_key, type_, why))
            if key in seen:
                found.append(causes.invalid(keys_path, keys, "must not contain duplicate entries"))
            seen.add(key)
    return found


def presence_problems(schema: Tree, path: str) -> list[Cause]:
    """Items of sets and maps are never null, and keys of maps are always there."""
    found: list[Cause] = []
    items, list_type = schema["items"], _text(schema, "list")
    where = causes.child(path, "items")
    if items.get("nullable"):
        why = f"cannot be nullable when x-kubernetes-list-type is {list_type}"
        found.append(causes.forbidden(causes.child(where, "nullable"), why))
    for key in (schema.get("x-kubernetes-list-map-keys") or ()) if list_type == "map" else ():
        field = (items.get("properties") or {}).get(key)
        if field is None:
            continue
        of_key = causes.key(causes.child(where, "properties"), key)
        told = "this property is in x-kubernetes-list-map-keys, so it"
        if key not in (items.get("required") or ()) and field.get("default") is None:
            why = f"{told} must have a default or be a required property"
            found.append(causes.required(causes.child(of_key, "default"), why))
        if field.get("nullable"):
            found.append(causes.forbidden(causes.child(of_key, "nullable"), f"{told} cannot be nullable"))
    return found
