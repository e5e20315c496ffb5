"""Volumes of a pod: what each file shall hold (pure), and the atomic writer that makes it so.

ConfigMap, Secret, downwardAPI and projected volumes are written as the kubelet writes them: files in a folder of their own,
`..data` a link that is swapped, so that a reader sees one version whole.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seaway.api import quantities
from seaway.api.tree import get
from seaway.cluster.node.roots import inside as container_paths

Tree = dict[str, Any]
Files = dict[str, tuple[bytes, int]]
Fetch = Callable[[str, str], Tree | None]  # (resource, name) -> object of the pod's namespace
WRITTEN = ("configMap", "secret", "downwardAPI", "projected")


_REFERENCE = re.compile(r"\$(\$|\([^()]*\))")


class VolumeError(Exception):
    """A volume that cannot be made yet, or at all; the text is for FailedMount."""


def expand(text: str, env: Mapping[str, str]) -> str:
    """`$(NAME)` is replaced where NAME is known, `$$` is a `$` (third_party/forked/golang/expansion)."""

    def replace(found: re.Match[str]) -> str:
        if found[1] == "$":
            return "$"
        return env.get(found[1][1:-1], found[0])

    return _REFERENCE.sub(replace, text)


@dataclass(frozen=True, slots=True)
class Token:
    """A ServiceAccount token to be asked for and written at `path`."""

    path: str
    audience: str
    seconds: int
    mode: int


def field(pod: Tree, path: str, node: Mapping[str, Any] | None = None) -> str:
    """A fieldRef's value (downward API)."""
    meta, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    if path.startswith(("metadata.labels['", "metadata.annotations['")):
        section, _, key = path.partition("['")
        return str((meta.get(section.removeprefix("metadata.")) or {}).get(key.removesuffix("']"), ""))
    if path in ("metadata.labels", "metadata.annotations"):
        table = meta.get(path.removeprefix("metadata.")) or {}
        quoted = {
            k: str(v).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for k, v in sorted(table.items())
        }
        return "\n".join(f'{k}="{v}"' for k, v in quoted.items())
    simple = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta.get("uid", ""),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.podIP": status.get("podIP", ""),
        "status.hostIP": status.get("hostIP", ""),
        "status.podIPs": ",".join(i["ip"] for i in status.get("podIPs") or ()),
        "status.hostIPs": ",".join(i["ip"] for i in status.get("hostIPs") or ()),
    }
    if path not in simple:
        raise VolumeError(f"fieldPath {path!r} is not supported")
    return str(simple[path])


