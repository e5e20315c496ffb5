"""What one pod contributes to a Service: its ports, its addresses, its conditions; pure. Shared by the EndpointSlice and the
Endpoints controller (kubernetes/endpointslice, pkg/controller/util/endpoint)."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from seaway.api.tree import get, is_true, labels

Tree = dict[str, Any]
ZONE = "topology.kubernetes.io/zone"
# (name, protocol, number, appProtocol) of each port that resolved, in the Service's order
PortSet = tuple[tuple[str, str, int, str], ...]


def families_of(service: Tree) -> list[str]:
    """The address types that a Service wants slices of."""
    spec = service["spec"]
    if spec.get("ipFamilies"):
        return list(spec["ipFamilies"])
    return ["IPv6" if ":" in (spec.get("clusterIP") or "") else "IPv4"]


def has_address(service: Tree) -> bool:
    """Whether a Service has a ClusterIP; the others are headless."""
    return service["spec"].get("clusterIP") not in (None, "", "None")


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
    """The Service's ports as this pod has them; a named port that the pod lacks is left out."""
    found = []
    for port in service["spec"].get("ports") or ():
        number = target_port(port, pod)
        if number is not None:
            found.append((port.get("name") or "", port.get("protocol") or "TCP", number, port.get("appProtocol") or ""))
    return tuple(found)


def finished(pod: Tree) -> bool:
    return get(pod, "status", "phase") in ("Succeeded", "Failed")


def listed(pod: Tree, terminating: bool = True) -> bool:
    """Whether a pod can be an endpoint at all: it has an address, has not ended and, without `terminating`, is not about
    to (ShouldPodBeInEndpoints)."""
    if finished(pod) or not (get(pod, "status", "podIP") or get(pod, "status", "podIPs")):
        return False
    return terminating or not pod["metadata"].get("deletionTimestamp")


@functools.lru_cache(1 << 15)
def canonical(address: str) -> str:
    return str(ipaddress.ip_address(address))


def addresses(pod: Tree, family: str) -> list[str]:
    """The pod's addresses of one family, in canonical form."""
    own = [i["ip"] for i in get(pod, "status", "podIPs") or ()] or [pod["status"]["podIP"]]
    return [canonical(a) for a in own if (":" in a) == (family == "IPv6")]


def hostname(service: Tree, pod: Tree) -> str:
    """The pod's name under the Service: only where its subdomain is the Service."""
    spec = pod["spec"]
    return spec.get("hostname") or "" if spec.get("subdomain") == service["metadata"]["name"] else ""


def target_ref(pod: Tree) -> Tree:
    meta = pod["metadata"]
    return {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}


def endpoint(service: Tree, pod: Tree, node: Tree | None, family: str) -> Tree | None:
    """The EndpointSlice endpoint of a pod in a family; None where it has no address in it. `ready` is never true for a
    terminating pod, unless the Service publishes whatever there is; `serving` stays truthful (KEP-1672)."""
    found = addresses(pod, family)
    if not found:
        return None
    serving, terminating = is_true(pod, "Ready"), bool(pod["metadata"].get("deletionTimestamp"))
    ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
    tree: Tree = {
        "addresses": found,
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": target_ref(pod),
    }
    if pod["spec"].get("nodeName"):
        tree["nodeName"] = pod["spec"]["nodeName"]
    zone = labels(node).get(ZONE) if node else None
    if zone:
        tree["zone"] = zone
    name = hostname(service, pod)
    if name:
        tree["hostname"] = name
    return tree


class Contribution(NamedTuple):
    """What a pod adds to a Service's slices of one family; `endpoint` None: its port set counts, it has no endpoint."""

    ports: PortSet
    endpoint: Tree | None


class Memory:
    """Contributions of one Service as they were: a pod that has not changed is not looked at again. The trees of a cache are
    the same objects until they change, which is all that this relies on."""

    def __init__(self) -> None:
        self._service: Tree | None = None
        self._known: dict[tuple[str, str], tuple[Tree, str | None, Contribution]] = {}

    def of(self, service: Tree, pods: Iterable[Tree], nodes: Mapping[str, Tree], family: str) -> Iterator[Contribution]:
        """The contribution of each pod that can be listed, in the pods' order."""
        if self._service is not service:
            self._service, self._known = service, {}
        published = bool(service["spec"].get("publishNotReadyAddresses"))
        for pod in pods:
            node = nodes.get(pod["spec"].get("nodeName") or "")
            zone = None if node is None else labels(node).get(ZONE, "")
            place = (family, pod["metadata"]["uid"])
            known = self._known.get(place)
            if known is not None and known[0] is pod and known[1] == zone:
                yield known[2]
                continue
            # Nowhere yet, or on a node that is gone: a phantom, unless the Service publishes whatever there is.
            found = endpoint(service, pod, node, family) if node is not None or published else None
            contribution = Contribution(port_set(service, pod), found)
            self._known[place] = (pod, zone, contribution)
            yield contribution

    def keep(self, pods: Iterable[Tree]) -> None:
        """Forgets all pods but these."""
        alive = {p["metadata"]["uid"] for p in pods}
        if len(self._known) > 2 * len(alive) + 64:
            self._known = {place: v for place, v in self._known.items() if place[1] in alive}
