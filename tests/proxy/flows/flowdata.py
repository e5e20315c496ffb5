"""Packet-flow cases as data: worlds (Services, slices, node facts) and what becomes of a packet in each; pure.

Addresses in the YAML are symbols that stand for one address in each IP family: `cluster.7`, `external.7`, `balancer.7`, a
Service's name (its ClusterIP), `node`, `node.second`, `localhost`, or a place's name. `load` gives plain values: a `World` is
manifests and facts, a `Flow` is one packet of one family with what must become of it. The README.md beside this file says how cases are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import yaml

Tree = dict[str, Any]
HERE = Path(__file__).resolve().parent
NODE, OTHER_NODE = "here", "there"
MODES = ("nftables", "iptables", "ebpf", "userspace", "ipvs")
VERDICTS = ("DROP", "REJECT", "NETWORK")  # NETWORK: it leaves the node as it came, for whoever has the address


class Site(NamedTuple):
    """Where an endpoint or a client is: its addresses by family, its node and that node's zone."""

    addresses: Mapping[int, str]
    node: str = ""
    zone: str = ""


RANGES = {
    "cluster": {4: "10.96.0.{}", 6: "fd00:10:96::{:x}"},
    "external": {4: "198.51.100.{}", 6: "2001:db8:51::{:x}"},
    "balancer": {4: "192.0.2.{}", 6: "2001:db8:2::{:x}"},
}
CLUSTER_CIDRS = ("10.244.0.0/16", "fd00:10:244::/56")
SERVICE_CIDRS = ("10.96.0.0/16", "fd00:10:96::/112")
SITES = {
    **{n: Site({4: f"10.244.0.{i}", 6: f"fd00:10:244::{i}"}, NODE, "za") for n, i in (("a", 11), ("b", 12), ("c", 13))},
    **{n: Site({4: f"10.244.1.{i}", 6: f"fd00:10:244:1::{i}"}, OTHER_NODE, "zb") for n, i in (("x", 21), ("y", 22))},
    "node": Site({4: "172.30.0.2", 6: "fd00:172:30::2"}, NODE, "za"),
    "node.second": Site({4: "172.31.0.2", 6: "fd00:172:31::2"}, NODE, "za"),
    "node.leg": Site({4: "10.244.0.1", 6: "fd00:10:244::1"}, NODE, "za"),  # the node's end of every pod's veth
    "localhost": Site({4: "127.0.0.1", 6: "::1"}),
    "other-node": Site({4: "172.31.0.3", 6: "fd00:172:31::3"}, OTHER_NODE, "zb"),
    "network": Site({4: "172.30.0.1", 6: "fd00:172:30::1"}),
    "outside": Site({4: "203.0.113.5", 6: "2001:db8:113::5"}),
    "outside-two": Site({4: "203.0.113.6", 6: "2001:db8:113::6"}),
}
CROWD = {4: tuple(f"203.0.113.{i}" for i in range(32, 48)), 6: tuple(f"2001:db8:113::{i}" for i in range(32, 48))}
# Who sends: the name in a case -> the site whose address it uses; `node` leaves the choice to the kernel, as programs do.
CLIENTS = {
    "pod-a": "a", "pod-b": "b", "pod-c": "c", "node": "", "outside": "outside", "outside-two": "outside-two",
    "crowd": "", "other-node-pod": "x", "other-node": "other-node",
}  # fmt: skip
STATES: dict[str, Tree] = {
    "ready": {"ready": True, "serving": True, "terminating": False},
    "unready": {"ready": False, "serving": False, "terminating": False},
    "terminating": {"ready": False, "serving": True, "terminating": True},
    "dying": {"ready": False, "serving": False, "terminating": True},
    "published": {"ready": True, "serving": False, "terminating": False},  # publishNotReadyAddresses
    "published-terminating": {"ready": True, "serving": False, "terminating": True},
    "bare": {},  # no conditions said: ready
}


