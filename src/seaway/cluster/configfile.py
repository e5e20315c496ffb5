"""The `Cluster` configuration file (`seaway.dev/v1alpha1`), shaped like kind's: read here, strictly, into values.

An unknown field is an error with its path; a field of kind's that has no meaning here is named in `ignored`.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from seaway.cluster.config import (
    NAME,
    PROXY_MODES,
    ApiServer,
    ClusterConfig,
    Components,
    ConfigError,
    Dns,
    Gateway,
    Networking,
    NodeConfig,
    NodeLifecycle,
    addresses,
    default_nodes,
    with_logs,
    with_name,
)

API_VERSION = "seaway.dev/v1alpha1"
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s)\Z")


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
    found = addresses(upstreams, "networking.dnsUpstreams") if upstreams is not None else None
    return Dns(domain, found, searches, local)


def _is_domain(text: str) -> bool:
    return len(text) <= 253 and all(len(label) <= 63 and NAME.match(label) for label in text.split("."))


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
