"""Values by their types: the fields they set, how two differ, merging, removing; pure.

The walks of sigs.k8s.io/structured-merge-diff/typed: a scalar, an atomic list or map, and an empty container count as one
field; keyed lists are compared by key whatever their order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from seaway.cluster.apiserver.fieldsets import LEAF, SELF, Fields, key_step, value_step
from seaway.cluster.apiserver.fieldtypes import ANYTHING, DEDUCED, LIST, MAP, SCALAR, Type, deduced


class _Absent:
    """No value, which is not the same as null."""


ABSENT: Any = _Absent()


class Invalid(ValueError):
    """Values that their type does not allow; one line each."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__(errors[0] if len(errors) == 1 else "errors:\n" + "\n".join(f"  {e}" for e in errors))


class Comparison(NamedTuple):
    """The fields that a change adds, removes and modifies."""

    added: Fields
    removed: Fields
    modified: Fields

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.modified)


def _resolved(kind: Type, value: Any) -> Type:
    """The type that a value is walked by: what it looks like where nothing is known or it does not fit."""
    if kind.kind == DEDUCED:
        return deduced(value)
    if kind.kind == MAP and not isinstance(value, dict) and value is not None and value is not ABSENT:
        return deduced(value)
    if kind.kind == LIST and not isinstance(value, list) and value is not None and value is not ABSENT:
        return deduced(value)
    return kind


def step_of(kind: Type, item: Any) -> str:
    """The step to an element of an associative list; Invalid where it has no identity."""
    if not kind.keys:
        if isinstance(item, (dict, list)) or item is None:
            raise Invalid(["associative list without keys has an element that's a map type"])
        return value_step(item)
    if not isinstance(item, dict):
        raise Invalid(["associative list with keys may not have non-map elements"])
    keys = {}
    for key in kind.keys:
        value = item.get(key)
        if value is None:
            value = kind.defaults.get(key)
            if value is None:
                told = f'associative list with keys has an element that omits key field "{key}" (and doesn\'t have default value)'
                raise Invalid([told])
        keys[key] = value
    return key_step(keys)


