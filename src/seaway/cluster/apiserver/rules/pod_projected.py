"""Volumes of files that the kubelet writes: ConfigMaps, Secrets, the downward API, tokens, and all of them in one."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver.rules import downward_refs, pod_paths
from seaway.cluster.apiserver.status import Cause, not_permitted, required, wrong

Tree = dict[str, Any]
MODE = "must be a number between 0 and 0777 (octal), both inclusive"
DUPLICATE = "conflicting duplicate paths"
TOKEN_LEAST, TOKEN_MOST = 600, 1 << 32


def mode(path: str, value: int | None) -> list[Cause]:
    return [wrong(path, value, MODE)] if value is not None and not 0 <= value <= 0o777 else []


def _item(item: Tree, path: str) -> list[Cause]:
    found = [required(f"{path}.{name}") for name in ("key", "path") if not item.get(name)]
    found += pod_paths.not_reserved(f"{path}.path", item.get("path", ""))
    return found + mode(f"{path}.mode", item.get("mode"))


def _files(source: Tree, name: str, path: str) -> list[Cause]:
    found = [] if source.get(name) else [required(f"{path}.{name}")]
    found += mode(f"{path}.defaultMode", source.get("defaultMode"))
    for i, item in enumerate(source.get("items") or ()):
        found += _item(item, f"{path}.items[{i}]")
    return found


def secret(source: Tree, path: str) -> list[Cause]:
    return _files(source, "secretName", path)


def config_map(source: Tree, path: str) -> list[Cause]:
    return _files(source, "name", path)


def _downward_file(item: Tree, path: str) -> list[Cause]:
    found = [] if item.get("path") else [required(f"{path}.path")]
    found += pod_paths.not_reserved(f"{path}.path", item.get("path", ""))
    if item.get("fieldRef") is not None:
        found += downward_refs.field(item["fieldRef"], downward_refs.VOLUME_FIELDS, f"{path}.fieldRef")
        if item.get("resourceFieldRef") is not None:
            found.append(wrong(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
    elif item.get("resourceFieldRef") is not None:
        found += downward_refs.resource(item["resourceFieldRef"], f"{path}.resourceFieldRef", in_volume=True)
    else:
        found.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    return found + mode(f"{path}.mode", item.get("mode"))


def downward(source: Tree, path: str) -> list[Cause]:
    # Upstream tells no index of the file.
    found = mode(f"{path}.defaultMode", source.get("defaultMode"))
    for item in source.get("items") or ():
        found += _downward_file(item, path)
    return found


class _Paths:
    """The paths that a projected volume writes so far."""

    def __init__(self, path: str) -> None:
        self.path, self.seen = path, set[str]()

    def take(self, value: str, shown: str) -> list[Cause]:
        if value in self.seen:
            return [wrong(self.path, shown, DUPLICATE)]
        self.seen.add(value)
        return []


def _projected_files(source: Tree, path: str, paths: _Paths) -> list[Cause]:
    found = [] if source.get("name") else [required(f"{path}.name")]
    for i, item in enumerate(source.get("items") or ()):
        found += _item(item, f"{path}.items[{i}]")
        if item.get("path"):
            found += paths.take(item["path"], source.get("name", ""))
    return found


def _token(source: Tree, path: str, top: str) -> list[Cause]:
    seconds, found = source.get("expirationSeconds", 0), []
    if seconds < TOKEN_LEAST:
        found.append(wrong(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    if seconds > TOKEN_MOST:
        why = "may not specify a duration larger than 2^32 seconds"
        found.append(wrong(f"{path}.expirationSeconds", seconds, why))
    if not source.get("path"):
        return [*found, required(f"{top}.path")]
    return found + pod_paths.not_reserved(f"{top}.path", source["path"])


def projected(source: Tree, path: str) -> list[Cause]:
    """Each entry has one source, and no two write the same path."""
    found = mode(f"{path}.defaultMode", source.get("defaultMode"))
    paths = _Paths(path)
    for i, entry in enumerate(source.get("sources") or ()):
        at = f"{path}.sources[{i}]"
        for name in ("secret", "configMap"):
            if entry.get(name) is not None:
                found += _projected_files(entry[name], f"{at}.{name}", paths)
        for item in (entry.get("downwardAPI") or {}).get("items") or ():
            found += _downward_file(item, f"{at}.downwardAPI")
            if item.get("path"):
                found += paths.take(item["path"], item["path"])
        if entry.get("serviceAccountToken") is not None:
            found += _token(entry["serviceAccountToken"], f"{at}.serviceAccountToken", path)
        if len(entry) > 1:
            found.append(not_permitted(at, "may not specify more than 1 volume type per source"))
    return found
