"""What is wrong with the spec of a CustomResourceDefinition (apiextensions-apiserver validation.go); pure.

Upstream validates an unversioned form: what all versions say alike (always so where there is one) stands in the spec itself
there, as `validation`, `subresources`, `additionalPrinterColumns` and `selectableFields`, and errors name these places.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.expressions import rules
from seaway.cluster.apiserver.rules import fieldrules, webhooks
from seaway.cluster.apiserver.status import Cause, not_permitted, required, wrong
from seaway.cluster.apiserver.structural import Options, internalform, problems
from seaway.cluster.apiserver.structural.causes import invalid_as
from seaway.cluster.apiserver.structural.fieldpaths import LIMIT, scale_problems, selectable_problems
from seaway.cluster.apiserver.structural.gotext import json_text

Tree = dict[str, Any]
SCOPES = ("Cluster", "Namespaced")
STRATEGIES = ("None", "Webhook")
REVIEW_VERSIONS = ("v1", "v1beta1")
TYPES = ("boolean", "date", "integer", "number", "string")
FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
LISTS = ("allOf", "anyOf", "oneOf")
MAPS = ("properties", "patternProperties", "definitions", "dependencies")
# A version's field -> where the unversioned form has it when all versions agree.
SHARED = {
    "schema": "validation",
    "subresources": "subresources",
    "additionalPrinterColumns": "additionalPrinterColumns",
    "selectableFields": "selectableFields",
}


def every(schema: Tree) -> Iterator[Tree]:
    """A schema and all schemas in it."""
    yield schema
    below = [schema.get(n) for n in ("items", "additionalProperties", "additionalItems", "not")]
    for name in LISTS:
        below += schema.get(name) or []
    for name in MAPS:
        children = schema.get(name)
        if isinstance(children, dict):
            below += [children[k] for k in sorted(children)]
    for child in below:
        for one in child if isinstance(child, list) else [child]:
            if isinstance(one, dict):
                yield from every(one)


def shared(versions: list[Tree]) -> Tree:
    """What all versions say alike, by the versions' field names."""
    if not versions:
        return {}
    first = versions[0]
    return {n: first.get(n) for n in SHARED if all((v.get(n) or None) == (first.get(n) or None) for v in versions)}


def schema_of(version: Tree) -> Tree | None:
    found: Tree | None = (version.get("schema") or {}).get("openAPIV3Schema")
    return found


def _labels(path: str, value: str, prefix: str = "") -> list[Cause]:
    """A DNS-1035 label, told in one cause."""
    found = formats.label_1035(value.lower() if prefix else value)
    return [wrong(path, value, prefix + ",".join(found))] if value and found else []


MIXED = "may have mixed case, but should otherwise match: "


def names_causes(names: Tree, path: str) -> list[Cause]:
    """ValidateCustomResourceDefinitionNames."""
    kind, listed = names.get("kind") or "", names.get("listKind") or ""
    found = _labels(f"{path}.plural", names.get("plural") or "")
    found += _labels(f"{path}.singular", names.get("singular") or "")
    found += _labels(f"{path}.kind", kind, MIXED) + _labels(f"{path}.listKind", listed, MIXED)
    for i, name in enumerate(names.get("shortNames") or ()):
        found += _short(f"{path}.shortNames[{i}]", name)
    if kind and kind == listed:
        found.append(wrong(f"{path}.listKind", listed, "kind and listKind may not be the same"))
    for i, name in enumerate(names.get("categories") or ()):
        found += _short(f"{path}.categories[{i}]", name)
    return found


def _short(path: str, name: str) -> list[Cause]:
    problems_found = formats.label_1035(name)
    return [wrong(path, name, ",".join(problems_found))] if problems_found else []


def _group_causes(group: str) -> list[Cause]:
    if not group:
        return [required("spec.group")]
    found = formats.subdomain(group)
    if found:
        return [wrong("spec.group", group, ",".join(found))]
    return [] if "." in group else [wrong("spec.group", group, "should be a domain with at least one dot")]


def _warning_causes(version: Tree, path: str) -> list[Cause]:
    text = version.get("deprecationWarning")
    where = f"{path}.deprecationWarning"
    if text is None:
        return []
    if not version.get("deprecated"):
        return [invalid_as(where, json_text(text), "can only be set for deprecated versions")]
    found = []
    if len(text.encode()) > 256:
        found.append("must be <= 256 characters long")
    if not text:
        found.append("must not be an empty string")
    at = 0
    for character in text:
        if not character.isprintable():
            told = "must only contain printable UTF-8 characters; non-printable character found at index"
            found.append(f"{told} {at}")
            break
        at += len(character.encode())
    return [invalid_as(where, json_text(text), why) for why in found]


