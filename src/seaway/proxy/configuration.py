"""How the proxy is set up, and what its flags' texts mean; pure. `configfile` reads a KubeProxyConfiguration."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import NamedTuple

from seaway.proxy.plan import Place

MODES = ("nftables", "iptables", "ipvs", "ebpf", "userspace")
HEALTHZ, METRICS = 10256, 10249
CLUSTER_CIDR, NODE_CIDR, BRIDGE, PREFIX = "ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"
DETECT = (CLUSTER_CIDR, NODE_CIDR, BRIDGE, PREFIX)
PRIMARY = "primary"


class Settings(NamedTuple):
    """`families`: 4, 6 or both. Periods in seconds. `node_port_addresses`: ranges, or ("primary",). `healthz` and `metrics` are
    (address, port), port 0 for none; `hard_fail`: where they cannot be had the proxy ends. `scheduler` is IPVS's, which leaves
    virtual servers in `exclude_cidrs` alone; `backend` is the iptables tool's, `cgroup` the node's group in the hierarchy of
    version 2. `pod_link` is how `detect_local` tells pods by their interface: its name, or what names begin with.
    `bind_address` stands for the node's own address of its family."""

    node: str = ""
    mode: str = "nftables"
    families: tuple[int, ...] = (4, 6)
    cluster_cidrs: tuple[str, ...] = ()
    service_cidrs: tuple[str, ...] = ()
    detect_local: str = CLUSTER_CIDR
    masquerade_all: bool = False
    masquerade_bit: int = 14
    node_port_addresses: tuple[str, ...] = ()
    min_sync_period: float = 0.0
    sync_period: float = 30.0
    healthz: tuple[str, int] = ("", HEALTHZ)
    metrics: tuple[str, int] = ("127.0.0.1", METRICS)
    kubeconfig: str = ""
    scheduler: str = "rr"
    backend: str = "auto"
    localhost_node_ports: bool = True
    cgroup: str = "/"
    pod_link: str = ""
    bind_address: str = ""
    hard_fail: bool = False
    exclude_cidrs: tuple[str, ...] = ()
    strict_arp: bool = False
    ipvs_timeouts: tuple[int, int, int] = (0, 0, 0)

    @property
    def mark(self) -> int:
        return 1 << self.masquerade_bit

    @property
    def every_address(self) -> bool:
        """Whether node ports are served on whatever address the node has: the default in iptables mode."""
        return self.mode == "iptables" and not self.node_port_addresses

    @property
    def localhost(self) -> bool:
        """Whether node ports answer on 127.0.0.1 as well: in iptables mode, over IPv4 (KEP-6032)."""
        return self.mode == "iptables" and self.localhost_node_ports

    def served_addresses(
        self, primary: tuple[str, ...], local: Callable[[], tuple[str, ...]]
    ) -> tuple[str, ...] | None:
        """The addresses on which node ports are served; None for the node's own, nftables' default (KEP-3866). In iptables mode
        the default is all of them."""
        ranges = self.node_port_addresses
        if ranges == (PRIMARY,) or (not ranges and not self.every_address):
            return None
        networks = [ipaddress.ip_network(r, strict=False) for r in ranges]
        there = [a for a in local() if (self.localhost and a != "::1") or not ipaddress.ip_address(a).is_loopback]
        found = [a for a in there if not networks or any(_inside(a, n) for n in networks)]
        return tuple(dict.fromkeys(found))

    def place(
        self, zone: str, addresses: tuple[str, ...], pod_cidrs: tuple[str, ...], local: Callable[[], tuple[str, ...]]
    ) -> Place:
        """The node that a plan is for, of what its Node says: `addresses` its own, `pod_cidrs` its pods' ranges.
        `local` gives the addresses that the kernel has."""
        if self.bind_address:
            addresses = (self.bind_address, *(a for a in addresses if (":" in a) != (":" in self.bind_address)))
        ranges = {CLUSTER_CIDR: self.cluster_cidrs, NODE_CIDR: pod_cidrs}
        links = {BRIDGE: self.pod_link, PREFIX: self.pod_link + "*"}
        return Place(
            self.node,
            zone,
            addresses,
            ranges.get(self.detect_local, ()),
            self.service_cidrs,
            self.masquerade_all,
            self.served_addresses(addresses, local),
            self.mark,
            self.every_address,
            self.localhost,
            links.get(self.detect_local, ""),
        )


def _inside(address: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    found = ipaddress.ip_address(address)
    return found.version == network.version and found in network


class BadConfiguration(ValueError):
    """A file or flag that cannot be used; the text names the field and what it may be."""


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def duration(text: str) -> float:
    """Seconds of a Go duration: 1s, 500ms, -1m30s."""
    sign, rest = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    parts = re.findall(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|ns|m|s)", rest)
    if not parts or "".join(a + b for a, b in parts) != rest:
        raise BadConfiguration(f"{text!r} is no duration such as 1s or 500ms")
    return sign * sum(float(number) * _UNITS[unit] for number, unit in parts)


def cidrs(text: str, field: str) -> tuple[str, ...]:
    """Ranges separated by commas."""
    found = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        try:
            found.append(str(ipaddress.ip_network(part, strict=False)))
        except ValueError:
            raise BadConfiguration(f"{field}: {part!r} is no range such as 10.244.0.0/16") from None
    return tuple(found)


def endpoint(text: str, default: tuple[str, int], field: str) -> tuple[str, int]:
    """(address, port) of `0.0.0.0:10256`, `[::]:10256`, an address alone, or "" for the default."""
    if not text:
        return default
    try:
        return str(ipaddress.ip_address(text)), default[1]
    except ValueError:
        pass
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise BadConfiguration(f"{field}: {text!r} is no address and port such as 0.0.0.0:{default[1]}")
    host = host.strip("[]")
    try:
        return ("" if not host else str(ipaddress.ip_address(host))), int(port)
    except ValueError:
        raise BadConfiguration(f"{field}: {host!r} is no IP address") from None


# What the kernel takes as a name (dev_valid_name), without what rules would read as more than a name.
_LINK = re.compile(r'[^\s/:"\\*+]{1,15}')


def pod_link(detect: str, mode: str, bridge: str, prefix: str, fields: tuple[str, str]) -> str:
    """The interface, or the beginning of interfaces' names, that a mode of telling pods needs; `fields` are what sets them."""
    if detect not in (BRIDGE, PREFIX):
        return ""
    if mode == "userspace":
        raise BadConfiguration(
            f"{detect}: in userspace mode pods are told by their ranges only (ClusterCIDR, NodeCIDR)"
        )
    name, field = (bridge, fields[0]) if detect == BRIDGE else (prefix, fields[1])
    if not _LINK.fullmatch(name):
        raise BadConfiguration(f"{field}: {name!r} is no name of an interface")
    return name
