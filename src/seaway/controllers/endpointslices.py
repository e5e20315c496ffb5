"""EndpointSlices of Services with a selector (kubernetes/endpointslice reconciler): Service, pods, nodes and the slices
that are there, in; the fewest writes that make them right, out.

`podendpoints` says what a pod contributes, `packing` where it goes, `hints` for whom it is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from seaway.api.tree import Key, key_of, labels
from seaway.client.events import Events
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.controllers import hints, selecting
from seaway.controllers.ownslices import MANAGED_BY, SERVICE_NAME, OwnSlices, delete_write, owned_by
from seaway.controllers.packing import Draft, Drafts, EndpointKey, PortRows, identity, pack, port_key, recycle
from seaway.controllers.podendpoints import (
    ZONE,
    Memory,
    PortSet,
    families_of,
    has_address,
    listed,
)
from seaway.controllers.run import Caches
from seaway.controllers.slicewrites import slice_writes
from seaway.controllers.triggers import ANNOTATION, Triggers
from seaway.controllers.writes import Write

Tree = dict[str, Any]
MANAGER = "endpointslice-controller.k8s.io"
ENABLED = "enabled"
HEADLESS = "service.kubernetes.io/headless"


def _rows(ports: PortSet) -> PortRows:
    rows = []
    for name, protocol, number, app in ports:
        row: Tree = {"name": name, "port": number, "protocol": protocol}
        if app:
            row["appProtocol"] = app
        rows.append(row)
    return rows or None


def labels_for(service: Tree) -> dict[str, str]:
    """The Service's own labels, and those that say whose slice it is."""
    own = {k: v for k, v in labels(service).items() if k not in (SERVICE_NAME, MANAGED_BY, HEADLESS)}
    found = {**own, SERVICE_NAME: service["metadata"]["name"], MANAGED_BY: MANAGER}
    if not has_address(service):
        found[HEADLESS] = ""
    return found


def plan(
    service: Tree,
    pods: Iterable[Tree],
    nodes: Mapping[str, Tree],
    slices: Iterable[Tree],
    limit: int,
    trigger: str,
    ratios: Mapping[str, float] | None = None,
    memory: Memory | None = None,
) -> tuple[list[Write], str]:
    """The writes for one Service, and why topology hints could not be given ('': they were, or nobody asked).

    `trigger` is the annotation's new value ('': it goes), `ratios` the zones' shares of CPU; `memory` only saves work.
    """
    memory = memory or Memory()
    own = [s for s in slices if labels(s).get(MANAGED_BY) == MANAGER and not s["metadata"].get("deletionTimestamp")]
    chosen = [p for p in pods if listed(p)]
    families = families_of(service)
    writes: list[Write] = []
    why = ""
    for family in families:
        there = [s for s in own if s.get("addressType") == family]
        drafts = _family(service, chosen, nodes, family, there, limit, memory)
        problem = hints.apply(service, drafts, ratios)
        why = why or (problem and f"{problem}, addressType: {family}")
        recycle(drafts, [s for s in drafts.delete if owned_by(s, service["metadata"]["uid"])])
        writes += slice_writes(service, "Service", family, drafts, labels_for(service), {ANNOTATION: trigger or None})
    writes += [delete_write(s) for s in own if s.get("addressType") not in families]
    return writes, why


def _family(
    service: Tree,
    pods: list[Tree],
    nodes: Mapping[str, Tree],
    family: str,
    there: list[Tree],
    limit: int,
    memory: Memory,
) -> Drafts:
    """The drafts of one address type."""
    drafts = Drafts(delete=[s for s in there if not owned_by(s, service["metadata"]["uid"])])
    by_ports: dict[tuple[tuple[str, str, int, str], ...], list[Tree]] = {}
    for tree in there:
        if owned_by(tree, service["metadata"]["uid"]):
            by_ports.setdefault(port_key(tree.get("ports")), []).append(tree)
    groups: dict[PortSet, dict[EndpointKey, Tree]] = {}
    for ports, found in memory.of(service, pods, nodes, family):
        group = groups.setdefault(ports, {})
        if found is not None:
            group[identity(found)] = found
    wanted_labels = labels_for(service)
    for ports, wanted in sorted(groups.items()):
        rows = _rows(ports)
        drafts.extend(pack(by_ports.pop(port_key(rows), []), wanted, rows, limit, wanted_labels))
    for rest in by_ports.values():
        drafts.delete += rest
    if len(drafts.delete) == len(there) and not drafts.create:
        _keep_placeholder(drafts, wanted_labels)
    return drafts


