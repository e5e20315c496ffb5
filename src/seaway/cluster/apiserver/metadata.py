"""ObjectMeta: what the server sets, what may not change, what a valid name is; pure but for the values passed in.

Messages are those of k8s.io/apimachinery/pkg/api/validation and pkg/util/validation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from seaway.api.kinds import Kind
from seaway.cluster.apiserver.rules import addresses
from seaway.cluster.apiserver.status import Cause, not_permitted, required, too_long, wrong

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z")
VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?\Z")

SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
NAME_PART_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
ANNOTATION_LIMIT = 256 * 1024
# How names of a resource are checked; everything else is a subdomain.
LABEL_NAMES = frozenset({"namespaces", "services", "statefulsets.apps"})
PATH_NAMES = frozenset(
    f"{r}.rbac.authorization.k8s.io" for r in ("roles", "clusterroles", "rolebindings", "clusterrolebindings")
) | {"certificatesigningrequests.certificates.k8s.io", "apiservices.apiregistration.k8s.io"}
ADDRESS_NAMES = frozenset({"ipaddresses.networking.k8s.io"})
STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
SERVER_FIELDS = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
# Kinds whose update validation repeats that of a new object, and those that check metadata once only.
REVALIDATED = frozenset(
    """configmaps secrets pods podtemplates services serviceaccounts endpoints limitranges resourcequotas events
    persistentvolumes persistentvolumeclaims replicationcontrollers ingresses.networking.k8s.io
    ingressclasses.networking.k8s.io endpointslices.discovery.k8s.io storageclasses.storage.k8s.io
    roles.rbac.authorization.k8s.io clusterroles.rbac.authorization.k8s.io rolebindings.rbac.authorization.k8s.io
    clusterrolebindings.rbac.authorization.k8s.io""".split()
)
CHECKED_ONCE = frozenset({"poddisruptionbudgets.policy", "endpointslices.discovery.k8s.io"})
MANAGER_LIMIT = 128
SUFFIX_CHARACTERS = "bcdfghjklmnpqrstvwxz2456789"
GENERATE_LIMIT = 58


def told_name(meta: dict[str, Any]) -> str:
    """The name that a refusal tells: of a generated one its prefix, since admission comes before the drawing (upstream's
    extractResourceName)."""
    name, prefix = str(meta.get("name") or ""), str(meta.get("generateName") or "")
    return prefix if prefix and (not name or name[:-5] == prefix[:GENERATE_LIMIT]) else name


def name_problems(group_resource: str, name: str, prefix: bool = False) -> list[str]:
    """What is wrong with a name; `prefix`: it is a generateName, whose end will be followed by more."""
    if group_resource in ADDRESS_NAMES:
        problem = addresses.canonical_problem(name)
        return [problem] if problem else []
    masked = name[:-2] + "a" if prefix and len(name) > 1 and name.endswith("-") else name
    if group_resource in PATH_NAMES:
        if name in (".", ".."):
            return [f"may not be '{name}'"]
        return [f"may not contain '{c}'" for c in "/%" if c in name]
    found = []
    if group_resource in LABEL_NAMES:
        if len(name) > 63:
            found.append("must be no more than 63 characters")
        if not LABEL.match(masked):
            found.append("must not contain dots" if SUBDOMAIN.match(masked) else LABEL_TEXT)
        return found
    if len(name) > 253:
        found.append("must be no more than 253 characters")
    if not SUBDOMAIN.match(masked):
        found.append(SUBDOMAIN_TEXT)
    return found


def qualified_name_problems(key: str) -> list[str]:
    """What is wrong with a label or annotation key."""
    parts = key.split("/")
    found = []
    name = parts[-1]
    if len(parts) == 2:
        if not parts[0]:
            found.append("prefix part must be non-empty")
        elif len(parts[0]) > 253:
            found.append("prefix part must be no more than 253 bytes")
        elif not SUBDOMAIN.match(parts[0]):
            found.append("prefix part " + SUBDOMAIN_TEXT)
    elif len(parts) > 2:
        return [
            "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
            "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation "
            "is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. "
            "'example.com/MyName')"
        ]
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > 63:
        found.append("name part must be no more than 63 bytes")
    if not QUALIFIED.match(name):
        found.append(NAME_PART_TEXT)
    return found


def label_causes(labels: dict[str, str], path: str) -> list[Cause]:
    found = []
    for key, value in sorted(labels.items()):
        found += [wrong(path, key, why) for why in qualified_name_problems(key)]
        if len(value) > 63:
            found.append(wrong(path, value, "must be no more than 63 bytes"))
        if not VALUE.match(value):
            found.append(wrong(path, value, VALUE_TEXT))
    return found


def annotation_causes(annotations: dict[str, str], path: str) -> list[Cause]:
    found, size = [], 0
    for key, value in sorted(annotations.items()):
        found += [wrong(path, key, why) for why in qualified_name_problems(key.lower())]
        size += len(key.encode()) + len(value.encode())
    if size > ANNOTATION_LIMIT:
        found.append(too_long(path, ANNOTATION_LIMIT))
    return found


def validate(meta: dict[str, Any], kind: Kind) -> list[Cause]:
    """Everything that is wrong with an object's metadata."""
    found = generic_causes(meta, lambda name, prefix: name_problems(kind.group_resource, name, prefix))
    if kind.custom is not None or kind.group == "apiextensions.k8s.io":
        return found  # k8s.io/apimachinery knows less than the core's own validation
    for i, finalizer in enumerate(meta.get("finalizers") or []):
        if "/" not in finalizer and finalizer not in STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            found.append(wrong(f"metadata.finalizers[{i}]", finalizer, why))
    return found


