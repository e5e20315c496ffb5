"""The cache of a node, as values: its addresses, whom it asks for the cluster's names, its server blocks, and the packet rules
that keep what goes to it and from it out of connection tracking; pure.

It does what Kubernetes' NodeLocal DNSCache does (kubernetes/dns, cmd/node-cache; KEP-1024), and reads its Corefile.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from seaway.dns.settings import Block, Cache, Errors, Forward, Name, Settings, Upstream

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
REVERSE: tuple[Name, ...] = (("in-addr", "arpa"), ("ip6", "arpa"))
VARIABLES = ("KUBE_DNS_UPSTREAM_SERVICE_HOST", "KUBE_DNS_SERVICE_HOST")
TABLE = "seaway-dns-local"
METRICS, HEALTH, READY = ":9253", 8080, 8181
CLUSTER_TTL = 5  # seconds that a cluster name may be known here after it has changed
STALE = 3600.0
SECOND = "a second Service of the same pods"


class BadNodeLocal(ValueError):
    """Addresses that make no sense; the text says what would."""


@dataclass(frozen=True, slots=True)
class NodeLocal:
    """`addresses`: where this node's pods ask. `cluster`: the DNS of the cluster, by TCP. `domain`: the cluster's."""

    addresses: tuple[Address, ...]
    cluster: tuple[Upstream, ...]
    domain: Name = ("cluster", "local")


def addresses(text: str) -> tuple[Address, ...]:
    """Those that `--node-local` names."""
    found: list[Address] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        try:
            address = ipaddress.ip_address(part)
        except ValueError:
            raise BadNodeLocal(f"--node-local {part}: must be an address, such as 169.254.20.10") from None
        if address.is_unspecified or address.is_multicast or address.is_loopback:
            raise BadNodeLocal(f"--node-local {part}: pods cannot ask there; name one such as 169.254.20.10 or fd00::a9fe:140a")
        if address.version == 6 and address.is_link_local:
            raise BadNodeLocal(
                f"--node-local {part}: a link-local IPv6 address is known on one link only, pods cannot ask there; "
                "name one of fd00::/8, such as fd00::a9fe:140a"
            )
        if address not in found:
            found.append(address)
    if not found:
        raise BadNodeLocal("--node-local needs an address, such as 169.254.20.10")
    return tuple(found)


def given(text: str, cluster: Sequence[Upstream], environment: Mapping[str, str], domain: Name) -> NodeLocal:
    """What the flags say; where they do not name the cluster's DNS, its Service of the environment."""
    own = addresses(text)
    asked, source = tuple(cluster), "--cluster-dns"
    if not asked:
        found = next((v for v in VARIABLES if environment.get(v)), "")
        if not found:
            raise BadNodeLocal(
                f"--node-local needs --cluster-dns ADDRESS, the ClusterIP of the cluster's DNS (the environment has no "
                f"{' and no '.join(VARIABLES)})"
            )
        try:
            asked, source = (Upstream(str(ipaddress.ip_address(environment[found]))),), found
        except ValueError:
            raise BadNodeLocal(f"{found}={environment[found]}: must be an address") from None
    for upstream in asked:
        if ipaddress.ip_address(upstream.host) in own:
            raise BadNodeLocal(
                f"{source} {upstream.host}: is a --node-local address, so what is asked there comes back here; make {SECOND}, "
                "such as kube-dns-upstream, and name its ClusterIP by --cluster-dns"
            )
    return NodeLocal(own, asked, domain)


def settings(local: NodeLocal, port: int, upstreams: tuple[Upstream, ...], files: tuple[str, ...]) -> Settings:
    """The blocks where no Corefile says them: the cluster's zones by TCP to its DNS, all else to `upstreams` and those of
    `files`. A connection outlives what loses a packet by UDP, and needs an entry of connection tracking only once."""
    cluster = Block(
        zones=(local.domain, *REVERSE),
        port=port,
        # Never stale, and no failure is kept: the pods of the cluster's DNS may be coming up.
        cache=Cache(max_ttl=CLUSTER_TTL, min_ttl=0, denial_max_ttl=CLUSTER_TTL, denial_min_ttl=0, servfail_ttl=0.0, prefetch=10),
        forwards=(Forward(upstreams=local.cluster, force_tcp=True),),
        errors=Errors(),
        loadbalance=True,
        loop=True,
    )
    others = replace(
        cluster,
        zones=((),),
        cache=Cache(serve_stale=STALE, stale_verify=True, prefetch=10),
        forwards=(Forward(upstreams=upstreams, files=files),) if upstreams or files else (),
    )
    return Settings(
        blocks=(cluster, others), health=page(local, HEALTH), ready=page(local, READY), metrics=METRICS, lameduck=0.0, workers=1
    )


def page(local: NodeLocal, port: int) -> str:
    """A page at the node's own address: the port of all addresses may be another's."""
    first = local.addresses[0]
    return "" if not port else f"[{first}]:{port}" if first.version == 6 else f"{first}:{port}"


def bound(found: Settings, local: NodeLocal) -> Settings:
    """All blocks answer at the node's addresses, and nowhere else."""
    binds = tuple(str(a) for a in local.addresses)
    return replace(found, blocks=tuple(replace(b, binds=binds) for b in found.blocks), workers=found.workers or 1)


def filled(corefile: str, local: NodeLocal, resolv: str) -> str:
    """A NodeLocal DNSCache Corefile with its pillars: some are filled by who installs it, others by node-cache itself."""
    first, *more = (str(a) for a in local.addresses)
    cluster = " ".join(f"[{u.host}]:{u.port}" if ":" in u.host else f"{u.host}:{u.port}" for u in local.cluster)
    for word, text in (
        ("__PILLAR__LOCAL__DNS__:", f"[{first}]:" if ":" in first else f"{first}:"),
        ("__PILLAR__LOCAL__DNS__", first),
        ("__PILLAR__DNS__SERVER__", " ".join(more)),
        ("__PILLAR__DNS__DOMAIN__", ".".join(local.domain)),
        ("__PILLAR__CLUSTER__DNS__", cluster),
        ("__PILLAR__UPSTREAM__SERVERS__", resolv),
    ):
        corefile = corefile.replace(word, text)
    return corefile


def rules(found: Settings, local: NodeLocal) -> str:
    """The nftables transaction that keeps the packets of queries and replies out of connection tracking, both ways: no entry
    that fills a table, none that two packets of one socket race for. Untracked packets pass by NAT too, so that a Service's
    address may be answered here."""
    ports = ", ".join(str(p) for p in sorted({b.port for b in found.blocks}))
    lines = []
    for word, version in (("ip", 4), ("ip6", 6)):
        listed = ", ".join(str(a) for a in local.addresses if a.version == version)
        if listed:
            for side, port in (("daddr", "dport"), ("saddr", "sport")):
                lines.append(f"    {word} {side} {{ {listed} }} meta l4proto {{ tcp, udp }} th {port} {{ {ports} }} notrack")
    chains = [
        f"  chain {hook} {{\n    type filter hook {hook} priority raw; policy accept;\n" + "\n".join(lines) + "\n  }"
        for hook in ("prerouting", "output")
    ]
    return f"{no_rules()}table inet {TABLE} {{\n" + "\n".join(chains) + "\n}\n"


def no_rules() -> str:
    """The transaction after which the table is not there, whether it was or not."""
    return f"table inet {TABLE}\ndelete table inet {TABLE}\n"