class NodeFacts(NamedTuple):
    """What a proxy is told about its node. `node_port_addresses` empty: the mode's own default. `pod_link`: the interface that
    pods come by, `leg-*` for all that begin so."""

    name: str
    zone: str
    addresses: tuple[str, ...]
    cluster_cidrs: tuple[str, ...]
    service_cidrs: tuple[str, ...]
    masquerade_all: bool
    node_port_addresses: tuple[str, ...]
    localhost_node_ports: bool
    pod_link: str = ""


class World(NamedTuple):
    """`removed`: Services that were there a moment ago, with their slices; a proxy has seen them come and go."""

    name: str
    node: NodeFacts
    services: tuple[Tree, ...]
    slices: tuple[Tree, ...]
    removed: tuple[Tree, ...]
    removed_slices: tuple[Tree, ...]


class Expected(NamedTuple):
    """`endpoints`: all (name, port) that must answer, and no other; or a verdict. `masquerade`: `no`, `yes`, `hairpin` (where
    client and endpoint are one) or `any`. `why`: what a mode does differently by nature."""

    endpoints: frozenset[tuple[str, int]]
    verdict: str
    masquerade: str
    skip: bool = False
    why: str = ""


class Flow(NamedTuple):
    """One packet's fate. `destinations`: one (address, port), or several that affinity must treat as one."""

    id: str
    world: str
    family: int
    protocol: str
    client: str
    sources: tuple[str, ...]
    destinations: tuple[tuple[str, int], ...]
    sticky: bool
    expected: Expected
    modes: Mapping[str, Expected]

    def on(self, mode: str) -> Expected:
        return self.modes.get(mode, self.expected)


class Set(NamedTuple):
    """All that the files hold together."""

    worlds: Mapping[str, World]
    flows: tuple[Flow, ...]
    ids: tuple[str, ...]


def address(symbol: str, family: int, services: Mapping[str, Tree] | None = None) -> str:
    """The address that a symbol stands for in a family."""
    if symbol in SITES:
        return SITES[symbol].addresses[family]
    if services and symbol in services:
        return address(f"cluster.{services[symbol]['address']}", family)
    kind, _, number = symbol.partition(".")
    if kind not in RANGES or not number.isdigit():
        raise ValueError(f"no such address: {symbol}")
    return RANGES[kind][family].format(int(number))


def _expand(value: Any, families: Iterable[int]) -> Any:
    """A manifest with its symbols replaced; in a list a symbol becomes one address a family."""
    if isinstance(value, dict):
        return {k: _expand(v, families) for k, v in value.items()}
    if isinstance(value, list):
        found: list[Any] = []
        for item in value:
            if isinstance(item, str) and _is_symbol(item):
                found += [address(item, f) for f in families]
            elif isinstance(item, dict) and _is_symbol(str(item.get("ip", ""))):
                found += [{**item, "ip": address(item["ip"], f)} for f in families]
            else:
                found.append(_expand(item, families))
        return found
    return value


def _is_symbol(text: str) -> bool:
    return text in SITES or bool(re.fullmatch(r"(cluster|external|balancer)\.\d+", text))


def with_ways(short: Tree) -> Tree:
    """`ways: 7` is a Service that can be reached in every way there is: cluster.7, node port 30007, external.7, balancer.7."""
    if "ways" not in short:
        return short
    number = short["ways"]
    spec = {
        "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30000 + number}],
        "externalIPs": [f"external.{number}"],
        **short.get("spec", {}),
    }
    return {"address": number, "balancers": [f"balancer.{number}"], **short, "spec": spec}


def service_tree(name: str, short: Tree) -> Tree:
    """A Service manifest out of its short form."""
    families = short.get("families", [4, 6])
    spec: Tree = {"type": "ClusterIP", "ports": [{"port": 80, "targetPort": 8080}], **short.get("spec", {})}
    if "address" in short:
        addresses = [address(f"cluster.{short['address']}", f) for f in families]
        spec = {"clusterIP": addresses[0], "clusterIPs": addresses, **spec}
    spec["ipFamilies"] = [f"IPv{f}" for f in families]
    tree: Tree = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": short.get("namespace", "shop"), "name": name, "labels": short.get("labels", {})},
        "spec": spec,
        "status": {"loadBalancer": {"ingress": short.get("balancers", [])}},
    }
    if short.get("balancers"):
        tree["spec"]["type"] = "LoadBalancer"
        ingress = [i if isinstance(i, dict) else {"ip": i} for i in short["balancers"]]
        tree["status"]["loadBalancer"]["ingress"] = ingress
    found: Tree = _expand(tree, families)
    return found


