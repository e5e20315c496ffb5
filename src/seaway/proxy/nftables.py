"""The nftables data plane: a ServiceTable rendered as the difference to the one before; pure.

Few objects: however many Services there are, the chains are one for each *slot* and one for each endpoint *count*. A
connection to a Service with three endpoints looks its address up once, goes to chain `n3`, which draws a slot number, and
slot 1's map says which endpoint that is. A change of one Service touches its own map elements and nothing else. Packet marks
are left alone but for one bit, masquerade's (0x4000, as kube-proxy).

Elements carry the Service's name as a comment: `nft list map ip seaway service-ips` reads like a list of Services.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seaway.proxy.table import Backend, Refusal, ServiceTable, Target

TABLE = "seaway"
MARK = "0x4000"
PROTOCOLS = "{ tcp, udp, sctp }"


def family_name(family: int) -> str:
    return "ip" if family == 4 else "ip6"


def _comment(title: str) -> str:
    clean = "".join(c for c in title if c.isalnum() or c in "-./:_")[:120]
    return f' comment "{clean}"'


def skeleton(family: int) -> list[str]:
    """The fixed part: maps, hooks, refusals. Created whole; `delete table` first, in the same transaction."""
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
            f"{daddr} @cluster-ips {saddr} != @cluster-cidrs jump mark-masquerade",
            f"meta l4proto {PROTOCOLS} {key} vmap @service-ips",
            f"{daddr} @node-ips meta l4proto {PROTOCOLS} meta l4proto . th dport vmap @service-nodeports",
        ],
        "mark-masquerade": [f"meta mark set meta mark | {MARK}"],
        "nat-postrouting": [
            f"meta mark & {MARK} == {MARK} meta mark set meta mark ^ {MARK} masquerade fully-random",
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


def slot_chains(family: int, number: int) -> list[str]:
    """The chains and maps of slot `number`: one by address, one for node ports."""
    f, addr = family_name(family), "ipv4_addr" if family == 4 else "ipv6_addr"
    dnat, port = f"meta l4proto {PROTOCOLS} dnat {f} to", "meta l4proto . th dport"
    return [
        f"add map {f} {TABLE} slot-{number} {{ type {addr} . inet_proto . inet_service : {addr} . inet_service; }}",
        f"add map {f} {TABLE} nodeport-slot-{number} {{ type inet_proto . inet_service : {addr} . inet_service; }}",
        f"add chain {f} {TABLE} slot-{number}",
        f"add chain {f} {TABLE} nodeport-slot-{number}",
        f"add rule {f} {TABLE} slot-{number} {dnat} {f} daddr . {port} map @slot-{number}",
        f"add rule {f} {TABLE} nodeport-slot-{number} {dnat} {port} map @nodeport-slot-{number}",
    ]


def count_chains(family: int, count: int) -> list[str]:
    """The chains that draw one of `count` slots: plain and masqueraded, for addresses and for node ports."""
    f = family_name(family)
    lines = []
    for prefix, slot in (("n", "slot"), ("nodeport-n", "nodeport-slot")):
        choices = ", ".join(f"{i} : goto {slot}-{i}" for i in range(count))
        draw = f"numgen random mod {count} vmap {{ {choices} }}" if count > 1 else f"goto {slot}-0"
        for masquerade in (False, True):
            name = f"{prefix}{count}" + ("-masq" if masquerade else "")
            lines.append(f"add chain {f} {TABLE} {name}")
            if masquerade:
                lines.append(f"add rule {f} {TABLE} {name} jump mark-masquerade")
            lines.append(f"add rule {f} {TABLE} {name} {draw}")
    return lines


def _key(key: tuple[str | int, ...]) -> str:
    return " . ".join(str(part) for part in key)


def elements(table: ServiceTable) -> dict[tuple[str, str], str]:
    """Every element of every map and set: (map, key) -> value with its comment; sets have the value ''."""
    found: dict[tuple[str, str], str] = {}
    for prefix, entries, refusals, slot in (
        ("n", table.vips, "no-endpoints", "slot"),
        ("nodeport-n", table.node_ports, "no-endpoint-nodeports", "nodeport-slot"),
    ):
        lookup = "service-ips" if slot == "slot" else "service-nodeports"
        pairs: Mapping[tuple[str | int, ...], Target | Refusal] = entries  # type: ignore[assignment]
        for key, value in pairs.items():
            text = _key(key)
            comment = _comment(value.title)
            if isinstance(value, Refusal):
                found[(refusals, text)] = f"{comment} : " + ("goto refuse-now" if value.verdict == "reject" else "drop")
                continue
            masquerade = "-masq" if value.masquerade else ""
            found[(lookup, text)] = f"{comment} : goto {prefix}{len(value.backends)}{masquerade}"
            for number, backend in enumerate(value.backends):
                found[(f"{slot}-{number}", text)] = f" : {_backend(backend)}"
    for name, values in (
        ("cluster-ips", table.cluster_ips),
        ("node-ips", table.node_addresses),
        ("cluster-cidrs", table.cluster_cidrs),
        ("service-cidrs", table.service_cidrs),
    ):
        for address in values:
            found[(name, address)] = ""
    for address in table.hairpins:
        found[("hairpin", f"{address} . {address}")] = ""
    return found


def _backend(backend: Backend) -> str:
    return f"{backend[0]} . {backend[1]}"


def counts(table: ServiceTable) -> set[int]:
    """The endpoint counts that occur."""
    targets: Iterable[Target | Refusal] = (*table.vips.values(), *table.node_ports.values())
    return {len(t.backends) for t in targets if isinstance(t, Target)}


class State:
    """What the kernel holds of one family: elements, slots and counts made so far (they are kept, being few)."""

    def __init__(self, family: int) -> None:
        self.family = family
        self.slots = 0
        self.counts: set[int] = set()
        self.elements: dict[tuple[str, str], str] | None = None


def _element_lines(f: str, verb: str, chosen: Mapping[tuple[str, str], str]) -> list[str]:
    by_map: dict[str, list[str]] = {}
    for (name, key), value in sorted(chosen.items()):
        by_map.setdefault(name, []).append(key + (value if verb == "add" else ""))
    return [f"{verb} element {f} {TABLE} {name} {{ {', '.join(keys)} }}" for name, keys in by_map.items()]


def render(state: State, table: ServiceTable) -> tuple[str, State]:
    """(nft text of one transaction, the state after it); the text is empty where nothing changes.

    A first rendering replaces the whole table, in one transaction: there is no moment without rules.
    """
    f = family_name(table.family)
    after = State(table.family)
    after.slots, after.counts = state.slots, set(state.counts)
    lines: list[str] = []
    before = state.elements
    if before is None:
        lines += [f"add table {f} {TABLE}", f"delete table {f} {TABLE}", *skeleton(table.family)]
        after.slots, after.counts, before = 0, set(), {}
    wanted_counts = counts(table)
    for number in range(after.slots, max(wanted_counts, default=0)):
        lines += slot_chains(table.family, number)
    after.slots = max(after.slots, max(wanted_counts, default=0))
    for count in sorted(wanted_counts - after.counts):
        lines += count_chains(table.family, count)
    after.counts |= wanted_counts
    wanted = elements(table)
    gone = {k: v for k, v in before.items() if wanted.get(k) != v}
    fresh = {k: v for k, v in wanted.items() if before.get(k) != v}
    lines += _element_lines(f, "delete", gone)
    lines += _element_lines(f, "add", fresh)
    after.elements = wanted
    return ("\n".join(lines) + "\n" if lines else ""), after


def cleanup(family: int) -> str:
    """Removes every trace."""
    f = family_name(family)
    return f"add table {f} {TABLE}\ndelete table {f} {TABLE}\n"
