"""The facts tables: fields, list types, merge keys, paths and protobuf numbers of the built-in kinds (Kubernetes v1.36).

Loaded once, on first use; the process that forks the others loads them before the fork, so that all share them.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

import msgspec

_EMPTY_NAME = {"name": ""}
_CORE = "io.k8s.api.core.v1."
# definition -> field -> the default that upstream's schema declares (`+default` in k8s.io/api).
DEFAULTS: dict[str, dict[str, Any]] = {
    f"{_CORE}ContainerPort": {"protocol": "TCP"},
    f"{_CORE}ServicePort": {"protocol": "TCP"},
    f"{_CORE}GRPCAction": {"service": ""},
    f"{_CORE}ISCSIVolumeSource": {"iscsiInterface": "default"},
    f"{_CORE}ISCSIPersistentVolumeSource": {"iscsiInterface": "default"},
    f"{_CORE}RBDVolumeSource": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    f"{_CORE}RBDPersistentVolumeSource": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    f"{_CORE}AzureDiskVolumeSource": {
        "cachingMode": "ReadWrite",
        "fsType": "ext4",
        "readOnly": False,
        "kind": "Shared",
    },
    f"{_CORE}ScaleIOVolumeSource": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
    f"{_CORE}ScaleIOPersistentVolumeSource": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
    **{
        f"{_CORE}{name}": _EMPTY_NAME
        for name in (
            "LocalObjectReference",
            "ConfigMapEnvSource",
            "ConfigMapKeySelector",
            "ConfigMapProjection",
            "ConfigMapVolumeSource",
            "SecretEnvSource",
            "SecretKeySelector",
            "SecretProjection",
        )
    },
}


def _load(name: str) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.json.decode(resources.files("seaway.api").joinpath("data", name).read_bytes())
    return data


@functools.cache
def internal_forms() -> dict[str, list[list[Any]]]:
    """Form -> its fields as (name in Go, key in JSON, zero, form of a struct in it, left out when absent)."""
    return _load("internal-forms.json")


@functools.cache
def openapi() -> dict[str, Any]:
    """`definitions` (schemas by definition name) and `paths` (path -> actions, gvk)."""
    return _load("openapi-facts.json")


@functools.cache
def definitions() -> dict[str, dict[str, Any]]:
    """Schemas by definition name, such as `io.k8s.api.core.v1.Service`."""
    found: dict[str, dict[str, Any]] = openapi()["definitions"]
    return found


@functools.cache
def zeros() -> dict[str, dict[str, Any]]:
    """How each definition writes zero values: `omit` (fields left out), `show` (fields always written, and their zero)."""
    found: dict[str, dict[str, Any]] = _load("zero-facts.json")["types"]
    return found


@functools.cache
def messages() -> dict[str, dict[str, tuple[int, str]]]:
    """Protobuf messages: message name -> field name -> (number, type)."""
    return {
        name: {field: (number, kind) for field, (number, kind) in fields.items()}
        for name, fields in _load("protobuf-facts.json")["messages"].items()
    }


@functools.cache
def definition_of(group: str, version: str, kind: str) -> str | None:
    """The definition name of a kind, None where the tables have none."""
    return _by_gvk().get((group, version, kind))


@functools.cache
def _by_gvk() -> dict[tuple[str, str, str], str]:
    found = {}
    for name, schema in definitions().items():
        for gvk in schema.get("x-kubernetes-group-version-kind", ()):
            found[(gvk["group"], gvk["version"], gvk["kind"])] = name
    return found