def resource_field(pod: Tree, ref: Tree, container_name: str, allocatable: Mapping[str, str]) -> str:
    """A resourceFieldRef's value, divided and rounded up."""
    name = ref.get("containerName") or container_name
    container: Tree = next(
        (c for c in [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())] if c["name"] == name), {}
    )
    section, _, resource = str(ref["resource"]).partition(".")
    value = get(container, "resources", section, resource)
    if value is None:
        value = allocatable.get(resource, "0") if section == "limits" or resource in ("cpu", "memory") else "0"
    divisor = quantities.parse(ref.get("divisor") or "1") or quantities.parse("1")
    return str(-(-quantities.parse(value) // divisor))


def _keys(data: Mapping[str, bytes], items: list[Tree] | None, mode: int, what: str, optional: bool) -> Files:
    if items is None:
        return {key: (value, mode) for key, value in data.items()}
    found: Files = {}
    for item in items:
        if item["key"] not in data:
            if optional:
                continue
            known = (
                "configmap references non-existent config" if what == "configmap" else f"references non-existent {what}"
            )
            raise VolumeError(f"{known} key: {item['key']}")
        found[item["path"]] = (data[item["key"]], item.get("mode", mode))
    return found


def data_of(resource: str, tree: Tree) -> dict[str, bytes]:
    """A ConfigMap's or Secret's content as bytes."""
    if resource == "secrets":
        return {k: base64.b64decode(v) for k, v in (tree.get("data") or {}).items()}
    found = {k: v.encode() for k, v in (tree.get("data") or {}).items()}
    found.update({k: base64.b64decode(v) for k, v in (tree.get("binaryData") or {}).items()})
    return found


def _object(source: Tree, resource: str, name_field: str, mode: int, fetch: Fetch) -> Files:
    name, optional = source.get(name_field, ""), bool(source.get("optional"))
    tree = fetch(resource, name)
    if tree is None:
        if optional:
            return {}
        raise VolumeError(f'{resource.removesuffix("s")} "{name}" not found')
    return _keys(data_of(resource, tree), source.get("items"), mode, resource.removesuffix("s"), optional)


def _downward(pod: Tree, source: Tree, mode: int, allocatable: Mapping[str, str]) -> Files:
    found: Files = {}
    for item in source.get("items") or ():
        if "fieldRef" in item:
            text = field(pod, item["fieldRef"]["fieldPath"])
        else:
            text = resource_field(pod, item["resourceFieldRef"], "", allocatable)
        found[item["path"]] = (text.encode(), item.get("mode", mode))
    return found


def content(pod: Tree, volume: Tree, fetch: Fetch, allocatable: Mapping[str, str]) -> tuple[Files, list[Token]]:
    """What a written volume holds, and the tokens that are to be added."""
    tokens: list[Token] = []
    if "configMap" in volume:
        source = volume["configMap"]
        return _object(source, "configmaps", "name", source.get("defaultMode", 0o644), fetch), tokens
    if "secret" in volume:
        source = volume["secret"]
        return _object(source, "secrets", "secretName", source.get("defaultMode", 0o644), fetch), tokens
    if "downwardAPI" in volume:
        source = volume["downwardAPI"]
        return _downward(pod, source, source.get("defaultMode", 0o644), allocatable), tokens
    files: Files = {}
    projected = volume["projected"]
    mode = projected.get("defaultMode", 0o644)
    for source in projected.get("sources") or ():
        if "configMap" in source:
            files.update(_object(source["configMap"], "configmaps", "name", mode, fetch))
        elif "secret" in source:
            files.update(_object(source["secret"], "secrets", "name", mode, fetch))
        elif "downwardAPI" in source:
            files.update(_downward(pod, source["downwardAPI"], mode, allocatable))
        elif "serviceAccountToken" in source:
            wanted = source["serviceAccountToken"]
            tokens.append(
                Token(wanted["path"], wanted.get("audience", ""), wanted.get("expirationSeconds", 3600), mode)
            )
        else:
            raise VolumeError(f"projected source {next(iter(source), '')!r} is not supported")
    return files, tokens


def check_path(path: str) -> None:
    if path.startswith("/") or ".." in path.split("/") or not path:
        raise VolumeError(f"the path {path!r} leads out of its volume")


def write(folder: str, files: Files, group: int | None = None) -> bool:
    """Makes the folder hold exactly these files, by swapping `..data`. False: it held them already."""
    os.makedirs(folder, exist_ok=True)
    for path in files:
        check_path(path)
    link = os.path.join(folder, "..data")
    current = os.path.join(folder, os.readlink(link)) if os.path.islink(link) else ""
    if current and _read(current) == {p: (d, m & 0o777) for p, (d, m) in files.items()}:
        return False
    number = 1
    while os.path.exists(os.path.join(folder, f"..{number}")):
        number += 1
    fresh = os.path.join(folder, f"..{number}")
    os.makedirs(fresh)
    for path, (data, mode) in files.items():
        where = os.path.join(fresh, path)
        os.makedirs(os.path.dirname(where), exist_ok=True)
        with open(where, "wb") as f:
            f.write(data)
        os.chmod(where, mode | (0o040 if group is not None else 0))
        if group is not None:
            _own(where, group)
    temporary = os.path.join(folder, "..data_tmp")
    os.symlink(f"..{number}", temporary)
    os.replace(temporary, link)
    tops = {p.split("/")[0] for p in files}
    for top in tops:
        if not os.path.lexists(os.path.join(folder, top)):
            os.symlink(f"..data/{top}", os.path.join(folder, top))
    for name in os.listdir(folder):
        if not name.startswith("..") and name not in tops:
            os.unlink(os.path.join(folder, name))
    if current:
        shutil.rmtree(current, ignore_errors=True)
    return True


def _own(path: str, group: int) -> None:
    try:
        os.chown(path, -1, group)
    except OSError:
        pass  # rootless


def _read(folder: str) -> Files:
    found: Files = {}
    for base, _, names in os.walk(folder):
        for name in names:
            where = os.path.join(base, name)
            with open(where, "rb") as f:
                found[os.path.relpath(where, folder)] = (f.read(), os.stat(where).st_mode & 0o777)
    return found


def inside(root: str, path: str) -> str:
    """A path below a folder, with links followed as if the folder were `/`: what a container has written there leads
    nowhere else."""
    found = container_paths(root, path)
    if found != root and not found.startswith(root + "/"):
        raise VolumeError(f"the path {path!r} leads out of its volume")
    return found


def sub_path(folder: str, path: str) -> str:
    """A subPath of a volume, made where it is missing."""
    check_path(path)
    where = inside(folder, path)
    if not os.path.lexists(where):
        os.makedirs(where)
        os.chmod(where, os.stat(folder).st_mode & 0o7777)
    return where


def expanded(text: str, env: Mapping[str, str]) -> str:
    """A subPathExpr's value: every name in it must be known."""
    missing = next((n for n in re.findall(r"(?<!\$)\$\(([^()]*)\)", text) if n not in env), None)
    if missing is not None:
        raise VolumeError(f'missing value for "{missing}"')
    return expand(text, env)


_KINDS: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


def host_path(node_folder: str, source: Tree) -> str:
    """A hostPath as a folder of the *node*; made or required as its type says (pkg/volume/hostpath)."""
    shown, kind = str(source["path"]), str(source.get("type") or "")
    where = inside(node_folder, shown)
    if kind in ("", "DirectoryOrCreate") and not os.path.lexists(where):
        os.makedirs(where, 0o755)
    elif kind == "FileOrCreate" and not os.path.lexists(where):
        os.makedirs(os.path.dirname(where), 0o755, exist_ok=True)  # a node of ours begins empty
        os.close(os.open(where, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    if kind == "":
        return where
    check, noun = _KINDS.get(kind.removesuffix("OrCreate"), (None, ""))
    if check is None:
        raise VolumeError(f"hostPath type {kind} is not supported")
    if not os.path.lexists(where) or not check(os.lstat(where).st_mode):
        raise VolumeError(f"hostPath type check failed: {shown} is not {noun}")
    return where