def slice_trees(name: str, short: Tree) -> list[Tree]:
    """The slices of a Service: of its short `endpoints`, one a family; of `slices`, as said there."""
    parts = short.get("slices") or [{"endpoints": short.get("endpoints", {})}]
    found = []
    for number, part in enumerate(parts):
        for family in part.get("families", short.get("families", [4, 6])):
            found.append(_slice(name, short, part, f"{name}-{number}-ipv{family}", family))
    return found


def _slice(name: str, short: Tree, part: Tree, title: str, family: int) -> Tree:
    default = [{"port": 80, "targetPort": 8080}]
    ports = part.get("ports") or [
        {"name": p.get("name", ""), "protocol": p.get("protocol", "TCP"), "port": p["targetPort"]}
        for p in short.get("spec", {}).get("ports", default)
    ]
    endpoints = []
    for place, said in part["endpoints"].items():
        said = said if isinstance(said, dict) else {"state": said}
        site = SITES[place]
        entry: Tree = {
            "addresses": [site.addresses[family]],
            "conditions": dict(STATES[said.get("state", "ready")]),
            "nodeName": site.node,
            "zone": site.zone,
        }
        hints = {
            key: [{"name": n} for n in said[word]] for key, word in (("forZones", "zones"), ("forNodes", "nodes")) if word in said
        }
        endpoints.append({**entry, **({"hints": hints} if hints else {})})
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": short.get("namespace", "shop"),
            "name": title,
            "labels": {"kubernetes.io/service-name": name, **part.get("labels", {})},
        },
        "addressType": f"IPv{family}",
        "ports": [{"name": "", "protocol": "TCP", **p} for p in ports],
        "endpoints": endpoints,
    }


def node_facts(short: Tree) -> NodeFacts:
    both = (4, 6)
    ports: list[str] = []
    for item in short.get("nodePortAddresses", []):
        if _is_symbol(item):
            ports += [f"{address(item, 4)}/32", f"{address(item, 6)}/128"]
        else:
            ports += ["0.0.0.0/0", "::/0"] if item == "all" else [item]
    return NodeFacts(
        NODE,
        short.get("zone", "za"),
        tuple(address("node", f) for f in both),
        CLUSTER_CIDRS if short.get("detector", True) and not short.get("interface") else (),
        SERVICE_CIDRS if short.get("serviceCIDRs", True) else (),
        bool(short.get("masqueradeAll", False)),
        tuple(ports),
        bool(short.get("localhostNodePorts", True)),
        str(short.get("interface", "")),
    )


def _short_services(world: Tree, key: str) -> dict[str, Tree]:
    return {name: with_ways(short) for name, short in world.get(key, {}).items()}


def _world(name: str, short: Tree) -> World:
    services, removed = _short_services(short, "services"), _short_services(short, "removed")
    return World(
        name,
        node_facts(short.get("node", {})),
        tuple(service_tree(n, s) for n, s in services.items()),
        tuple(t for n, s in services.items() for t in slice_trees(n, s)),
        tuple(service_tree(n, s) for n, s in removed.items()),
        tuple(t for n, s in removed.items() for t in slice_trees(n, s)),
    )


