"""A pod's sandbox: its shim, and the leg that joins its network to the node's. Made once, adopted by a new agent."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import os
from typing import TYPE_CHECKING, Any

from seaway.api.tree import get
from seaway.cluster.fabric import build
from seaway.cluster.fabric.rtnetlink import Batch
from seaway.cluster.layout import pod_mac
from seaway.cluster.node import hostnames, hostports, resolving, sysctls
from seaway.cluster.node.shims import Shim, ShimError, spawn

if TYPE_CHECKING:
    from seaway.cluster.node.pods import PodWorker

Tree = dict[str, Any]


async def adopt(worker: PodWorker, path: str) -> bool:
    """Takes a living shim over, from before this agent began."""
    if not os.path.exists(path):
        return False
    try:
        worker.shim = await Shim.connect(path, worker.on_event, worker.on_end, within=0.0)
    except ShimError:
        return False
    for status in [
        *(get(worker.pod, "status", "containerStatuses") or ()),
        *(get(worker.pod, "status", "initContainerStatuses") or ()),
    ]:
        worker.ready[status["name"]] = bool(status.get("ready"))
        worker.started[status["name"]] = bool(status.get("started"))
    return True


async def network(worker: PodWorker) -> None:
    """The pod's leg: a veth into the shim's namespace, its host routes here, its gateway there."""
    assert worker.shim
    state = (await worker.shim.ask("state"))["state"]
    assert not state["addresses"]
    pid = worker.shim.pid
    addresses = worker.agent.addresses.give(worker.uid)
    parsed = tuple(ipaddress.ip_address(a) for a in addresses)
    near = interface(worker)
    mac_near, mac_far = pod_mac(parsed[0], 1), pod_mac(parsed[0], 2)
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        batch = Batch()
        batch.remove_link(near)
        batch.veth(near, mac_near, "eth0", mac_far, fd)
        batch.commit()
    finally:
        os.close(fd)
    await worker.shim.ask("network", addresses=addresses, mac=mac_near)
    build.near_end(near, parsed, mac_far)
    worker.addresses = addresses


def resolv_conf(worker: PodWorker) -> None:
    """The pod's resolv.conf: made with its sandbox and kept with it, whatever becomes of the node's."""
    agent = worker.agent
    found, warnings = resolving.of_pod(worker.pod, agent.files.resolv_conf(), agent.nameservers, agent.domain)
    for text in warnings:
        agent.event(worker.pod, "Warning", resolving.FORMING, text)
    worker.resolv_conf = found.text()
    with open(os.path.join(worker.folder, "resolv.conf"), "w") as f:
        f.write(worker.resolv_conf)


def kept_resolv_conf(worker: PodWorker) -> str:
    """The one of a sandbox from before this agent."""
    with open(os.path.join(worker.folder, "resolv.conf")) as f:
        return f.read()


async def ensure(worker: PodWorker) -> None:
    os.makedirs(worker.folder, exist_ok=True)
    path = os.path.join(worker.folder, "shim.sock")
    meta, spec = worker.pod["metadata"], worker.pod["spec"]
    if not await adopt(worker, path):
        for container in spec.get("initContainers") or ():  # a new sandbox is initialized anew
            worker.states.pop(container["name"], None)
        hostname = hostnames.of_kernel(worker.pod, worker.agent.name, worker.agent.domain)
        resolv_conf(worker)
        args = {
            "folder": worker.folder,
            "uid": worker.uid,
            "namespace": meta["namespace"],
            "name": meta["name"],
            "hostNetwork": worker.host_network,
            "sharePids": bool(spec.get("shareProcessNamespace")),
            "hostPids": bool(spec.get("hostPID")),
            "hostIpc": bool(spec.get("hostIPC")),
            "hostname": hostname,
            "sysctls": sysctls.wanted(worker.pod),
        }
        for field in ("hostPID", "hostIPC"):
            if spec.get(field):
                # The nodes of a cluster share both namespaces; the machine's own are never entered.
                text = f"{field}: all nodes of this cluster are seen, not only the pod's own"
                worker.agent.event(worker.pod, "Warning", "SharedByAllNodes", text)
        await spawn(
            worker.agent.zygote,
            {
                "name": "shim",
                "target": "seaway.cluster.node.shim:main",
                "netns": worker.agent.netns,
                "fds": [],
                "bare": True,
                "args": args,
                "log": os.path.join(worker.folder, "shim.log"),
            },
        )
        worker.shim = await Shim.connect(path, worker.on_event, worker.on_end)
    assert worker.shim
    if not worker.resolv_conf:
        worker.resolv_conf = kept_resolv_conf(worker)
    state = (await worker.shim.ask("state"))["state"]
    if worker.host_network:
        worker.addresses = [str(a) for a in worker.agent.layout.addresses]
    elif state["addresses"]:
        worker.addresses = state["addresses"]
        worker.agent.addresses.take(worker.uid, worker.addresses)
    else:
        await network(worker)
    try:
        worker.agent.host_ports.set(worker.uid, hostports.of_pod(worker.pod, worker.addresses))
    except OSError:
        await stop(worker)  # no sandbox without its ports: it is made anew
        raise
    worker.read_state(state)


def interface(worker: PodWorker) -> str:
    return "p" + hashlib.sha256(worker.uid.encode()).hexdigest()[:13]


async def stop(worker: PodWorker) -> None:
    if worker.shim:
        shim, worker.shim = worker.shim, None
        with contextlib.suppress(ShimError, TimeoutError):
            await shim.ask("stop")
        shim.close()
    if not worker.host_network:
        with contextlib.suppress(OSError):  # the next change of any pod's tells the kernel of this one too
            worker.agent.host_ports.set(worker.uid, ())
        batch = Batch()
        batch.remove_link(interface(worker))
        batch.commit()
        worker.agent.addresses.free(worker.uid)
