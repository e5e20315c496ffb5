"""The node's place in the API: it registers, renews its Lease, and says how it is (KEP-589)."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

from seaway import KUBERNETES_VERSION
from seaway.api.tree import get, stamp_micro
from seaway.client.errors import ApiStatusError, Conflict, NotFound, Unavailable
from seaway.client.rest import kind_of
from seaway.cluster.node import nodestatus, pulling
from seaway.cluster.node.nodestatus import Measured

if TYPE_CHECKING:
    from seaway.cluster.node.agent import Agent

Tree = dict[str, Any]
LEASES = "kube-node-lease"
REPORT_EVERY = 300.0  # nodeStatusReportFrequency: what has not changed is said again after this


def architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def _os_image() -> str:
    try:
        with open("/etc/os-release") as f:
            return next(
                (line.split("=", 1)[1].strip().strip('"') for line in f if line.startswith("PRETTY_NAME=")), "Linux"
            )
    except OSError:
        return "Linux"


def _number(path: str) -> int:
    with open(path) as f:
        return int(f.read().split()[0])


def measure(agent: Agent) -> Measured:
    """Looks at the machine."""
    memory = disk = pids = 1 << 40
    try:
        with open("/proc/meminfo") as f:
            lines = dict(line.split(":", 1) for line in f)
        memory = int(lines["MemAvailable"].split()[0]) << 10
        left = os.statvfs(agent.folder)
        disk = left.f_bavail * left.f_frsize
        pids = _number("/proc/sys/kernel/pid_max") - len([n for n in os.listdir("/proc") if n.isdigit()])
    except (OSError, KeyError, ValueError):
        pass  # what cannot be measured is not short
    return Measured(memory, disk, pids, agent.unlimited)


def status(agent: Agent, old: Tree) -> Tree:
    """The node's status as it is now."""
    addresses = [{"type": "InternalIP", "address": str(a)} for a in agent.layout.addresses]
    info = {
        "machineID": "",
        "systemUUID": "",
        "bootID": "",
        "kernelVersion": os.uname().release,
        "osImage": _os_image(),
        "containerRuntimeVersion": "seaway://0.1.0",
        "kubeletVersion": KUBERNETES_VERSION,
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": architecture(),
    }
    return {
        "capacity": agent.allocatable,
        "allocatable": agent.allocatable,
        "conditions": nodestatus.conditions(
            get(old, "status", "conditions") or (), measure(agent), time.time(), agent.power.order is not None
        ),
        "addresses": [*addresses, {"type": "Hostname", "address": agent.name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": info,
        "images": pulling.status_images(agent.store.images()),
    }


async def register(agent: Agent) -> None:
    """Until the node is there and has said how it is."""
    kind = kind_of("nodes")
    while True:
        try:
            try:
                node = await agent.api.get(kind, "", agent.name)
            except NotFound:
                node = await agent.api.create(kind, "", nodestatus.node(agent.layout, architecture()))
            await agent.api.patch(kind, "", agent.name, {"status": status(agent, node)}, "status")
            return
        except (ApiStatusError, Unavailable, Conflict):
            await asyncio.sleep(0.05)


async def heartbeat(agent: Agent) -> None:
    """The Lease four times in its duration. The status when it has changed, or when somebody says otherwise (a node that was
    silent is Unknown until then), and every five minutes. A node that was deleted is registered again."""
    kind = kind_of("nodes")
    said = time.monotonic()
    while True:
        try:
            await _renew(agent)
            node = await agent.api.get(kind, "", agent.name)
            now = status(agent, node)
            if nodestatus.differs(node.get("status"), now) or time.monotonic() - said > REPORT_EVERY:
                await agent.api.patch(kind, "", agent.name, {"status": now}, "status")
                said = time.monotonic()
        except NotFound:
            await register(agent)
            said = time.monotonic()
        except (ApiStatusError, Unavailable, Conflict):
            await asyncio.sleep(0.2)
            continue
        await agent.power.pause(agent.lease_seconds / 4)


async def _renew(agent: Agent) -> None:
    kind = kind_of("leases.coordination.k8s.io")
    spec = {
        "holderIdentity": agent.name,
        "leaseDurationSeconds": max(int(agent.lease_seconds), 1),
        "renewTime": stamp_micro(time.time()),
    }
    try:
        await agent.api.patch(kind, LEASES, agent.name, {"spec": spec})
    except NotFound:
        meta = {"name": agent.name}
        lease = {"apiVersion": kind.api_version, "kind": "Lease", "metadata": meta, "spec": spec}
        await agent.api.create(kind, LEASES, lease)
