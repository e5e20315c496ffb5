"""What became of the addresses that a Gateway asked for: read from its Service; pure.

A load balancer has one address a family. Ours says in a condition of the Service why it gives none; of others' it is only
known that they have not yet given what was asked for.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, NamedTuple

from seaway.api.tree import condition, get

Tree = dict[str, Any]
ASSIGNED = "seaway.dev/LoadBalancerAssigned"  # of seaway's own load balancers (cluster/cloud/plan.py)


class Address(NamedTuple):
    """`kind`: "IPAddress" or "Hostname", as in a Gateway's status."""

    kind: str
    value: str


class Outcome(NamedTuple):
    """`given`: where the fleet is reached, for the Gateway's status; of what was asked for: `pending` may still come,
    `unusable` will not, with the reason. A Gateway is programmed when something is given and both are empty."""

    given: tuple[Address, ...]
    pending: tuple[str, ...]
    unusable: tuple[tuple[str, str], ...]


def _canonical(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def given(service: Tree | None) -> tuple[Address, ...]:
    """Where the Service is reached: by its load balancer; else, where it has none, by its own addresses."""
    spec = (service or {}).get("spec") or {}
    if spec.get("type") == "LoadBalancer":
        entries = get(service, "status", "loadBalancer", "ingress") or ()
        found = [Address("IPAddress", e["ip"]) if e.get("ip") else Address("Hostname", e["hostname"]) for e in entries]
        return tuple(dict.fromkeys(found))
    texts = [*(spec.get("externalIPs") or ()), *(spec.get("clusterIPs") or ())]
    return tuple(Address("IPAddress", _canonical(t)) for t in dict.fromkeys(texts) if t and t != "None")


def addresses(service: Tree | None, requested: Sequence[str]) -> Outcome:
    """`requested`: the values of spec.addresses of type IPAddress; an empty one asks for any."""
    have = given(service)
    texts = {_canonical(a.value) for a in have}
    refusal = condition(service or {}, ASSIGNED) or {}
    refused = str(refusal.get("message") or "") if refusal.get("status") == "False" else ""
    pending: list[str] = []
    unusable: list[tuple[str, str]] = []
    chosen: dict[int, str] = {}
    for text in requested:
        if not text:
            continue
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            unusable.append((text, "is not an IP address"))
            continue
        first = chosen.setdefault(address.version, str(address))
        if str(address) in texts:
            continue
        if first != str(address):
            unusable.append(
                (text, f"a load balancer has one IPv{address.version} address, and {first} was asked for first")
            )
        elif refused:
            unusable.append((text, refused))
        elif have:
            others = ", ".join(a.value for a in have)
            unusable.append((text, f"the load balancer was given {others} instead"))
        else:
            pending.append(text)
    return Outcome(have, tuple(pending), tuple(unusable))
