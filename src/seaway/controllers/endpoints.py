"""Endpoints objects of Services with a selector (pkg/controller/endpoint): the old API, kept for those who still read it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seaway.api.tree import Key, get, is_true, labels
from seaway.client.errors import NotFound
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import kind_of
from seaway.controllers import podendpoints, selecting
from seaway.controllers.run import Caches, Expectations
from seaway.controllers.subsets import repack, truncate
from seaway.controllers.triggers import ANNOTATION, Triggers
from seaway.controllers.writes import Create, Patch, Write, apply

Tree = dict[str, Any]
MANAGED_BY, MANAGER = "endpoints.kubernetes.io/managed-by", "endpoint-controller"
HEADLESS = "service.kubernetes.io/headless"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"


def _address(service: Tree, pod: Tree) -> Tree | None:
    """The pod's address in the Service's first family; None where it has none."""
    found = podendpoints.addresses(pod, podendpoints.families_of(service)[0])
    if not found:
        return None
    tree: Tree = {"ip": found[0]}
    name = podendpoints.hostname(service, pod)
    if name:
        tree["hostname"] = name
    if pod["spec"].get("nodeName"):
        tree["nodeName"] = pod["spec"]["nodeName"]
    return {**tree, "targetRef": podendpoints.target_ref(pod)}


def subsets_of(service: Tree, pods: Iterable[Tree]) -> list[Tree]:
    """The canonical subsets of a Service, not yet truncated."""
    published = bool(service["spec"].get("publishNotReadyAddresses"))
    with_ports = bool(service["spec"].get("ports"))
    groups: dict[podendpoints.PortSet, Tree] = {}
    for pod in pods:
        if not podendpoints.listed(pod, terminating=published):
            continue
        address = _address(service, pod)
        ports = podendpoints.port_set(service, pod)
        # A pod that lacks all named ports answers nobody; a headless Service may have no ports at all.
        if address is None or not (ports if with_ports else not podendpoints.has_address(service)):
            continue
        section = "addresses" if published or is_true(pod, "Ready") else "notReadyAddresses"
        groups.setdefault(ports, {}).setdefault(section, []).append(address)
    found = []
    for ports, subset in groups.items():
        rows = [
            {k: v for k, v in {"name": n, "port": number, "protocol": p, "appProtocol": a}.items() if v}
            for n, p, number, a in ports
        ]
        found.append({**subset, "ports": rows})
    return repack(found)


def _without_version(subsets: Iterable[Tree]) -> list[Tree]:
    """Subsets without the resourceVersion of pods: it changes at every heartbeat and means nothing here."""
    found = []
    for subset in subsets:
        tree = dict(subset)
        for section in ("addresses", "notReadyAddresses"):
            if section in tree:
                tree[section] = [
                    {**a, "targetRef": {k: v for k, v in a["targetRef"].items() if k != "resourceVersion"}}
                    if a.get("targetRef")
                    else a
                    for a in tree[section]
                ]
        found.append(tree)
    return found


def plan(service: Tree, pods: Iterable[Tree], current: Tree | None, trigger: str) -> list[Write]:
    """The write that makes the Endpoints object right; none where it is."""
    subsets, cut = truncate(subsets_of(service, pods))
    wanted = {**labels(service), MANAGED_BY: MANAGER}
    if podendpoints.has_address(service):
        wanted.pop(HEADLESS, None)
    else:
        wanted[HEADLESS] = ""
    meta = service["metadata"]
    kind = kind_of("endpoints")
    if current is None:
        annotations = {ANNOTATION: trigger} if trigger else {}
        if cut:
            annotations[OVER_CAPACITY] = "truncated"
        tree: Tree = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "name": meta["name"],
                "namespace": meta["namespace"],
                "labels": wanted,
                "annotations": annotations,
            },
        }
        if subsets:
            tree["subsets"] = subsets
        return [Create(kind, meta["namespace"], tree)]
    said = get(current, "metadata", "annotations") or {}
    if (
        _without_version(current.get("subsets") or ()) == _without_version(subsets)
        and labels(current) == wanted
        and (said.get(OVER_CAPACITY) == "truncated") == cut
    ):
        return []
    patch: Tree = {
        "metadata": {
            "labels": {**{k: None for k in labels(current)}, **wanted},
            "annotations": {ANNOTATION: trigger or None, OVER_CAPACITY: "truncated" if cut else None},
        },
        "subsets": subsets or None,
    }
    return [Patch(kind, meta["namespace"], meta["name"], patch, version=current["metadata"]["resourceVersion"])]


class EndpointsController:
    """Keeps Endpoints: reacts to Services and pods. What somebody changes by hand is put back at the next such change only;
    what somebody deletes comes back at once."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self._services, self._pods, self._endpoints = caches.of("services"), caches.of("pods"), caches.of("endpoints")
        selecting.index(self._services, self._pods)
        self.queue: Reconciler[Key] = Reconciler("endpoints", self._reconcile)
        self._expected = Expectations(self._endpoints)
        self._put_off: set[Key] = set()
        self._triggers = Triggers()
        self._services.listen(lambda change: self.queue.add(change.key))
        self._pods.listen(lambda change: selecting.tell(change, self._services, self.queue.add))
        self._endpoints.listen(self._endpoints_changed)

    def _endpoints_changed(self, change: Change) -> None:
        if change.new is None:
            self.queue.add(change.key)
            return
        self._expected.seen(change.key, change.key.name, change.new["metadata"]["resourceVersion"])
        ours = labels(change.new).get(MANAGED_BY) == MANAGER
        if change.key in self._put_off or (change.old is None and ours):
            self.queue.add(change.key)  # it waited for this; or it is of a Service that went while nobody looked

    async def _reconcile(self, key: Key) -> float | None:
        service = self._services.get(*key)
        if service is None:
            self._triggers.forget(key)
            self._put_off.discard(key)
            await self._remove(key)
            return None
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return None
        if not self._expected.met(key):
            self._put_off.add(key)
            return 0.5
        self._put_off.discard(key)
        pods = selecting.pods_of(service, self._pods)
        trigger = self._triggers.time_of(key, service, pods)
        current = self._endpoints.get(*key)
        for write in plan(service, pods, current, trigger):
            answer = await apply(self._caches.api, write)
            self._expected.expect_answer(key, answer, self._endpoints.get(*key))
        return None

    async def _remove(self, key: Key) -> None:
        """A Service's end is its Endpoints' end, whoever wrote them."""
        if self._endpoints.get(*key) is None:
            return
        try:
            await self._caches.api.delete(kind_of("endpoints"), key.namespace, key.name)
        except NotFound:
            pass