def _column_causes(column: Tree, path: str) -> list[Cause]:
    found: list[Cause] = []
    if not column.get("name"):
        found.append(required(f"{path}.name"))
    kind, form, jsonpath = column.get("type") or "", column.get("format") or "", column.get("jsonPath") or ""
    known = f"must be one of {','.join(TYPES)}"
    if not kind:
        found.append(required(f"{path}.type", known))
    elif kind not in TYPES:
        found.append(wrong(f"{path}.type", kind, known))
    if form and form not in FORMATS:
        found.append(wrong(f"{path}.format", form, f"must be one of {','.join(FORMATS)}"))
    if not jsonpath:
        found.append(required(f"{path}.JSONPath"))
    elif not jsonpath.startswith("."):
        found.append(wrong(f"{path}.JSONPath", jsonpath, "must be a simple json path starting with ."))
    return found


def has_status(version: Tree) -> bool:
    return (version.get("subresources") or {}).get("status") is not None


def _schema_causes(schema: Tree | None, path: str, status: bool, old: Tree | None) -> list[Cause]:
    """A schema and, when it can be relied upon, its rules."""
    if schema is None:
        return []
    found = problems(schema, f"{path}.openAPIV3Schema", status, Options(default_rules=rules.default_causes))
    if found or schema == old:
        return found  # the stored rules have been compiled before, which takes its time
    return rules.problems(schema, f"{path}.openAPIV3Schema", old)


def _part_causes(version: Tree, path: str, schema: Tree | None, old: Tree, names: Tree, alone: str) -> list[Cause]:
    """Subresources, columns and selectable fields, under the names that they have at a place."""
    found: list[Cause] = []
    if "subresources" in names:
        found += scale_problems((version.get("subresources") or {}).get("scale"), f"{path}.subresources")
    if "additionalPrinterColumns" in names:
        for i, column in enumerate(version.get("additionalPrinterColumns") or ()):
            found += _column_causes(column, f"{path}.additionalPrinterColumns[{i}]")
    fields = version.get("selectableFields") or []
    if "selectableFields" in names and fields:
        if schema is None:
            return [*found, wrong(f"{path}.selectableFields", "", alone)]
        before = old.get("selectableFields") or []
        kept = len(before) > LIMIT and before == fields
        found += selectable_problems(fields, schema, f"{path}.selectableFields", kept)
    return found


WITHOUT_SCHEMA = "may only be set when `version.schema.openAPIV3Schema` is not included"
WITHOUT_VALIDATION = "may only be set when validations.schema is included"


def _version_causes(version: Tree, path: str, own: Tree, old: Tree, status: bool) -> list[Cause]:
    """What a version says for itself; `own`: the fields that it does not share with all others."""
    found = _warning_causes(version, path)
    schema = schema_of(version) if "schema" in own else None
    found += _schema_causes(schema, f"{path}.schema", status, schema_of(old))
    return found + _part_causes(version, path, schema, old, own, WITHOUT_SCHEMA)


def _named(versions: list[Tree], alike: Tree) -> str:
    """The versions in the unversioned form, as errors show them."""
    own = [{k: v for k, v in version.items() if k not in alike} for version in versions]
    return "[" + ",".join(map(internalform.version, own)) + "]"


def causes_of(spec: Tree, old: Tree | None, established: bool) -> list[Cause]:
    """Everything that is wrong with a spec. `established`: the stored definition has been, so its names stay."""
    versions: list[Tree] = spec.get("versions") or []
    before = {v.get("name"): v for v in (old or {}).get("versions") or ()}
    alike = shared(versions)
    found = _group_causes(spec.get("group") or "")
    found += fieldrules.one_of("spec.scope", spec.get("scope"), SCOPES)
    found += [
        required(f"spec.versions[{i}].schema.openAPIV3Schema") for i, v in enumerate(versions) if schema_of(v) is None
    ]
    preserves = bool(spec.get("preserveUnknownFields"))
    if preserves and any("default" in one for v in versions for one in every(schema_of(v) or {})):
        why = "must be false in order to use defaults in the schema"
        found.append(wrong("spec.preserveUnknownFields", True, why))
    own = {name: 1 for name in SHARED if name not in alike}
    for i, version in enumerate(versions):
        path, name = f"spec.versions[{i}]", version.get("name") or ""
        problems_found = formats.label_1035(name)
        if problems_found:
            found.append(wrong(f"{path}.name", name, ",".join(problems_found)))
        first = next(v for v in versions if v.get("name") == version.get("name"))  # whose subresources count
        found += _version_causes(version, path, own, before.get(version.get("name")) or {}, has_status(first))
    if len({v.get("name") for v in versions}) < len(versions):
        found.append(invalid_as("spec.versions", _named(versions, alike), "must contain unique version names"))
    if sum(bool(v.get("storage")) for v in versions) != 1:
        why = "must have exactly one version marked as storage version"
        found.append(invalid_as("spec.versions", _named(versions, alike), why))
    if versions and versions[0].get("name"):
        problems_found = formats.label_1035(versions[0]["name"])
        if problems_found:
            found.append(wrong("spec.version", versions[0]["name"], ",".join(problems_found)))
    names = spec.get("names") or {}
    found += [required(f"spec.names.{n}") for n in ("plural", "singular", "kind", "listKind") if not names.get(n)]
    found += names_causes(names, "spec.names")
    found += _shared_causes(versions, alike, before)
    strategy = (spec.get("conversion") or {}).get("strategy") or "" if spec.get("conversion") is not None else "None"
    if preserves and strategy != "None":
        why = "must be None if spec.preserveUnknownFields is true"
        found.append(wrong("spec.conversion.strategy", strategy, why))
    found += _conversion_causes(spec.get("conversion"), established, (old or {}).get("conversion"))
    if old is not None:
        found += _immutable_causes(spec, old, established)
    return found


