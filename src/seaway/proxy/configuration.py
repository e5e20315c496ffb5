"""How the proxy is set up: upstream's flags, and a kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfiguration; pure.

As upstream, a file given by --config holds alone: of the flags only --hostname-override, --cleanup and those that a file has no
field for (--service-cidr, --iptables-backend, --cgroup-path) still count, and --kubeconfig where the file names none.
What a file asks for and this proxy has no use for is named; what is no field at all is an error.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from seaway.proxy.plan import Place

Tree = dict[str, Any]
API_VERSION, KIND = "kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration"
MODES = ("nftables", "iptables", "ipvs", "ebpf", "userspace")
HEALTHZ, METRICS = 10256, 10249
DETECT = ("ClusterCIDR", "NodeCIDR")
PRIMARY = "primary"


class Settings(NamedTuple):
    """`families`: 4, 6 or both. Periods in seconds. `node_port_addresses`: ranges, or ("primary",). `healthz` and `metrics` are
    (address, port), port 0 for none. `scheduler` is IPVS's, `backend` the iptables tool's,
    `cgroup` the node's group in the hierarchy of version 2."""

    node: str = ""
    mode: str = "nftables"
    families: tuple[int, ...] = (4, 6)
    cluster_cidrs: tuple[str, ...] = ()
    service_cidrs: tuple[str, ...] = ()
    detect_local: str = "ClusterCIDR"
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
        return Place(
            self.node,
            zone,
            addresses,
            pod_cidrs if self.detect_local == "NodeCIDR" else self.cluster_cidrs,
            self.service_cidrs,
            self.masquerade_all,
            self.served_addresses(addresses, local),
            self.mark,
            self.every_address,
            self.localhost,
        )


def _inside(address: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    found = ipaddress.ip_address(address)
    return found.version == network.version and found in network


class BadConfiguration(ValueError):
    """A file or flag that cannot be used; the text names the field and what it may be."""


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def duration(text: str) -> float:
    """Seconds of a Go duration: 1s, 500ms, 1m30s."""
    rest = text.removeprefix("+")
    if rest == "0":
        return 0.0
    parts = re.findall(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|ns|m|s)", rest)
    if not parts or "".join(a + b for a, b in parts) != rest:
        raise BadConfiguration(f"{text!r} is no duration such as 1s or 500ms")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


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


# Fields that mean nothing here, by the reason that is told for them.
_IDLE: dict[str, str] = {
    "portRange": "obsolete upstream",
    "oomScoreAdj": "set by the pod",
    "conntrack": "left to the node",
    "winkernel": "not Windows",
    "windowsRunAsService": "not Windows",
    "featureGates": "no gates here",
    "enableProfiling": "no profiler here",
    "showHiddenMetricsForVersion": "no hidden metrics",
    "configSyncPeriod": "changes are watched",
    "logging": "one format",
    "bindAddressHardFail": "ports are tried again",
}
_KNOWN = {
    "apiVersion", "kind", "mode", "bindAddress", "healthzBindAddress", "metricsBindAddress", "clientConnection", "iptables",
    "ipvs", "nftables", "detectLocalMode", "detectLocal", "clusterCIDR", "nodePortAddresses", "hostnameOverride",
    "ipv4Only", "udpIdleTimeout", "syncPeriod", "minSyncPeriod",
}  # fmt: skip
_SECTION = {"masqueradeBit", "masqueradeAll", "syncPeriod", "minSyncPeriod"}
_SECTIONS = {
    "iptables": _SECTION | {"localhostNodePorts"},
    "nftables": _SECTION,
    "ipvs": {"syncPeriod", "minSyncPeriod", "scheduler", "excludeCIDRs", "strictARP", "tcpTimeout", "tcpFinTimeout",
             "udpTimeout"},
}  # fmt: skip


def from_document(document: object, base: Settings, service_cidrs: tuple[str, ...] = ()) -> tuple[Settings, list[str]]:
    """(settings of a configuration file, what in it means nothing here); BadConfiguration names the field."""
    if not isinstance(document, dict) or document.get("kind") != KIND or document.get("apiVersion") != API_VERSION:
        raise BadConfiguration(f"no {KIND} of {API_VERSION}")
    unknown = sorted(k for k in document if k not in _KNOWN and k not in _IDLE)
    if unknown:
        raise BadConfiguration(f'unknown field "{unknown[0]}"')
    mode = str(document.get("mode") or base.mode)
    if mode not in MODES:
        raise BadConfiguration(f"mode: {mode!r} is none of {', '.join(MODES)}")
    section = _section(document, mode if mode in _SECTIONS else "nftables")
    for name in _SECTIONS:
        _section(document, name)
    detect = str(document.get("detectLocalMode") or base.detect_local)
    if detect not in DETECT:
        raise BadConfiguration(f"detectLocalMode: {detect!r} is not supported here; one of {', '.join(DETECT)} is")
    ranges = document.get("nodePortAddresses") or []
    if not isinstance(ranges, list):
        raise BadConfiguration("nodePortAddresses: must be a list of ranges")
    ports = (PRIMARY,) if ranges == [PRIMARY] else cidrs(",".join(map(str, ranges)), "nodePortAddresses")
    bit = section.get("masqueradeBit", base.masquerade_bit)
    if not isinstance(bit, int) or not 0 <= bit < 32:
        raise BadConfiguration(f"masqueradeBit: {bit!r} is not within 0 and 31")
    connection = document.get("clientConnection") or {}
    settings = base._replace(
        node=str(document.get("hostnameOverride") or base.node),
        mode=mode,
        cluster_cidrs=cidrs(str(document.get("clusterCIDR") or ""), "clusterCIDR"),
        service_cidrs=service_cidrs or base.service_cidrs,
        detect_local=detect,
        masquerade_all=bool(section.get("masqueradeAll", False)),
        masquerade_bit=bit,
        node_port_addresses=ports,
        min_sync_period=_period(section, "minSyncPeriod", base.min_sync_period),
        sync_period=_period(section, "syncPeriod", base.sync_period) or base.sync_period,
        healthz=endpoint(str(document.get("healthzBindAddress") or ""), base.healthz, "healthzBindAddress"),
        metrics=endpoint(str(document.get("metricsBindAddress") or ""), base.metrics, "metricsBindAddress"),
        kubeconfig=str(connection.get("kubeconfig") or base.kubeconfig),
        localhost_node_ports=_section(document, "iptables").get("localhostNodePorts") is not False,
        scheduler=str(_section(document, "ipvs").get("scheduler") or base.scheduler),
    )
    return settings, [f"{k}: {why}" for k, why in _IDLE.items() if document.get(k)]


def _section(document: Mapping[str, Any], name: str) -> Tree:
    found = document.get(name) or {}
    if not isinstance(found, dict):
        raise BadConfiguration(f"{name}: must be an object")
    unknown = sorted(set(found) - _SECTIONS[name])
    if unknown:
        raise BadConfiguration(f'unknown field "{name}.{unknown[0]}"')
    return found


def _period(section: Tree, name: str, default: float) -> float:
    value = section.get(name)
    return default if value in (None, "") else duration(str(value))
