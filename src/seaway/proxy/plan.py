"""ResolvedServices to a ServiceTable: every decision about a packet, once; pure.

The behaviour is kube-proxy's in nftables mode (KEP-3866). Not here yet, and said in docs/features.md: affinity, source
ranges, the short circuit of external addresses from pods.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from seaway.proxy.table import NodePortKey, Refusal, ServiceTable, Target, VipKey
from seaway.services.resolve import Port, Resolved
from seaway.services.topology import Choice, cluster_choice, local_choice


class Place(NamedTuple):
    """The node that the plan is for."""

    node: str
    zone: str
    addresses: tuple[str, ...]
    cluster_cidrs: tuple[str, ...]
    service_cidrs: tuple[str, ...]


class ServicePart(NamedTuple):
    """One Service's share of a table."""

    cluster_ip: str
    vips: dict[VipKey, Target | Refusal]
    node_ports: dict[NodePortKey, Target | Refusal]
    hairpins: frozenset[str]


def _answer(choice: Choice, masquerade: bool, title: str) -> Target | Refusal:
    if choice.endpoints:
        return Target(tuple((e.address, e.port) for e in choice.endpoints), masquerade, title)
    # None anywhere is refused at once; some, but none here under policy Local, is dropped: a load balancer will retry.
    return Refusal("drop" if choice.anywhere else "reject", title)


def _port(
    service: Resolved, port: Port, place: Place
) -> tuple[dict[VipKey, Target | Refusal], Target | Refusal | None, set[str]]:
    title = f"{service.title}:{port.name or port.port}"
    protocol = port.protocol.lower()
    everywhere = cluster_choice(port.endpoints, place.node, place.zone)
    internal = local_choice(port.endpoints, place.node) if service.internal_local else everywhere
    vips: dict[VipKey, Target | Refusal] = {(service.cluster_ip, protocol, port.port): _answer(internal, False, title)}
    external = local_choice(port.endpoints, place.node) if service.external_local else everywhere
    outside = _answer(external, not service.external_local, title)
    for address in service.external_ips:
        vips[(address, protocol, port.port)] = outside
    for address in service.load_balancer_ips:
        # Source ranges cannot be told to the kernel yet: nobody is let in rather than everybody.
        vips[(address, protocol, port.port)] = Refusal("drop", title) if service.source_ranges else outside
    local = {e.address for e in port.endpoints if e.node == place.node and (e.ready or e.serving)}
    return vips, outside if port.node_port else None, local


def part(service: Resolved, place: Place) -> ServicePart:
    """What one Service contributes."""
    vips: dict[VipKey, Target | Refusal] = {}
    node_ports: dict[NodePortKey, Target | Refusal] = {}
    hairpins: set[str] = set()
    for port in service.ports:
        own, outside, local = _port(service, port, place)
        vips.update(own)
        if outside is not None:
            node_ports[(port.protocol.lower(), port.node_port)] = outside
        hairpins |= local
    return ServicePart(service.cluster_ip, vips, node_ports, frozenset(hairpins))


def table(family: int, parts: Iterable[ServicePart], place: Place) -> ServiceTable:
    """All parts together. Of two Services that claim one address and port the first by order wins: kube-proxy's rule."""
    vips: dict[VipKey, Target | Refusal] = {}
    node_ports: dict[NodePortKey, Target | Refusal] = {}
    cluster_ips: set[str] = set()
    hairpins: set[str] = set()
    for piece in parts:
        cluster_ips.add(piece.cluster_ip)
        hairpins |= piece.hairpins
        for key, value in piece.vips.items():
            vips.setdefault(key, value)
        for node_key, value in piece.node_ports.items():
            node_ports.setdefault(node_key, value)

    def mine(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(t for t in texts if (":" in t) == (family == 6))

    return ServiceTable(
        family,
        frozenset(mine(place.addresses)),
        mine(place.cluster_cidrs),
        mine(place.service_cidrs),
        frozenset(cluster_ips),
        vips,
        node_ports,
        frozenset(hairpins),
    )
