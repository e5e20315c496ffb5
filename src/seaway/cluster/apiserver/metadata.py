"""ObjectMeta: what the server sets, what may not change, what a valid name is; pure but for the values passed in.

Messages are those of k8s.io/apimachinery/pkg/api/validation and pkg/util/validation.
"""

from __future__ import annotations

import re
from typing import Any

from seaway.api.kinds import Kind
from seaway.cluster.apiserver.status import Cause, not_permitted, required, too_long, wrong

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z")
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
LABEL_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
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
LABEL_NAMES = frozenset({"namespaces"})
LABEL_1035_NAMES = frozenset({"services"})
PATH_NAMES = frozenset(
    f"{r}.rbac.authorization.k8s.io" for r in ("roles", "clusterroles", "rolebindings", "clusterrolebindings")
)
NAME_LIMITS = {"cronjobs.batch": 52, "statefulsets.apps": 63, "jobs.batch": 63}
STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
SERVER_FIELDS = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
SUFFIX_CHARACTERS = "bcdfghjklmnpqrstvwxz2456789"
GENERATE_LIMIT = 58


def name_problems(group_resource: str, name: str, prefix: bool = False) -> list[str]:
    """What is wrong with a name; `prefix`: it is a generateName, whose end will be followed by more."""
    masked = name[:-1] + "a" if prefix and name.endswith("-") else name
    if group_resource in PATH_NAMES:
        if name in (".", ".."):
            return [f"may not be '{name}'"]
        return [f"may not contain '{c}'" for c in "/%" if c in name]
    found = []
    if group_resource in LABEL_1035_NAMES or group_resource in LABEL_NAMES:
        if len(name) > 63:
            found.append("must be no more than 63 bytes")
        if group_resource in LABEL_NAMES and not LABEL.match(masked):
            found.append(LABEL_TEXT)
        if group_resource in LABEL_1035_NAMES and not LABEL_1035.match(masked):
            found.append(LABEL_1035_TEXT)
        return found
    if len(name) > 253:
        found.append("must be no more than 253 bytes")
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


def validate(meta: dict[str, Any], kind: Kind) -> list[Cause]:
    """Everything that is wrong with an object's metadata."""
    found: list[Cause] = []
    resource = kind.group_resource
    generate = meta.get("generateName", "")
    if generate:
        found += [wrong("metadata.generateName", generate, why) for why in name_problems(resource, generate, True)]
    name = meta.get("name", "")
    if not name:
        found.append(required("metadata.name", "name or generateName is required"))
    else:
        problems = name_problems(resource, name)
        limit = NAME_LIMITS.get(resource)
        if not problems and limit and len(name) > limit:
            problems = [f"must be no more than {limit} characters"]
        found += [wrong("metadata.name", name, why) for why in problems]
    found += label_causes(meta.get("labels") or {}, "metadata.labels")
    size = 0
    for key, value in sorted((meta.get("annotations") or {}).items()):
        found += [wrong("metadata.annotations", key, why) for why in qualified_name_problems(key.lower())]
        size += len(key.encode()) + len(value.encode())
    if size > ANNOTATION_LIMIT:
        found.append(too_long("metadata.annotations", ANNOTATION_LIMIT))
    for i, ref in enumerate(meta.get("ownerReferences") or ()):
        path = f"metadata.ownerReferences[{i}]"
        if not ref.get("apiVersion"):
            found.append(wrong(f"{path}.apiVersion", "", "version must not be empty"))
        for field in ("kind", "name", "uid"):
            if not ref.get(field):
                found.append(wrong(f"{path}.{field}", "", "must not be empty"))
    owners = [r for r in meta.get("ownerReferences") or () if r.get("controller")]
    if len(owners) > 1:
        found.append(
            wrong(
                "metadata.ownerReferences",
                meta["ownerReferences"],
                "Only one reference can have Controller set to true. Found "
                f'"true" in references for {owners[0].get("kind")}/{owners[0].get("name")} and '
                f"{owners[1].get('kind')}/{owners[1].get('name')}",
            )
        )
    for i, finalizer in enumerate(meta.get("finalizers") or ()):
        path = f"metadata.finalizers[{i}]"
        problems = qualified_name_problems(finalizer)
        found += [wrong(path, finalizer, why) for why in problems]
        if not problems and "/" not in finalizer and finalizer not in STANDARD_FINALIZERS:
            found.append(wrong(path, finalizer, "name is neither a standard finalizer name nor is it fully qualified"))
    return found


def validate_update(meta: dict[str, Any], old: dict[str, Any]) -> list[Cause]:
    """What may not change: `finalizers` may only shrink once deletion has begun."""
    found = []
    if old.get("deletionTimestamp"):
        new = [f for f in meta.get("finalizers") or () if f not in (old.get("finalizers") or ())]
        if new:
            listed = ", ".join(f'"{f}"' for f in new)
            found.append(
                not_permitted(
                    "metadata.finalizers",
                    "no new finalizers can be added if the object is being "
                    f"deleted, found new finalizers []string{{{listed}}}",
                )
            )
    return found


def ordered(tree: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """The tree with kind, apiVersion and metadata first, metadata's empty parts left out."""
    meta = {k: v for k, v in tree.get("metadata", {}).items() if v not in ({}, [], None, "")}
    rest = {k: v for k, v in tree.items() if k not in ("kind", "apiVersion", "metadata")}
    return {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta, **rest}
