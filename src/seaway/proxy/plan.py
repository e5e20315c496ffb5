"""Resolved Services to a ServiceTable: every decision about a packet, once; pure.

The behaviour is kube-proxy's in nftables mode (KEP-3866).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from seaway.proxy.ledger import Ledger
from seaway.proxy.table import (
    BALANCER,
    CLUSTER,
    EXTERNAL,
    NODE_PORT,
    Answer,
    Backend,
    Facts,
    Refusal,
    ServicePart,
    ServiceTable,
    Split,
    Target,
    Way,
)
from seaway.services.resolve import Port, Resolved
from seaway.services.topology import Choice, cluster_choice, local_choice


class Place(NamedTuple):
    """The node that the plan is for. `addresses` are the node's own; `node_port_addresses` those on which it serves node
    ports, where they are not the same, `every_address` says that these are all it has and may come to have."""

    node: str
    zone: str
    addresses: tuple[str, ...]
    cluster_cidrs: tuple[str, ...]
    service_cidrs: tuple[str, ...]
    masquerade_all: bool = False
    node_port_addresses: tuple[str, ...] | None = None
    mark: int = 0x4000
    every_address: bool = False
    localhost: bool = True
    pod_link: str = ""


def _backends(choice: Choice) -> tuple[Backend, ...]:
    return tuple((e.address, e.port) for e in choice.endpoints)


def _answer(choice: Choice, masquerade: bool, title: str, affinity: int) -> Answer:
    if choice.endpoints:
        return Target(_backends(choice), masquerade, title, affinity)
    # None anywhere is refused at once; some, but none here under policy Local, is dropped: a load balancer will retry.
    return Refusal("drop" if choice.anywhere else "reject", title)


def _external(service: Resolved, port: Port, everywhere: Choice, place: Place, title: str) -> Answer:
    """The fate of what comes by a node port, load balancer or external address."""
    if not service.external_local:
        return _answer(everywhere, True, title, service.affinity)
    local = local_choice(port.endpoints, place.node)
    if not everywhere.endpoints:
        return Refusal("drop" if local.anywhere else "reject", title)
    return Split(_backends(everywhere), _backends(local), title, service.affinity)


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


def _port(service: Resolved, port: Port, place: Place, found: ServicePart) -> None:
    """Adds what one port of a Service contributes."""
    title = f"{service.title}:{port.name or port.port}"
    protocol = port.protocol.lower()
    everywhere = cluster_choice(port.endpoints, place.node, place.zone)
    internal = local_choice(port.endpoints, place.node) if service.internal_local else everywhere
    serving: tuple[Backend, ...] = ()
    if protocol == "udp":
        serving = tuple((e.address, e.port) for e in port.endpoints if e.ready or e.serving)
    found.vips[(service.cluster_ip, protocol, port.port)] = Way(
        _answer(internal, False, title, service.affinity), CLUSTER, (), serving, service.scheduler
    )
    outside = _external(service, port, everywhere, place, title)
    for address in service.external_ips:
        found.vips[(address, protocol, port.port)] = Way(outside, EXTERNAL, (), serving, service.scheduler)
    for address in service.load_balancer_ips:
        sources = allowed_sources(service, address, place)
        found.vips[(address, protocol, port.port)] = Way(outside, BALANCER, sources, serving, service.scheduler)
    if port.node_port:
        found.node_ports[(protocol, port.node_port)] = Way(outside, NODE_PORT, (), serving, service.scheduler)
    # Those of other nodes too: a pod there may come through this node, by a node port, and be sent to itself.
    found.hairpins.update(e.address for e in port.endpoints if e.ready or e.serving)


def part(service: Resolved, place: Place) -> ServicePart:
    """What one Service contributes."""
    found = ServicePart(service.cluster_ip, {}, {}, set())
    for port in service.ports:
        _port(service, port, place, found)
    return found


def facts(family: int, place: Place) -> Facts:
    """What holds for all Services of a family."""

    def mine(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(t for t in texts if (":" in t) == (family == 6))

    served = place.addresses if place.node_port_addresses is None else place.node_port_addresses
    return Facts(
        family,
        frozenset(mine(served)),
        mine(place.cluster_cidrs),
        mine(place.service_cidrs),
        place.masquerade_all,
        place.mark,
        place.every_address,
        place.localhost,
        pod_link=place.pod_link,
    )


def table(family: int, parts: Iterable[ServicePart], place: Place) -> ServiceTable:
    """All parts together, cold. Of two that claim one address and port the first wins."""
    ledger: Ledger[int] = Ledger()
    ledger.change(dict(enumerate(parts)))
    return ledger.table(facts(family, place))
