"""What the proxy keeps of Services, EndpointSlices and Nodes: the fields that `services/resolve.py` and `process.py` read, and
nothing else; pure. Among tens of thousands most values are the same few: those are one object each, which nobody may change.

A field that has its default is left out, where the reader takes it as such.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from sys import intern
from typing import Any

from seaway.proxy.metrics import TRIGGER
from seaway.services.resolve import HEADLESS, PROXY_NAME, SCHEDULER, SERVICE_NAME

Tree = dict[str, Any]
SHARED = 4096  # values of a kind that are remembered to be the same
SPEC = ("externalIPs", "loadBalancerSourceRanges", "sessionAffinityConfig", "healthCheckNodePort")
DEFAULTS = {
    "type": "ClusterIP",
    "sessionAffinity": "None",
    "internalTrafficPolicy": "Cluster",
    "externalTrafficPolicy": "Cluster",
}


def _metadata(tree: Tree, labels: Iterable[str], annotations: Iterable[str]) -> Tree:
    """Who it is, its version, and the labels and annotations that are read."""
    meta = tree["metadata"]
    # A bookmark of a watch has a version only.
    found: Tree = {"name": meta.get("name", ""), "resourceVersion": meta.get("resourceVersion", "")}
    if meta.get("namespace"):
        found["namespace"] = intern(meta["namespace"])
    for field, names in (("labels", labels), ("annotations", annotations)):
        there = meta.get(field)
        if there:
            kept = {name: there[name] for name in names if name in there}
            if kept:
                found[field] = kept
    if meta.get("deletionTimestamp"):
        found["deletionTimestamp"] = meta["deletionTimestamp"]
    return found


@lru_cache(SHARED)
def _ports(ports: tuple[tuple[tuple[str, Any], ...], ...]) -> list[Tree]:
    return [dict(port) for port in ports]


def _kept_ports(ports: Iterable[Mapping[str, Any]] | None, names: tuple[str, ...]) -> list[Tree]:
    return _ports(tuple(tuple((n, p[n]) for n in names if p.get(n)) for p in ports or ()))


def service(tree: Tree) -> Tree:
    """A Service."""
    spec = tree.get("spec") or {}
    meta = _metadata(tree, (PROXY_NAME, HEADLESS), (SCHEDULER,))
    if spec.get("healthCheckNodePort"):
        meta["uid"] = tree["metadata"].get("uid", "")  # for its events
    kept: Tree = {"ports": _kept_ports(spec.get("ports"), ("name", "protocol", "port", "nodePort"))}
    if "clusterIP" in spec:
        kept["clusterIP"] = spec["clusterIP"]
    if spec.get("clusterIPs") and spec["clusterIPs"] != [spec.get("clusterIP")]:
        kept["clusterIPs"] = spec["clusterIPs"]
    kept.update((name, intern(spec[name])) for name, usual in DEFAULTS.items() if spec.get(name) not in (None, usual))
    kept.update((name, spec[name]) for name in SPEC if spec.get(name))
    found: Tree = {"metadata": meta, "spec": kept}
    ingress = ((tree.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    if ingress:
        balancers = [{n: i[n] for n in ("ip", "ipMode") if n in i} for i in ingress]
        found["status"] = {"loadBalancer": {"ingress": balancers}}
    return found


@lru_cache(SHARED)
def _facts(
    conditions: tuple[Any, Any, Any], node: str, zone: str, for_zones: tuple[str, ...], for_nodes: tuple[str, ...]
) -> Tree:
    """All of an endpoint but its address."""
    said = zip(("ready", "serving", "terminating"), conditions, strict=True)
    found: Tree = {"conditions": {name: value for name, value in said if value is not None}}
    if node:
        found["nodeName"] = node
    if zone:
        found["zone"] = zone
    hints = {
        field: [{"name": n} for n in names]
        for field, names in (("forZones", for_zones), ("forNodes", for_nodes))
        if names
    }
    if hints:
        found["hints"] = hints
    return found


class Endpoints(tuple[Any, ...]):
    """The endpoints of a slice: their addresses and facts in turn, read as the trees that they were."""

    __slots__ = ()

    def __len__(self) -> int:
        return tuple.__len__(self) // 2

    def __iter__(self) -> Iterator[Tree]:
        own = tuple.__iter__(self)
        for address in own:
            yield {"addresses": [address] if address else [], **next(own)}


def _address_and_facts(entry: Tree) -> tuple[str, Tree]:
    conditions, hints = entry.get("conditions") or {}, entry.get("hints") or {}
    facts = _facts(
        (conditions.get("ready"), conditions.get("serving"), conditions.get("terminating")),
        entry.get("nodeName") or "",
        entry.get("zone") or "",
        tuple(z["name"] for z in hints.get("forZones") or ()),
        tuple(n["name"] for n in hints.get("forNodes") or ()),
    )
    return next(iter(entry.get("addresses") or ()), ""), facts


def endpoint_slice(tree: Tree) -> Tree:
    """An EndpointSlice."""
    return {
        "metadata": _metadata(tree, (SERVICE_NAME, HEADLESS), (TRIGGER,)),
        "addressType": intern(tree.get("addressType") or ""),
        "endpoints": Endpoints(chain.from_iterable(map(_address_and_facts, tree.get("endpoints") or ()))),
        "ports": _kept_ports(tree.get("ports"), ("name", "protocol", "port")),
    }
