"""The chains and rules of one Service port; pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import NamedTuple

from seaway.proxy.iptables.names import (
    EXT,
    EXTERNAL,
    FIREWALL,
    FW,
    INSIDE,
    MARK_MASQ,
    NODE_PORTS,
    OUTSIDERS,
    SEP,
    SERVICES,
    SVC,
    SVL,
    comment,
    endpoint_text,
    port_hash,
)
from seaway.proxy.table import CLUSTER, NODE_PORT, Backend, Facts, Refusal, Split, Target, Way

NAT, FILTER = "nat", "filter"
Chains = dict[str, tuple[str, ...]]


class Rules(NamedTuple):
    """`chains` are of the nat table, the port's own. `shared`: rules (table, chain, rule) of the chains that all share."""

    chains: Chains
    shared: set[tuple[str, str, str]]


def _to(protocol: str, address: str, port: int) -> str:
    width = "128" if ":" in address else "32"
    return f"-d {address}/{width} -p {protocol} -m {protocol} --dport {port}"


class _Port:
    """One Service port in the making."""

    def __init__(self, facts: Facts, title: str, protocol: str) -> None:
        self.facts, self.title, self.protocol = facts, title, protocol
        self.hash = port_hash(title, protocol)
        self.chains: Chains = {}
        self.shared: set[tuple[str, str, str]] = set()

    def endpoint(self, backend: Backend, affinity: int) -> str:
        text = endpoint_text(backend)
        name = SEP + port_hash(self.title, self.protocol, text)
        width = "128" if self.facts.family == 6 else "32"
        noted = f"-m recent --set --name {name} --rsource " if affinity else ""
        self.chains[name] = (
            f"-s {backend[0]}/{width} {comment(self.title)} -j {MARK_MASQ}",
            f"-p {self.protocol} {comment(self.title)} {noted}-m {self.protocol} -j DNAT --to-destination {text}",
        )
        return name

    def pool(self, name: str, backends: tuple[Backend, ...], affinity: int, first: tuple[str, ...] = ()) -> None:
        """A chain that leads to one of several endpoints."""
        ends = [(b, self.endpoint(b, affinity)) for b in backends]
        rules = list(first)
        if affinity:
            for backend, chain in ends:
                said = comment(f"{self.title} -> {endpoint_text(backend)}")
                rules.append(
                    f"{said} -m recent --rcheck --seconds {affinity} --reap --name {chain} --rsource -j {chain}"
                )
        for number, (backend, chain) in enumerate(ends):
            left = len(ends) - number
            chance = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
            rules.append(f"{comment(f'{self.title} -> {endpoint_text(backend)}')} {chance}-j {chain}")
        self.chains[name] = tuple(rules)

    def masquerade_to(self, address: str, port: int) -> tuple[str, ...]:
        """Who is masqueraded on the way to a ClusterIP."""
        to = f"{comment(f'{self.title} cluster IP')} {_to(self.protocol, address, port)}"
        ranges = self.facts.cluster_cidrs
        if self.facts.masquerade_all:
            return (f"{to} -j {MARK_MASQ}",)
        if self.facts.pod_link:
            return (f"! -i {link(self.facts)} {to} -j {MARK_MASQ}",)
        if not ranges:
            return ()
        return (f"! -s {ranges[0]} {to} -j {MARK_MASQ}" if len(ranges) == 1 else f"{to} -j {OUTSIDERS}",)

    def refuse(self, key: Hashable, way: Way, verdict: str, why: str) -> None:
        """What never gets an address of an endpoint is refused by the filter table."""
        target = "REJECT" if verdict == "reject" else "DROP"
        said = comment(f"{self.title} {why}")
        if isinstance(key, tuple) and len(key) == 3:
            chain = SERVICES if way.kind == CLUSTER else EXTERNAL
            to = f"{said} {_to(self.protocol, key[0], key[2])} -j {target}"
            for who in [f"-s {source} " for source in way.sources] or [""]:
                self.shared.add((FILTER, chain, who + to))
        elif isinstance(key, tuple):
            for where in node_port_matches(self.facts):
                rule = f"{said} {where} -p {self.protocol} -m {self.protocol} --dport {key[1]} -j {target}"
                self.shared.add((FILTER, EXTERNAL, rule))


def link(facts: Facts) -> str:
    """The interface that pods come by, as iptables writes one; `+` stands for whatever follows."""
    return facts.pod_link.replace("*", "+")


def node_port_matches(facts: Facts) -> list[str]:
    """How packets to the node's own addresses are told."""
    if facts.every_address:
        apart = "! -d ::1/128 " if facts.family == 6 else "" if facts.localhost else "! -d 127.0.0.0/8 "
        return [f"{apart}-m addrtype --dst-type LOCAL"]
    width = "128" if facts.family == 6 else "32"
    return [f"-d {address}/{width}" for address in sorted(facts.node_addresses)]


