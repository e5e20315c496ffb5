"""Addresses of load balancers: who keeps what they have, who gets which, who goes without; pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from seaway.api.tree import Key

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LARGEST = 1 << 16  # addresses of a range that are ever given out


class Wish(NamedTuple):
    """A Service that wants one address a family: what it has, and what it asks for (spec.loadBalancerIP, may be '')."""

    key: Key
    families: tuple[int, ...]
    has: tuple[str, ...]
    asks: str


class Grant(NamedTuple):
    """The addresses, one a family in the Service's order; or why there are none."""

    addresses: tuple[str, ...]
    problem: str = ""


def _asked(wish: Wish) -> str:
    """What spec.loadBalancerIP asks for in canonical form, '' for nothing; ValueError where it is no address: nobody else
    checks it."""
    return str(ipaddress.ip_address(wish.asks)) if wish.asks else ""


def _free(network: Network, taken: set[str]) -> Iterator[str]:
    """The range's addresses in order; the first and the last of an IPv4 range stay unused, as on any network."""
    last = min(network.num_addresses - (1 if network.version == 4 else 0), LARGEST)
    for number in range(1, last):
        address = str(network[number])
        if address not in taken:
            yield address


def assign(wishes: Iterable[Wish], ranges: Sequence[Network]) -> Mapping[Key, Grant]:
    """Grants for all wishes, given in the order of age: what one has it keeps, unless an older one has it too; then each gets
    the lowest that is free."""
    wishes = list(wishes)
    pools: dict[int, Network] = {n.version: n for n in ranges}
    taken: set[str] = set()
    kept: dict[Key, dict[int, str]] = {}
    bad: dict[Key, str] = {}
    asks: dict[Key, str] = {}
    for wish in wishes:
        try:
            asks[wish.key] = _asked(wish)
        except ValueError:
            bad[wish.key] = f"spec.loadBalancerIP {wish.asks!r} is not an IP address"
            continue
        for text in wish.has:
            address, own = ipaddress.ip_address(text), kept.setdefault(wish.key, {})
            pool, asked = pools.get(address.version), asks[wish.key]
            wanted = not asked or ipaddress.ip_address(asked).version != address.version or asked == str(address)
            here = pool is not None and address in pool and address.version in wish.families
            if here and wanted and address.version not in own and str(address) not in taken:
                own[address.version] = str(address)
                taken.add(str(address))
    found: dict[Key, Grant] = {}
    for wish in wishes:
        own, asks_for = dict(kept.get(wish.key, {})), asks.get(wish.key, "")
        problem = bad.get(wish.key, "")
        for family in wish.families:
            if family in own or problem:
                continue
            pool = pools.get(family)
            if pool is None:
                problem = f"there is no IPv{family} pool of load balancer addresses"
                continue
            asked = asks_for if asks_for and ipaddress.ip_address(asks_for).version == family else ""
            if asked and ipaddress.ip_address(asked) not in pool:
                problem = f"spec.loadBalancerIP {asked} is not in the pool {pool}"
            elif asked and asked in taken:
                problem = f"spec.loadBalancerIP {asked} is in use by another Service"
            else:
                free = asked or next(_free(pool, taken), "")
                if free:
                    own[family] = free
                    taken.add(free)
                else:
                    problem = (
                        f"no address is left in the pool {pool}; delete a Service of type LoadBalancer to free one"
                    )
        if problem:
            taken -= set(own.values()) - set(kept.get(wish.key, {}).values())
            found[wish.key] = Grant((), problem)
        else:
            found[wish.key] = Grant(tuple(own[f] for f in wish.families))
    return found
