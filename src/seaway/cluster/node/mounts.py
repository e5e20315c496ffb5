"""A pod's volumes on the node: prepared before its containers start, kept true while they run."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seaway.api.tree import get
from seaway.cluster.node import volumes
from seaway.cluster.node.volumes import VolumeError

if TYPE_CHECKING:
    from seaway.cluster.node.pods import PodWorker

Tree = dict[str, Any]


async def prepare(worker: PodWorker) -> bool:
    """Every volume as it shall be; False while one cannot be."""
    name = ""
    try:
        for volume in worker.pod["spec"].get("volumes") or ():
            name = volume["name"]
            await make(worker, volume)
    except (VolumeError, OSError) as e:
        if str(e) != worker.unmounted:
            worker.unmounted = str(e)
            text = f'MountVolume.SetUp failed for volume "{name}" : {e}'
            worker.agent.event(worker.pod, "Warning", "FailedMount", text)
        return bool(worker.states)  # what runs goes on with what it has
    worker.unmounted = ""
    return True


async def make(worker: PodWorker, volume: Tree) -> None:
    name = volume["name"]
    folder = folder_of(worker, name)
    group = get(worker.pod, "spec", "securityContext", "fsGroup")
    if any(kind in volume for kind in volumes.WRITTEN):
        namespace = worker.pod["metadata"]["namespace"]
        await worker.agent.objects.need(worker.uid, namespace, volumes_needed(volume))
        files, tokens = volumes.content(
            pod_with_addresses(worker),
            volume,
            lambda resource, n: worker.agent.objects.get(resource, namespace, n),
            worker.agent.allocatable,
        )
        for token in tokens:
            text, due = await worker.agent.tokens.get(worker.pod, token.audience, token.seconds)
            files[token.path] = (text.encode(), token.mode)
            worker.token_due = min(worker.token_due or due, due) if worker.token_due > time.time() else due
        volumes.write(folder, files, group)
    elif "emptyDir" in volume:
        if not os.path.isdir(folder):
            os.makedirs(folder)
            os.chmod(folder, 0o777 if group is None else 0o2777)
            if group is not None:
                volumes._own(folder, group)
    elif "hostPath" in volume:
        volumes.host_path(worker.agent.host_folder, volume["hostPath"])
    else:
        raise VolumeError(
            f"volume {name}: the volume type {next((k for k in volume if k != 'name'), '')} is not supported here"
        )


def folder_of(worker: PodWorker, name: str) -> str:
    return os.path.join(worker.folder, "volumes", name)


def of_container(worker: PodWorker, container: Tree, env: Mapping[str, str]) -> list[Tree]:
    by_name = {v["name"]: v for v in worker.pod["spec"].get("volumes") or ()}
    found = []
    for mount in container.get("volumeMounts") or ():
        volume = by_name[mount["name"]]
        if "hostPath" in volume:
            source = volumes.host_path(worker.agent.host_folder, volume["hostPath"])
        else:
            source = folder_of(worker, mount["name"])
        part = mount.get("subPath") or volumes.expanded(mount.get("subPathExpr") or "", env)
        if part:
            source = volumes.sub_path(source, part)
        read_only = bool(mount.get("readOnly")) or any(kind in volume for kind in volumes.WRITTEN)
        found.append(
            {
                "path": os.path.normpath(mount["mountPath"]),
                "source": source,
                "readOnly": read_only,
                "file": os.path.isfile(source),
            }
        )
    return found


def pod_with_addresses(worker: PodWorker) -> Tree:
    """The pod as the downward API sees it now: with the addresses it has just been given."""
    status = {
        **(worker.pod.get("status") or {}),
        "hostIP": str(worker.agent.layout.addresses[0]),
        "hostIPs": [{"ip": str(a)} for a in worker.agent.layout.addresses],
    }
    if worker.addresses:
        status.update(podIP=worker.addresses[0], podIPs=[{"ip": a} for a in worker.addresses])
    return {**worker.pod, "status": status}


def volumes_needed(volume: Tree) -> set[tuple[str, str]]:
    """(resource, name) of the objects a volume shows."""
    found = set()
    if "configMap" in volume:
        found.add(("configmaps", volume["configMap"].get("name", "")))
    if "secret" in volume:
        found.add(("secrets", volume["secret"].get("secretName", "")))
    for source in (volume.get("projected") or {}).get("sources") or ():
        if "configMap" in source:
            found.add(("configmaps", source["configMap"].get("name", "")))
        if "secret" in source:
            found.add(("secrets", source["secret"].get("name", "")))
    return found
