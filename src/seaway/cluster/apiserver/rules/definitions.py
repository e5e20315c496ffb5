"""CustomResourceDefinitions: defaults, validation, warnings, and what their stored versions are
(apiextensions-apiserver registry/customresourcedefinition/strategy.go); pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from seaway.api import tree as trees
from seaway.cluster.apiserver.rules import Part, Rule
from seaway.cluster.apiserver.rules.definition_spec import causes_of, every, names_causes, schema_of
from seaway.cluster.apiserver.status import Cause, quoted, required, wrong
from seaway.cluster.apiserver.structural.stringformats import is_supported

Tree = dict[str, Any]
APPROVED = "api-approved.kubernetes.io"
POLICY = "see https://github.com/kubernetes/enhancements/pull/1111"
INVALID, GRANTED, BYPASSED, MISSING = (
    "InvalidAnnotation",
    "ApprovedAnnotation",
    "UnapprovedAnnotation",
    "MissingAnnotation",
)


def default(tree: Tree) -> None:
    spec = tree.get("spec") or {}
    names = spec.get("names")
    if isinstance(names, dict):
        kind = names.get("kind") or ""
        if kind and not names.get("singular"):
            names["singular"] = kind.lower()
        if kind and not names.get("listKind"):
            names["listKind"] = f"{kind}List"
    if spec.get("conversion") is None:
        spec["conversion"] = {"strategy": "None"}
    service = trees.get(spec, "conversion", "webhook", "clientConfig", "service")
    if isinstance(service, dict) and service.get("port") is None:
        service["port"] = 443
    for version in spec.get("versions") or ():
        # A default of null says nothing (Convert_v1_JSON_To_apiextensions_JSON).
        schema = schema_of(version)
        for one in every(schema) if schema else ():
            if "default" in one and one["default"] is None:
                del one["default"]
    _default_stored(tree)


def _stored_version(spec: Tree) -> str | None:
    return next((v.get("name") or "" for v in spec.get("versions") or () if v.get("storage")), None)


def _default_stored(tree: Tree) -> None:
    status, stored = tree.get("status") or {}, _stored_version(tree.get("spec") or {})
    if stored is not None and not status.get("storedVersions"):
        tree["status"] = {**status, "storedVersions": [stored]}


def begin(tree: Tree) -> None:
    """Only the stored version is known at first."""
    stored = _stored_version(tree.get("spec") or {})
    status: Tree = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}}
    tree["status"] = {**status, "storedVersions": None if stored is None else [stored]}


def prepare(tree: Tree, old: Tree) -> None:
    """A storage version that is new joins those that objects may be stored in."""
    stored = _stored_version(tree.get("spec") or {})
    status = tree.get("status")
    if stored is None or status is None:
        return
    known = status.get("storedVersions") or []
    if stored not in known:
        tree["status"] = {**status, "storedVersions": [*known, stored]}


def _stored_causes(tree: Tree) -> list[Cause]:
    path, stored = "status.storedVersions", (tree.get("status") or {}).get("storedVersions") or []
    if not stored:
        return [wrong(path, None, "must have at least one stored version")]
    versions = (tree.get("spec") or {}).get("versions") or []
    found, left = list[Cause](), set(stored)
    for version in versions:
        name = version.get("name") or ""
        if version.get("storage") and name not in left:
            found.append(wrong(path, stored, f"must have the storage version {name}"))
        left.discard(name)
    names = {v.get("name") or "" for v in versions}
    for i, name in enumerate(stored):
        if name not in names:
            why = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions "
                f"until a storage migration ensures no data remains persisted in {name} and removes {name} from "
                "status.storedVersions"
            )
            found.append(wrong(f"{path}[{i}]", name, why))
    return found


def is_protected(group: str) -> bool:
    """Groups of the Kubernetes community need an approval (KEP-1111)."""
    return any(group == g or group.endswith(f".{g}") for g in ("k8s.io", "kubernetes.io"))


def approval(tree: Tree) -> tuple[str, str]:
    """(reason, message) of the approval that a definition's annotation tells of."""
    text = ((tree.get("metadata") or {}).get("annotations") or {}).get(APPROVED) or ""
    needed = f'protected groups must have approval annotation "{APPROVED}"'
    if not text:
        return MISSING, f"{needed}, {POLICY}"
    if text.startswith("unapproved"):
        return BYPASSED, f"not approved: {quoted(text)}"
    try:
        url = urlsplit(text)
    except ValueError:
        url = urlsplit("")
    if url.scheme and url.netloc and url.hostname:
        return GRANTED, f"approved in {text}"
    return INVALID, f'{needed} with either a URL or a reason starting with "unapproved", {POLICY}'


