"""Lab: what Services cost that each have a load balancer of their own, against one entry point for all (claim 11 of the notes).

The objects are really made, in four ways: a LoadBalancer Service for each, a Gateway for each, one Gateway with a route for each,
one Ingress class with an Ingress for each. Addresses are counted in the statuses of what was made, once each; memory is that of
the proxies that serve them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from seaway.cli.status import processes
from seaway.cluster.config import ClusterConfig, Networking
from seaway.cluster.place import Place
from seaway.labs import chart
from seaway.labs.frame import Options, Result, Stage
from seaway.labs.kubectl import Kubectl

Tree = dict[str, Any]
GATEWAY_API = "gateway.networking.k8s.io/v1"
SIZES, QUICK = (5, 10, 20), (2, 4)
# way -> (its namespace, the namespace of its proxies, which object has the addresses)
WAYS = {
    "a LoadBalancer Service each": ("cost-services", "", "services"),
    "a Gateway each": ("cost-gateways", "cost-gateways", "gateways"),
    "one Gateway": ("cost-gateway", "cost-gateway", "gateways"),
    "one Ingress class": ("cost-ingress", "seaway-system", "ingresses"),
}


class Counted(NamedTuple):
    """Of so many Services in one way: different addresses, proxies, and their memory in bytes."""

    addresses: int
    proxies: int
    memory: int


def surroundings(namespace: str) -> list[Tree]:
    """The namespace and the pod that all its Services lead to."""
    pod = {"terminationGracePeriodSeconds": 0, "containers": [{"name": "web", "image": "traefik/whoami"}]}
    meta = {"name": "web", "namespace": namespace, "labels": {"app": "web"}}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod},
    ]


def _gateway(name: str, namespace: str) -> Tree:
    listeners = [{"name": "http", "port": 80, "protocol": "HTTP"}]
    spec = {"gatewayClassName": "seaway", "listeners": listeners}
    return {
        "apiVersion": GATEWAY_API,
        "kind": "Gateway",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def objects(way: str, number: int) -> list[Tree]:
    """The Service of this number, and what makes it reachable in this way."""
    namespace, _, holder = WAYS[way]
    meta = {"name": f"web-{number}", "namespace": namespace}
    spec: Tree = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
    host = f"web-{number}.example.com"
    if holder == "services":
        spec["type"] = "LoadBalancer"
        return [service]
    if holder == "ingresses":
        backend = {"service": {"name": f"web-{number}", "port": {"number": 80}}}
        rule = {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
        ingress = {"ingressClassName": "seaway", "rules": [rule]}
        return [service, {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": meta, "spec": ingress}]
    gateway = f"edge-{number}" if way == "a Gateway each" else "edge"
    rules = [{"backendRefs": [{"name": f"web-{number}", "port": 80}]}]
    route = {"parentRefs": [{"name": gateway}], "hostnames": [host], "rules": rules}
    return [
        service,
        _gateway(gateway, namespace),
        {"apiVersion": GATEWAY_API, "kind": "HTTPRoute", "metadata": meta, "spec": route},
    ]


def addresses(trees: Iterable[Tree]) -> list[set[str]]:
    """The addresses in the statuses of Services, Ingresses or Gateways, of each object."""
    found = []
    for tree in trees:
        status = tree.get("status") or {}
        balanced = (status.get("loadBalancer") or {}).get("ingress") or ()
        values = {str(a["value"]) for a in status.get("addresses") or ()} | {
            str(a["ip"]) for a in balanced if "ip" in a
        }
        found.append({v for v in values if ipaddress.ip_address(v).version == 4})
    return found


def _given(kubectl: Kubectl, way: str, count: int) -> bool:
    """All objects of this way have an address."""
    found = addresses(_holders(kubectl, way))
    return len(found) == (1 if way == "one Gateway" else count) and all(found)


def _holders(kubectl: Kubectl, way: str) -> list[Tree]:
    namespace, _, holder = WAYS[way]
    return [
        tree
        for tree in kubectl.items("-n", namespace, holder)
        # A Gateway's own Service stands for the Gateway, which is counted.
        if holder != "services" or tree["metadata"]["name"].startswith("web-")
    ]


def proxies(where: Place, namespace: str) -> list[int]:
    """The memory (PSS) in bytes of each Envoy of a namespace."""
    found = []
    for process in processes(where):
        if process["name"] == "envoy" and namespace:
            words = Path(f"/proc/{process['pid']}/cmdline").read_bytes().split(b"\0")
            if any(word.startswith(f"{namespace}/".encode()) for word in words):
                found.append(process["pss"] * 1024)
    return found


def measure(stage: Stage, where: Place, sizes: tuple[int, ...]) -> dict[str, dict[int, Counted]]:
    kubectl = Kubectl(where)
    found: dict[str, dict[int, Counted]] = {way: {} for way in WAYS}
    for way, (namespace, home, _) in WAYS.items():
        kubectl.apply(surroundings(namespace))
        there = 0
        for size in sizes:
            kubectl.apply(tree for number in range(there, size) for tree in objects(way, number))
            there = size
            kubectl.until(partial(_given, kubectl, way, size))
            memory = proxies(where, home)
            distinct = set().union(*addresses(_holders(kubectl, way)))
            found[way][size] = Counted(len(distinct), len(memory), sum(memory))
            stage.say(f"{size} Services, {way}: {_count(len(distinct), 'address')}, {_count(len(memory), 'proxy')}")
    return found


def _count(number: int, what: str) -> str:
    many = {"address": "addresses", "proxy": "proxies"}[what]
    return f"{number} {what if number == 1 else many}"


def result(counted: Mapping[str, Mapping[int, Counted]], price: float) -> Result:
    """Table, sentences and picture of what was counted; `price` of an address, 0 for none."""
    rows: list[tuple[str, ...]] = []
    numbers: dict[str, float] = {}
    sizes = list(next(iter(counted.values())))
    for size in sizes:
        for way, by_size in counted.items():
            one = by_size[size]
            bill = (f"{one.addresses * price:,.2f}",) if price else ()
            rows.append(
                (f"{size} Services, {way}", str(one.addresses), str(one.proxies), f"{one.memory / 1e6:.0f} MB", *bill)
            )
            numbers |= {f"addresses/{way}/{size}": float(one.addresses), f"memory/{way}/{size}": one.memory / 1e6}
            if price:
                numbers[f"bill/{way}/{size}"] = one.addresses * price
    notes = [
        "Addresses are those in the statuses of the Services, Gateways and Ingresses, each counted once; IPv4.",
        "Memory is the proxies' own, each page shared among those who share it (PSS). A LoadBalancer Service needs no proxy",
        "of its own here; it knows no hosts, paths or certificates either.",
    ]
    if price:
        most, each, last = sizes[-1], next(iter(counted)), list(counted)[-1]
        saved = (counted[each][most].addresses - counted[last][most].addresses) * price
        notes.append(
            f"At {price:,.2f} an address, {most} Services cost {counted[each][most].addresses * price:,.2f} with an address each "
            f"and {counted[last][most].addresses * price:,.2f} behind one entry point: {saved:,.2f} less."
        )
    else:
        notes.append("--price-per-address says what that is in a bill.")
    picture = chart.under(
        chart.lines(
            "Load balancer addresses that Services take",
            sizes,
            {way: [float(by_size[s].addresses) for s in sizes] for way, by_size in counted.items()},
            lambda v: f"{v:.0f}",
            "addresses",
            "Services",
        ),
        chart.lines(
            "Memory of their proxies",
            sizes,
            {way: [by_size[s].memory / 1e6 for s in sizes] for way, by_size in counted.items()},
            lambda v: f"{v:.0f} MB",
            "PSS of all Envoys",
            "Services",
        ),
    )
    columns = ("made", "addresses", "proxies", "their memory", *(("price of the addresses",) if price else ()))
    return Result("What an address for each Service costs", columns, tuple(rows), tuple(notes), picture, numbers)


def run(stage: Stage, options: Options) -> Result:
    config = replace(ClusterConfig(), networking=Networking(ip_family="ipv4"))
    with stage.cluster(config) as where:
        counted = measure(stage, where, QUICK if options.quick else SIZES)
    return result(counted, options.price_per_address)
