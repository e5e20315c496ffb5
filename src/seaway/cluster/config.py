"""The `Cluster` configuration file (`seaway.dev/v1alpha1`), shaped like kind's: read here, strictly, into values.

An unknown field is an error with its path; a field of kind's that has no meaning here is named in `ignored`.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

API_VERSION = "seaway.dev/v1alpha1"
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s)\Z")
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


def _fields(tree: Any, path: str, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{path or '.'}: must be a mapping")
    for name in tree:
        if name not in known:
            raise ConfigError(f"{path + '.' if path else ''}{name}: unknown field (known: {', '.join(sorted(known))})")
    return tree


def _subnets(value: Any, path: str, default: tuple[str, str]) -> tuple[str, str]:
    """kind's form: one range, or two separated by a comma; each replaces the default of its family."""
    pair = list(default)
    for part in filter(None, (p.strip() for p in str(value).split(","))):
        try:
            network = ipaddress.ip_network(part)
        except ValueError as e:
            raise ConfigError(f"{path}: {e}") from None
        pair[0 if network.version == 4 else 1] = str(network)
    return pair[0], pair[1]


def _networking(tree: Any, ignored: list[str]) -> Networking:
    known = {
        "ipFamily",
        "podSubnet",
        "serviceSubnet",
        "nodeSubnet",
        "loadBalancerSubnet",
        "kubeProxyMode",
        "apiServerPort",
        "apiServerAddress",
        "disableDefaultCNI",
        "dnsDomain",
        "dnsSearch",
        "dnsUpstreams",
        "nodeLocalDNS",
    }
    fields = _fields(tree, "networking", known)
    base = Networking()
    family = str(fields.get("ipFamily", base.ip_family))
    if family not in ("ipv4", "ipv6", "dual"):
        raise ConfigError(f"networking.ipFamily: {family!r} must be one of ipv4, ipv6, dual")
    mode = str(fields.get("kubeProxyMode", base.kube_proxy_mode))
    if mode not in PROXY_MODES:
        raise ConfigError(f"networking.kubeProxyMode: {mode!r} must be one of {', '.join(PROXY_MODES)}")
    for name in ("apiServerAddress", "disableDefaultCNI"):
        if name in fields:
            ignored.append(f"networking.{name}")
    port = fields.get("apiServerPort", 0)
    if not isinstance(port, int) or not 0 <= port < 65536:
        raise ConfigError(f"networking.apiServerPort: {port!r} must be a port number")
    return Networking(
        family,
        _subnets(fields.get("podSubnet", ""), "networking.podSubnet", base.pod_subnets),
        _subnets(fields.get("serviceSubnet", ""), "networking.serviceSubnet", base.service_subnets),
        _subnets(fields.get("nodeSubnet", ""), "networking.nodeSubnet", base.node_subnets),
        _subnets(fields.get("loadBalancerSubnet", ""), "networking.loadBalancerSubnet", base.load_balancer_subnets),
        mode,
        port,
        _dns(fields),
    )


def _dns(fields: Mapping[str, Any]) -> Dns:
    """dnsDomain is kubeadm's, dnsSearch kind's."""
    base = Dns()
    domain = str(fields.get("dnsDomain") or base.domain)
    if not _is_domain(domain):
        raise ConfigError(f"networking.dnsDomain: {domain!r} must be a DNS subdomain such as cluster.local")
    searches = fields.get("dnsSearch")
    if searches is not None:
        if not isinstance(searches, list) or not all(
            s == "." or _is_domain(str(s).removesuffix(".")) for s in searches
        ):
            raise ConfigError(f"networking.dnsSearch: {searches!r} must be a list of domains")
        searches = tuple(map(str, searches))
    upstreams = fields.get("dnsUpstreams")
    if upstreams is not None and not isinstance(upstreams, list):
        raise ConfigError(f"networking.dnsUpstreams: {upstreams!r} must be a list of addresses; without any: []")
    local = fields.get("nodeLocalDNS", base.node_local)
    if not isinstance(local, bool):
        raise ConfigError(f"networking.nodeLocalDNS: {local!r} must be true or false")
    found = _upstreams(upstreams, "networking.dnsUpstreams") if upstreams is not None else None
    return Dns(domain, found, searches, local)