def generic_causes(meta: dict[str, Any], problems: Callable[[str, bool], list[str]]) -> list[Cause]:
    """What is wrong with any object's metadata, custom and embedded ones too; `problems` judges a name or its prefix."""
    found: list[Cause] = []
    generate = meta.get("generateName", "")
    if generate:
        found += [wrong("metadata.generateName", generate, why) for why in problems(generate, True)]
    name = meta.get("name", "")
    if not name:
        found.append(required("metadata.name", "name or generateName is required"))
    else:
        found += [wrong("metadata.name", name, why) for why in problems(name, False)]
    found += _shared(meta)
    finalizers = meta.get("finalizers") or []
    for finalizer in finalizers:
        found += [wrong("metadata.finalizers", finalizer, why) for why in qualified_name_problems(finalizer)]
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        why = "finalizer orphan and foregroundDeletion cannot be both set"
        found.append(wrong("metadata.finalizers", finalizers, why))
    return found


def _shared(meta: dict[str, Any]) -> list[Cause]:
    """What is checked of a new object and of every update: labels, annotations, owners, managedFields."""
    found = label_causes(meta.get("labels") or {}, "metadata.labels")
    found += annotation_causes(meta.get("annotations") or {}, "metadata.annotations")
    found += _owner_causes(meta.get("ownerReferences") or [])
    for i, entry in enumerate(meta.get("managedFields") or ()):
        found += _manager_causes(entry, f"metadata.managedFields[{i}]")
    return found


def _owner_causes(owners: list[dict[str, Any]]) -> list[Cause]:
    """Owners are told without their place in the list, as upstream does."""
    path, found, first = "metadata.ownerReferences", [], ""
    for ref in owners:
        version = ref.get("apiVersion") or ""
        if not version or version.count("/") > 1 or version.endswith("/"):
            found.append(wrong(f"{path}.apiVersion", version, "version must not be empty"))
        for name in ("kind", "name", "uid"):
            if not ref.get(name):
                found.append(wrong(f"{path}.{name}", "", "must not be empty"))
        if version == "v1" and ref.get("kind") == "Event":
            found.append(wrong(path, _as_written(ref), "/v1, Kind=Event is disallowed from being an owner"))
        if ref.get("controller"):
            name = f"{ref.get('kind', '')}/{ref.get('name', '')}"
            if first:
                why = f'Only one reference can have Controller set to true. Found "true" in references for {first} and {name}'
                found.append(wrong(path, [_as_written(r) for r in owners], why))
            else:
                first = name
    return found


