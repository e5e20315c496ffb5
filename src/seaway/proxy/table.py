"""The one model that all data planes render: where a packet to a Service goes. Values only.

A table is of one IP family. Addresses are text, in the family's canonical form.
"""

from __future__ import annotations

import msgspec

Backend = tuple[str, int]  # address, port
VipKey = tuple[str, str, int]  # address, protocol (lower case), port
NodePortKey = tuple[str, int]  # protocol, port


class Target(msgspec.Struct, frozen=True):
    """DNAT to one of `backends`, at random. `masquerade`: the source becomes the node's. `title`: namespace/name:port."""

    backends: tuple[Backend, ...]
    masquerade: bool
    title: str


class Refusal(msgspec.Struct, frozen=True):
    """`reject` or `drop`."""

    verdict: str
    title: str


class ServiceTable(msgspec.Struct, frozen=True):
    """Everything for one family on one node."""

    family: int
    node_addresses: frozenset[str] = frozenset()
    cluster_cidrs: tuple[str, ...] = ()
    service_cidrs: tuple[str, ...] = ()
    cluster_ips: frozenset[str] = frozenset()
    vips: dict[VipKey, Target | Refusal] = {}
    node_ports: dict[NodePortKey, Target | Refusal] = {}
    hairpins: frozenset[str] = frozenset()