def _approval_causes(tree: Tree, old: Tree | None) -> list[Cause]:
    if not is_protected((tree.get("spec") or {}).get("group") or ""):
        return []
    reason, message = approval(tree)
    if old is not None and approval(old)[0] == reason:
        return []
    path = f"metadata.annotations[{APPROVED}]"
    if reason == MISSING:
        return [required(path, message)]
    text = ((tree["metadata"].get("annotations") or {}).get(APPROVED)) or ""
    return [wrong(path, text, message)] if reason == INVALID else []


def _preserve_causes(tree: Tree, old: Tree | None) -> list[Cause]:
    if old is not None and (old.get("spec") or {}).get("preserveUnknownFields"):
        return []
    if not (tree.get("spec") or {}).get("preserveUnknownFields"):
        return []
    why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
    return [wrong("spec.preserveUnknownFields", True, why)]


def _status_names(tree: Tree) -> list[Cause]:
    return names_causes((tree.get("status") or {}).get("acceptedNames") or {}, "status.acceptedNames")


def validate(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    name, wanted = (
        tree["metadata"].get("name", ""),
        f"{(spec.get('names') or {}).get('plural', '')}.{spec.get('group', '')}",
    )
    found: list[Cause] = []
    why = 'must be spec.names.plural+"."+spec.group'
    generated = tree["metadata"].get("generateName", "")
    if generated and generated != wanted:
        found.append(wrong("metadata.generateName", generated, why))
    if name and name != wanted:
        found.append(wrong("metadata.name", name, why))
    found += causes_of(spec, None, False) + _status_names(tree) + _stored_causes(tree)
    return found + _approval_causes(tree, None) + _preserve_causes(tree, None)


def revalidate(tree: Tree, old: Tree) -> list[Cause]:
    established = trees.is_true(old, "Established")
    found = causes_of(tree.get("spec") or {}, old.get("spec") or {}, established)
    found += _status_names(tree) + _stored_causes(tree)
    return found + _approval_causes(tree, old) + _preserve_causes(tree, old)


def prepare_status(new: Tree, old: Tree) -> Tree:
    """The status is new, and so is the metadata, which Kubernetes means to keep and does not (issue 137681)."""
    result = {**old, "metadata": new["metadata"], "status": new.get("status") or {}}
    _default_stored(result)
    return result


def validate_status(tree: Tree, old: Tree) -> list[Cause]:
    return _status_names(tree)


def _schemas(tree: Tree) -> Iterator[Tree]:
    """Each schema once: versions that say the same are told once."""
    seen: list[Tree] = []
    for version in (tree.get("spec") or {}).get("versions") or ():
        schema = schema_of(version)
        if schema is not None and schema not in seen:
            seen.append(schema)
            yield from every(schema)


def _formats(tree: Tree) -> list[str]:
    found = []
    for schema in _schemas(tree):
        name, kind = schema.get("format") or "", schema.get("type") or ""
        if name and not is_supported((kind,), name):
            found.append(name)
    return found


def warnings(tree: Tree, old: Tree | None) -> list[str]:
    """What was not said of the stored definition already."""
    known = set(_formats(old)) if old is not None else set()
    return [f"unrecognized format {quoted(name)}" for name in _formats(tree) if name not in known]


DEFINITIONS = Rule(
    default=default,
    begin=begin,
    validate=validate,
    prepare=prepare,
    revalidate=revalidate,
    warnings=warnings,
    parts={"status": Part(prepare_status, validate_status)},
)
