"""The iptables rules of IPVS mode: a fixed handful, whatever Services there are; pure."""

from __future__ import annotations

from seaway.proxy.iptables.rules import link
from seaway.proxy.ipvs import sets
from seaway.proxy.table import Facts

MARK, POSTROUTING, SERVICES, FILTER, FIREWALL, FORWARD, UNKNOWN = (
    "KUBE-MARK-MASQ",
    "KUBE-POSTROUTING",
    "KUBE-SERVICES",
    "KUBE-IPVS-FILTER",
    "KUBE-PROXY-FIREWALL",
    "KUBE-FORWARD",
    "KUBE-UNALLOCATED",
)
Chains = dict[str, list[str]]
# table, built-in chain, ours
HOOKS = (
    ("nat", "PREROUTING", SERVICES),
    ("nat", "OUTPUT", SERVICES),
    ("nat", "POSTROUTING", POSTROUTING),
    ("mangle", "OUTPUT", FIREWALL),  # IPVS takes what this node sends before the filter table sees it
    ("filter", "INPUT", FILTER),
    ("filter", "FORWARD", FORWARD),
    ("filter", "FORWARD", UNKNOWN),
    ("filter", "OUTPUT", UNKNOWN),
)


def chains(facts: Facts) -> dict[str, Chains]:
    """table -> chain -> rules."""

    def asks(base: str, directions: str = "dst,dst") -> str:
        return f"-m set --match-set {sets.name(facts.family, base)} {directions}"

    def asks_not(base: str, directions: str) -> str:
        return f"-m set ! --match-set {sets.name(facts.family, base)} {directions}"

    mark = f"{facts.mark:#x}"
    pods = facts.cluster_cidrs
    inside: list[str] = []
    if facts.masquerade_all:
        inside = [f"{asks(sets.CLUSTER_IP)} -j {MARK}"]
    elif facts.pod_link:
        inside = [f"! -i {link(facts)} {asks(sets.CLUSTER_IP)} -j {MARK}"]
    elif pods:
        inside = [f"-s {cidr} {asks(sets.CLUSTER_IP)} -j RETURN" for cidr in pods]
        inside.append(f"{asks(sets.CLUSTER_IP)} -j {MARK}")
    outside = [f"{asks(base)} -j {MARK}" for base in (sets.LOAD_BALANCER, sets.EXTERNAL, sets.NODE_PORTS)]
    kept_out = f"{asks(sets.RESTRICTED)} {asks_not(sets.ALLOWED, 'dst,dst,src')} -j DROP"
    new = "-m conntrack --ctstate NEW"
    return {
        "nat": {
            MARK: [f"-j MARK --set-xmark {mark}/{mark}"],
            SERVICES: [*outside, *inside],
            POSTROUTING: [
                f"{asks(sets.LOOP_BACK, 'src,dst')} -j MASQUERADE",
                f"-m mark ! --mark {mark}/{mark} -j RETURN",
                f"-j MARK --set-xmark 0x0/{mark}",
                "-j MASQUERADE --random-fully",
            ],
        },
        "mangle": {FIREWALL: [kept_out]},
        "filter": {
            FILTER: [
                kept_out,
                f"{new} {asks(sets.DROPPED)} -j DROP",
                f"{new} {asks(sets.REJECTED)} -j REJECT",
                f"{asks(sets.SERVED)} -j RETURN",
                # Whatever else the node listens on is not to be had by a Service's address.
                f"{new} {asks(sets.HELD, 'dst')} -j REJECT",
            ],
            FORWARD: [f"-m mark --mark {mark}/{mark} -j ACCEPT"],
            UNKNOWN: [f"{new} -d {cidr} {asks_not(sets.HELD, 'dst')} -j DROP" for cidr in facts.service_cidrs],
        },
    }


def text(facts: Facts) -> str:
    """All chains declared anew, for iptables-restore --noflush."""
    parts = []
    for table, own in chains(facts).items():
        lines = [f":{chain} - [0:0]" for chain in own]
        lines += [f"-A {chain} {rule}" for chain, rules in own.items() for rule in rules]
        parts.append(f"*{table}\n" + "\n".join(lines) + "\nCOMMIT\n")
    return "".join(parts)


def hooks(held: dict[str, dict[str, list[str]]]) -> str:
    """The rules that lead from the built-in chains to ours, where they are missing."""
    parts = []
    for table, chain, target in HOOKS:
        if not any(rule.endswith(f"-j {target}") for rule in held.get(table, {}).get(chain, ())):
            parts.append(f"*{table}\n-I {chain} 1 -j {target}\nCOMMIT\n")
    return "".join(parts)


# Chains whose names iptables mode has as well.
SHARED = frozenset({("nat", SERVICES), ("nat", POSTROUTING), ("nat", MARK), ("filter", FORWARD)})


def cleanup(held: dict[str, dict[str, list[str]]], kept: frozenset[tuple[str, str]] = frozenset()) -> str:
    """Removes the hooks' rules, then our chains; but for those (table, chain) that another mode has made its own."""
    parts = []
    ours = {"nat": (SERVICES, POSTROUTING, MARK), "mangle": (FIREWALL,), "filter": (FILTER, FORWARD, UNKNOWN)}
    for table, every in ours.items():
        own = [chain for chain in every if (table, chain) not in kept]
        there = held.get(table, {})
        lines = [f":{chain} - [0:0]" for chain in own if chain in there]
        lines += [
            f"-D {c} -j {t}" for name, c, t in HOOKS if name == table and t in own and f"-j {t}" in there.get(c, ())
        ]
        lines += [f"-X {chain}" for chain in own if chain in there]
        if lines:
            parts.append(f"*{table}\n" + "\n".join(lines) + "\nCOMMIT\n")
    return "".join(parts)
