"""Volumes of storage drivers, most of them retired: what their fields need (pkg/apis/core/validation)."""

from __future__ import annotations

import re
from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import fieldrules, pod_paths
from seaway.cluster.apiserver.status import Cause, required, unlisted, wrong

Tree = dict[str, Any]
IQN = re.compile(r"iqn\.\d{4}-\d{2}\.([A-Za-z0-9.-]+)(:[^,;*&$|\s]+)\Z")
INITIATORS = {"iqn": IQN, "eui": re.compile(r"eui.[A-Za-z0-9]{16}\Z"), "naa": re.compile(r"naa.[A-Za-z0-9]{32}\Z")}
HOST_PORTS = "must be a host:port pair or multiple pairs separated by commas"
CACHING = ("None", "ReadOnly", "ReadWrite")
DISK_KINDS = ("Dedicated", "Managed", "Shared")
MANAGED_URI = (
    "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"  # as Azure has it
)
BLOB_URI = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"


def _needed(source: Tree, path: str, *names: str) -> list[Cause]:
    return [required(f"{path}.{name}") for name in names if not source.get(name)]


def _partition(source: Tree, path: str) -> list[Cause]:
    value = source.get("partition", 0)
    return [] if 0 <= value <= 255 else [wrong(f"{path}.partition", value, formats.between(1, 255))]


def _secret_name(source: Tree, path: str) -> list[Cause]:
    secret = source.get("secretRef")
    return [required(f"{path}.secretRef.name")] if secret is not None and not secret.get("name") else []


def git_repo(source: Tree, path: str) -> list[Cause]:
    found = _needed(source, path, "repository")
    return found + pod_paths.descending(f"{path}.directory", source.get("directory", ""))


def gce_disk(source: Tree, path: str) -> list[Cause]:
    return _needed(source, path, "pdName") + _partition(source, path)


def aws_store(source: Tree, path: str) -> list[Cause]:
    return _needed(source, path, "volumeID") + _partition(source, path)


def nfs(source: Tree, path: str) -> list[Cause]:
    found, target = _needed(source, path, "server", "path"), source.get("path", "")
    return found if target.startswith("/") else [*found, wrong(f"{path}.path", target, "must be an absolute path")]


def _initiator(path: str, value: str) -> list[Cause]:
    if value[:3] not in INITIATORS:
        return [wrong(path, value, "must be valid format starting with iqn, eui, or naa")]
    return [] if INITIATORS[value[:3]].match(value) else [wrong(path, value, "must be valid format")]


def iscsi(source: Tree, path: str) -> list[Cause]:
    found = _needed(source, path, "targetPortal", "iqn")
    if source.get("iqn"):
        found += _initiator(f"{path}.iqn", source["iqn"])
    lun = source.get("lun", 0)
    if not 0 <= lun <= 255:
        found.append(wrong(f"{path}.lun", lun, formats.between(0, 255)))
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and source.get("secretRef") is None:
        found.append(required(f"{path}.secretRef"))
    if source.get("initiatorName") is not None:
        found += _initiator(f"{path}.initiatorname", source["initiatorName"])
    return found


def iscsi_length(volume: str, source: Tree, path: str) -> list[Cause]:
    """The kubelet makes an interface name of both."""
    if len(f"{volume}:{source.get('targetPortal', '')}") <= 64:
        return []
    why = (
        "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is "
        "specified."
    )
    return [wrong(f"{path}.name", volume, why)]


def glusterfs(source: Tree, path: str) -> list[Cause]:
    return _needed(source, path, "endpoints", "path")


def flocker(source: Tree, path: str) -> list[Cause]:
    name, uuid, found = source.get("datasetName", ""), source.get("datasetUUID", ""), []
    if not name and not uuid:
        found.append(required(path, "one of datasetName and datasetUUID is required"))
    if name and uuid:
        found.append(wrong(path, "resource", "datasetName and datasetUUID can not be specified simultaneously"))
    if "/" in name:
        found.append(wrong(f"{path}.datasetName", name, "must not contain '/'"))
    return found


def rbd(source: Tree, path: str) -> list[Cause]:
    return _needed(source, path, "monitors", "image")


def cinder(source: Tree, path: str) -> list[Cause]:
    return _needed(source, path, "volumeID") + _secret_name(source, path)


def cephfs(source: Tree, path: str) -> list[Cause]:
    return _needed(source, path, "monitors")


def quobyte(source: Tree, path: str) -> list[Cause]:
    registry, found = source.get("registry", ""), []
    if not registry:
        found.append(required(f"{path}.registry", HOST_PORTS))
    elif len(source.get("tenant", "")) >= 65:
        found.append(required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters"))
    else:
        for pair in registry.split(","):
            if not re.fullmatch(r"([^:\[\]]*|\[[^\[\]]*\]):[^:\[\]]*", pair):
                found.append(wrong(f"{path}.registry", registry, HOST_PORTS))
    return found + _needed(source, path, "volume")


def fibre_channel(source: Tree, path: str) -> list[Cause]:
    names, wwids, found = source.get("targetWWNs") or [], source.get("wwids") or [], []
    if not names and not wwids:
        found.append(required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both"))
    if names and wwids:
        why = "targetWWNs and wwids can not be specified simultaneously"
        found.append(wrong(f"{path}.targetWWNs", names, why))
    if names:
        lun = source.get("lun")
        if lun is None:
            found.append(required(f"{path}.lun", "lun is required if targetWWNs is specified"))
        elif not 0 <= lun <= 255:
            found.append(wrong(f"{path}.lun", lun, formats.between(0, 255)))
    return found


def flex(source: Tree, path: str) -> list[Cause]:
    found = _needed(source, path, "driver")
    for key in sorted(source.get("options") or ()):
        namespace = "." + key.partition("/")[0].lower()
        if namespace.endswith((".kubernetes.io", ".k8s.io")):
            found.append(wrong(f"{path}.options[{key}]", key, "kubernetes.io and k8s.io namespaces are reserved"))
    return found


def azure_file(source: Tree, path: str) -> list[Cause]:
    return _needed(source, path, "secretName", "shareName")


def azure_disk(source: Tree, path: str) -> list[Cause]:
    found = _needed(source, path, "diskName", "diskURI")
    uri, kind = source.get("diskURI", ""), source.get("kind")
    if source.get("cachingMode") is not None:
        found += fieldrules.listed(f"{path}.cachingMode", source["cachingMode"], CACHING)
    if kind is not None:
        found += fieldrules.listed(f"{path}.kind", kind, DISK_KINDS)
        if kind == "Managed" and not uri.startswith("/subscriptions/"):
            found.append(unlisted(f"{path}.diskURI", uri, (MANAGED_URI,)))
        if kind != "Managed" and not uri.startswith("https://"):
            found.append(unlisted(f"{path}.diskURI", uri, (BLOB_URI,)))
    return found


def vsphere(source: Tree, path: str) -> list[Cause]:
    return _needed(source, path, "volumePath")


def photon(source: Tree, path: str) -> list[Cause]:
    return _needed(source, path, "pdID")


def portworx(source: Tree, path: str) -> list[Cause]:
    return _needed(source, path, "volumeID")


def scale_io(source: Tree, path: str) -> list[Cause]:
    return _needed(source, path, "gateway", "system", "volumeName")


def storageos(source: Tree, path: str) -> list[Cause]:
    found = _needed(source, path, "volumeName")
    for name in ("volumeName", "volumeNamespace"):
        if source.get(name):
            found += formats.causes(f"{path}.{name}", source[name], formats.label)
    return found + _secret_name(source, path)
