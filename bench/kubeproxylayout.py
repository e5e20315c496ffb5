"""kube-proxy's nftables layout written out, to load it next to ours: a chain and an anonymous verdict map a Service, a chain an
endpoint (pkg/proxy/nftables/proxier.go). The chains of masquerading and refusing that all Services share are left out."""

from __future__ import annotations

import hashlib

from seaway.labs.manyservices import CLUSTER_CIDRS, NAMESPACE, PORT, TARGET, cluster_ip, name

TABLE = "ip kube-proxy"
SKELETON = f"""add table {TABLE}
add map {TABLE} service-ips {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
add set {TABLE} cluster-ips {{ type ipv4_addr; }}
add chain {TABLE} nat-prerouting {{ type nat hook prerouting priority dstnat; }}
add chain {TABLE} nat-output {{ type nat hook output priority -100; }}
add chain {TABLE} nat-postrouting {{ type nat hook postrouting priority srcnat; }}
add chain {TABLE} services
add chain {TABLE} mark-for-masquerade
add rule {TABLE} mark-for-masquerade meta mark set mark or 0x4000
add rule {TABLE} nat-prerouting jump services
add rule {TABLE} nat-output jump services
add rule {TABLE} nat-postrouting meta mark & 0x4000 == 0x4000 meta mark set meta mark xor 0x4000 masquerade fully-random
add rule {TABLE} services ip daddr . meta l4proto . th dport vmap @service-ips
"""


def _hash(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:8].upper()


def _service_chain(number: int) -> str:
    return f"service-{_hash(name(number))}-{NAMESPACE}/{name(number)}/tcp/http"


def _endpoint_chain(number: int, address: str) -> str:
    where = f"{address}/{TARGET}"
    return f"endpoint-{_hash(name(number), where)}-{NAMESPACE}/{name(number)}/tcp/http__{where}"


def _service_rules(number: int, addresses: tuple[str, ...]) -> list[str]:
    chain, ip = _service_chain(number), cluster_ip(number)
    ends = ", ".join(f"{i} : goto {_endpoint_chain(number, a)}" for i, a in enumerate(addresses))
    outside = f"ip daddr {ip} tcp dport {PORT} ip saddr != {CLUSTER_CIDRS[0]} jump mark-for-masquerade"
    return [
        f"add rule {TABLE} {chain} {outside}",
        f"add rule {TABLE} {chain} numgen random mod {len(addresses)} vmap {{ {ends} }}",
    ]


def _endpoint(number: int, address: str) -> tuple[list[str], list[str]]:
    """(the chain, its rules)."""
    chain = _endpoint_chain(number, address)
    return [f"add chain {TABLE} {chain}"], [
        f"add rule {TABLE} {chain} ip saddr {address} jump mark-for-masquerade",
        f"add rule {TABLE} {chain} meta l4proto tcp dnat to {address}:{TARGET}",
    ]


def load(services: dict[int, tuple[str, ...]]) -> str:
    """Services and their endpoints, as one transaction."""
    chains, rules, elements = [], [], []
    for number, addresses in services.items():
        chains.append(f"add chain {TABLE} {_service_chain(number)}")
        for address in addresses:
            chain, inner = _endpoint(number, address)
            chains += chain
            rules += inner
        rules += _service_rules(number, addresses)
        ip = cluster_ip(number)
        elements.append(f"add element {TABLE} cluster-ips {{ {ip} }}")
        elements.append(f"add element {TABLE} service-ips {{ {ip} . tcp . {PORT} : goto {_service_chain(number)} }}")
    return "\n".join([*chains, *rules, *elements]) + "\n"


def change(number: int, old: tuple[str, ...], new: tuple[str, ...]) -> str:
    """Other endpoints of one Service, as kube-proxy's partial sync writes them: the Service's chain anew, endpoints that are new.
    (It takes old endpoints away a second later, in a transaction of its own.)"""
    lines = []
    for address in new:
        if address not in old:
            chain, rules = _endpoint(number, address)
            lines += chain + rules
    lines += [f"flush chain {TABLE} {_service_chain(number)}", *_service_rules(number, new)]
    return "\n".join(lines) + "\n"
