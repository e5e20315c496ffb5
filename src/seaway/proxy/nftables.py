"""The nftables data plane: a ServiceTable rendered as the difference to the one before; pure.

Few objects: however many Services there are, the chains are one for each *slot* and one for each endpoint *count*. A
connection to a Service with three endpoints looks its address up once, goes to chain `n3`, which draws a slot number, and
slot 1's map says which endpoint that is. Under externalTrafficPolicy Local it goes to chain `local-1-of-3` instead, which
sends pods and the node on to all three, everybody else to the one here. A change of one Service touches its own map elements
and nothing else. Packet marks are left alone but for one bit, masquerade's (0x4000, as kube-proxy).

Elements carry the Service's name as a comment: `nft list map ip seaway service-ips` reads like a list of Services.
"""

from __future__ import annotations

from collections.abc import Mapping

from seaway.proxy.table import Answer, Backend, Refusal, ServiceTable, Split, Target

TABLE = "seaway"
MARK = "0x4000"
PROTOCOLS = "{ tcp, udp, sctp }"


def family_name(family: int) -> str:
    return "ip" if family == 4 else "ip6"


def _comment(title: str) -> str:
    clean = "".join(c for c in title if c.isalnum() or c in "-./:_")[:120]
    return f' comment "{clean}"'


def skeleton(family: int, detector: bool = True) -> list[str]:
    """The fixed part: maps, hooks, refusals. Created whole; `delete table` first, in the same transaction. `detector`: pods
    can be told from others by their range, so that what is no pod is masqueraded on its way to a ClusterIP."""
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
            *([f"{daddr} @cluster-ips {saddr} != @cluster-cidrs jump mark-masquerade"] if detector else []),
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


def _draw(way: str, slot: str, count: int) -> str:
    """One of `count` slots at random."""
    if count == 1:
        return f"goto {way}{slot}-0"
    choices = ", ".join(f"{i} : goto {way}{slot}-{i}" for i in range(count))
    return f"numgen random mod {count} vmap {{ {choices} }}"


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
            lines.append(f"add rule {f} {TABLE} {name} {_draw(way, 'slot', count)}")
    return lines


def split_chains(family: int, local: int, everywhere: int) -> list[str]:
    """The chains of policy Local for `local` endpoints here of `everywhere` (TestInternalExternalMasquerade): pods and the
    node are let through to all, outsiders to those here. None here: what falls through is dropped by `refuse`."""
    f = family_name(family)
    lines = []
    for way in WAYS:
        name = f"{way}local-{local}-of-{everywhere}"
        lines += [
            f"add chain {f} {TABLE} {name}",
            f"add rule {f} {TABLE} {name} {f} saddr @cluster-cidrs goto {way}n{everywhere}",
            f"add rule {f} {TABLE} {name} fib saddr type local goto {way}n{everywhere}-masq",
        ]
        if local:
            lines.append(f"add rule {f} {TABLE} {name} {_draw(way, 'local-slot', local)}")
    return lines


def _key(key: tuple[str | int, ...]) -> str:
    return " . ".join(str(part) for part in key)


def elements(table: ServiceTable) -> dict[tuple[str, str], str]:
    """Every element of every map and set: (map, key) -> value with its comment; sets have the value ''."""
    found: dict[tuple[str, str], str] = {}
    for key, value in table.vips.items():
        _answer(found, "", _key(key), value)
    for node_key, value in table.node_ports.items():
        _answer(found, "nodeport-", _key(node_key), value)
    for key, sources in table.allowed.items():
        found[("restricted", _key(key))] = _comment(table.vips[key].title)
        for source in sources:
            found[("allowed", f"{_key(key)} . {source}")] = ""
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


def _answer(found: dict[tuple[str, str], str], way: str, key: str, value: Answer) -> None:
    """The elements of one address or node port."""
    lookup, refusals = ("service-nodeports", "no-endpoint-nodeports") if way else ("service-ips", "no-endpoints")
    comment = _comment(value.title)
    if isinstance(value, Refusal):
        found[(refusals, key)] = f"{comment} : " + ("goto refuse-now" if value.verdict == "reject" else "drop")
        return
    if isinstance(value, Split):
        found[(lookup, key)] = f"{comment} : goto {way}local-{len(value.local)}-of-{len(value.everywhere)}"
        if not value.local:
            found[(refusals, key)] = f"{comment} : drop"
        groups = (("slot", value.everywhere), ("local-slot", value.local))
    else:
        masquerade = "-masq" if value.masquerade else ""
        found[(lookup, key)] = f"{comment} : goto {way}n{len(value.backends)}{masquerade}"
        groups = (("slot", value.backends), ("local-slot", ()))
    for slot, backends in groups:
        for number, backend in enumerate(backends):
            found[(f"{way}{slot}-{number}", key)] = f" : {_backend(backend)}"


def _backend(backend: Backend) -> str:
    return f"{backend[0]} . {backend[1]}"


def counts(table: ServiceTable) -> tuple[set[int], set[tuple[int, int]]]:
    """The endpoint counts that occur, and under policy Local the pairs (here, everywhere)."""
    whole: set[int] = set()
    pairs: set[tuple[int, int]] = set()
    for answer in (*table.vips.values(), *table.node_ports.values()):
        if isinstance(answer, Target):
            whole.add(len(answer.backends))
        elif isinstance(answer, Split):
            whole.add(len(answer.everywhere))
            pairs.add((len(answer.local), len(answer.everywhere)))
    return whole, pairs


class State:
    """What the kernel holds of one family: elements, slots, counts and pairs made so far (they are kept, being few)."""

    def __init__(self, family: int) -> None:
        self.family = family
        self.slots = 0
        self.counts: set[int] = set()
        self.pairs: set[tuple[int, int]] = set()
        self.detector = True
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
    after.slots, after.counts, after.pairs = state.slots, set(state.counts), set(state.pairs)
    after.detector = bool(table.cluster_cidrs)
    lines: list[str] = []
    before = state.elements
    if before is None or after.detector != state.detector:
        lines += [f"add table {f} {TABLE}", f"delete table {f} {TABLE}", *skeleton(table.family, after.detector)]
        after.slots, after.counts, after.pairs, before = 0, set(), set(), {}
    wanted_counts, wanted_pairs = counts(table)
    for number in range(after.slots, max(wanted_counts, default=0)):
        lines += slot_chains(table.family, number)
    after.slots = max(after.slots, max(wanted_counts, default=0))
    for count in sorted(wanted_counts - after.counts):
        lines += count_chains(table.family, count)
    after.counts |= wanted_counts
    for local, everywhere in sorted(wanted_pairs - after.pairs):
        lines += split_chains(table.family, local, everywhere)
    after.pairs |= wanted_pairs
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
