"""Services of type LoadBalancer, nodes and their health, in; addresses, statuses and what the network shall do, out; pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from seaway.api.tree import Key, condition, get, key_of, labels, with_condition
from seaway.cluster.cloud.pool import Grant, Network, Wish, assign

Tree = dict[str, Any]
CLASS = "seaway.dev/cloud"
MODE = "seaway.dev/load-balancer-ip-mode"
ADDRESSES = "seaway.dev/load-balancer-ips"  # spec.loadBalancerIP has room for one family's, and is deprecated
# A Service's condition: whether it has what it asks for. It is there where it once had not.
ASSIGNED = "seaway.dev/LoadBalancerAssigned"
FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
GOING = "ToBeDeletedByClusterAutoscaler"
PROXY_HEALTH = 10256  # kube-proxy's own health: which nodes can take traffic under policy Cluster (KEP-3836)
MODES = ("VIP", "Proxy")


class Node(NamedTuple):
    """A node that may take traffic: its addresses by family."""

    name: str
    addresses: Mapping[int, str]


class Balancer(NamedTuple):
    """One address of one Service. `ports`: (protocol, port, node port, 0 for none); `nodes`: the healthy ones, sorted;
    `sources`: who may use it, () for everybody."""

    key: Key
    family: int
    address: str
    mode: str
    ports: tuple[tuple[str, int, int], ...]
    sources: tuple[str, ...]
    nodes: tuple[tuple[str, str], ...]


class Outcome(NamedTuple):
    """What is to be: the network's balancers, each Service's status (ingress entries), and problems to tell."""

    balancers: tuple[Balancer, ...]
    ingress: Mapping[Key, list[Tree]]
    problems: Mapping[Key, str]


def ours(service: Tree) -> bool:
    """A Service that wants a load balancer, of this provider or of no class at all (KEP-1959)."""
    spec = service["spec"]
    return spec.get("type") == "LoadBalancer" and spec.get("loadBalancerClass") in (None, "", CLASS)


def nodes_of(nodes: Iterable[Tree]) -> list[Node]:
    """The nodes that load balancers may use: not excluded, not about to go."""
    found = []
    for node in sorted(nodes, key=lambda n: str(n["metadata"]["name"])):
        taints = get(node, "spec", "taints") or ()
        if (
            EXCLUDED in labels(node)
            or any(t.get("key") == GOING for t in taints)
            or node["metadata"].get("deletionTimestamp")
        ):
            continue
        addresses = [a["address"] for a in get(node, "status", "addresses") or () if a.get("type") == "InternalIP"]
        found.append(Node(node["metadata"]["name"], {(6 if ":" in a else 4): a for a in reversed(addresses)}))
    return found


def health_port(service: Tree) -> int:
    """The port that says whether a node can take a Service's traffic."""
    spec = service["spec"]
    if spec.get("externalTrafficPolicy") == "Local" and spec.get("healthCheckNodePort"):
        return int(spec["healthCheckNodePort"])
    return PROXY_HEALTH


def _mode(service: Tree, default: str) -> str:
    asked = str((get(service, "metadata", "annotations") or {}).get(MODE, default))
    return asked if asked in MODES else ""


def _families(service: Tree) -> tuple[int, ...]:
    return tuple(int(f[-1]) for f in service["spec"].get("ipFamilies") or ("IPv4",))


def _sources(service: Tree, family: int) -> tuple[str, ...]:
    networks = []
    for text in service["spec"].get("loadBalancerSourceRanges") or ():
        network = ipaddress.ip_network(text.strip(), strict=False)
        if network.version == family:
            networks.append(network)
    return () if any(n.prefixlen == 0 for n in networks) else tuple(sorted(map(str, networks)))


def _wish(service: Tree) -> Wish:
    has = tuple(i["ip"] for i in get(service, "status", "loadBalancer", "ingress") or () if i.get("ip"))
    noted = str((get(service, "metadata", "annotations") or {}).get(ADDRESSES) or "")
    if noted:
        return Wish(key_of(service), _families(service), has, noted, f"annotation {ADDRESSES}:")
    return Wish(key_of(service), _families(service), has, service["spec"].get("loadBalancerIP") or "")


def conditions(service: Tree, problem: str, now: str) -> list[Tree] | None:
    """The Service's conditions as they are to be, None where they are so already. Those of others are not ours."""
    known = condition(service, ASSIGNED)
    if not problem and not known:
        return None
    new = {
        "type": ASSIGNED,
        "status": "False" if problem else "True",
        "reason": "Refused" if problem else "Assigned",
        "message": problem,
        "lastTransitionTime": now,
    }
    if known and all(known.get(k, "") == new[k] for k in ("status", "reason", "message")):
        return None
    return with_condition(get(service, "status", "conditions") or (), new)


def _problem(service: Tree, mode: str, grant: Grant) -> str:
    if not mode:
        value = (get(service, "metadata", "annotations") or {}).get(MODE)
        return f"annotation {MODE}: {value!r} must be VIP or Proxy"
    if grant.problem:
        return grant.problem
    if mode == "Proxy" and not all(p.get("nodePort") for p in service["spec"].get("ports") or ()):
        return "ipMode Proxy needs node ports: set allocateLoadBalancerNodePorts, or use ipMode VIP"
    return ""


def plan(
    services: Iterable[Tree],
    nodes: Sequence[Node],
    ranges: Sequence[Network],
    healthy: Callable[[str, int], bool],
    mode: str = "VIP",
) -> Outcome:
    """`healthy(address, port)` says what probes of a node's address found; `mode` is the ipMode of Services that do not
    choose one."""
    wanted = sorted(
        (s for s in services if ours(s) and not s["metadata"].get("deletionTimestamp")),
        key=lambda s: (s["metadata"].get("creationTimestamp") or "", key_of(s)),
    )
    grants = assign([_wish(s) for s in wanted], ranges)
    balancers: list[Balancer] = []
    ingress: dict[Key, list[Tree]] = {}
    problems: dict[Key, str] = {}
    for service in wanted:
        key, chosen = key_of(service), _mode(service, mode)
        grant = grants[key]
        problem = _problem(service, chosen, grant)
        if problem:
            problems[key], ingress[key] = problem, []
            continue
        ingress[key] = [{"ip": a, "ipMode": chosen} for a in grant.addresses]
        spec, port = service["spec"], health_port(service)
        ports = tuple(
            (p.get("protocol", "TCP").lower(), int(p["port"]), int(p.get("nodePort") or 0))
            for p in spec.get("ports") or ()
        )
        for family, address in zip(_families(service), grant.addresses, strict=True):
            usable = tuple(
                (n.name, n.addresses[family])
                for n in nodes
                if family in n.addresses and healthy(n.addresses[family], port)
            )
            balancers.append(Balancer(key, family, address, chosen, ports, _sources(service, family), usable))
    return Outcome(tuple(balancers), ingress, problems)


def probed(services: Iterable[Tree], nodes: Sequence[Node]) -> set[tuple[str, int]]:
    """(node address, port) of every health answer that decides anything: each family's proxy speaks for itself."""
    wanted = {(family, health_port(s)) for s in services if ours(s) for family in _families(s)}
    return {(n.addresses[family], port) for n in nodes for family, port in wanted if family in n.addresses}
