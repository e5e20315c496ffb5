"""The proxy at work: watches Services, EndpointSlices and its own node, plans what has changed, hands the difference to a data
plane. Knows no other world than the API; what it has programmed stays when it dies.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from seaway.api.tree import Key, get, seconds
from seaway.client.errors import ApiStatusError, Unavailable
from seaway.client.events import Recorder
from seaway.client.informer import Informer
from seaway.client.reflector import Change
from seaway.client.rest import Api, kind_of
from seaway.proxy import events, flows, health, kept, plan
from seaway.proxy.configuration import Settings
from seaway.proxy.conntrack import Conntrack
from seaway.proxy.flows import Affected, Flow
from seaway.proxy.health import Health, HealthPorts, ProxyState
from seaway.proxy.kernel import KernelError
from seaway.proxy.ledger import Ledger
from seaway.proxy.metrics import FAMILY, TRIGGER, Metrics
from seaway.proxy.plan import Place
from seaway.proxy.planes import Plane, Ruled
from seaway.proxy.table import Facts, ServicePart, ServiceTable
from seaway.services.resolve import SERVICE_NAME, Resolved, resolve

Tree = dict[str, Any]
log = logging.getLogger("kube-proxy")
COALESCE = 0.003
RETRY = 1.0
ON_THE_WAY = 1.0  # seconds in which the last answers of a forgotten flow have come
GOING = "ToBeDeletedByClusterAutoscaler"
AUDIT_SHARE = 20  # an audit that takes a second comes every twenty at the most


def nothing_left(ended: Callable[[], bool]) -> list[str]:
    return []


def no_addresses() -> tuple[str, ...]:
    return ()


class Proxy:
    """A ledger a family of what each Service contributes, and a plane that holds the same. `local_addresses` gives the node's
    addresses where node ports are served by range; `leftovers` removes what another mode has left, once this one holds;
    `recorder` writes events."""

    def __init__(
        self,
        api: Api,
        plane: Plane,
        conntrack: Conntrack,
        settings: Settings,
        local_addresses: Callable[[], tuple[str, ...]] = no_addresses,
        leftovers: Callable[[Callable[[], bool]], list[str]] = nothing_left,
        recorder: Recorder | None = None,
    ) -> None:
        self.plane, self.conntrack, self.settings = plane, conntrack, settings
        self.node = settings.node
        self._local_addresses, self._leftovers, self._ended = local_addresses, leftovers, False
        self._recorder = recorder
        self.services = Informer(api, kind_of("services"), transform=kept.service)
        self.slices = Informer(api, kind_of("endpointslices.discovery.k8s.io"), transform=kept.endpoint_slice)
        self.nodes = Informer(api, kind_of("nodes"), "", {"fieldSelector": f"metadata.name={settings.node}"})
        # Ranges that nobody has named are those of the ServiceCIDRs (KEP-1880).
        self.ranges = None if settings.service_cidrs else Informer(api, kind_of("servicecidrs.networking.k8s.io"))
        if self.ranges is not None:
            self.ranges.listen(lambda change: self.wake.set())
        self.slices.add_index("service", self._service_of)
        self.services.listen(lambda change: self._dirty(change.key, False))
        self.slices.listen(self._slice_changed)
        self.nodes.listen(self._node_changed)
        self.ledgers: dict[int, Ledger[Key]] = {f: Ledger() for f in settings.families}
        self._triggers: dict[Key, list[float]] = {}
        self.metrics = Metrics(
            settings.mode,
            lambda: ((f, p) for f, each in self.ledgers.items() for p in each.parts.values()),
            plane.rules if isinstance(plane, Ruled) else None,
        )
        self._programmed: dict[int, Facts] = {}  # families whose state is in the kernel, with the facts that it is for
        self.waiting: set[Key] = set()
        self.wake = asyncio.Event()
        self.syncs = 0
        self.last_sync = 0.0
        self.queued_at = 0.0
        self.failures = 0
        self._with_health: dict[tuple[int, Key], Resolved] = {}
        self._flows: list[tuple[int, Affected]] = []
        self._flows_wake = asyncio.Event()
        self._late: set[asyncio.Future[None]] = set()
        self._cleaning = asyncio.Lock()  # the kernel's answers to two listings at once could not be told apart
        self.health_ports = HealthPorts(lambda: self.healthy(time.time()), failed=self._health_port_failed)

    def _health_port_failed(self, told: Health, port: int, why: str) -> None:
        service = self.services.get(told.namespace, told.name)
        if self._recorder is not None and service is not None:
            self._recorder.tell(*events.service_health_failed(service, self.node, port, why))

    @staticmethod
    def _service_of(tree: Tree) -> list[str]:
        name = (tree["metadata"].get("labels") or {}).get(SERVICE_NAME)
        return [f"{tree['metadata']['namespace']}/{name}"] if name else []

    def _dirty(self, key: Key, endpoints: bool) -> None:
        self.waiting.add(key)
        self.metrics.changed(self.settings.families, endpoints)
        if not self.queued_at:
            self.queued_at = time.time()
        self.wake.set()

    def _slice_changed(self, change: Change) -> None:
        for tree in (change.old, change.new):
            if tree is not None:
                for name in self._service_of(tree):
                    key = Key(*name.split("/", 1))
                    self._dirty(key, True)
                    # What happened before the start is not this process's latency.
                    if tree is change.new and self.last_sync:
                        when = seconds((tree["metadata"].get("annotations") or {}).get(TRIGGER))
                        if when is not None:
                            self._triggers.setdefault(key, []).append(when)

    def _node_changed(self, change: Change) -> None:
        before, after = (_place_of(t) if t else None for t in (change.old, change.new))
        if before != after:
            for key in self.services.names():
                self._dirty(key, False)
            self.wake.set()

    def place(self) -> Place | None:
        """Where this is, as the Node says; None before there is a Node."""
        node = self.nodes.get("", self.node)
        if node is None:
            return None
        zone, addresses, pod_cidrs = _place_of(node)
        place = self.settings.place(zone, addresses, pod_cidrs, self._local_addresses)
        if self.ranges is None:
            return place
        found = (cidr for tree in self.ranges.all() for cidr in get(tree, "spec", "cidrs") or ())
        return place._replace(service_cidrs=tuple(sorted(set(found))))

    def sync(self) -> None:
        """Plans what is dirty and applies the difference. A family that the kernel refuses does not hold up the other."""
        place = self.place()
        if place is None:
            return
        keys, self.waiting = self.waiting, set()
        refused: KernelError | None = None
        triggers, self._triggers = [t for key in keys for t in self._triggers.get(key, ())], {}
        for family, ledger in self.ledgers.items():
            began, whole = time.monotonic(), False
            delta = ledger.change({key: self._part(key, family, place) for key in keys})
            facts = plan.facts(family, place)
            try:
                if self._programmed.get(family) != facts:
                    self._programmed.pop(family, None)
                    whole = True
                    table = ledger.table(facts)
                    self.plane.whole(table)
                    self._forget_flows(family, flows.by_start(table))
                elif delta:
                    del self._programmed[family]
                    self.plane.change(family, delta)
                    self._forget_flows(family, flows.by_change(delta, facts.node_addresses))
                self._programmed[family] = facts
                self.metrics.synced(family, time.monotonic() - began, whole, triggers if delta else ())
            except KernelError as e:
                refused = e  # the next sync makes the whole family good
                self.metrics.refused(family, whole)
        self.health_ports.set(health.wanted(self._with_health.values(), self.node))
        self.syncs += 1
        if refused is not None:
            raise refused
        self.last_sync, self.queued_at = time.time(), 0.0

    def _part(self, key: Key, family: int, place: Place) -> ServicePart | None:
        service = self.services.get(*key)
        found = resolve(service, self.slices.by("service", str(key)), family) if service else None
        if found is not None and found.health_port:
            self._with_health[(family, key)] = found
        else:
            self._with_health.pop((family, key), None)
        return plan.part(found, place) if found is not None else None

    def table(self, family: int) -> ServiceTable:
        """What the kernel should hold."""
        return self.ledgers[family].table(self._programmed[family])

    async def run(self) -> None:
        """Syncs until cancelled. Nothing is programmed before Services and slices are both listed."""
        try:
            await self._run()
        finally:
            self._ended = True

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.health_ports.run())
            group.create_task(self._clean_flows())
            for informer in (self.services, self.slices, self.nodes):
                group.create_task(informer.run())
            if self.ranges is not None:
                group.create_task(_run_where_there_is(self.ranges))
            for informer in (self.services, self.slices, self.nodes):
                await informer.synced.wait()
            group.create_task(self._audit())
            self.wake.set()
            alone = False
            while True:
                await self.wake.wait()
                # The first change after a rest waits a moment for its companions, the next for the whole period.
                since = time.time() - self.last_sync
                period = max(self.settings.min_sync_period, COALESCE)
                await asyncio.sleep(max(COALESCE, min(period - since, period)))
                self.wake.clear()
                self._try_sync()
                if not alone and len(self._programmed) == len(self.ledgers):
                    alone = True
                    group.create_task(self._clean_leftovers())

    async def _clean_leftovers(self) -> None:
        for line in await asyncio.to_thread(self._leftovers, lambda: self._ended):
            log.info("%s", line)

    def _try_sync(self) -> None:
        try:
            self.sync()
            self.failures = 0
        except KernelError as e:
            self.failures += 1
            log.error("sync failed, again in %.0f s: %s", RETRY, e)
            asyncio.get_running_loop().call_later(RETRY, self.wake.set)

    def _forget_flows(self, family: int, affected: Affected) -> None:
        if affected:
            self._flows.append((family, affected))
            self._flows_wake.set()

    async def _clean_flows(self) -> None:
        """Ends UDP flows after the rules have changed: earlier, a packet would only make them anew."""
        while True:
            await self._flows_wake.wait()
            self._flows_wake.clear()
            todo, self._flows = self._flows, []
            await self._clean_all(todo, flows.stale)
            asyncio.get_running_loop().call_later(ON_THE_WAY, self._clean_late, todo)

    def _clean_late(self, todo: list[tuple[int, Affected]]) -> None:
        late = asyncio.ensure_future(self._clean_all(todo, flows.late))
        self._late.add(late)
        late.add_done_callback(self._late.discard)

    async def _clean_all(self, todo: list[tuple[int, Affected]], chosen: Callable[..., list[Flow]]) -> None:
        for family, affected in todo:
            try:
                async with self._cleaning:
                    await asyncio.to_thread(self._clean, family, affected, chosen)
            except KernelError as e:
                log.warning("%s; stale flows stay until they time out", e)

    def _clean(self, family: int, affected: Affected, chosen: Callable[..., list[Flow]]) -> None:
        began = time.monotonic()
        found = chosen(self.conntrack.udp(family), affected)
        self.conntrack.forget(family, found)
        for _ in found:
            self.metrics.forgotten.inc(FAMILY[family])
        self.metrics.reconciled.observe(time.monotonic() - began, FAMILY[family])

    async def _audit(self) -> None:
        """Looks every sync period whether the kernel still holds what it was given."""
        wait = self.settings.sync_period
        while True:
            await asyncio.sleep(wait)
            began = time.time()
            for family in list(self._programmed):
                syncs = self.syncs

                def table(family: int = family) -> ServiceTable:
                    return self.table(family)

                def unchanged(syncs: int = syncs, family: int = family) -> bool:
                    return self.syncs == syncs and family in self._programmed and not self.waiting

                try:
                    found = await self.plane.audit(family, table, unchanged)
                    if found:
                        self.metrics.audits.inc(FAMILY[family])
                        log.warning("the kernel's rules were not those of the last sync, and are again: %s", found)
                except KernelError as e:
                    log.error("the audit of the kernel's rules failed: %s", e)
                    self._programmed.pop(family, None)
                    self.wake.set()
            wait = max(self.settings.sync_period, AUDIT_SHARE * (time.time() - began))

    def healthy(self, now: float) -> bool:
        """Whether syncs keep up: none is older than twice the sync period."""
        return bool(self.last_sync) and (not self.queued_at or now - self.queued_at < 2 * self.settings.sync_period)

    def state(self) -> ProxyState:
        """What /healthz and /livez say."""
        now = time.time()
        return ProxyState(self.last_sync, now, self.healthy(now), _is_eligible(self.nodes.get("", self.node)))


async def _run_where_there_is(informer: Informer) -> None:
    """Runs an informer of a kind that a cluster may not have, or not let us see."""
    while True:
        try:
            await informer.api.list(informer.kind, "", {"limit": "1"})
            return await informer.run()
        except ApiStatusError as e:
            if e.code in (403, 404):
                log.warning(
                    "%s; addresses that no Service has are not dropped, unless --service-cidr names their range", e
                )
                return
        except Unavailable:
            pass
        await asyncio.sleep(RETRY)


def _is_eligible(node: Tree | None) -> bool:
    """Whether load balancers may go on sending here: not where the node is being deleted, or about to be (KEP-3836)."""
    if node is None or node["metadata"].get("deletionTimestamp"):
        return False
    return not any(t.get("key") == GOING for t in get(node, "spec", "taints") or ())


def _place_of(node: Tree) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """(zone, addresses, pod ranges) of a Node."""
    zone = (node["metadata"].get("labels") or {}).get("topology.kubernetes.io/zone", "")
    addresses = tuple(a["address"] for a in get(node, "status", "addresses") or () if a["type"] == "InternalIP")
    spec = node.get("spec") or {}
    return str(zone), addresses, tuple(spec.get("podCIDRs") or filter(None, [spec.get("podCIDR")]))