def _is_domain(text: str) -> bool:
    return len(text) <= 253 and all(len(label) <= 63 and NAME.match(label) for label in text.split("."))


def _upstreams(texts: Sequence[Any], path: str) -> tuple[str, ...]:
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
        upstreams = _upstreams(words, "--dns-upstream")
    networking = config.networking
    return replace(config, networking=replace(networking, dns=replace(networking.dns, upstreams=upstreams)))


def with_node_local_dns(config: ClusterConfig) -> ClusterConfig:
    """The configuration with a cache on each node."""
    networking = config.networking
    return replace(config, networking=replace(networking, dns=replace(networking.dns, node_local=True)))


def _duration(fields: Mapping[str, Any], path: str, name: str, default: float, least: float = 0.0) -> float:
    text = str(fields.get(name, f"{default:g}s"))
    found = DURATION.match(text)
    value = float(found[1]) / (1000 if found[2] == "ms" else 1) if found else -1.0
    if value < least:
        raise ConfigError(f"{path}.{name}: {text!r} must be a duration such as 1s or 500ms")
    return value


def _components(tree: Any) -> Components:
    fields = _fields(tree, "components", {"apiServer", "controllers", "kubeProxy", "kubelet"})
    times = ("nodeMonitorPeriod", "nodeMonitorGracePeriod", "nodeStartupGracePeriod")
    path = "components.controllers"
    controllers = _fields(fields.get("controllers") or {}, path, {"maxEndpointsPerSlice", *times})
    proxy = _fields(fields.get("kubeProxy") or {}, "components.kubeProxy", {"minSyncPeriod"})
    kubelet = _fields(fields.get("kubelet") or {}, "components.kubelet", {"nodeLeaseDuration"})
    limit = controllers.get("maxEndpointsPerSlice", 100)
    if not isinstance(limit, int) or not 1 <= limit <= 1000:
        raise ConfigError(f"{path}.maxEndpointsPerSlice: {limit!r} must be a number from 1 to 1000")
    base = NodeLifecycle()
    lifecycle = NodeLifecycle(
        _duration(kubelet, "components.kubelet", "nodeLeaseDuration", base.lease_duration, 0.1),
        _duration(controllers, path, times[0], base.monitor_period, 0.1),
        _duration(controllers, path, times[1], base.monitor_grace_period, 0.1),
        _duration(controllers, path, times[2], base.startup_grace_period, 0.1),
    )
    return Components(
        limit,
        _duration(proxy, "components.kubeProxy", "minSyncPeriod", 0.0),
        lifecycle,
        _api_server(fields.get("apiServer") or {}),
    )


def _api_server(tree: Any) -> ApiServer:
    path = "components.apiServer"
    known = {"auditLogPath", "auditPolicyFile", "requestLogPath", "logMaxSize", "logMaxBackups"}
    fields = _fields(tree, path, known)
    numbers = {}
    for name, default, least, most in (("logMaxSize", 100, 1, 10_000), ("logMaxBackups", 5, 0, 100)):
        value = numbers[name] = fields.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ConfigError(f"{path}.{name}: {value!r} must be a number from {least} to {most}")
    return with_logs(
        ApiServer(log_size=numbers["logMaxSize"], log_backups=numbers["logMaxBackups"]),
        str(fields.get("auditLogPath") or ""),
        str(fields.get("auditPolicyFile") or ""),
        str(fields.get("requestLogPath") or ""),
    )


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


def _node(tree: Any, path: str, name: str, ignored: list[str]) -> NodeConfig:
    known = {"name", "role", "labels", "taints", "image", "extraMounts", "extraPortMappings", "kubeadmConfigPatches"}
    fields = _fields(tree, path, known)
    role = str(fields.get("role", "worker"))
    if role not in ("control-plane", "worker"):
        raise ConfigError(f"{path}.role: {role!r} must be control-plane or worker")
    for unused in ("image", "extraMounts", "extraPortMappings", "kubeadmConfigPatches"):
        if fields.get(unused):
            ignored.append(f"{path}.{unused}")
    name = str(fields.get("name", name))
    if not NAME.match(name) or len(name) > 63:
        raise ConfigError(f"{path}.name: {name!r} must be a DNS label")
    labels = _fields(fields.get("labels") or {}, f"{path}.labels", set(fields.get("labels") or {}))
    taints = []
    for i, taint in enumerate(fields.get("taints") or ()):
        entry = _fields(taint, f"{path}.taints[{i}]", {"key", "value", "effect"})
        if entry.get("effect") not in ("NoSchedule", "PreferNoSchedule", "NoExecute") or not entry.get("key"):
            raise ConfigError(
                f"{path}.taints[{i}]: needs a key, and an effect NoSchedule, PreferNoSchedule or NoExecute"
            )
        taints.append({k: str(v) for k, v in entry.items()})
    return NodeConfig(name, role, {str(k): str(v) for k, v in labels.items()}, tuple(taints))


