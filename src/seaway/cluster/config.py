"""What a cluster is to be, as values; `configfile` reads them from a file, and flags change them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
PROXY_MODES = ("nftables", "iptables", "ebpf", "userspace")


class ConfigError(ValueError):
    """A configuration that cannot be used; the text starts with the field's path."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    name: str
    role: str = "worker"
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Dns:
    """The cluster's domain; the name servers of the nodes, for all other names: addresses inside the cluster's networks,
    none, or (None) the machine's own by way of a relay; and the nodes' search domains, (None) the machine's, where its
    name servers are asked. `node_local`: whether each node has a cache that its pods ask."""

    domain: str = "cluster.local"
    upstreams: tuple[str, ...] | None = None
    searches: tuple[str, ...] | None = None
    node_local: bool = False


@dataclass(frozen=True, slots=True)
class Networking:
    """Ranges as (IPv4, IPv6); `ip_family` says which are used."""

    ip_family: str = "dual"
    pod_subnets: tuple[str, str] = ("10.244.0.0/16", "fd00:10:244::/56")
    service_subnets: tuple[str, str] = ("10.96.0.0/16", "fd00:10:96::/112")
    node_subnets: tuple[str, str] = ("172.30.0.0/24", "fd00:172:30::/64")
    load_balancer_subnets: tuple[str, str] = ("172.30.255.0/24", "fd00:172:30:255::/64")
    kube_proxy_mode: str = "nftables"
    api_server_port: int = 0
    dns: Dns = Dns()

    @property
    def families(self) -> tuple[int, ...]:
        return {"ipv4": (4,), "ipv6": (6,), "dual": (4, 6)}[self.ip_family]

    def of_families(self, pair: tuple[str, str]) -> tuple[str, ...]:
        return tuple(pair[0] if f == 4 else pair[1] for f in self.families)


@dataclass(frozen=True, slots=True)
class Gateway:
    """The controller of Ingress and Gateway API: whether it runs, the names that it answers to beside its own, and what fleets of
    Envoys are like that choose nothing else."""

    enabled: bool = True
    controller_names: tuple[str, ...] = ()
    ingress_controllers: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeLifecycle:
    """Seconds: how long a node's Lease holds (it is renewed four times in that), how often nodes are judged, and how long
    one may be silent, at its start and later. The defaults are the kubelet's and the controller manager's."""

    lease_duration: float = 40.0
    monitor_period: float = 5.0
    monitor_grace_period: float = 50.0
    startup_grace_period: float = 60.0


@dataclass(frozen=True, slots=True)
class ApiServer:
    """The API server's logs: files (empty: no such log), the audit policy's file (empty: who did what, of everything), and
    how large a file gets, in MiB, and how many older ones are kept."""

    audit_log: str = ""
    audit_policy: str = ""
    request_log: str = ""
    log_size: int = 100
    log_backups: int = 5


@dataclass(frozen=True, slots=True)
class Components:
    """Arguments of components: endpoints a slice, the seconds that a proxy waits at least between two syncs, the times of
    nodes, and the API server's logs."""

    max_endpoints_per_slice: int = 100
    proxy_min_sync_period: float = 0.0
    node_lifecycle: NodeLifecycle = NodeLifecycle()
    api_server: ApiServer = ApiServer()


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    name: str = "seaway"
    nodes: tuple[NodeConfig, ...] = (NodeConfig("seaway-control-plane", "control-plane"),)
    networking: Networking = field(default_factory=Networking)
    images: Mapping[str, str] = field(default_factory=dict)
    components: Components = Components()
    gateway_api: bool = True  # whether its kinds are served from the start
    gateway: Gateway = Gateway()
    ignored: tuple[str, ...] = ()


def default_nodes(count: int, cluster: str = "seaway") -> tuple[NodeConfig, ...]:
    """A control plane and workers, named as kind names them."""
    if count < 1:
        raise ConfigError("nodes: a cluster has at least one node")
    workers = (f"{cluster}-worker{i if i > 1 else ''}" for i in range(1, count))
    return (NodeConfig(f"{cluster}-control-plane", "control-plane"), *(NodeConfig(n) for n in workers))


def with_name(config: ClusterConfig, name: str) -> ClusterConfig:
    if not NAME.match(name) or len(name) > 40:
        raise ConfigError(f"name: {name!r} must be a DNS label of at most 40 characters")
    return replace(config, name=name)


def addresses(texts: Sequence[Any], path: str) -> tuple[str, ...]:
    """IP addresses in canonical form; `path` says where they stand."""
    found = []
    for text in texts:
        try:
            found.append(str(ipaddress.ip_address(str(text))))
        except ValueError as e:
            raise ConfigError(f"{path}: {e}") from None
    return tuple(found)


def with_dns_upstreams(config: ClusterConfig, words: Sequence[str]) -> ClusterConfig:
    """The configuration with the name servers of a flag: addresses, or `none`, or `host` for the machine's own."""
    upstreams: tuple[str, ...] | None
    if list(words) == ["host"]:
        upstreams = None
    elif list(words) == ["none"]:
        upstreams = ()
    else:
        upstreams = addresses(words, "--dns-upstream")
    networking = config.networking
    return replace(config, networking=replace(networking, dns=replace(networking.dns, upstreams=upstreams)))


def with_node_local_dns(config: ClusterConfig) -> ClusterConfig:
    """The configuration with a cache on each node."""
    networking = config.networking
    return replace(config, networking=replace(networking, dns=replace(networking.dns, node_local=True)))


def with_logs(base: ApiServer, audit_log: str, audit_policy: str, request_log: str) -> ApiServer:
    """The logs of `base` with others where they are given."""
    found = replace(
        base,
        audit_log=audit_log or base.audit_log,
        audit_policy=audit_policy or base.audit_policy,
        request_log=request_log or base.request_log,
    )
    if found.audit_policy and not found.audit_log:
        raise ConfigError("an audit policy without an audit log: name one (--audit-log, or auditLogPath)")
    if found.audit_log and found.audit_log == found.request_log:
        raise ConfigError(f"{found.audit_log}: the audit log and the request log need a file each")
    return found
