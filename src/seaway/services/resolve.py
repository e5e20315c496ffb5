"""A Service and its EndpointSlices become a `Resolved`, one an IP family; pure.

Every reading of Service and EndpointSlice fields for routing lives here; what comes after sees values only.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

Tree = dict[str, Any]
SERVICE_NAME = "kubernetes.io/service-name"
PROXY_NAME, HEADLESS = "service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"
SCHEDULER = "seaway.dev/ipvs-scheduler"
EXTERNAL = ("NodePort", "LoadBalancer")


class Endpoint(NamedTuple):
    """One address and port behind a Service port. `ready`, `serving`, `terminating` as the slice says them (KEP-1672)."""

    address: str
    port: int
    ready: bool
    serving: bool
    terminating: bool
    node: str
    zone: str
    for_zones: tuple[str, ...]
    for_nodes: tuple[str, ...]


class Port(msgspec.Struct, frozen=True):
    """A Service port and everything that could answer it, sorted."""

    name: str
    protocol: str
    port: int
    node_port: int
    endpoints: tuple[Endpoint, ...]


class Resolved(msgspec.Struct, frozen=True):
    """A Service in one family. `affinity` is seconds, 0 for none; `source_ranges` empty: no restriction. `scheduler`: how IPVS is
    to choose, "" for its default."""

    namespace: str
    name: str
    family: int
    kind: str
    cluster_ip: str
    external_ips: tuple[str, ...]
    load_balancer_ips: tuple[str, ...]
    source_ranges: tuple[str, ...]
    affinity: int
    internal_local: bool
    external_local: bool
    health_port: int
    ports: tuple[Port, ...]
    scheduler: str = ""

    @property
    def title(self) -> str:
        return f"{self.namespace}/{self.name}"


def family_of(address: str) -> int:
    return 6 if ":" in address else 4


@functools.lru_cache(1 << 12)
def _parsed(text: str) -> tuple[int, bytes, str] | None:
    """(family, bytes, canonical text) of an address."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    spelled = str(found)
    return found.version, found.packed, text if text == spelled else spelled  # one object for both: there are many


def canonical(family: int, text: str) -> str | None:
    """An address in the one spelling that the kernel has for it; None where it is none of the family."""
    found = _parsed(text)
    return found[2] if found is not None and found[0] == family else None


def _order(endpoint: Endpoint) -> tuple[bytes, int]:
    found = _parsed(endpoint.address)
    return (found[1] if found is not None else b""), endpoint.port


def ignored(service: Tree) -> bool:
    """Services that a proxy leaves alone: opted out, headless, ExternalName."""
    labels = service["metadata"].get("labels") or {}
    spec = service.get("spec") or {}
    if PROXY_NAME in labels or HEADLESS in labels:
        return True
    return spec.get("type") == "ExternalName" or spec.get("clusterIP") in (None, "", "None")


def endpoints_of(slices: Iterable[Tree], family: int, port_name: str, protocol: str) -> tuple[Endpoint, ...]:
    """The endpoints of a named port, each address and port once: an address in two slices (while it moves) is ready if
    it is ready in either."""
    found: dict[tuple[str, int], Endpoint] = {}
    for tree in slices:
        if tree.get("addressType") != f"IPv{family}":
            continue
        number = next(
            (
                p.get("port")
                for p in tree.get("ports") or ()
                if (p.get("name") or "") == port_name and (p.get("protocol") or "TCP") == protocol
            ),
            None,
        )
        if not number:
            continue
        for entry in tree.get("endpoints") or ():
            address = canonical(family, (entry.get("addresses") or [""])[0])
            if address is None:
                continue
            conditions = entry.get("conditions") or {}
            ready = conditions.get("ready") is not False
            serving = conditions.get("serving")
            hints = entry.get("hints") or {}
            endpoint = Endpoint(
                address,
                number,
                ready,
                ready if serving is None else bool(serving),
                bool(conditions.get("terminating")),
                entry.get("nodeName") or "",
                entry.get("zone") or "",
                tuple(z["name"] for z in hints.get("forZones") or ()),
                tuple(n["name"] for n in hints.get("forNodes") or ()),
            )
            key = (endpoint.address, number)
            known = found.get(key)
            if known is None or (endpoint.ready and not known.ready):
                found[key] = endpoint
    return tuple(sorted(found.values(), key=_order))


def resolve(service: Tree, slices: Iterable[Tree], family: int) -> Resolved | None:
    """The Service in a family; None where it has no address in it, or is none of a proxy's business."""
    if ignored(service):
        return None
    spec, meta = service["spec"], service["metadata"]
    addresses = spec.get("clusterIPs") or [spec["clusterIP"]]
    cluster_ip = next((found for a in addresses if (found := canonical(family, a))), None)
    if cluster_ip is None:
        return None
    kept = [s for s in slices if HEADLESS not in (s["metadata"].get("labels") or {})]
    external = spec.get("type") in EXTERNAL
    ports = tuple(
        Port(
            p.get("name") or "",
            p.get("protocol") or "TCP",
            p["port"],
            p.get("nodePort") or 0 if external else 0,
            endpoints_of(kept, family, p.get("name") or "", p.get("protocol") or "TCP"),
        )
        for p in spec.get("ports") or ()
    )
    granted = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    balancers = tuple(
        found for i in granted if i.get("ipMode", "VIP") != "Proxy" and (found := canonical(family, i.get("ip") or ""))
    )
    ranges = tuple(r.strip() for r in spec.get("loadBalancerSourceRanges") or () if family_of(r) == family)
    affinity = 0
    if spec.get("sessionAffinity") == "ClientIP":
        affinity = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds") or 10800
    return Resolved(
        meta["namespace"],
        meta["name"],
        family,
        spec.get("type") or "ClusterIP",
        cluster_ip,
        tuple(found for a in spec.get("externalIPs") or () if (found := canonical(family, a))),
        balancers if spec.get("type") == "LoadBalancer" else (),
        ranges,
        affinity,
        spec.get("internalTrafficPolicy") == "Local",
        spec.get("externalTrafficPolicy") == "Local",
        spec.get("healthCheckNodePort") or 0,
        ports,
        (meta.get("annotations") or {}).get(SCHEDULER, ""),
    )