def _keep_placeholder(drafts: Drafts, wanted_labels: Mapping[str, str]) -> None:
    """A Service without endpoints has one empty slice all the same, so that consumers can tell it from an unknown one."""
    if len(drafts.delete) == 1:
        (tree,) = drafts.delete
        if not tree.get("endpoints") and not tree.get("ports") and labels(tree) == wanted_labels:
            drafts.delete.clear()
            drafts.unchanged.append(Draft(tree, None, []))
            return
    drafts.create.append(Draft(None, None, []))


class EndpointSliceController:
    """Keeps slices: reacts to Services, their pods, nodes and slices."""

    def __init__(self, caches: Caches, limit: int = 100, events: Events | None = None) -> None:
        self._limit, self._events = limit, events
        self._services, self._pods = caches.of("services"), caches.of("pods")
        self._nodes = caches.of("nodes")
        selecting.index(self._services, self._pods)
        self.queue: Reconciler[Key] = Reconciler("endpointslices", self._reconcile)
        self._slices = OwnSlices(caches, MANAGER, self.queue.add)
        self._triggers = Triggers()
        self._ratios: Mapping[str, float] | None = None
        self._hinted: dict[Key, str] = {}
        self._memories: dict[Key, Memory] = {}
        self._services.listen(lambda change: self.queue.add(change.key))
        self._pods.listen(lambda change: selecting.tell(change, self._services, self.queue.add))
        self._nodes.listen(self._node_changed)

    def _node_changed(self, change: Change) -> None:
        before, after = (None if t is None else labels(t).get(ZONE, "") for t in (change.old, change.new))
        if before != after:  # it came, it went, or it moved to another zone: what is in the slices may be wrong
            for service in self._services.all():
                if service["spec"].get("selector"):
                    self.queue.add(key_of(service))
        ratios = hints.zone_ratios(self._nodes.all())
        if ratios != self._ratios:
            self._ratios = ratios
            for service in self._services.all():
                if hints.automatic(service):
                    self.queue.add(key_of(service))

    async def _reconcile(self, key: Key) -> float | None:
        service = self._services.get(*key)
        if service is None:
            self._triggers.forget(key)
            self._hinted.pop(key, None)
            self._memories.pop(key, None)
            return None
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return None
        if not self._slices.expected.met(key):
            return 0.5
        pods = selecting.pods_of(service, self._pods)
        nodes = {n["metadata"]["name"]: n for n in self._nodes.all()}
        trigger = self._triggers.time_of(key, service, pods)
        writes, why = plan(
            service,
            pods,
            nodes,
            self._slices.of(key),
            self._limit,
            trigger,
            self._ratios,
            self._memories.setdefault(key, Memory()),
        )
        self._memories[key].keep(pods)
        await self._slices.carry_out(key, writes)
        self._tell(key, service, why)
        return None

    def _tell(self, key: Key, service: Tree, why: str) -> None:
        """Hints that come or go without a word are what people search for: an event at each change."""
        asked, family = hints.automatic(service), families_of(service)[0]
        state = (why or ENABLED) if asked else ""
        before, self._hinted[key] = self._hinted.get(key, ""), state
        if self._events is None or state == before:
            return
        if state == ENABLED:
            text = f"Topology Aware Hints has been enabled, addressType: {family}"
            self._events.tell(service, "Normal", "TopologyAwareHintsEnabled", text)
        elif why or before == ENABLED:
            text = why or f"Topology Aware Hints has been disabled, addressType: {family}"
            self._events.tell(service, "Warning", "TopologyAwareHintsDisabled", text)