def _as_written(ref: dict[str, Any]) -> dict[str, Any]:
    """An OwnerReference in the order of its Go struct."""
    optional = {k: ref[k] for k in ("controller", "blockOwnerDeletion") if ref.get(k) is not None}
    return {k: ref.get(k, "") for k in ("apiVersion", "kind", "name", "uid")} | optional


def _manager_causes(entry: dict[str, Any], path: str) -> list[Cause]:
    """An entry of managedFields as a client may write it (metav1 ValidateManagedFields)."""
    found = []
    operation = entry.get("operation", "")
    if operation not in ("Apply", "Update"):
        found.append(wrong(f"{path}.operation", operation, "must be `Apply` or `Update`"))
    if entry.get("fieldsType", "") not in ("", "FieldsV1"):
        found.append(wrong(f"{path}.fieldsType", entry["fieldsType"], "must be `FieldsV1`"))
    found += manager_name_causes(entry.get("manager", ""), f"{path}.manager")
    if len(entry.get("subresource", "")) > 256:
        found.append(too_long(f"{path}.subresource", 256))
    return found


def manager_name_causes(name: str, path: str) -> list[Cause]:
    """What is wrong with the name of a field manager."""
    found = [too_long(path, MANAGER_LIMIT)] if len(name.encode()) > MANAGER_LIMIT else []
    if name.isprintable():
        return found
    at = 0
    for character in name:
        if not character.isprintable():
            code = f"U+{ord(character):04X}"
            found.append(wrong(path, name, f"invalid character {code} (at position {at})"))
        at += len(character.encode())
    return found


def validate_update(meta: dict[str, Any], old: dict[str, Any]) -> list[Cause]:
    """What may not change: `finalizers` may only shrink once deletion has begun."""
    found = []
    if old.get("deletionTimestamp"):
        new = [f for f in meta.get("finalizers") or () if f not in (old.get("finalizers") or ())]
        if new:
            listed = ", ".join(f'"{f}"' for f in sorted(new))
            found.append(
                not_permitted(
                    "metadata.finalizers",
                    "no new finalizers can be added if the object is being "
                    f"deleted, found new finalizers []string{{{listed}}}",
                )
            )
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        if meta.get(name) != old.get(name):
            found.append(wrong(f"metadata.{name}", meta.get(name), "field is immutable"))
    return found + _shared(meta)


def update_causes(meta: dict[str, Any], old: dict[str, Any], kind: Kind) -> list[Cause]:
    """Everything that is wrong with an update of metadata.

    The generic update path checks it, and most kinds' own validation does again (rest.BeforeUpdate, then the strategy's
    ValidateUpdate), so that a cause is told twice.
    """
    found = validate_update(meta, old)
    if kind.group_resource not in CHECKED_ONCE:
        found += found
    return found + validate(meta, kind) if kind.group_resource in REVALIDATED else found


def dedupe_owners(meta: dict[str, Any], warnings: list[str]) -> None:
    """Owners named twice are kept once, with a warning (handlers/rest.go dedupOwnerReferencesAndAddWarning)."""
    owners = meta.get("ownerReferences")
    if not owners or len(owners) < 2:
        return
    kept: dict[bytes, dict[str, Any]] = {}
    repeated: dict[str, None] = {}
    for ref in owners:
        text = msgspec.json.encode(ref, order="sorted")
        if kept.setdefault(text, ref) is not ref:
            repeated[str(ref.get("uid", ""))] = None
    meta["ownerReferences"], told = list(kept.values()), list(repeated)
    if told:
        warnings.append(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may "
            f"reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {', '.join(told)}"
        )


def ordered(tree: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """The tree with kind, apiVersion and metadata first, metadata's empty parts left out."""
    meta = {k: v for k, v in tree.get("metadata", {}).items() if v not in ({}, [], None, "")}
    rest = {k: v for k, v in tree.items() if k not in ("kind", "apiVersion", "metadata")}
    return {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta, **rest}
