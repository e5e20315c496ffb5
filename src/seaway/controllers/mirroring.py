"""Endpoints that people write themselves become EndpointSlices, which is what proxies read (pkg/controller/
endpointslicemirroring): a slice a subset and address family. Only for Services without a selector."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, NamedTuple

from seaway.api.tree import Key, get, labels
from seaway.client.events import Events
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.controllers.ownslices import MANAGED_BY, SERVICE_NAME, OwnSlices, delete_write, owned_by
from seaway.controllers.packing import Draft, Drafts, EndpointKey, PortRows, identity, port_key, recycle, same
from seaway.controllers.run import Caches
from seaway.controllers.slicewrites import slice_writes
from seaway.controllers.subsets import repack
from seaway.controllers.triggers import ANNOTATION as TRIGGER
from seaway.controllers.writes import Write

Tree = dict[str, Any]
MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP, LEADER = "endpointslice.kubernetes.io/skip-mirror", "control-plane.alpha.kubernetes.io/leader"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
LIMIT = 1000  # addresses mirrored of one subset
IP = ipaddress.IPv4Address | ipaddress.IPv6Address
GroupKey = tuple[str, tuple[tuple[str, str, int, str], ...]]


class Skipped(NamedTuple):
    """What could not be mirrored: addresses that are none, and those beyond the limit."""

    invalid: int
    beyond: int


def mirrored(endpoints: Tree | None, service: Tree | None) -> bool:
    """Whether an Endpoints object is to have slices: not where a label or a leader's record says no, nor where the Service
    is missing or has a selector of its own."""
    if endpoints is None or service is None or service["spec"].get("selector"):
        return False
    return labels(endpoints).get(SKIP) != "true" and LEADER not in (get(endpoints, "metadata", "annotations") or {})


def _endpoint(address: Tree, ip: IP, ready: bool) -> Tree:
    tree: Tree = {"addresses": [str(ip)], "conditions": {"ready": ready}}
    for name in ("hostname", "nodeName", "targetRef"):
        if address.get(name):
            tree[name] = address[name]
    return tree


def _ip_of(address: Tree) -> IP | None:
    """The address as Go reads it, to be written in canonical form (addressToEndpoint); None where it is none."""
    try:
        ip = ipaddress.ip_address(address.get("ip") or "")
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


def desired(
    subsets: Iterable[Tree], limit: int
) -> tuple[dict[GroupKey, tuple[PortRows, dict[EndpointKey, Tree]]], Skipped]:
    """Endpoints by address type and ports, and what had to be left out."""
    found: dict[GroupKey, tuple[PortRows, dict[EndpointKey, Tree]]] = {}
    invalid = beyond = 0
    for subset in repack(subsets):
        rows = [{**p, "name": p.get("name") or ""} for p in subset.get("ports") or ()] or None
        for family in ("IPv4", "IPv6"):
            found.setdefault((family, port_key(rows)), (rows, {}))
        added = 0
        for section, ready in (("addresses", True), ("notReadyAddresses", False)):
            for address in subset.get(section) or ():
                ip = _ip_of(address)
                if added >= limit:
                    beyond += 1
                elif ip is None:
                    invalid += 1
                else:
                    entry = _endpoint(address, ip, ready)
                    found[(f"IPv{ip.version}", port_key(rows))][1].setdefault(identity(entry), entry)
                    added += 1
    return found, Skipped(invalid, beyond)


def _labels(endpoints: Tree) -> dict[str, str]:
    return {**labels(endpoints), SERVICE_NAME: endpoints["metadata"]["name"], MANAGED_BY: MANAGER}


def _annotations(endpoints: Tree) -> dict[str, str]:
    own = get(endpoints, "metadata", "annotations") or {}
    return {k: v for k, v in own.items() if k not in (TRIGGER, LAST_APPLIED)}


def plan(endpoints: Tree, slices: Iterable[Tree], limit: int = LIMIT) -> tuple[list[Write], Skipped]:
    """The writes that make the mirrored slices right."""
    groups, skipped = desired(endpoints.get("subsets") or (), limit)
    there: dict[GroupKey, list[Tree]] = {}
    for tree in sorted(slices, key=lambda t: str(t["metadata"]["name"])):
        if not tree["metadata"].get("deletionTimestamp"):
            there.setdefault((tree.get("addressType", ""), port_key(tree.get("ports"))), []).append(tree)
    writes: list[Write] = []
    for family in ("IPv4", "IPv6"):
        drafts = Drafts()
        for key, (rows, wanted) in sorted(groups.items(), key=lambda g: g[0]):
            if key[0] == family:
                _reconcile(endpoints, there.pop(key, []), rows, wanted, drafts)
        for key in [k for k in there if k[0] == family]:
            drafts.delete += there.pop(key)
        recycle(drafts, [s for s in drafts.delete if owned_by(s, endpoints["metadata"]["uid"])])
        given = _labels(endpoints), _annotations(endpoints)
        writes += slice_writes(endpoints, "Endpoints", family, drafts, *given, replaced=_every_annotation)
    for rest in there.values():
        writes += [delete_write(tree) for tree in rest]
    return writes, skipped


def _reconcile(
    endpoints: Tree, there: list[Tree], rows: PortRows, wanted: dict[EndpointKey, Tree], drafts: Drafts
) -> None:
    """One slice for one group; more than one there, or none wanted, are too many."""
    if not wanted:
        drafts.delete += there
        return
    drafts.delete += there[1:]
    draft = Draft(there[0] if there else None, rows, list(wanted.values()))
    if draft.old is None:
        drafts.create.append(draft)
    elif not _is_right(endpoints, draft.old, wanted):
        drafts.update.append(draft)


def _is_right(endpoints: Tree, old: Tree, wanted: dict[EndpointKey, Tree]) -> bool:
    entries = old.get("endpoints") or ()
    have = {identity(e): e for e in entries}
    return (
        len(entries) == len(wanted)
        and have.keys() == wanted.keys()
        and all(same(wanted[k], have[k]) for k in have)
        and labels(old) == _labels(endpoints)
        and (get(old, "metadata", "annotations") or {}) == _annotations(endpoints)
    )


def _every_annotation(old: Tree) -> Iterable[str]:
    return get(old, "metadata", "annotations") or ()


class MirroringController:
    """Keeps mirrored slices: reacts to Endpoints, Services and the slices themselves."""

    def __init__(self, caches: Caches, events: Events | None = None, limit: int = LIMIT) -> None:
        self._events, self._limit = events, limit
        self._services, self._endpoints = caches.of("services"), caches.of("endpoints")
        self.queue: Reconciler[Key] = Reconciler("mirroring", self._reconcile)
        self._slices = OwnSlices(caches, MANAGER, self.queue.add)
        self._told: dict[Key, Skipped] = {}
        self._endpoints.listen(lambda change: self.queue.add(change.key))
        self._services.listen(self._service_changed)

    def _service_changed(self, change: Change) -> None:
        # Only a selector that comes or goes decides anything here.
        before, after = (None if t is None else bool(t["spec"].get("selector")) for t in (change.old, change.new))
        if before != after:
            self.queue.add(change.key)

    async def _reconcile(self, key: Key) -> float | None:
        if not self._slices.expected.met(key):
            return 0.5
        slices = self._slices.of(key)
        endpoints, service = self._endpoints.get(*key), self._services.get(*key)
        writes: list[Write]
        if endpoints is None or not mirrored(endpoints, service):
            self._told.pop(key, None)
            writes = [delete_write(s) for s in slices if not s["metadata"].get("deletionTimestamp")]
        else:
            writes, skipped = plan(endpoints, slices, self._limit)
            self._tell(key, endpoints, skipped)
        await self._slices.carry_out(key, writes)
        return None

    def _tell(self, key: Key, endpoints: Tree, skipped: Skipped) -> None:
        before, self._told[key] = self._told.get(key, Skipped(0, 0)), skipped
        if self._events is None or skipped == before:
            return
        if skipped.invalid:
            text = f"Skipped {skipped.invalid} invalid IP addresses when mirroring to EndpointSlices"
            self._events.tell(endpoints, "Warning", "InvalidIPAddress", text)
        if skipped.beyond:
            text = (
                f"A max of {self._limit} addresses can be mirrored to EndpointSlices per Endpoints subset. "
                f"{skipped.invalid + skipped.beyond} addresses were skipped"
            )
            self._events.tell(endpoints, "Warning", "TooManyAddressesToMirror", text)
