"""kube-proxy's process: watches Services and EndpointSlices, plans, applies the difference. Knows no other world than the
API; what it has programmed stays when it dies.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import time
from typing import Any

import uvloop

from seaway.api.tree import Key, get
from seaway.client import kubeconfig
from seaway.client.informer import Informer
from seaway.client.reflector import Change
from seaway.client.rest import Api, Rest, kind_of
from seaway.proxy import health, nftables, plan
from seaway.proxy.health import HealthPorts, ProxyState
from seaway.proxy.kernel import Kernel, KernelError, Nftables
from seaway.proxy.plan import Place, ServicePart
from seaway.services.resolve import SERVICE_NAME, Resolved, resolve

Tree = dict[str, Any]
log = logging.getLogger("kube-proxy")
COALESCE = 0.003
RETRY = 1.0
HEALTHZ_PORT = 10256
GOING = "ToBeDeletedByClusterAutoscaler"


class Proxy:
    """The cache of parts, one a Service and family, and the kernel's state."""

    def __init__(
        self,
        api: Api,
        kernel: Kernel,
        node: str,
        families: tuple[int, ...],
        cluster_cidrs: tuple[str, ...],
        service_cidrs: tuple[str, ...],
        min_sync_period: float = 0.0,
    ) -> None:
        self.min_sync_period = max(min_sync_period, COALESCE)
        self.kernel, self.node = kernel, node
        self.families, self.cluster_cidrs, self.service_cidrs = families, cluster_cidrs, service_cidrs
        self.services = Informer(api, kind_of("services"))
        self.slices = Informer(api, kind_of("endpointslices.discovery.k8s.io"))
        self.nodes = Informer(api, kind_of("nodes"), "", {"fieldSelector": f"metadata.name={node}"})
        self.slices.add_index("service", self._service_of)
        self.services.listen(lambda change: self._dirty(change.key))
        self.slices.listen(self._slice_changed)
        self.nodes.listen(lambda change: self._all_dirty(change))
        self.parts: dict[int, dict[Key, ServicePart]] = {f: {} for f in families}
        self.states = {f: nftables.State(f) for f in families}
        self.waiting: set[Key] = set()
        self.wake = asyncio.Event()
        self.last_sync = 0.0
        self.queued_at = 0.0
        self.failures = 0
        self._said: set[tuple[str, str]] = set()
        self._with_health: dict[tuple[int, Key], Resolved] = {}
        self.health_ports = HealthPorts(lambda: self.healthy(time.time()))

    @staticmethod
    def _service_of(tree: Tree) -> list[str]:
        name = (tree["metadata"].get("labels") or {}).get(SERVICE_NAME)
        return [f"{tree['metadata']['namespace']}/{name}"] if name else []

    def _dirty(self, key: Key) -> None:
        self.waiting.add(key)
        if not self.queued_at:
            self.queued_at = time.time()
        self.wake.set()

    def _slice_changed(self, change: Change) -> None:
        for tree in (change.old, change.new):
            if tree is not None:
                for name in self._service_of(tree):
                    self._dirty(Key(*name.split("/", 1)))

    def _all_dirty(self, change: Change) -> None:
        before, after = (tuple(map(str, _place_of(t))) if t else None for t in (change.old, change.new))
        if before != after:
            for key in self.services.names():
                self._dirty(key)
            self.wake.set()

    def place(self) -> Place | None:
        node = self.nodes.get("", self.node)
        if node is None:
            return None
        zone, addresses = _place_of(node)
        return Place(self.node, zone, addresses, self.cluster_cidrs, self.service_cidrs)

    def sync(self) -> None:
        """Plans what is dirty and applies the difference, one transaction a family."""
        place = self.place()
        if place is None:
            return
        keys, self.waiting = self.waiting, set()
        for family in self.families:
            parts = self.parts[family]
            for key in keys:
                service = self.services.get(*key)
                found = resolve(service, self.slices.by("service", str(key)), family) if service else None
                if found is not None and found.health_port:
                    self._with_health[(family, key)] = found
                else:
                    self._with_health.pop((family, key), None)
                if found is None:
                    parts.pop(key, None)
                else:
                    parts[key] = plan.part(found, place)
                    self._say_unsupported(found)
            table = plan.table(family, (parts[k] for k in sorted(parts)), place)
            text, after = nftables.render(self.states[family], table)
            if text:
                try:
                    self.kernel.nft(text)
                except KernelError:
                    self.states[family] = nftables.State(family)  # start anew: a full sync repairs whatever is there
                    self.waiting |= keys
                    raise
            self.states[family] = after
        self.health_ports.set(health.wanted(self._with_health.values(), self.node))
        self.last_sync, self.queued_at = time.time(), 0.0

    def _say_unsupported(self, service: Resolved) -> None:
        """What a Service asks for and this proxy does not do yet is said, once, not left out in silence."""
        for asked, text in (
            (service.affinity, "sessionAffinity ClientIP is not supported yet: connections are spread at random"),
        ):
            if asked and (service.title, text) not in self._said:
                self._said.add((service.title, text))
                log.warning("%s: %s", service.title, text)

    async def run(self) -> None:
        """Syncs until cancelled. Nothing is programmed before Services and slices are both listed."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.health_ports.run())
            for informer in (self.services, self.slices, self.nodes):
                group.create_task(informer.run())
            for informer in (self.services, self.slices, self.nodes):
                await informer.synced.wait()
            self.wake.set()
            while True:
                await self.wake.wait()
                # The first change after a rest waits a moment for its companions, the next for the whole period.
                since = time.time() - self.last_sync
                await asyncio.sleep(max(COALESCE, min(self.min_sync_period - since, self.min_sync_period)))
                self.wake.clear()
                try:
                    self.sync()
                    self.failures = 0
                except KernelError as e:
                    self.failures += 1
                    log.error("sync failed, again in %.0f s: %s", RETRY, e)
                    asyncio.get_running_loop().call_later(RETRY, self.wake.set)

    def healthy(self, now: float) -> bool:
        return bool(self.last_sync) and (not self.queued_at or now - self.queued_at < 60)

    def state(self) -> ProxyState:
        """What /healthz and /livez say."""
        now = time.time()
        return ProxyState(self.last_sync, now, self.healthy(now), _is_eligible(self.nodes.get("", self.node)))


def _is_eligible(node: Tree | None) -> bool:
    """Whether load balancers may go on sending here: not where the node is being deleted, or about to be (KEP-3836)."""
    if node is None or node["metadata"].get("deletionTimestamp"):
        return False
    return not any(t.get("key") == GOING for t in get(node, "spec", "taints") or ())


def _place_of(node: Tree) -> tuple[str, tuple[str, ...]]:
    zone = (node["metadata"].get("labels") or {}).get("topology.kubernetes.io/zone", "")
    return zone, tuple(a["address"] for a in get(node, "status", "addresses") or () if a["type"] == "InternalIP")


def duration(text: str) -> float:
    """Seconds of a Go duration with one unit: 1s, 500ms."""
    unit = "ms" if text.endswith("ms") else "s"
    try:
        return float(text.removesuffix(unit)) / (1000 if unit == "ms" else 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 1s or 500ms") from None


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("seaway kube-proxy", description="Programs this node's kernel for Services.")
    parser.add_argument("--kubeconfig", default="", help="path to a kubeconfig; the pod's ServiceAccount otherwise")
    parser.add_argument(
        "--hostname-override", default="", help="the node's name (default: $NODE_NAME, else the host's name)"
    )
    parser.add_argument("--proxy-mode", default="nftables", choices=["nftables"], help="how packets are steered")
    parser.add_argument(
        "--cluster-cidr", default="", help="pod ranges, separated by commas: sources outside them are masqueraded"
    )
    parser.add_argument("--service-cidr", default="", help="Service ranges: unallocated addresses in them are dropped")
    parser.add_argument(
        "--healthz-port", type=int, default=HEALTHZ_PORT, help="port of /healthz and /livez; 0 turns it off"
    )
    parser.add_argument(
        "--min-sync-period",
        type=duration,
        default=0.0,
        help="the least time between two syncs, such as 1s (default: none)",
    )
    parser.add_argument("--cleanup", action="store_true", help="remove every rule of ours and end")
    return parser


async def _main(args: argparse.Namespace) -> None:
    node = args.hostname_override or os.environ.get("NODE_NAME") or os.uname().nodename
    cidrs = tuple(filter(None, args.cluster_cidr.split(",")))
    services = tuple(filter(None, args.service_cidr.split(",")))
    async with Rest(kubeconfig.find(args.kubeconfig), "kube-proxy") as api:
        proxy = Proxy(api, Nftables(), node, (4, 6), cidrs, services, args.min_sync_period)
        if args.healthz_port:
            await health.serve(args.healthz_port, proxy.state)
        await proxy.run()


def main(argv: list[str]) -> int:
    args = options().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    if args.cleanup:
        kernel = Nftables()
        for family in (4, 6):
            kernel.nft(nftables.cleanup(family))
        return 0
    uvloop.run(_main(args))
    return 0
