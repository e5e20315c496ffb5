"""The chains, maps and sets that all Services share; pure.

A connection to a Service with three endpoints looks its address up once, goes to chain `n3`, which draws a slot number, and
slot 1's map says which endpoint that is. Under externalTrafficPolicy Local it goes to chain `local-1-of-3` instead, which
sends pods and the node on to all three, everybody else to the one here.
"""

from __future__ import annotations

import hashlib

from seaway.proxy.table import Facts

TABLE = "seaway"
PROTOCOLS = "{ tcp, udp, sctp }"


def family_name(family: int) -> str:
    return "ip" if family == 4 else "ip6"


def comment(title: str) -> str:
    """An element's comment; what could end it is left out."""
    clean = "".join(c for c in title if c.isalnum() or c in "-./:_")[:120]
    return f' comment "{clean}"'


def skeleton(facts: Facts) -> list[str]:
    """The fixed part: maps, hooks, refusals, and a chain whose name says which layout this is."""
    lines = _skeleton(facts)
    return [*lines, f"add chain {family_name(facts.family)} {TABLE} {layout_name(lines, facts)}"]


def layout_name(lines: list[str], facts: Facts) -> str:
    """A name that changes with anything in the layout, the shapes of chains that come later included."""
    family = facts.family
    whole = [*lines, *slot_chains(family, 0), *count_chains(family, 2), *split_chains(facts, 1, 2)]
    return "layout-" + hashlib.sha256("\n".join(whole).encode()).hexdigest()[:12]


def _to_cluster_ips(facts: Facts) -> list[str]:
    """Who is masqueraded on the way to a ClusterIP: all, or what is no pod, where pods can be told."""
    f = family_name(facts.family)
    if facts.masquerade_all:
        return [f"{f} daddr @cluster-ips jump mark-masquerade"]
    if facts.tells_pods:
        return [f"{f} daddr @cluster-ips {_pods(facts, '!= ')} jump mark-masquerade"]
    return []


def _pods(facts: Facts, unless: str = "") -> str:
    """What matches packets of pods, or with `!= ` all others (pkg/proxy/util/localdetector.go). What the node itself sends has
    no interface that it came by, and so is no pod's."""
    if facts.pod_link:
        return f'iifname {unless}"{facts.pod_link}"'
    return f"{family_name(facts.family)} saddr {unless}@cluster-cidrs"


def from_inside(facts: Facts, pods: str, node: str) -> list[str]:
    """Rules of policy Local: pods go on to one chain, what the node sends to another."""
    return [f"{_pods(facts)} goto {pods}", f"fib saddr type local goto {node}"]


def _skeleton(facts: Facts) -> list[str]:
    family = facts.family
    f, addr = family_name(family), "ipv4_addr" if family == 4 else "ipv6_addr"
    daddr, saddr = f"{f} daddr", f"{f} saddr"
    reject = "icmp type port-unreachable" if family == 4 else "icmpv6 type port-unreachable"
    lines = [
        f'add table {f} {TABLE} {{ comment "rules for Services"; }}',
        f"add map {f} {TABLE} service-ips {{ type {addr} . inet_proto . inet_service : verdict; }}",
        f"add map {f} {TABLE} service-nodeports {{ type inet_proto . inet_service : verdict; }}",
        f"add map {f} {TABLE} no-endpoints {{ type {addr} . inet_proto . inet_service : verdict; }}",
        f"add map {f} {TABLE} no-endpoint-nodeports {{ type inet_proto . inet_service : verdict; }}",
        f"add set {f} {TABLE} cluster-ips {{ type {addr}; }}",
        f"add set {f} {TABLE} node-ips {{ type {addr}; }}",
        f"add set {f} {TABLE} cluster-cidrs {{ type {addr}; flags interval; }}",
        f"add set {f} {TABLE} service-cidrs {{ type {addr}; flags interval; }}",
        f"add set {f} {TABLE} restricted {{ type {addr} . inet_proto . inet_service; }}",
        f"add set {f} {TABLE} allowed {{ type {addr} . inet_proto . inet_service . {addr}; flags interval; }}",
        f"add set {f} {TABLE} hairpin {{ type {addr} . {addr}; }}",
    ]
    for name, hook, priority in (("prerouting", "prerouting", "dstnat"), ("output", "output", "-100")):
        lines.append(f"add chain {f} {TABLE} nat-{name} {{ type nat hook {hook} priority {priority}; }}")
    lines.append(f"add chain {f} {TABLE} nat-postrouting {{ type nat hook postrouting priority srcnat; }}")
    # After the DNAT (-100) on the way out too: what is left with a Service's address has nobody to answer it.
    for name, priority in (("input", "-110"), ("forward", "-110"), ("output", "-90")):
        lines.append(f"add chain {f} {TABLE} filter-{name} {{ type filter hook {name} priority {priority}; }}")
    for name in ("services", "mark-masquerade", "refuse", "refuse-now"):
        lines.append(f"add chain {f} {TABLE} {name}")
    key = f"{daddr} . meta l4proto . th dport"
    rules = {
        "nat-prerouting": ["jump services"],
        "nat-output": ["jump services"],
        "services": [
            f"{key} @restricted {key} . {saddr} != @allowed drop",
            *_to_cluster_ips(facts),
            f"meta l4proto {PROTOCOLS} {key} vmap @service-ips",
            f"{daddr} @node-ips meta l4proto {PROTOCOLS} meta l4proto . th dport vmap @service-nodeports",
        ],
        "mark-masquerade": [] if not facts.masquerade else [f"meta mark set meta mark | {facts.mark:#x}"],
        "nat-postrouting": [
            f"meta mark & {facts.mark:#x} == {facts.mark:#x} meta mark set meta mark ^ {facts.mark:#x} masquerade fully-random",
            f"ct status dnat {saddr} . {daddr} @hairpin masquerade fully-random",
        ],
        "filter-input": ["ct state new jump refuse"],
        "filter-forward": ["ct state new jump refuse"],
        "filter-output": ["ct state new jump refuse"],
        "refuse": [
            f"meta l4proto {PROTOCOLS} {key} vmap @no-endpoints",
            f"{daddr} @node-ips meta l4proto {PROTOCOLS} meta l4proto . th dport vmap @no-endpoint-nodeports",
            f"{daddr} @cluster-ips goto refuse-now",
            f"{daddr} @service-cidrs drop",
        ],
        "refuse-now": [f"meta l4proto tcp reject with tcp reset", f"reject with {reject}"],  # noqa: F541
    }
    for chain, texts in rules.items():
        lines += [f"add rule {f} {TABLE} {chain} {text}" for text in texts]
    return lines


