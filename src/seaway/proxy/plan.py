"""ResolvedServices to a ServiceTable: every decision about a packet, once; pure.

The behaviour is kube-proxy's in nftables mode (KEP-3866). Not here yet, and said in docs/features.md: session affinity.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from seaway.proxy.table import Answer, Backend, NodePortKey, Refusal, ServiceTable, Split, Target, VipKey
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
    vips: dict[VipKey, Answer]
    node_ports: dict[NodePortKey, Answer]
    allowed: dict[VipKey, tuple[str, ...]]
    hairpins: frozenset[str]


def _backends(choice: Choice) -> tuple[Backend, ...]:
    return tuple((e.address, e.port) for e in choice.endpoints)


def _answer(choice: Choice, masquerade: bool, title: str) -> Answer:
    if choice.endpoints:
        return Target(_backends(choice), masquerade, title)
    # None anywhere is refused at once; some, but none here under policy Local, is dropped: a load balancer will retry.
    return Refusal("drop" if choice.anywhere else "reject", title)


def _external(service: Resolved, port: Port, everywhere: Choice, place: Place, title: str) -> Answer:
    """The fate of what comes by a node port, load balancer or external address."""
    if not service.external_local:
        return _answer(everywhere, True, title)
    local = local_choice(port.endpoints, place.node)
    if not everywhere.endpoints:
        return Refusal("drop" if local.anywhere else "reject", title)
    return Split(_backends(everywhere), _backends(local), title)


def allowed_sources(service: Resolved, address: str, place: Place) -> tuple[str, ...]:
    """Who may use a load balancer address: the Service's ranges, made disjoint; () for everybody. Where a node of ours may,
    the address itself may too: a node that talks to an address it holds itself uses it as the source."""
    if not service.source_ranges:
        return ()
    networks = [n for n in map(_network, service.source_ranges) if n is not None]
    own = [ipaddress.ip_address(a) for a in place.addresses]
    if not networks or any(a in n for a in own for n in networks if a.version == n.version):
        networks.append(ipaddress.ip_network(address))  # of ranges that cannot be read none is kept: nobody comes in
    if any(n.prefixlen == 0 for n in networks):
        return ()
    if service.family == 4:
        return tuple(str(n) for n in ipaddress.collapse_addresses(n for n in networks if n.version == 4))
    return tuple(str(n) for n in ipaddress.collapse_addresses(n for n in networks if n.version == 6))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _port(
    service: Resolved, port: Port, place: Place
) -> tuple[dict[VipKey, Answer], Answer | None, dict[VipKey, tuple[str, ...]], set[str]]:
    title = f"{service.title}:{port.name or port.port}"
    protocol = port.protocol.lower()
    everywhere = cluster_choice(port.endpoints, place.node, place.zone)
    internal = local_choice(port.endpoints, place.node) if service.internal_local else everywhere
    vips: dict[VipKey, Answer] = {(service.cluster_ip, protocol, port.port): _answer(internal, False, title)}
    outside = _external(service, port, everywhere, place, title)
    allowed: dict[VipKey, tuple[str, ...]] = {}
    for address in (*service.external_ips, *service.load_balancer_ips):
        vips[(address, protocol, port.port)] = outside
    for address in service.load_balancer_ips:
        sources = allowed_sources(service, address, place)
        if sources:
            allowed[(address, protocol, port.port)] = sources
    local = {e.address for e in port.endpoints if e.node == place.node and (e.ready or e.serving)}
    return vips, outside if port.node_port else None, allowed, local


def part(service: Resolved, place: Place) -> ServicePart:
    """What one Service contributes."""
    vips: dict[VipKey, Answer] = {}
    node_ports: dict[NodePortKey, Answer] = {}
    allowed: dict[VipKey, tuple[str, ...]] = {}
    hairpins: set[str] = set()
    for port in service.ports:
        own, outside, sources, local = _port(service, port, place)
        vips.update(own)
        allowed.update(sources)
        if outside is not None:
            node_ports[(port.protocol.lower(), port.node_port)] = outside
        hairpins |= local
    return ServicePart(service.cluster_ip, vips, node_ports, allowed, frozenset(hairpins))


def table(family: int, parts: Iterable[ServicePart], place: Place) -> ServiceTable:
    """All parts together. Of two Services that claim one address and port the first by order wins: kube-proxy's rule."""
    vips: dict[VipKey, Answer] = {}
    node_ports: dict[NodePortKey, Answer] = {}
    allowed: dict[VipKey, tuple[str, ...]] = {}
    cluster_ips: set[str] = set()
    hairpins: set[str] = set()
    for piece in parts:
        cluster_ips.add(piece.cluster_ip)
        hairpins |= piece.hairpins
        for key, value in piece.vips.items():
            if key not in vips:
                vips[key] = value
                if key in piece.allowed:
                    allowed[key] = piece.allowed[key]
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
        allowed,
        frozenset(hairpins),
    )