def expected(short: Tree, base: Expected | None = None) -> Expected:
    """What a case, or its exception for a mode, says must happen."""
    endpoints, verdict = (base.endpoints, base.verdict) if base else (frozenset(), "")
    masquerade = base.masquerade if base else "no"
    if "expect" in short:
        words = str(short["expect"]).split()
        verdict = words[0] if words[0] in VERDICTS else ""
        pairs = (w.partition(":") for w in words if not verdict)
        endpoints = frozenset((n, int(p or short.get("port", 8080))) for n, _, p in pairs)
        unknown = {n for n, _ in endpoints} - set(SITES)
        if unknown:
            raise ValueError(f"no such endpoint: {unknown}")
    if "masquerade" in short:
        masquerade = {True: "yes", False: "no"}.get(short["masquerade"], short["masquerade"])
    return Expected(endpoints, verdict, masquerade, bool(short.get("skip")), short.get("why", ""))


def _applies(rule: Tree, case: Tree, family: int) -> bool:
    """Whether a mode's rule is about a case: by its id, its client, its protocol, its family."""
    return (
        fnmatch(case["id"], rule.get("cases", "*"))
        and fnmatch(case["from"], rule.get("from", "*"))
        and fnmatch(case.get("protocol", "tcp"), rule.get("protocol", "*"))
        and family in rule.get("families", [4, 6])
    )


def _flows(world: str, services: Mapping[str, Tree], case: Tree, modes: Mapping[str, list[Tree]]) -> list[Flow]:
    known = {"id", "from", "to", "expect", "masquerade", "protocol", "families", "port", "sticky", *MODES}
    if set(case) - known:
        raise ValueError(f"{case['id']}: unknown {set(case) - known}")
    base, found = expected(case), []
    targets = case["to"] if isinstance(case["to"], list) else [case["to"]]
    if not base.verdict and "masquerade" not in case:
        raise ValueError(f"{case['id']}: an answered case says who it looks like")
    for family in case.get("families", [4, 6]):
        if case["from"] == "crowd":
            sources = CROWD[family]
        else:
            site = CLIENTS[case["from"]]
            sources = (SITES[site].addresses[family],) if site else ("",)
        destinations = []
        for target in targets:
            symbol, _, port = target.rpartition(":")
            destinations.append((address(symbol, family, services), int(port)))
        exceptions = {}
        for mode, rules in modes.items():
            said = base
            for rule in rules:
                if _applies(rule, case, family) and rule.get("plain"):
                    said = base
                elif _applies(rule, case, family):
                    said = expected(rule, said)._replace(**({"masquerade": "any"} if said.masquerade == "any" else {}))
            own = case.get(mode)
            if own and family in own.get("families", [4, 6]):
                said = expected({"port": case.get("port", 8080), **own}, base)
            if said._replace(why="") != base:
                exceptions[mode] = said
        found.append(
            Flow(
                case["id"],
                world,
                family,
                case.get("protocol", "tcp"),
                case["from"],
                sources,
                tuple(destinations),
                bool(case.get("sticky")),
                base,
                exceptions,
            )
        )
    return found


def load(texts: Iterable[str]) -> Set:
    """The set that these YAML texts are together."""
    documents: list[Tree] = [yaml.safe_load(t) for t in texts]
    modes: dict[str, list[Tree]] = {mode: [] for mode in MODES}
    for document in documents:
        modes.update(document.get("modes", {}))
    worlds: dict[str, World] = {}
    flows: list[Flow] = []
    ids: list[str] = []
    for document in documents:
        shorts = document.get("worlds", {})
        for name, short in shorts.items():
            if name in worlds:
                raise ValueError(f"two worlds are called {name}")
            worlds[name] = _world(name, short)
        for world, cases in document.get("in", {}).items():
            for case in cases:
                if case["id"] in ids:
                    raise ValueError(f"two cases are called {case['id']}")
                ids.append(case["id"])
                named = {**_short_services(shorts[world], "removed"), **_short_services(shorts[world], "services")}
                try:
                    flows += _flows(world, named, case, modes)
                except (KeyError, ValueError) as e:
                    raise ValueError(f"{world}: {case['id']}: {e!r}") from e
    return Set(worlds, tuple(flows), tuple(ids))


def read(folder: Path = HERE) -> Set:
    """The set of this folder's files."""
    return load(p.read_text() for p in sorted(folder.glob("*.yaml")))