WAYS = ("", "nodeport-")  # by address, by node port
SLOTS = ("slot", "local-slot")  # everybody's, and those that outsiders get under policy Local


def slot_chains(family: int, number: int) -> list[str]:
    """The chains and maps of slot `number`, for each way in."""
    f, addr = family_name(family), "ipv4_addr" if family == 4 else "ipv6_addr"
    dnat, port = f"meta l4proto {PROTOCOLS} dnat {f} to", "meta l4proto . th dport"
    lines = []
    for way in WAYS:
        kind, key = (
            (port, "inet_proto . inet_service")
            if way
            else (f"{f} daddr . {port}", f"{addr} . inet_proto . inet_service")
        )
        for slot in SLOTS:
            name = f"{way}{slot}-{number}"
            lines += [
                f"add map {f} {TABLE} {name} {{ type {key} : {addr} . inet_service; }}",
                f"add chain {f} {TABLE} {name}",
                f"add rule {f} {TABLE} {name} {dnat} {kind} map @{name}",
            ]
    return lines


def draw(chains: list[str]) -> str:
    """One of several chains at random."""
    if len(chains) == 1:
        return f"goto {chains[0]}"
    choices = ", ".join(f"{i} : goto {name}" for i, name in enumerate(chains))
    return f"numgen random mod {len(chains)} vmap {{ {choices} }}"


def _slots(way: str, slot: str, count: int) -> list[str]:
    return [f"{way}{slot}-{i}" for i in range(count)]


def count_chains(family: int, count: int) -> list[str]:
    """The chains that draw one of `count` slots: plain and masqueraded, for addresses and for node ports."""
    f = family_name(family)
    lines = []
    for way in WAYS:
        for masquerade in (False, True):
            name = f"{way}n{count}" + ("-masq" if masquerade else "")
            lines.append(f"add chain {f} {TABLE} {name}")
            if masquerade:
                lines.append(f"add rule {f} {TABLE} {name} jump mark-masquerade")
            lines.append(f"add rule {f} {TABLE} {name} {draw(_slots(way, 'slot', count))}")
    return lines


def split_chains(facts: Facts, local: int, everywhere: int) -> list[str]:
    """The chains of policy Local for `local` endpoints here of `everywhere` (TestInternalExternalMasquerade): pods and the
    node are let through to all, outsiders to those here. None here: what falls through is dropped by `refuse`."""
    f = family_name(facts.family)
    lines = []
    for way in WAYS:
        name = f"{way}local-{local}-of-{everywhere}"
        inside = from_inside(facts, f"{way}n{everywhere}", f"{way}n{everywhere}-masq")
        lines += [f"add chain {f} {TABLE} {name}", *(f"add rule {f} {TABLE} {name} {rule}" for rule in inside)]
        if local:
            lines.append(f"add rule {f} {TABLE} {name} {draw(_slots(way, 'local-slot', local))}")
    return lines


def cleanup(family: int) -> str:
    """Removes every trace."""
    f = family_name(family)
    return f"add table {f} {TABLE}\ndelete table {f} {TABLE}\n"