def _shared_causes(versions: list[Tree], alike: Tree, before: dict[Any, Tree]) -> list[Cause]:
    """What all versions say alike, once."""
    if not versions:
        return []
    first = versions[0]
    old = before.get(first.get("name")) or {}
    schema = schema_of(first) if "schema" in alike else None
    found = _schema_causes(schema, "spec.validation", any(map(has_status, versions)), schema_of(old))
    return found + _part_causes(first, "spec", schema, old, alike, WITHOUT_VALIDATION)


def _conversion_causes(conversion: Tree | None, established: bool, old: Tree | None) -> list[Cause]:
    if conversion is None:
        return []
    path, strategy = "spec.conversion", conversion.get("strategy") or ""
    found = fieldrules.one_of(f"{path}.strategy", strategy, STRATEGIES)
    hook = conversion.get("webhook") or {}
    client, versions = hook.get("clientConfig"), hook.get("conversionReviewVersions") or []
    if strategy != "Webhook":
        why = "should not be set when strategy is not set to Webhook"
        if client is not None:
            found.append(not_permitted(f"{path}.webhookClientConfig", why))
        if versions:
            found.append(not_permitted(f"{path}.conversionReviewVersions", why))
        return found
    at = f"{path}.webhookClientConfig"
    if client is None:
        found.append(required(at, "required when strategy is set to Webhook"))
    else:
        # Upstream hands name and namespace over in each other's place, and so tells the one of the other.
        service = client.get("service")
        swapped = {
            **(service or {}),
            "name": (service or {}).get("namespace"),
            "namespace": (service or {}).get("name"),
        }
        found += webhooks.client_causes(client if service is None else {**client, "service": swapped}, at)
        bundle = client.get("caBundle")
        if bundle and established and not _was_bad(old):
            found += webhooks.bundle_causes(bundle, f"{at}.caBundle")
    recognized = set(((old or {}).get("webhook") or {}).get("conversionReviewVersions") or REVIEW_VERSIONS)
    known = bool(recognized & set(REVIEW_VERSIONS))
    return found + _review_causes(versions, f"{path}.conversionReviewVersions", known)


def _was_bad(old: Tree | None) -> bool:
    """Whether the stored certificates were none already."""
    bundle = (((old or {}).get("webhook") or {}).get("clientConfig") or {}).get("caBundle")
    return bool(bundle and webhooks.bundle_causes(bundle, ""))


def _review_causes(versions: list[str], path: str, known: bool) -> list[Cause]:
    if not versions:
        return [required(path)]
    found: list[Cause] = []
    for i, version in enumerate(versions):
        if version in versions[:i]:
            found.append(wrong(f"{path}[{i}]", version, "duplicate version"))
        else:
            found += [wrong(f"{path}[{i}]", version, why) for why in formats.label_1035(version)]
    if known and not set(versions) & set(REVIEW_VERSIONS):
        found.append(wrong(path, versions, f"must include at least one of {', '.join(REVIEW_VERSIONS)}"))
    return found


def _immutable_causes(spec: Tree, old: Tree, established: bool) -> list[Cause]:
    names, before = spec.get("names") or {}, old.get("names") or {}

    def unchanged(path: str, new: Tree, stored: Tree, name: str) -> list[Cause]:
        return fieldrules.unchanged(f"{path}.{name}", new.get(name) or "", stored.get(name) or "")

    found: list[Cause] = []
    if established:
        found += unchanged("spec", spec, old, "scope") + unchanged("spec.names", names, before, "kind")
    return found + unchanged("spec", spec, old, "group") + unchanged("spec.names", names, before, "plural")