def _indexed(kind: Type, items: list[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(step_of(kind, item), []).append(item)
    return found


def _child(kind: Type, name: str) -> Type:
    return kind.child(name) or ANYTHING


def _element(kind: Type) -> Type:
    return kind.element() or ANYTHING


# the fields that a value sets


def field_set(value: Any, kind: Type) -> Fields:
    """The fields of a value as an applier owns them."""
    return _members(value, kind) or {}


def _members(value: Any, kind: Type) -> Fields | None:
    """The set at and below a value; None: nothing, an empty tree: the value itself."""
    kind = _resolved(kind, value)
    if kind.kind == SCALAR or kind.atomic:
        return LEAF
    result: Fields = {}
    if kind.kind == LIST:
        for step, items in _indexed(kind, value or []).items():
            below = _members(items[0], _element(kind)) if len(items) == 1 else None
            result[step] = {SELF: LEAF, **below} if below else LEAF
        return result or None
    for name, item in (value or {}).items():
        below = _members(item, _child(kind, name))
        alone = item is None or item == {} or not kind.has_field(name)
        if below is None and not alone:
            continue
        if below and alone:
            below = {SELF: LEAF, **below}
        result[f"f:{name}"] = below or LEAF
    return result or None


# how two values differ


def compare(old: Any, new: Any, kind: Type) -> Comparison:
    """What a change from `old` to `new` adds, removes and modifies."""
    added, removed, modified = _compare(old, new, kind)
    return Comparison(added or {}, removed or {}, modified or {})


_Sets = tuple[Fields | None, Fields | None, Fields | None]
_SAME: _Sets = (None, None, None)


def _leaf(old: Any, new: Any) -> _Sets:
    if old is ABSENT:
        return LEAF, None, None
    if new is ABSENT:
        return None, LEAF, None
    return _SAME if old == new and isinstance(old, bool) is isinstance(new, bool) else (None, None, LEAF)


def _compare(old: Any, new: Any, kind: Type) -> _Sets:
    if old is new or (old is not ABSENT and new is not ABSENT and old == new):
        return _SAME
    kind = _resolved(kind, new if new is not ABSENT and new is not None else old)
    if kind.kind == SCALAR or kind.atomic:
        return _leaf(old, new)
    left = old if isinstance(old, (dict, list)) else ()
    right = new if isinstance(new, (dict, list)) else ()
    if not left and not right:
        return _leaf(old, new)
    sets: tuple[Fields, Fields, Fields] = ({}, {}, {})
    if kind.kind == LIST:
        _compare_lists(left if isinstance(left, list) else [], right if isinstance(right, list) else [], kind, sets)
    else:
        a, b = left if isinstance(left, dict) else {}, right if isinstance(right, dict) else {}
        for name in {**a, **b}:
            _collect(f"f:{name}", _compare(a.get(name, ABSENT), b.get(name, ABSENT), _child(kind, name)), sets)
    if old is ABSENT:
        sets[0][SELF] = LEAF
    elif new is ABSENT:
        sets[1][SELF] = LEAF
    added, removed, modified = sets
    return _packed(added), _packed(removed), _packed(modified)


def _packed(fields: Fields) -> Fields | None:
    if not fields:
        return None
    return LEAF if len(fields) == 1 and SELF in fields else fields


def _collect(step: str, found: _Sets, sets: tuple[Fields, Fields, Fields]) -> None:
    for one, into in zip(found, sets, strict=True):
        if one is not None:
            into[step] = one


def _compare_lists(old: list[Any], new: list[Any], kind: Type, sets: tuple[Fields, Fields, Fields]) -> None:
    left, right = _indexed(kind, old), _indexed(kind, new)
    for step in {**left, **right}:
        a, b = left.get(step, []), right.get(step, [])
        if len(a) > 1 or len(b) > 1:
            # Elements with one identity are one field: the list may be read, though nobody may apply it.
            if a != b:
                _collect(step, _leaf(a or ABSENT, b or ABSENT), sets)
            continue
        _collect(step, _compare(a[0] if a else ABSENT, b[0] if b else ABSENT, _element(kind)), sets)


# merging


def merge(live: Any, config: Any, kind: Type) -> Any:
    """`live` with what `config` sets."""
    if config is ABSENT:
        return live
    if live is ABSENT:
        return _merged_new(config, kind)
    kind = _resolved(kind, config)
    if kind.kind == SCALAR or kind.atomic or not (config or live):
        return config
    if kind.kind == LIST:
        return _merge_lists(live if isinstance(live, list) else [], config or [], kind)
    result = dict(live) if isinstance(live, dict) else {}
    for name, value in (config or {}).items():
        result[name] = merge(result.get(name, ABSENT), value, _child(kind, name))
    return result


def _merged_new(config: Any, kind: Type) -> Any:
    return config


def _merge_lists(live: list[Any], config: list[Any], kind: Type) -> list[Any]:
    """Elements of both, in the config's order with the others in their places (typed/merge.go visitListItems)."""
    left = [step_of(kind, item) for item in live]
    right = [step_of(kind, item) for item in config]
    left_items, right_items = (
        dict(zip(reversed(left), reversed(live), strict=True)),
        dict(zip(right, config, strict=True)),
    )
    element = _element(kind)
    shared = [step for step in right if step in left_items]
    wanted = shared.pop(0) if shared else None
    result: list[Any] = []
    done: set[str] = set()
    i = j = 0
    while i < len(left) or j < len(right):
        if i < len(left) and j < len(right):
            step = left[i]
            if step == right[j]:
                done.add(step)
                result.append(merge(left_items[step], right_items[step], element))
                i, j = i + 1, j + 1
                wanted = shared.pop(0) if shared else None
                continue
            if step in right_items and wanted is not None and wanted != step:
                i += 1  # shared, but not the one whose turn it is
                continue
        if i < len(left):
            step = left[i]
            if step not in right_items:
                result.append(live[i])
                i += 1
                continue
            if step in done:
                i += 1
        if j < len(right):
            step = right[j]
            done.add(step)
            result.append(merge(left_items.get(step, ABSENT), right_items[step], element))
            j += 1
            if wanted == step:
                wanted = shared.pop(0) if shared else None
    return result


# removing


def remove(value: Any, fields: Fields, kind: Type) -> Any:
    """The value without the fields of a set; null where a container becomes empty."""
    if not fields:
        return value
    kind = _resolved(kind, value)
    if kind.kind == SCALAR:
        return value
    if not value or kind.atomic:
        return None
    if kind.kind == LIST:
        kept = []
        for item in value:
            below = fields.get(step_of(kind, item))
            if below is not None and (not below or SELF in below):
                continue
            kept.append(item if below is None else remove(item, below, _element(kind)))
        return kept or None
    result = {}
    for name, item in value.items():
        below = fields.get(f"f:{name}")
        if below is not None and (not below or SELF in below):
            continue
        result[name] = item if below is None else remove(item, below, _child(kind, name))
    return result or None


def named_members(fields: Fields, kind: Type) -> Fields:
    """The set with the struct fields on the way to its paths, which are not members otherwise."""
    result: Fields = {}
    kind = kind if kind.kind != DEDUCED else ANYTHING
    for step, below in fields.items():
        if step == SELF or not below:
            result[step] = below
            continue
        if step.startswith("f:"):
            name = step[2:]
            child = _child(kind, name) if kind.kind == MAP else ANYTHING
            inner = named_members(below, child)
            struct = kind.kind == MAP and kind.has_field(name)
            result[step] = {SELF: LEAF, **inner} if struct else inner
        else:
            result[step] = named_members(below, _element(kind) if kind.kind == LIST else ANYTHING)
    return result


# what an applied configuration may hold


def check(value: Any, kind: Type) -> None:
    """Raises Invalid where a configuration does not fit its type."""
    errors: list[str] = []
    _check(value, kind, "", errors)
    if errors:
        raise Invalid(errors)


def _check(value: Any, kind: Type, path: str, errors: list[str]) -> None:
    if kind.kind == DEDUCED or value is None:
        return
    if kind.kind == SCALAR:
        _check_scalar(value, kind.expected, path, errors)
    elif kind.kind == LIST:
        if not isinstance(value, list):
            errors.append(f"{path}: expected list, got {_shown(value)}")
            return
        _check_list(value, kind, path, errors)
    elif not isinstance(value, dict):
        errors.append(f"{path}: expected map, got {_shown(value)}")
    else:
        for name, item in value.items():
            child = kind.child(name)
            if child is None:
                errors.append(f"{path}.{name}: field not declared in schema")
            else:
                _check(item, child, f"{path}.{name}", errors)


def _check_list(value: list[Any], kind: Type, path: str, errors: list[str]) -> None:
    from seaway.cluster.apiserver.fieldsets import shown

    seen: set[str] = set()
    for i, item in enumerate(value):
        where = f"{path}[{i}]"
        if not kind.atomic:
            try:
                step = step_of(kind, item)
            except Invalid as e:
                errors.append(f"{path}: element {i}: {e}")
                continue
            where = path + shown((step,))
            if step in seen:
                errors.append(f"{path}: duplicate entries for key {shown((step,))}")
                continue
            seen.add(step)
        _check(item, _element(kind), where, errors)


def _check_scalar(value: Any, expected: str, path: str, errors: list[str]) -> None:
    fits = {
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, (int, float)) and not isinstance(value, bool),
        "number": isinstance(value, (int, float)) and not isinstance(value, bool),
    }.get(expected, not isinstance(value, (dict, list)))
    if not fits:
        named = {"integer": "numeric (int or float)", "number": "numeric (int or float)"}.get(expected, expected)
        errors.append(f"{path}: expected {named or 'scalar'}, got {_shown(value)}")


def _shown(value: Any) -> str:
    kinds = {dict: "map", list: "list", str: "string", bool: "boolean"}
    return kinds.get(type(value), f"&value.valueUnstructured{{Value:{value}}}")
