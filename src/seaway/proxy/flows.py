"""Which UDP flows the kernel must forget, because their backend no longer serves (pkg/proxy/conntrack/cleanup.go); pure.

A flow is pinned to its backend by conntrack for as long as packets come, whatever the rules say by then: after an endpoint's
end, a scale to zero, a Service's deletion, and where an address begins to serve under a running flow. TCP is left alone: its
connections end by themselves.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from seaway.proxy.table import Backend, Change, Delta, NodePortKey, ServiceTable, VipKey, Way


class Flow(NamedTuple):
    """A UDP flow as it began, and who answers it. `handle` is the kernel's own description. `source` is who began it."""

    address: str
    port: int
    answers: Backend
    handle: bytes
    source: Backend = ("", 0)


class Affected(NamedTuple):
    """By what flows began for (address and port, or a node port): the backends whose flows may go on. `gone`: ranges in which
    whatever is not listed has no backend."""

    vips: Mapping[Backend, frozenset[Backend]]
    node_ports: Mapping[int, frozenset[Backend]]
    node_addresses: frozenset[str] = frozenset()
    gone: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.vips or self.node_ports or self.gone)


def _serving(way: Way | None) -> frozenset[Backend]:
    return frozenset(way.serving) if way is not None else frozenset()


def _lost(old: Way | None, new: Way | None) -> bool:
    """Whether flows of the old way may have to go: a backend has ended, or the address serves only now."""
    before, after = _serving(old), _serving(new)
    return bool(before - after) or (not before and bool(after))


def by_change(delta: Delta, node_addresses: frozenset[str]) -> Affected:
    """What a change of some Services touches."""

    def vips(changes: Mapping[VipKey, Change]) -> dict[Backend, frozenset[Backend]]:
        return {(k[0], k[2]): _serving(b) for k, (a, b) in changes.items() if k[1] == "udp" and _lost(a, b)}

    def ports(changes: Mapping[NodePortKey, Change]) -> dict[int, frozenset[Backend]]:
        return {k[1]: _serving(b) for k, (a, b) in changes.items() if k[0] == "udp" and _lost(a, b)}

    return Affected(vips(delta.vips), ports(delta.node_ports), node_addresses)


def by_start(table: ServiceTable) -> Affected:
    """Everything: nobody knows what changed before the process was there."""
    return Affected(
        {(k[0], k[2]): _serving(way) for k, way in table.vips.items() if k[1] == "udp"},
        {k[1]: _serving(way) for k, way in table.node_ports.items() if k[0] == "udp"},
        table.facts.node_addresses,
        tuple(map(ipaddress.ip_network, table.facts.service_cidrs)),
    )


def stale(flows: Iterable[Flow], affected: Affected) -> list[Flow]:
    """The flows to forget."""
    found = []
    for flow in flows:
        serving = _of(affected, flow.address, flow.port)
        if serving is None and affected.gone and flow.answers != (flow.address, flow.port):
            address = ipaddress.ip_address(flow.address)
            if any(address in network for network in affected.gone):
                serving = frozenset()
        if serving is not None and flow.answers not in serving:
            found.append(flow)
    return found


def late(flows: Iterable[Flow], affected: Affected) -> list[Flow]:
    """Flows that *come from* a Service's address: an answer that was on the way while its flow was forgotten has begun one of its
    own, in the wrong direction, and the client's next packets would follow it past every rule."""
    return [flow for flow in flows if _of(affected, *flow.source) is not None]


def _of(affected: Affected, address: str, port: int) -> frozenset[Backend] | None:
    """The backends behind an address, where it is affected."""
    found = affected.vips.get((address, port))
    if found is None and address in affected.node_addresses:
        found = affected.node_ports.get(port)
    return found
