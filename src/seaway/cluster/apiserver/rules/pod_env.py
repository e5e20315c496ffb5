"""Environment of containers: names and the sources that values come from."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import downward_refs, pod_paths
from seaway.cluster.apiserver.status import Cause, required, wrong

Tree = dict[str, Any]
SOURCES = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"


def _key_ref(ref: Tree, path: str) -> list[Cause]:
    """A key of a ConfigMap or Secret. An empty name is a bad name here, not a missing one."""
    found = formats.causes(f"{path}.name", ref.get("name", ""), formats.subdomain)
    if not ref.get("key"):
        return [*found, required(f"{path}.key")]
    return found + formats.causes(f"{path}.key", ref["key"], formats.config_key)


def _file_ref(ref: Tree, path: str) -> list[Cause]:
    """A variable of an env file in an emptyDir (KEP-3721)."""
    found = []
    if not ref.get("key"):
        found.append(required(f"{path}.key"))
    else:
        found += formats.causes(f"{path}.key", ref["key"], formats.environment_name)
    if not ref.get("volumeName"):
        found.append(required(f"{path}.volumeName"))
    else:
        found += formats.causes(f"{path}.volumeName", ref["volumeName"], formats.label)
    if not ref.get("path"):
        return [*found, required(f"{path}.path")]
    return found + pod_paths.without_backsteps(f"{path}.path", ref["path"])


def _value_from(variable: Tree, path: str) -> list[Cause]:
    source, found, count = variable["valueFrom"], list[Cause](), 0
    for name in ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"):
        ref = source.get(name)
        if ref is None:
            continue
        count += 1
        at = f"{path}.{name}"
        if name == "fieldRef":
            found += downward_refs.field(ref, downward_refs.ENV_FIELDS, at)
        elif name == "resourceFieldRef":
            found += downward_refs.resource(ref, at, in_volume=False)
        else:
            found += _file_ref(ref, at) if name == "fileKeyRef" else _key_ref(ref, at)
    if not count:
        found.append(wrong(path, "", f"must specify one of: {SOURCES}"))
    elif variable.get("value"):
        found.append(wrong(path, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        found.append(wrong(path, "", "may not have more than one field specified at a time"))
    return found


def validate(variables: list[Tree], path: str) -> list[Cause]:
    found = []
    for i, variable in enumerate(variables):
        name = variable.get("name", "")
        if not name:
            found.append(required(f"{path}[{i}].name"))
        else:
            found += formats.causes(f"{path}[{i}].name", name, formats.environment_name)
        if variable.get("valueFrom") is not None:
            found += _value_from(variable, f"{path}[{i}].valueFrom")
    return found


def validate_from(sources: list[Tree], path: str) -> list[Cause]:
    found = []
    for i, source in enumerate(sources):
        at = f"{path}[{i}]"
        if source.get("prefix"):
            found += formats.causes(f"{at}.prefix", source["prefix"], formats.environment_name)
        refs = [name for name in ("configMapRef", "secretRef") if source.get(name) is not None]
        for name in refs:
            target = source[name].get("name", "")
            if not target:
                found.append(required(f"{at}.{name}.name"))
            else:
                found += formats.causes(f"{at}.{name}.name", target, formats.name_prefix)
        if not refs:
            found.append(wrong(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(refs) > 1:
            found.append(wrong(path, "", "may not have more than one field specified at a time"))
    return found
