"""Claims for volumes as templates hold them: in an ephemeral volume and in a StatefulSet (pkg/apis/core/validation)."""

from __future__ import annotations

from typing import Any

from seaway.api import quantities
from seaway.cluster.apiserver import formats, metadata
from seaway.cluster.apiserver.rules import fieldrules
from seaway.cluster.apiserver.status import Cause, not_permitted, required, wrong

Tree = dict[str, Any]
ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
DEFAULT_GROUP = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"


def default_spec(spec: Tree) -> None:
    spec.setdefault("volumeMode", "Filesystem")


def driver_name(path: str, value: str) -> list[Cause]:
    if not value:
        return [required(path)]
    found = [Cause(path, "FieldValueTooLong", "Too long: may not be more than 63 bytes")] if len(value) > 63 else []
    return found + [wrong(path, value, why) for why in formats.subdomain(value.lower())]


def _data_source(source: Tree, path: str) -> list[Cause]:
    found = [required(f"{path}.{name}") for name in ("name", "kind") if not source.get(name)]
    group = source.get("apiGroup") or ""
    if not group and source.get("kind") != "PersistentVolumeClaim":
        found.append(wrong(path, source.get("kind", ""), DEFAULT_GROUP))
    if group:
        found += formats.causes(f"{path}.apiGroup", group, formats.subdomain)
    if source.get("namespace"):
        found += formats.causes(f"{path}.namespace", source["namespace"], formats.label)
    return found


def _size(spec: Tree, path: str) -> list[Cause]:
    amount, at = ((spec.get("resources") or {}).get("requests") or {}).get("storage"), f"{path}.resources[storage]"
    if amount is None:
        return [required(at)]
    value = quantities.parse(amount)
    if value <= 0:
        return [wrong(at, amount, fieldrules.NOT_POSITIVE)]
    return [] if value.denominator == 1 else [wrong(at, amount, "must be an integer")]


def validate_spec(spec: Tree, path: str) -> list[Cause]:
    modes, found = spec.get("accessModes") or [], []
    if not modes:
        found.append(required(f"{path}.accessModes", "at least 1 access mode is required"))
    found += fieldrules.selector_causes(spec.get("selector"), f"{path}.selector")
    for mode in modes:
        found += fieldrules.listed(f"{path}.accessModes", mode, ACCESS_MODES)
    known = {m for m in modes if m in ACCESS_MODES}
    if "ReadWriteOncePod" in known and len(known) > 1:
        why = "may not use ReadWriteOncePod with other access modes"
        found.append(not_permitted(f"{path}.accessModes", why))
    found += _size(spec, path)
    if spec.get("storageClassName"):
        found += formats.causes(f"{path}.storageClassName", spec["storageClassName"], formats.subdomain)
    if spec.get("volumeMode") is not None:
        found += fieldrules.listed(f"{path}.volumeMode", spec["volumeMode"], VOLUME_MODES)
    source, ref = spec.get("dataSource"), spec.get("dataSourceRef")
    for name, value in (("dataSource", source), ("dataSourceRef", ref)):
        if value is not None:
            found += _data_source(value, f"{path}.{name}")
    # Upstream shows the path of dataSource, an object without exported fields: {}.
    if source is not None and ref is not None:
        if ref.get("namespace"):
            found.append(wrong(path, {}, "may not be specified when dataSourceRef.namespace is specified"))
        elif any(source.get(name) != ref.get(name) for name in ("apiGroup", "kind", "name")):
            found.append(wrong(path, {}, "must match dataSourceRef"))
    if spec.get("volumeAttributesClassName"):
        at = f"{path}.volumeAttributesClassName"
        found += formats.causes(at, spec["volumeAttributesClassName"], formats.subdomain)
    return found


def validate_template(template: Tree, path: str) -> list[Cause]:
    """The claim of an ephemeral volume: of its metadata only labels and annotations may be given."""
    meta = template.get("metadata") or {}
    found = metadata.annotation_causes(meta.get("annotations") or {}, f"{path}.metadata.annotations")
    found += metadata.label_causes(meta.get("labels") or {}, f"{path}.metadata.labels")
    for name in meta:
        if name not in ("annotations", "labels") and meta[name]:
            found.append(not_permitted(f"{path}.metadata.{name}", "cannot be set"))
    return found + validate_spec(template.get("spec") or {}, f"{path}.spec")


def warnings(spec: Tree, path: str) -> list[str]:
    """A byte cannot be divided."""
    found = []
    for section in ("requests", "limits"):
        amount = ((spec.get("resources") or {}).get(section) or {}).get("storage")
        if amount is not None and quantities.parse(amount).denominator != 1:
            at = f"{path}.resources.{section}[storage]"
            found.append(f'{at}: fractional byte value "{amount}" is invalid, must be an integer')
    return found
