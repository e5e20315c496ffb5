"""EndpointSlices of Services with a selector (kubernetes/endpointslice reconciler): Service, pods, nodes and the slices
that are there, in; the fewest writes that make them right, out. Rules and limits: design/endpoints.md.

Mirroring, the Endpoints object and topology hints are not here yet.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from seaway.api import selectors
from seaway.api.tree import Key, get, is_true, key_of, labels, owner_reference, stamp_micro
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import kind_of
from seaway.controllers.run import Caches, Expectations
from seaway.controllers.writes import Create, Delete, Patch, Write, apply

Tree = dict[str, Any]
MANAGER = "endpointslice-controller.k8s.io"
MANAGED_BY, SERVICE_NAME, HEADLESS = (
    "endpointslice.kubernetes.io/managed-by",
    "kubernetes.io/service-name",
    "service.kubernetes.io/headless",
)
TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
PortSet = tuple[tuple[str, str, int | None, str], ...]


def families_of(service: Tree) -> list[str]:
    spec = service["spec"]
    if spec.get("ipFamilies"):
        return list(spec["ipFamilies"])
    return ["IPv6" if ":" in (spec.get("clusterIP") or "") else "IPv4"]


def target_port(port: Tree, pod: Tree) -> int | None:
    """The number behind a Service port on one pod; None where the pod has no port of that name."""
    wanted = port.get("targetPort", port["port"])
    if isinstance(wanted, int):
        return wanted or int(port["port"])
    sidecars = [c for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in [*pod["spec"]["containers"], *sidecars]:
        for entry in container.get("ports") or ():
            if entry.get("name") == wanted and entry.get("protocol", "TCP") == port.get("protocol", "TCP"):
                return int(entry["containerPort"])
    return None


def port_set(service: Tree, pod: Tree) -> PortSet:
    found = []
    for port in service["spec"].get("ports") or ():
        number = target_port(port, pod)
        if number is not None:
            found.append((port.get("name") or "", port.get("protocol") or "TCP", number, port.get("appProtocol") or ""))
    return tuple(found)


def _ports(ports: PortSet) -> list[Tree] | None:
    rows = []
    for name, protocol, number, app in ports:
        row: Tree = {"name": name, "port": number, "protocol": protocol}
        if app:
            row["appProtocol"] = app
        rows.append(row)
    return rows or None


def eligible(pod: Tree) -> bool:
    """Pods that have ended, or have no address yet, are in no slice."""
    return get(pod, "status", "phase") not in ("Succeeded", "Failed") and bool(get(pod, "status", "podIP"))


def endpoint(service: Tree, pod: Tree, node: Tree | None, family: str) -> Tree | None:
    """The endpoint of a pod in a family; None where it has no address in it."""
    addresses = [i["ip"] for i in get(pod, "status", "podIPs") or ()] or [pod["status"]["podIP"]]
    address = next((a for a in addresses if (":" in a) == (family == "IPv6")), None)
    if address is None:
        return None
    serving, terminating = is_true(pod, "Ready"), bool(pod["metadata"].get("deletionTimestamp"))
    ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
    found: Tree = {
        "addresses": [str(ipaddress.ip_address(address))],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": {
            "kind": "Pod",
            "namespace": pod["metadata"]["namespace"],
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
        },
    }
    if pod["spec"].get("nodeName"):
        found["nodeName"] = pod["spec"]["nodeName"]
    zone = labels(node or {}).get("topology.kubernetes.io/zone")
    if zone:
        found["zone"] = zone
    if pod["spec"].get("hostname") and pod["spec"].get("subdomain") == service["metadata"]["name"]:
        found["hostname"] = pod["spec"]["hostname"]
    return found


def _labels(service: Tree) -> dict[str, str]:
    own = {k: v for k, v in labels(service).items() if k not in (SERVICE_NAME, MANAGED_BY, HEADLESS)}
    found = {**own, SERVICE_NAME: service["metadata"]["name"], MANAGED_BY: MANAGER}
    if service["spec"].get("clusterIP") == "None":
        found[HEADLESS] = ""
    return found


def _comparable(entry: Tree) -> Tree:
    return {k: v for k, v in entry.items() if k != "targetRef"} | {"uid": get(entry, "targetRef", "uid")}


def plan(
    service: Tree, pods: Iterable[Tree], nodes: Mapping[str, Tree], slices: Iterable[Tree], limit: int, trigger: str
) -> list[Write]:
    """The writes for one Service. `trigger`: the time for the annotation, where something changes."""
    own = [s for s in slices if labels(s).get(MANAGED_BY) == MANAGER and not s["metadata"].get("deletionTimestamp")]
    writes: list[Write] = []
    wanted_families = families_of(service)
    chosen = [p for p in pods if eligible(p)]
    for family in wanted_families:
        groups: dict[PortSet, dict[str, Tree]] = {}
        for pod in chosen:
            node_name = pod["spec"].get("nodeName") or ""
            if node_name and node_name not in nodes and not service["spec"].get("publishNotReadyAddresses"):
                continue  # its node is gone: a phantom
            found = endpoint(service, pod, nodes.get(node_name), family)
            if found is not None:
                groups.setdefault(port_set(service, pod), {})[pod["metadata"]["uid"]] = found
        there = [s for s in own if s.get("addressType") == family]
        writes += _family(service, family, groups, there, limit, trigger)
    writes += [_delete(s) for s in own if s.get("addressType") not in wanted_families]
    return writes


def _family(
    service: Tree, family: str, groups: dict[PortSet, dict[str, Tree]], there: list[Tree], limit: int, trigger: str
) -> list[Write]:
    by_ports: dict[str, list[Tree]] = {}
    for tree in there:
        by_ports.setdefault(_port_key(tree.get("ports")), []).append(tree)
    creates: list[Tree] = []
    updates: list[tuple[Tree, Tree]] = []
    deletes: list[Tree] = []
    deleting = bool(service["metadata"].get("deletionTimestamp"))
    if not groups:
        groups = {(): {}}
    for ports, wanted in sorted(groups.items(), key=str):
        rows = _ports(ports)
        mine = by_ports.pop(_port_key(rows), [])
        new_creates, new_updates, new_deletes = _pack(service, family, rows, wanted, mine, limit, trigger)
        creates += new_creates
        updates += new_updates
        deletes += new_deletes
    for rest in by_ports.values():
        deletes += rest
    if deleting:
        creates = []
    while creates and deletes:  # a create and a delete are one update of the slice that is there
        updates.append((deletes.pop(0), creates.pop(0)))
    kind = kind_of("endpointslices.discovery.k8s.io")
    namespace = service["metadata"]["namespace"]
    found: list[Write] = [Create(kind, namespace, tree) for tree in creates]
    for old, new in updates:
        patch = {
            "metadata": {
                "labels": {**{k: None for k in labels(old)}, **new["metadata"]["labels"]},
                "annotations": new["metadata"]["annotations"],
            },
            "endpoints": new["endpoints"],
            "ports": new["ports"],
        }
        found.append(Patch(kind, namespace, old["metadata"]["name"], patch, version=old["metadata"]["resourceVersion"]))
    found += [_delete(tree) for tree in deletes]
    return found


def _delete(tree: Tree) -> Delete:
    meta = tree["metadata"]
    return Delete(kind_of("endpointslices.discovery.k8s.io"), meta["namespace"], meta["name"], meta["uid"])


def _port_key(ports: list[Tree] | None) -> str:
    rows = sorted(
        (p.get("name") or "", p.get("protocol") or "TCP", p.get("port") or 0, p.get("appProtocol") or "")
        for p in ports or ()
    )
    return str(rows)


def _slice(service: Tree, family: str, ports: list[Tree] | None, endpoints: list[Tree], trigger: str) -> Tree:
    meta = service["metadata"]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "addressType": family,
        "metadata": {
            "generateName": f"{meta['name']}-",
            "namespace": meta["namespace"],
            "labels": _labels(service),
            "annotations": {TRIGGER: trigger},
            "ownerReferences": [owner_reference("v1", "Service", service)],
        },
        "endpoints": endpoints,
        "ports": ports,
    }


def _pack(
    service: Tree,
    family: str,
    ports: list[Tree] | None,
    wanted: dict[str, Tree],
    there: list[Tree],
    limit: int,
    trigger: str,
) -> tuple[list[Tree], list[tuple[Tree, Tree]], list[Tree]]:
    """(creates, (old, new) updates, deletes) of one port set: existing places are kept, nothing is rebalanced."""
    left = dict(wanted)
    kept: list[tuple[Tree, list[Tree], bool]] = []  # slice, its endpoints, whether it is written anyway
    for tree in sorted(there, key=lambda t: str(t["metadata"]["name"])):
        rows, changed = [], _labels(service) != labels(tree)
        for entry in tree.get("endpoints") or ():
            new = left.pop(get(entry, "targetRef", "uid") or "", None)
            if new is None:
                changed = True
                continue
            changed = changed or _comparable(new) != _comparable(entry)
            rows.append(new)
        kept.append((tree, rows, changed))
    for i in sorted((i for i, k in enumerate(kept) if k[2]), key=lambda i: -len(kept[i][1])):
        tree, rows, _ = kept[i]
        while left and len(rows) < limit:
            rows.append(left.pop(next(iter(left))))
    if left and len(left) <= limit:
        # All that is left fits into one slice that is not written yet: the one that ends closest to full.
        fits = [i for i, k in enumerate(kept) if not k[2] and len(k[1]) + len(left) <= limit]
        if fits:
            i = max(fits, key=lambda i: len(kept[i][1]))
            kept[i] = (kept[i][0], kept[i][1] + list(left.values()), True)
            left = {}
    creates = []
    rest = list(left.values())
    for at in range(0, len(rest), limit):
        creates.append(_slice(service, family, ports, rest[at : at + limit], trigger))
    updates, deletes = [], []
    for tree, rows, changed in kept:
        if not changed:
            continue
        if not rows and (len(kept) > 1 or creates):
            deletes.append(tree)
        else:
            updates.append((tree, _slice(service, family, ports, rows, trigger)))
    if not kept and not creates:
        creates.append(_slice(service, family, ports, [], trigger))
    return creates, updates, deletes


class EndpointSliceController:
    """Keeps slices: reacts to Services, their pods and slices."""

    def __init__(self, caches: Caches, limit: int = 100, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._caches, self._limit = caches, limit
        self._services, self._pods = caches.of("services"), caches.of("pods")
        self._nodes, self._slices = caches.of("nodes"), caches.of("endpointslices.discovery.k8s.io")
        self._pods.add_index("namespace", lambda t: [t["metadata"]["namespace"]])
        self._slices.add_index("service", lambda t: [f"{t['metadata']['namespace']}/{labels(t).get(SERVICE_NAME, '')}"])
        self._services.add_index(
            "selecting", lambda t: [t["metadata"]["namespace"]] if t["spec"].get("selector") else []
        )
        self.queue: Reconciler[Key] = Reconciler("endpointslices", self._reconcile)
        self._expected = Expectations()
        self._services.listen(lambda change: self.queue.add(change.key))
        self._pods.listen(self._pod_changed)
        self._slices.listen(self._slice_changed)
        self._nodes.listen(self._node_changed)

    def _pod_changed(self, change: Change) -> None:
        namespace = change.key.namespace
        for service in self._services.by("selecting", namespace):
            selector = selectors.exact(service["spec"]["selector"])
            if any(t is not None and selector.matches(labels(t)) for t in (change.old, change.new)):
                self.queue.add(key_of(service))

    def _slice_changed(self, change: Change) -> None:
        for tree in (change.old, change.new):
            if tree is not None and labels(tree).get(MANAGED_BY) == MANAGER:
                key = Key(change.key.namespace, labels(tree).get(SERVICE_NAME, ""))
                self._expected.seen(key, change.key.name, tree["metadata"]["resourceVersion"])
                self.queue.add(key)

    def _node_changed(self, change: Change) -> None:
        if change.old is None or change.new is None:
            for service in self._services.all():
                if service["spec"].get("selector"):
                    self.queue.add(key_of(service))

    async def _reconcile(self, key: Key) -> float | None:
        service = self._services.get(*key)
        if service is None or not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return None
        if not self._expected.met(key):
            return 0.5
        selector = selectors.exact(service["spec"]["selector"])
        pods = [p for p in self._pods.by("namespace", key.namespace) if selector.matches(labels(p))]
        nodes = {n["metadata"]["name"]: n for n in self._nodes.all()}
        for write in plan(
            service, pods, nodes, self._slices.by("service", str(key)), self._limit, stamp_micro(self._now())
        ):
            answer = await apply(self._caches.api, write)
            if not isinstance(write, Delete):
                self._expected.expect_answer(key, answer, self._slices.get(key.namespace, answer["metadata"]["name"]))
        return None
