"""The ipsets that the fixed rules ask, and what Services put into them; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from seaway.proxy.table import BALANCER, CLUSTER, NODE_PORT, Facts, Refusal, Target, Way

CLUSTER_IP, EXTERNAL, RESTRICTED, ALLOWED = (
    "KUBE-CLUSTER-IP",
    "KUBE-EXTERNAL-IP",
    "KUBE-LOAD-BALANCER-FW",
    "KUBE-LOAD-BALANCER-SOURCE-CIDR",
)
LOAD_BALANCER, LOOP_BACK, NODE_PORTS = "KUBE-LOAD-BALANCER", "KUBE-LOOP-BACK", "KUBE-NODE-PORT"
SERVED, REJECTED, DROPPED, HELD = "KUBE-SERVED", "KUBE-REJECT", "KUBE-DROP", "KUBE-IPVS-IPS"
TYPES = {
    CLUSTER_IP: "hash:ip,port",
    EXTERNAL: "hash:ip,port",
    LOAD_BALANCER: "hash:ip,port",
    NODE_PORTS: "hash:ip,port",
    RESTRICTED: "hash:ip,port",
    ALLOWED: "hash:ip,port,net",
    LOOP_BACK: "hash:net,net",
    SERVED: "hash:ip,port",
    REJECTED: "hash:ip,port",
    DROPPED: "hash:ip,port",
    HELD: "hash:ip",
}
MOST = 1 << 20
Members = set[tuple[str, str]]  # set, member


def name(family: int, base: str) -> str:
    """kube-proxy's name of a set: IPv6 has its own, cut where the kernel's names end."""
    return base if family == 4 else ("KUBE-6-" + base.removeprefix("KUBE-"))[:31]


def member(address: str, protocol: str, port: int) -> str:
    return f"{address},{protocol}:{port}"


def of_way(key: Any, way: Way | None, facts: Facts) -> Members:
    """What a way in puts into sets."""
    if way is None:
        return set()
    keys = [key] if len(key) == 3 else [(a, key[0], key[1]) for a in facts.node_addresses]
    found: Members = set()
    answer = way.answer
    for address, protocol, port in keys:
        text = member(address, protocol, port)
        if isinstance(answer, Refusal):
            found.add((REJECTED if answer.verdict == "reject" else DROPPED, text))
        elif not (answer.backends if isinstance(answer, Target) else answer.local):
            found.add((DROPPED, text))
        else:
            found.add((SERVED, text))
            if way.kind == CLUSTER:
                found.add((CLUSTER_IP, text))
            elif isinstance(answer, Target) and answer.masquerade:
                found.add(({NODE_PORT: NODE_PORTS, BALANCER: LOAD_BALANCER}.get(way.kind, EXTERNAL), text))
        for source in way.sources:
            found |= {(RESTRICTED, text), (ALLOWED, f"{text},{source}")}
        if way.kind != NODE_PORT and address not in facts.node_addresses:  # the node's own it has already
            found.add((HELD, address))
    return found


def of_hairpins(addresses: Iterable[str]) -> Members:
    """Endpoints that may meet themselves."""
    return {(LOOP_BACK, f"{a},{a}") for a in addresses}


def created(family: int) -> list[str]:
    """The lines that make the sets where they are missing."""
    kind = "inet" if family == 4 else "inet6"
    return [f"create {name(family, base)} {what} family {kind} maxelem {MOST}" for base, what in TYPES.items()]


def changed(family: int, gone: Members, fresh: Members) -> list[str]:
    """The lines of a change."""
    lines = [f"add {name(family, base)} {text}" for base, text in sorted(fresh)]
    return lines + [f"del {name(family, base)} {text}" for base, text in sorted(gone)]


def destroyed(family: int) -> list[str]:
    return [f"destroy {name(family, base)}" for base in TYPES]


def read(text: str) -> dict[str, set[str]]:
    """`ipset save` as set -> members."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        words = line.split(" ")
        if words[0] == "create":
            found.setdefault(words[1], set())
        elif words[0] == "add":
            found.setdefault(words[1], set()).add(words[2])
    return found


def held(family: int, saved: Mapping[str, set[str]]) -> Members:
    """The members that the kernel has of our sets."""
    return {(base, text) for base in TYPES for text in saved.get(name(family, base), ())}
