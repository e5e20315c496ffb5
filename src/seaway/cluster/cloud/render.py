"""What the network does for balancers, as values: routes on the router, DNAT outside; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seaway.cluster.cloud.plan import Balancer

TABLE = "seaway-cloud"
OUTSIDE = "outside"
TITLE = 110  # of a comment's 128 characters: two names of 63 and what follows them would be too many


def routes(balancers: Iterable[Balancer]) -> dict[str, tuple[str, ...]]:
    """Address -> the legs that its packets take: nodes in VIP mode, the outside (where the DNAT is) in Proxy mode. An address
    with no healthy node has no route: its clients are told `unreachable` at once."""
    found: dict[str, tuple[str, ...]] = {}
    for balancer in balancers:
        if balancer.nodes:
            found[balancer.address] = tuple(n for n, _ in balancer.nodes) if balancer.mode == "VIP" else (OUTSIDE,)
    return found


def changes(
    have: Mapping[str, tuple[str, ...]], want: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """(routes to set, addresses to withdraw)."""
    return {a: legs for a, legs in want.items() if have.get(a) != legs}, [a for a in have if a not in want]


def nft(family: int, balancers: Iterable[Balancer], own_address: str) -> str:
    """The whole table of one family, as one transaction. Connections made here keep their source; what is forwarded (pods and
    nodes on their way back in) is masqueraded, so that its answers return this way."""
    f, unreachable = ("ip", "icmp host-unreachable") if family == 4 else ("ip6", "icmpv6 addr-unreachable")
    lines = [
        f'add table {f} {TABLE} {{ comment "load balancers in Proxy mode"; }}',
        f"delete table {f} {TABLE}",
        f'add table {f} {TABLE} {{ comment "load balancers in Proxy mode"; }}',
        f"add chain {f} {TABLE} balance",
        f"add chain {f} {TABLE} prerouting {{ type nat hook prerouting priority dstnat; }}",
        f"add chain {f} {TABLE} output {{ type nat hook output priority -100; }}",
        f"add chain {f} {TABLE} postrouting {{ type nat hook postrouting priority srcnat; }}",
        f"add rule {f} {TABLE} prerouting jump balance",
        f"add rule {f} {TABLE} output jump balance",
        f"add rule {f} {TABLE} postrouting ct status dnat {f} saddr != {own_address} masquerade",
    ]
    for balancer in sorted(balancers):
        if balancer.family != family or balancer.mode != "Proxy":
            continue
        title = "".join(c for c in f"{balancer.key}" if c.isalnum() or c in "-./")[:TITLE]
        at = f"{f} daddr {balancer.address}"
        if balancer.sources:
            lines.append(
                f"add rule {f} {TABLE} balance {at} {f} saddr != {{ {', '.join(balancer.sources)} }} drop "
                f'comment "{title}: source ranges"'
            )
        for protocol, port, node_port in balancer.ports:
            if not balancer.nodes:
                # Said at once, and nothing remembered: conntrack would hold an untranslated entry for two minutes, and lose the
                # next connection from that port.
                lines.append(
                    f"add rule {f} {TABLE} balance {at} {protocol} dport {port} reject with {unreachable} "
                    f'comment "{title}: no healthy node"'
                )
            else:
                choices = ", ".join(f"{i} : {a} . {node_port}" for i, (_, a) in enumerate(balancer.nodes))
                lines.append(
                    f"add rule {f} {TABLE} balance {at} {protocol} dport {port} dnat {f} addr . port to "
                    f"numgen random mod {len(balancer.nodes)} map {{ {choices} }}" + f' comment "{title}"'
                )
    return "\n".join(lines) + "\n"