def _external(port: _Port, answer: Target | Split, whole: str, local: str) -> None:
    """The chain of all ways from outside."""
    outside = comment(f"masquerade traffic for {port.title} external destinations")
    if isinstance(answer, Target):
        first = [f"{outside} -j {MARK_MASQ}"] if answer.masquerade else []
        port.chains[EXT + port.hash] = (*first, f"-j {whole}")
        return
    pods = comment(f"pod traffic for {port.title} external destinations")
    node = comment(f"route LOCAL traffic for {port.title} external destinations")
    told = [f"-i {link(port.facts)}"] if port.facts.pod_link else [f"-s {cidr}" for cidr in port.facts.cluster_cidrs]
    rules = [f"{who} {pods} -j {whole}" for who in told]
    rules += [f"{node} -m addrtype --src-type LOCAL -j {MARK_MASQ}", f"{node} -m addrtype --src-type LOCAL -j {whole}"]
    port.chains[EXT + port.hash] = (*rules, *([f"-j {local}"] if answer.local else []))


def _pool_name(
    port: _Port, backends: tuple[Backend, ...], everywhere: tuple[Backend, ...], here: tuple[Backend, ...]
) -> str:
    """The chain of a ClusterIP's endpoints: shared with the ways from outside where those have the same."""
    if not everywhere or backends == everywhere:
        return SVC + port.hash
    return (SVL if not here or backends == here else INSIDE) + port.hash


def of_port(facts: Facts, title: str, protocol: str, ways: Mapping[Hashable, Way]) -> Rules:
    """Everything of one Service port: its ways in by key."""
    port = _Port(facts, title, protocol)
    inner = [(k, w) for k, w in ways.items() if w.kind == CLUSTER]
    outer = [(k, w) for k, w in ways.items() if w.kind != CLUSTER]
    outside = next((w.answer for _, w in outer if not isinstance(w.answer, Refusal)), None)
    everywhere: tuple[Backend, ...] = ()
    if isinstance(outside, Target):
        everywhere = outside.backends
    elif isinstance(outside, Split):
        everywhere = outside.everywhere
    whole, local = SVC + port.hash, SVL + port.hash
    for key, way in inner:
        answer = way.answer
        if isinstance(answer, Refusal):
            port.refuse(
                key, way, answer.verdict, "has no local endpoints" if answer.verdict == "drop" else "has no endpoints"
            )
        elif isinstance(answer, Target) and isinstance(key, tuple):
            name = _pool_name(port, answer.backends, everywhere, outside.local if isinstance(outside, Split) else ())
            port.pool(name, answer.backends, answer.affinity, port.masquerade_to(key[0], key[2]))
            to = f"{comment(f'{title} cluster IP')} {_to(protocol, key[0], key[2])}"
            port.shared.add((NAT, SERVICES, f"{to} -j {name}"))
    if outside is not None and not isinstance(outside, Refusal):
        if whole not in port.chains:
            port.pool(whole, everywhere, outside.affinity)
        if isinstance(outside, Split) and outside.local and local not in port.chains:
            port.pool(local, outside.local, outside.affinity)
        _external(port, outside, whole, local)
    for key, way in outer:
        _way_in(port, key, way)
    return Rules(port.chains, port.shared)


def _way_in(port: _Port, key: Hashable, way: Way) -> None:
    """The rules of one address or node port from outside."""
    answer, title, protocol = way.answer, port.title, port.protocol
    assert isinstance(key, tuple)
    if isinstance(answer, Refusal):
        port.refuse(
            key, way, answer.verdict, "has no local endpoints" if answer.verdict == "drop" else "has no endpoints"
        )
    elif way.kind == NODE_PORT:
        port.shared.add(
            (NAT, NODE_PORTS, f"{comment(title)} -p {protocol} -m {protocol} --dport {key[1]} -j {EXT}{port.hash}")
        )
    elif not way.sources:
        said = comment(f"{title} external IP")
        port.shared.add((NAT, SERVICES, f"{said} {_to(protocol, key[0], key[2])} -j {EXT}{port.hash}"))
    else:
        said = comment(f"{title} loadbalancer IP")
        port.chains[FW + port.hash] = tuple(f"-s {source} {said} -j {EXT}{port.hash}" for source in way.sources)
        port.shared.add((NAT, SERVICES, f"{said} {_to(protocol, key[0], key[2])} -j {FW}{port.hash}"))
    if way.sources:
        kept = comment(f"{title} traffic not accepted by {FW}{port.hash}")
        port.shared.add((FILTER, FIREWALL, f"{kept} {_to(protocol, key[0], key[2])} -j DROP"))
    if isinstance(answer, Split) and not answer.local:
        port.refuse(key, way, "drop", "has no local endpoints")
