"""What happens to one packet, and why; pure. The same table that the data planes render is read the way the kernel reads it.

`trace` gives the verdict with its reasons; `passed_over` says of each endpoint of a Service port that is not among the chosen
why it is not.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from seaway.proxy.plan import Place
from seaway.proxy.table import BALANCER, CLUSTER, Backend, Facts, Refusal, ServiceTable, Split, Target, Way
from seaway.services.resolve import Endpoint, Port, Resolved
from seaway.services.topology import cluster_choice

FORWARD, REJECT, DROP, PASS = "forward", "reject", "drop", "pass"


class Packet(NamedTuple):
    """The first packet of a connection. `from_node`: it is this node's own. `link`: the interface that it comes by, where pods
    are told by that."""

    source: str
    protocol: str
    address: str
    port: int
    from_node: bool = False
    link: str = ""


class Verdict(NamedTuple):
    """`backends`: one of these answers, at random or by `affinity` seconds. `masqueraded`: those of them that see the node's
    address instead of the source's. `title`: the Service port, "" where there is none. PASS: no Service's business."""

    action: str
    backends: tuple[Backend, ...] = ()
    masqueraded: frozenset[Backend] = frozenset()
    title: str = ""
    affinity: int = 0
    reasons: tuple[str, ...] = ()


def inside(address: str, ranges: Iterable[str]) -> bool:
    """Whether an address is in one of the ranges."""
    found = ipaddress.ip_address(address)
    return any(found in ipaddress.ip_network(r) for r in ranges)


def is_pods(facts: Facts, packet: Packet) -> bool:
    """Whether a packet counts as a pod's."""
    if facts.pod_link:
        return not packet.from_node and bool(packet.link) and fnmatchcase(packet.link, facts.pod_link)
    return inside(packet.source, facts.cluster_cidrs)


def trace(table: ServiceTable, packet: Packet) -> Verdict:
    """The fate of a packet that meets this node's rules."""
    key = (packet.address, packet.protocol, packet.port)
    way = table.vips.get(key)
    if way is not None:
        if way.sources and not inside(packet.source, way.sources):
            why = f"{packet.source} is not in loadBalancerSourceRanges ({', '.join(way.sources)})"
            return Verdict(DROP, title=way.answer.title, reasons=(_called(way, packet), why))
        return _decided(table, packet, way)
    if packet.address in table.facts.node_addresses:
        way = table.node_ports.get((packet.protocol, packet.port))
        if way is not None:
            return _decided(table, packet, way)
    if packet.address in table.cluster_ips:
        why = f"{packet.address} is a Service's ClusterIP, which has no port {packet.port}/{packet.protocol}"
        return Verdict(REJECT, reasons=(why,))
    if inside(packet.address, table.facts.service_cidrs):
        return Verdict(DROP, reasons=(f"{packet.address} is in a Service range, and no Service's",))
    why = f"{packet.address}:{packet.port}/{packet.protocol} is no address of a Service"
    if packet.address in table.facts.node_addresses:
        why = f"{packet.address} is the node's, and {packet.port}/{packet.protocol} no node port"
    return Verdict(PASS, reasons=(why,))


_KINDS = {
    CLUSTER: "the ClusterIP",
    "external": "an external address",
    BALANCER: "a load balancer's address",
    "node-port": "a node port",
}


def _called(way: Way, packet: Packet) -> str:
    return f"{packet.address}:{packet.port}/{packet.protocol} is {_KINDS[way.kind]} of {way.answer.title}"


def _decided(table: ServiceTable, packet: Packet, way: Way) -> Verdict:
    answer, facts = way.answer, table.facts
    reasons = [_called(way, packet)]
    pod = is_pods(facts, packet)
    if isinstance(answer, Refusal):
        if answer.verdict == REJECT:
            reasons.append("it has no endpoint anywhere that could answer")
        else:
            reasons.append("its policy is Local, and none of its endpoints is on this node")
        return Verdict(answer.verdict, title=answer.title, reasons=tuple(reasons))
    if isinstance(answer, Split):
        backends, masquerade = _split(answer, packet, pod, reasons)
        if not backends:
            reasons.append("its policy is Local, and none of its endpoints is on this node")
            return Verdict(DROP, title=answer.title, reasons=tuple(reasons))
    else:
        backends, masquerade = answer.backends, _masquerade(table, packet, way, answer, pod, reasons)
    masqueraded = frozenset(backends) if masquerade else frozenset()
    if not masquerade and packet.source in table.hairpins:
        masqueraded = frozenset(b for b in backends if b[0] == packet.source)
        if masqueraded:
            reasons.append(f"where {packet.source} meets itself it is masqueraded, or it would answer itself directly")
    if answer.affinity:
        reasons.append(f"sessionAffinity ClientIP: a client stays with its endpoint for {answer.affinity} s")
    return Verdict(FORWARD, backends, masqueraded, answer.title, answer.affinity, tuple(reasons))


def _split(answer: Split, packet: Packet, pod: bool, reasons: list[str]) -> tuple[tuple[Backend, ...], bool]:
    """externalTrafficPolicy Local: who comes from inside is let through to all."""
    if pod:
        reasons.append(f"externalTrafficPolicy Local: {packet.source} is a pod's, which may use every endpoint")
        return answer.everywhere, False
    if packet.from_node:
        reasons.append("externalTrafficPolicy Local: the node itself may use every endpoint, masqueraded")
        return answer.everywhere, True
    reasons.append(
        "externalTrafficPolicy Local: from outside only this node's endpoints, which see the client's address"
    )
    return answer.local, False


def _masquerade(table: ServiceTable, packet: Packet, way: Way, answer: Target, pod: bool, reasons: list[str]) -> bool:
    if answer.masquerade:
        reasons.append("externalTrafficPolicy Cluster: masqueraded, so that the answer comes back this way")
        return True
    if way.kind != CLUSTER or packet.address not in table.cluster_ips:
        return False
    if table.facts.masquerade_all:
        reasons.append("masquerade-all is set")
        return True
    if table.facts.tells_pods and not pod:
        reasons.append(f"{packet.source} is no pod's address: masqueraded, so that the answer comes back this way")
        return True
    return False


def passed_over(service: Resolved, port: Port, place: Place, verdict: Verdict) -> list[tuple[Endpoint, str]]:
    """The endpoints of a Service port that the verdict does not choose from, each with the reason."""
    chosen = set(verdict.backends)
    everywhere = cluster_choice(port.endpoints, place.node, place.zone).endpoints
    return [
        (endpoint, _why_not(endpoint, place, endpoint in everywhere))
        for endpoint in port.endpoints
        if (endpoint.address, endpoint.port) not in chosen
    ]


def _why_not(endpoint: Endpoint, place: Place, everywhere: bool) -> str:
    """`everywhere`: policy Cluster would choose it."""
    if endpoint.terminating:
        return "terminating, while others are ready" if endpoint.serving else "terminating, and no longer serving"
    if not endpoint.ready:
        return "not ready"
    if not everywhere and endpoint.for_nodes and place.node not in endpoint.for_nodes:
        return f"hinted for node {', '.join(endpoint.for_nodes)}"
    if not everywhere and endpoint.for_zones and place.zone not in endpoint.for_zones:
        return f"hinted for zone {', '.join(endpoint.for_zones)}"
    if endpoint.node != place.node:
        return f"on node {endpoint.node or '(unknown)'}, and the policy is Local"
    return "the packet is refused before an endpoint is chosen"
