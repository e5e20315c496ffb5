"""Where a request to `/proxy` of a pod, a Service or a node goes; pure (pkg/registry/core/{pod,service,node} ResourceLocation).

The name may carry a scheme and a port: `https:web:8443`. A Service's port is a number or a name, a pod's a number.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from seaway.api.tree import get
from seaway.cluster.apiserver.status import ApiError, bad_request, unavailable

Tree = dict[str, Any]
KUBELET_PORT = 10250
SLICE_OF = "kubernetes.io/service-name"
PORTS = {"": 80, "http": 80, "https": 443}


class Target(NamedTuple):
    """An address to connect to; `kubelet`: with the identity that kubelets know."""

    scheme: str
    address: str
    port: int
    kubelet: bool = False


def split(text: str, what: str) -> tuple[str, str, str]:
    """(scheme, name, port) of a name in a path (k8s.io/apimachinery pkg/util/net SplitSchemeNamePort)."""
    parts = text.split(":")
    if len(parts) == 1:
        scheme, name, port = "", parts[0], ""
    elif len(parts) == 2:
        scheme, name, port = "", *parts
    else:
        scheme, name, port = (*parts, "")[:3] if len(parts) == 3 else ("bad", "", "")
    if scheme not in PORTS or not name:
        raise bad_request(f'invalid {what} request "{text}"')
    return scheme, name, port


def to_pod(text: str, pod: Tree) -> Target:
    """A pod's own address; without a port the first that a container names."""
    scheme, _, port = split(text, "pod")
    if not port:
        named = (p for c in pod["spec"].get("containers") or () for p in c.get("ports") or ())
        port = str(next((p["containerPort"] for p in named), ""))
    return Target(
        scheme or "http", _allowed(str(get(pod, "status", "podIP") or "")), _number(port, scheme, "pod", text)
    )


def to_node(text: str, node: Tree) -> Target:
    """The kubelet, or another port of the node."""
    scheme, name, port = split(text, "node")
    found = get(node, "status", "addresses") or ()
    address = next((a["address"] for a in found if a["type"] == "InternalIP"), "")
    if not address:
        raise unavailable(f"node {name} has no address")
    kubelet = int(get(node, "status", "daemonEndpoints", "kubeletEndpoint", "Port") or KUBELET_PORT)
    if port in ("", str(kubelet)):
        return Target("https", address, kubelet, True)
    return Target(scheme or "http", _allowed(address), _number(port, scheme, "node", text))


def to_service(text: str, service: Tree, slices: Iterable[Tree]) -> list[Target]:
    """Every endpoint that is ready, sorted; ApiError 503 where there is none. `slices`: those of the namespace."""
    scheme, name, port = split(text, "service")
    wanted = port
    if port.isdecimal():  # a port's number stands for its name
        declared = next((p for p in service["spec"].get("ports") or () if p.get("port") == int(port)), None)
        if declared is None:
            raise unavailable(f'no service port {port} found for service "{name}"')
        wanted = declared.get("name", "")
    found: set[Target] = set()
    for piece in slices:
        if (get(piece, "metadata", "labels") or {}).get(SLICE_OF) != name:
            continue
        numbers = [p["port"] for p in piece.get("ports") or () if p.get("port") and (p.get("name") or "") == wanted]
        for endpoint in piece.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is not False:
                for number in numbers:
                    found |= {
                        Target(scheme or "http", _allowed(a), number) for a in (endpoint.get("addresses") or ())[:1]
                    }
    if not found:
        raise unavailable(f'no endpoints available for service "{text}"')
    return sorted(found)


def _number(port: str, scheme: str, what: str, text: str) -> int:
    if not port:
        return PORTS[scheme]
    if not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise bad_request(f'invalid {what} request "{text}"')
    return int(port)


def _allowed(address: str) -> str:
    """Nobody reaches the API server's own machine through it (k8s.io/kubernetes pkg/proxy/util IsProxyableIP)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise bad_request("address not allowed") from None
    if parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified or parsed.is_multicast:
        raise bad_request("address not allowed")
    return address


def parted(raw_path: str, namespaced: bool) -> tuple[str, str, str]:
    """The path up to `/proxy`, what comes after it ("" where nothing does), and the query; all as they were sent."""
    path, mark, query = raw_path.partition("?")
    parts = path.split("/")
    count = 8 if namespaced else 6
    return "/".join(parts[:count]), "".join(f"/{p}" for p in parts[count:]), mark + query


def moved(location: str, prefix: str, host: str) -> str:
    """A redirect of what is behind the proxy, to a path of ours (k8s.io/apimachinery pkg/util/proxy rewriteURL)."""
    parts = urlsplit(location)
    if (parts.netloc and parts.netloc != host) or not parts.path.startswith("/"):
        return location
    path = parts.path if parts.path.startswith(prefix + "/") else prefix + parts.path
    return urlunsplit(("", "", path, parts.query, parts.fragment))


def unreachable(error: object) -> ApiError:
    return unavailable(f"error trying to reach service: {error}")
