"""Volumes of a pod: names, that each has one source, and what each source needs (pkg/apis/core/validation).

Sources that need little are a table here; files from keys, tokens and the like are in `pod_projected`, the retired
storage drivers in `pod_drivers`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from seaway.api import quantities
from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import fieldrules, pod_drivers, pod_paths, pod_projected, volume_claims
from seaway.cluster.apiserver.status import Cause, duplicate, not_permitted, required, wrong

Tree = dict[str, Any]
ONE_TYPE = "may not specify more than 1 volume type"
HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
PULL_POLICIES = ("Always", "IfNotPresent", "Never")


class Volumes(NamedTuple):
    """The volumes that can be mounted (name -> volume), and what is wrong with all of them."""

    usable: dict[str, Tree]
    causes: list[Cause]


class Owner(NamedTuple):
    """Whose volumes they are: a pod with a name, or a template (which has none)."""

    name: str = ""
    is_pod: bool = False


def pull_policy(path: str, value: Any) -> list[Cause]:
    return fieldrules.one_of(path, value, PULL_POLICIES)


def _host_path(source: Tree, path: str, owner: Owner) -> list[Cause]:
    if not source.get("path"):
        return [required(f"{path}.path")]
    found = pod_paths.without_backsteps(f"{path}.path", source["path"])
    return found + fieldrules.listed(f"{path}.type", source.get("type", ""), HOST_PATH_TYPES)


def _claim(source: Tree, path: str, owner: Owner) -> list[Cause]:
    return [] if source.get("claimName") else [required(f"{path}.claimName")]


def _ephemeral(source: Tree, path: str, owner: Owner) -> list[Cause]:
    template = source.get("volumeClaimTemplate")
    if template is None:
        return [required(f"{path}.volumeClaimTemplate")]
    return volume_claims.validate_template(template, f"{path}.volumeClaimTemplate")


def _image(source: Tree, path: str, owner: Owner) -> list[Cause]:
    found = [required(f"{path}.reference")] if owner.is_pod and not source.get("reference") else []
    return found + pull_policy(f"{path}.pullPolicy", source.get("pullPolicy"))


def _csi(source: Tree, path: str, owner: Owner) -> list[Cause]:
    found = volume_claims.driver_name(f"{path}.driver", source.get("driver", ""))
    secret = source.get("nodePublishSecretRef")
    if secret is not None:
        name = secret.get("name", "")
        if not name:
            found.append(required(f"{path}.nodePublishSecretRef.name"))
        else:
            found += formats.causes(f"{path}.name", name, formats.subdomain)
    return found


def _alone(check: Callable[[Tree, str], list[Cause]]) -> Callable[[Tree, str, Owner], list[Cause]]:
    return lambda source, path, owner: check(source, path)


class Source(NamedTuple):
    """A kind of volume: its check, the path that its errors have and the path of a second source's error."""

    check: Callable[[Tree, str, Owner], list[Cause]]
    path: str = ""
    second: str = ""


# In upstream's order: where a volume has two sources, the later one is refused.
SOURCES: dict[str, Source] = {
    "hostPath": Source(_host_path),
    "gitRepo": Source(_alone(pod_drivers.git_repo)),
    "gcePersistentDisk": Source(_alone(pod_drivers.gce_disk), path="persistentDisk"),
    "awsElasticBlockStore": Source(_alone(pod_drivers.aws_store)),
    "secret": Source(_alone(pod_projected.secret)),
    "nfs": Source(_alone(pod_drivers.nfs)),
    "iscsi": Source(_alone(pod_drivers.iscsi)),
    "glusterfs": Source(_alone(pod_drivers.glusterfs)),
    "flocker": Source(_alone(pod_drivers.flocker)),
    "persistentVolumeClaim": Source(_claim),
    "rbd": Source(_alone(pod_drivers.rbd)),
    "cinder": Source(_alone(pod_drivers.cinder)),
    "cephfs": Source(_alone(pod_drivers.cephfs), second="cephFS"),
    "quobyte": Source(_alone(pod_drivers.quobyte)),
    "downwardAPI": Source(_alone(pod_projected.downward), second="downwarAPI"),
    "fc": Source(_alone(pod_drivers.fibre_channel)),
    "flexVolume": Source(_alone(pod_drivers.flex)),
    "configMap": Source(_alone(pod_projected.config_map)),
    "azureFile": Source(_alone(pod_drivers.azure_file)),
    "vsphereVolume": Source(_alone(pod_drivers.vsphere)),
    "photonPersistentDisk": Source(_alone(pod_drivers.photon)),
    "portworxVolume": Source(_alone(pod_drivers.portworx)),
    "azureDisk": Source(_alone(pod_drivers.azure_disk)),
    "storageos": Source(_alone(pod_drivers.storageos)),
    "projected": Source(_alone(pod_projected.projected)),
    "scaleIO": Source(_alone(pod_drivers.scale_io)),
    "csi": Source(_csi),
    "ephemeral": Source(_ephemeral),
    "image": Source(_image),
}


def _source_causes(volume: Tree, path: str, owner: Owner) -> list[Cause]:
    found: list[Cause] = []
    name, count = volume.get("name", ""), 0
    if "emptyDir" in volume:
        count = 1
        limit = volume["emptyDir"].get("sizeLimit")
        if limit is not None and quantities.parse(limit) < 0:
            why = "SizeLimit field must be a valid resource quantity"
            found.append(not_permitted(f"{path}.emptyDir.sizeLimit", why))
    for field, source in SOURCES.items():
        value = volume.get(field)
        if value is None:
            continue
        count += 1
        if count > 1:
            found.append(not_permitted(f"{path}.{source.second or field}", ONE_TYPE))
        else:
            found += source.check(value, f"{path}.{source.path or field}", owner)
            if field == "ephemeral" and owner.name and name:
                claim = f"{owner.name}-{name}"
                found += [wrong(f"{path}.name", name, f'PVC name "{claim}": {w}') for w in formats.subdomain(claim)]
        if field == "iscsi" and value.get("initiatorName") is not None:
            found += pod_drivers.iscsi_length(name, value, path)
    if not count:
        found.append(required(path, "must specify a volume type"))
    return found


def validate(volumes: list[Tree], path: str, owner: Owner) -> Volumes:
    """A volume with anything wrong cannot be mounted: its mounts are reported as well."""
    usable: dict[str, Tree] = {}
    found: list[Cause] = []
    made = {f"{owner.name}-{v.get('name', '')}" for v in volumes if owner.name and "ephemeral" in v}
    for i, volume in enumerate(volumes):
        at, name = f"{path}[{i}]", volume.get("name", "")
        causes = _source_causes(volume, at, owner)
        causes += formats.causes(f"{at}.name", name, formats.label) if name else [required(f"{at}.name")]
        if name in usable:
            causes.append(duplicate(f"{at}.name", name))
        if not causes:
            usable[name] = volume
        found += causes
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
        if claim in made and "persistentVolumeClaim" in volume:
            why = "must not reference a PVC that gets created for an ephemeral volume"
            found.append(wrong(f"{at}.persistentVolumeClaim.claimName", claim, why))
    return Volumes(usable, found)
