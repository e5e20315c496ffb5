"""The one model that all data planes render: where a packet to a Service goes. Values only.

A table is of one IP family. Addresses are text, in the family's canonical form.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

import msgspec

Backend = tuple[str, int]  # address, port
VipKey = tuple[str, str, int]  # address, protocol (lower case), port
NodePortKey = tuple[str, int]  # protocol, port
CLUSTER, EXTERNAL, BALANCER, NODE_PORT = "cluster", "external", "load-balancer", "node-port"


class Target(msgspec.Struct, frozen=True):
    """DNAT to one of `backends`, at random. `masquerade`: the source becomes the node's. `title`: namespace/name:port.
    `affinity`: seconds for which a client stays with its backend, 0 for none."""

    backends: tuple[Backend, ...]
    masquerade: bool
    title: str
    affinity: int = 0


class Split(msgspec.Struct, frozen=True):
    """externalTrafficPolicy Local: who comes from outside gets one of `local` with its own address, or is dropped where there
    is none; pods (with their own address) and the node itself (masqueraded) get one of `everywhere`."""

    everywhere: tuple[Backend, ...]
    local: tuple[Backend, ...]
    title: str
    affinity: int = 0


class Refusal(msgspec.Struct, frozen=True):
    """`reject` or `drop`."""

    verdict: str
    title: str


Answer = Target | Split | Refusal


class Way(msgspec.Struct, frozen=True):
    """One way to a Service port. `kind`: what the address is to the Service. `sources`: the only ones that may use it, as CIDRs
    that do not overlap; () for everybody. `serving`: for UDP, the backends whose flows may go on (ready, or ending and still
    serving), chosen for new ones or not. `scheduler`: the one that the Service asks for, where a mode has several."""

    answer: Answer
    kind: str
    sources: tuple[str, ...] = ()
    serving: tuple[Backend, ...] = ()
    scheduler: str = ""


class Facts(msgspec.Struct, frozen=True):
    """What holds for all Services of a family on this node. Pods are told by `cluster_cidrs`, or by `pod_link`, the interface
    that they come by (`cni0`, or `veth*` for all that begin so); where both are empty nobody can tell, and all are outsiders.
    `node_addresses`: those on which node ports are served. `mark`: the one bit of packet marks that is ours. `every_address`:
    node ports are served on whatever address the node has, these being only those it has now, `localhost` says whether
    127.0.0.1 is among them. `masquerade` False: no source is ever changed."""

    family: int
    node_addresses: frozenset[str] = frozenset()
    cluster_cidrs: tuple[str, ...] = ()
    service_cidrs: tuple[str, ...] = ()
    masquerade_all: bool = False
    mark: int = 0x4000
    every_address: bool = False
    localhost: bool = True
    masquerade: bool = True
    pod_link: str = ""

    @property
    def tells_pods(self) -> bool:
        return bool(self.cluster_cidrs or self.pod_link)


class ServicePart(msgspec.Struct, frozen=True):
    """One Service's share of a table. `hairpins`: endpoints, which may meet themselves."""

    cluster_ip: str
    vips: dict[VipKey, Way]
    node_ports: dict[NodePortKey, Way]
    hairpins: set[str]


class ServiceTable(msgspec.Struct, frozen=True):
    """Everything for one family on one node."""

    facts: Facts
    vips: Mapping[VipKey, Way] = {}
    node_ports: Mapping[NodePortKey, Way] = {}
    cluster_ips: frozenset[str] = frozenset()
    hairpins: frozenset[str] = frozenset()

    @property
    def family(self) -> int:
        return self.facts.family


Change = tuple[Way | None, Way | None]  # before, after


class Delta(msgspec.Struct, frozen=True):
    """What differs between two tables of the same facts; the sets are (added, removed)."""

    vips: Mapping[VipKey, Change] = {}
    node_ports: Mapping[NodePortKey, Change] = {}
    cluster_ips: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
    hairpins: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())

    def __bool__(self) -> bool:
        return bool(self.vips or self.node_ports or any(self.cluster_ips) or any(self.hairpins))


K = TypeVar("K", bound=Hashable)


def _changes(old: Mapping[K, Way], new: Mapping[K, Way]) -> dict[K, Change]:
    found: dict[K, Change] = {k: (v, new.get(k)) for k, v in old.items() if new.get(k) != v}
    found.update({k: (None, v) for k, v in new.items() if k not in old})
    return found


def between(old: ServiceTable, new: ServiceTable) -> Delta:
    """The whole difference of two tables."""
    return Delta(
        _changes(old.vips, new.vips),
        _changes(old.node_ports, new.node_ports),
        (new.cluster_ips - old.cluster_ips, old.cluster_ips - new.cluster_ips),
        (new.hairpins - old.hairpins, old.hairpins - new.hairpins),
    )
