"""Values as errors show them where upstream checks its internal types: Go's field names, in order, all of them.

Upstream validates an unversioned form of each kind; an error that shows a whole struct shows that form. Which fields a
form has, what each is called in JSON and what it shows when absent stands in `internal-forms.json`.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from seaway.api import facts

Tree = dict[str, Any]
OF_SECURITY = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")  # a PodSpec's, within
EMBEDDED = ("PodTemplateSpec", "PersistentVolumeClaimTemplate")  # their metadata's fields stand beside their own


class Field(NamedTuple):
    """A field's name in Go and in JSON, what it shows when absent, and the form of a struct in it (or in its items)."""

    name: str
    key: str
    zero: Any = None
    form: str = ""
    omitted: bool = False


@functools.cache
def fields(form: str) -> tuple[Field, ...]:
    return tuple(Field(*row) for row in facts.internal_forms()[form])


def _arranged(form: str, value: Tree) -> Tree:
    """A struct with its fields where the internal form has them."""
    if form in EMBEDDED:
        return {**(value.get("metadata") or {}), **value}
    if form == "PodSpec":
        own = {name: value[name] for name in OF_SECURITY if name in value}
        return {**value, "securityContext": {**(value.get("securityContext") or {}), **own}}
    return value


def _plain(value: Any) -> Any:
    return dict(sorted(value.items())) if isinstance(value, dict) else value


def internal(form: str, value: Any) -> Any:
    """A struct, or a list of structs, in its internal form; None stays None."""
    if value is None:
        return None
    if isinstance(value, list):
        return [internal(form, item) for item in value]
    found, value = {}, _arranged(form, value)
    for field in fields(form):
        have = value.get(field.key)
        if have is None and field.omitted:
            continue
        have = field.zero if have is None else have
        found[field.name] = internal(field.form, have) if field.form else _plain(have)
    return found
