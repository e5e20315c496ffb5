"""Names and addresses of an embedded cluster, computed once from its configuration; pure.

The fabric is a router (the namespace that init and the API server live in) with a leg to the outside and one to each
node. Every leg is a veth with host addresses and permanent neighbours on both ends; nothing is bridged.
"""

from __future__ import annotations

import ipaddress
import pickle
from dataclasses import dataclass

from seaway.cluster.config import ClusterConfig, NodeConfig

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

GATEWAYS: tuple[Address, Address] = (ipaddress.IPv4Address("169.254.1.1"), ipaddress.IPv6Address("fe80::1"))
# Where a node's cache answers its pods: addresses that no network routes. A link-local one of IPv6 would be known on one link.
NODE_LOCAL_DNS: tuple[Address, Address] = (ipaddress.IPv4Address("169.254.20.10"), ipaddress.IPv6Address("fd00::a9fe:140a"))
API_PORT = 6443
KUBELET_PORT = 10250


@dataclass(frozen=True, slots=True)
class NodeLayout:
    """A node's place: its addresses (one a family) and the pod ranges it hands out."""

    name: str
    index: int
    config: NodeConfig
    addresses: tuple[Address, ...]
    pod_ranges: tuple[Network, ...]

    @property
    def netns(self) -> str:
        return f"node-{self.index}"


@dataclass(frozen=True, slots=True)
class Layout:
    """A cluster's addresses. Tuples hold one entry a family, the primary family first."""

    name: str
    families: tuple[int, ...]
    router: tuple[Address, ...]
    outside: tuple[Address, ...]
    nodes: tuple[NodeLayout, ...]
    pod_ranges: tuple[Network, ...]
    service_ranges: tuple[Network, ...]
    load_balancer_ranges: tuple[Network, ...]
    domain: str = "cluster.local"
    resolvers: tuple[str, ...] = ()  # the name servers of the nodes
    searches: tuple[str, ...] | None = ()  # their search domains; None: the machine's
    relayed: bool = False  # whether the router answers as a name server, by asking the machine's
    node_local: tuple[Address, ...] = ()  # where each node's own cache answers; empty: there is none

    @property
    def dns_addresses(self) -> tuple[Address, ...]:
        """The tenth address of each Service range, as kubeadm has it."""
        return tuple(r[10] for r in self.service_ranges)

    @property
    def pods_ask(self) -> Address:
        """The name server of pods: their node's cache, or the cluster's DNS."""
        return (self.node_local or self.dns_addresses)[0]

    @property
    def kubernetes_address(self) -> Address:
        return self.service_ranges[0][1]


def mac(leg: int, end: int) -> str:
    """A locally administered address for one end of a router leg."""
    return f"02:5e:{end:02x}:{leg >> 16 & 255:02x}:{leg >> 8 & 255:02x}:{leg & 255:02x}"


def pod_mac(address: Address, end: int) -> str:
    """A locally administered address derived from the pod's own, so that a restarted agent computes the same."""
    low = int(address) & 0xFFFFFFFF
    return f"02:5f:{end:02x}:{low >> 16 & 255:02x}:{low >> 8 & 255:02x}:{low & 255:02x}"


def plan(config: ClusterConfig) -> Layout:
    """The layout of a configuration; ValueError where ranges are too small for it."""
    net = config.networking
    families = net.families
    node_ranges = tuple(ipaddress.ip_network(r) for r in net.of_families(net.node_subnets))
    pods = tuple(ipaddress.ip_network(r) for r in net.of_families(net.pod_subnets))
    services = tuple(ipaddress.ip_network(r) for r in net.of_families(net.service_subnets))
    balancers = tuple(ipaddress.ip_network(r) for r in net.of_families(net.load_balancer_subnets))
    nodes = []
    for index, node in enumerate(config.nodes):
        own: list[Network] = []
        for whole in pods:
            length = max(24 if whole.version == 4 else 64, whole.prefixlen)
            step = 2 ** (whole.max_prefixlen - length)
            if index >= 2 ** (length - whole.prefixlen):
                raise ValueError(f"networking.podSubnet: {whole} has no range left for node {index + 1} ({node.name})")
            own.append(ipaddress.ip_network((int(whole.network_address) + index * step, length)))
        for whole in node_ranges:
            if index + 2 >= whole.num_addresses - 2:
                raise ValueError(
                    f"networking.nodeSubnet: {whole} has no address left for node {index + 1} ({node.name})"
                )
        addresses = tuple(r[2 + index] for r in node_ranges)
        nodes.append(NodeLayout(node.name, index, node, addresses, tuple(own)))
    outside = tuple(r[-2] if r.version == 4 else r[0xFFFE] for r in node_ranges)
    router = tuple(r[1] for r in node_ranges)
    relayed = net.dns.upstreams is None
    searches = net.dns.searches
    local = NODE_LOCAL_DNS[0 if families[0] == 4 else 1]
    for whole in (*node_ranges, *pods, *services, *balancers):
        if net.dns.node_local and local.version == whole.version and local in whole:
            raise ValueError(f"networking.nodeLocalDNS: each node's cache answers at {local}, which is inside {whole}")
    return Layout(
        config.name,
        families,
        router,
        outside,
        tuple(nodes),
        pods,
        services,
        balancers,
        net.dns.domain,
        (str(router[0]),)
        if relayed
        else _inside(net.dns.upstreams or (), (*node_ranges, *pods, *services, *balancers)),
        searches if relayed else searches or (),
        relayed,
        (local,) if net.dns.node_local else (),
    )


def _inside(upstreams: tuple[str, ...], ranges: tuple[Network, ...]) -> tuple[str, ...]:
    """Name servers that nodes can reach: the cluster's networks lead nowhere else."""
    for text in upstreams:
        address = ipaddress.ip_address(text)
        if not any(address in r for r in ranges if r.version == address.version):
            raise ValueError(
                f"DNS upstream {text}: no address inside the cluster's networks ({', '.join(map(str, ranges))}); "
                "a server that `seaway outside` runs has one"
            )
    return upstreams


def dump(layout: Layout) -> str:
    """A layout as text, for the processes of its own cluster."""
    return pickle.dumps(layout).hex()


def load(text: str) -> Layout:
    """The layout that `dump` wrote; only ever read from a plan that `seaway up` itself made."""
    found = pickle.loads(bytes.fromhex(text))
    assert isinstance(found, Layout)
    return found