def _gateway_api(fields: Mapping[str, Any]) -> bool:
    value = fields.get("gatewayAPI", True)
    if not isinstance(value, bool):
        raise ConfigError(f"gatewayAPI: {value!r} must be true or false")
    return value


CONTROLLER_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+\Z")


def _gateway(tree: Any) -> Gateway:
    known = {"enabled", "controllerNames", "ingressControllers", "parameters"}
    fields = _fields(tree, "gateway", known)
    enabled = fields.get("enabled", True)
    if not isinstance(enabled, bool):
        raise ConfigError(f"gateway.enabled: {enabled!r} must be true or false")
    names = []
    for name in ("controllerNames", "ingressControllers"):
        found = fields.get(name) or []
        if not isinstance(found, list):
            raise ConfigError(f"gateway.{name}: {found!r} must be a list of names such as example.com/controller")
        for i, text in enumerate(found):
            if not CONTROLLER_NAME.match(str(text)):
                raise ConfigError(f"gateway.{name}[{i}]: {text!r} must be a domain and a path: example.com/controller")
        names.append(tuple(map(str, found)))
    parameters = fields.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise ConfigError(f"gateway.parameters: {parameters!r} must be a map")
    return Gateway(enabled, names[0], names[1], {str(k): _text(v) for k, v in parameters.items()})


def _text(value: Any) -> str:
    """A parameter's value as the text that a ConfigMap would hold; JSON is YAML."""
    return value if isinstance(value, str) else json.dumps(value)


def parse(tree: Any) -> ClusterConfig:
    """A configuration file's content; ConfigError says what cannot be used."""
    fields = _fields(
        tree,
        "",
        {
            "apiVersion",
            "kind",
            "name",
            "nodes",
            "networking",
            "images",
            "components",
            "gatewayAPI",
            "gateway",
            "featureGates",
            "runtimeConfig",
            "containerdConfigPatches",
            "kubeadmConfigPatches",
        },
    )
    if fields.get("kind") != "Cluster" or fields.get("apiVersion") not in (API_VERSION, "kind.x-k8s.io/v1alpha4"):
        raise ConfigError(f"apiVersion, kind: must be {API_VERSION} (or kind.x-k8s.io/v1alpha4) and Cluster")
    ignored = [
        k for k in ("featureGates", "runtimeConfig", "containerdConfigPatches", "kubeadmConfigPatches") if fields.get(k)
    ]
    config = with_name(ClusterConfig(), str(fields.get("name", "seaway")))
    names = (n.name for n in default_nodes(1000, config.name))
    control = next(names)
    nodes = []
    for i, tree_node in enumerate(fields.get("nodes") or ({"role": "control-plane"},)):
        is_control = isinstance(tree_node, Mapping) and tree_node.get("role") == "control-plane" and i == 0
        nodes.append(_node(tree_node, f"nodes[{i}]", control if is_control else next(names), ignored))
    if len({n.name for n in nodes}) != len(nodes):
        raise ConfigError("nodes: two nodes have the same name")
    networking = _networking(fields.get("networking") or {}, ignored)
    images = _fields(fields.get("images") or {}, "images", set(fields.get("images") or {}))
    return replace(
        config,
        nodes=tuple(nodes),
        networking=networking,
        ignored=tuple(ignored),
        images={str(k): str(v) for k, v in images.items()},
        components=_components(fields.get("components") or {}),
        gateway_api=_gateway_api(fields),
        gateway=_gateway(fields.get("gateway") or {}),
    )
