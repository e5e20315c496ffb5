"""References of the downward API: fields of the pod and resources of its containers, in env and in files."""

from __future__ import annotations

from typing import Any

from seaway.api import quantities
from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.status import Cause, required, unlisted, wrong

Tree = dict[str, Any]
VOLUME_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
# Every label that a pod's field can be asked by (pkg/apis/core/pods); not each of them may be asked for everywhere.
KNOWN = {*VOLUME_FIELDS, *ENV_FIELDS, "spec.restartPolicy", "spec.schedulerName", "status.phase"}
RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
SIZES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")


def field(ref: Tree, allowed: tuple[str, ...], path: str) -> list[Cause]:
    """An ObjectFieldSelector: `metadata.labels['key']` or one of the allowed fields."""
    name = ref.get("fieldPath", "")
    if not ref.get("apiVersion"):
        return [required(f"{path}.apiVersion")]
    if not name:
        return [required(f"{path}.fieldPath")]

    def unreadable(why: str) -> list[Cause]:
        return [wrong(f"{path}.fieldPath", name, f"error converting fieldPath: {why}")]

    if ref["apiVersion"] != "v1":
        return unreadable(f"unsupported pod version: {ref['apiVersion']}")
    whole, bracket, key = name.partition("['")
    if name.endswith("']") and bracket and whole:
        key = key[:-2]
        if whole == "metadata.annotations":
            return formats.causes(path, key.lower(), formats.qualified_name)
        if whole == "metadata.labels":
            return formats.causes(path, key, formats.qualified_name)
        return unreadable(f"field label does not support subscript: {name}")
    name = "spec.nodeName" if name == "spec.host" else name
    if name not in KNOWN:
        return unreadable(f"field label not supported: {name}")
    return [] if name in allowed else [unlisted(f"{path}.fieldPath", name, allowed)]


def resource(ref: Tree, path: str, in_volume: bool) -> list[Cause]:
    """A ResourceFieldSelector; in a file it has to name the container."""
    name, found = ref.get("resource", ""), []
    if in_volume and not ref.get("containerName"):
        found.append(required(f"{path}.containerName"))
    elif not name:
        found.append(required(f"{path}.resource"))
    elif name not in RESOURCES and not name.startswith(HUGE_PAGES):
        found.append(unlisted(f"{path}.resource", name, RESOURCES))
    return found + _divisor(name, ref.get("divisor", "0"), path)


def _divisor(name: str, divisor: str, path: str) -> list[Cause]:
    divisor = quantities.canonical(divisor)
    if divisor == "0":
        return []
    kind = name.partition(".")[2]
    if kind == "cpu" and divisor not in ("1m", "1"):
        why = "only divisor's values 1m and 1 are supported with the cpu resource"
        return [wrong(f"{path}.divisor", name, why)]
    nouns = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}
    noun = "hugepages" if name.startswith(HUGE_PAGES) else nouns.get(kind)
    if noun and divisor not in SIZES:
        why = f"only divisor's values {', '.join(SIZES)} are supported with the {noun} resource"
        return [wrong(f"{path}.divisor", name, why)]
    return []
