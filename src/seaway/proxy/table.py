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


class Split(msgspec.Struct, frozen=True):
    """externalTrafficPolicy Local: who comes from outside gets one of `local` with its own address, or is dropped where there
    is none; pods (with their own address) and the node itself (masqueraded) get one of `everywhere`."""

    everywhere: tuple[Backend, ...]
    local: tuple[Backend, ...]
    title: str


class Refusal(msgspec.Struct, frozen=True):
    """`reject` or `drop`."""

    verdict: str
    title: str


Answer = Target | Split | Refusal


class ServiceTable(msgspec.Struct, frozen=True):
    """Everything for one family on one node. `cluster_cidrs` empty: nobody can tell pods from others, all are outsiders.
    `allowed`: the only sources that may use an address, as CIDRs that do not overlap."""

    family: int
    node_addresses: frozenset[str] = frozenset()
    cluster_cidrs: tuple[str, ...] = ()
    service_cidrs: tuple[str, ...] = ()
    cluster_ips: frozenset[str] = frozenset()
    vips: dict[VipKey, Answer] = {}
    node_ports: dict[NodePortKey, Answer] = {}
    allowed: dict[VipKey, tuple[str, ...]] = {}
    hairpins: frozenset[str] = frozenset()
