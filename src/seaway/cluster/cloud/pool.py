"""Addresses of load balancers: who keeps what they have, who gets which, who goes without; pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from seaway.api.tree import Key

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LARGEST = 1 << 16  # addresses of a range that are ever given out


class Wish(NamedTuple):
    """A Service that wants one address a family: what it has, and what it asks for: '', an address, or one a family with a
    comma; `where` it asks for it."""

    key: Key
    families: tuple[int, ...]
    has: tuple[str, ...]
    asks: str
    where: str = "spec.loadBalancerIP"


class Grant(NamedTuple):
    """The addresses, one a family in the Service's order; or why there are none."""

    addresses: tuple[str, ...]
    problem: str = ""


def _asked(wish: Wish) -> dict[int, str]:
    """What is asked for by family, in canonical form; ValueError where it is no address: nobody else checks it."""
    found: dict[int, str] = {}
    for text in wish.asks.split(",") if wish.asks else ():
        address = ipaddress.ip_address(text.strip())
        found.setdefault(address.version, str(address))
    return found


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
    asks: dict[Key, dict[int, str]] = {}
    for wish in wishes:
        try:
            asks[wish.key] = _asked(wish)
        except ValueError:
            bad[wish.key] = f"{wish.where} {wish.asks!r} is not an IP address"
            continue
        for text in wish.has:
            address, own = ipaddress.ip_address(text), kept.setdefault(wish.key, {})
            pool = pools.get(address.version)
            wanted = asks[wish.key].get(address.version, str(address)) == str(address)
            here = pool is not None and address in pool and address.version in wish.families
            if here and wanted and address.version not in own and str(address) not in taken:
                own[address.version] = str(address)
                taken.add(str(address))
    found: dict[Key, Grant] = {}
    for wish in wishes:
        own, problem = dict(kept.get(wish.key, {})), bad.get(wish.key, "")
        for family in wish.families:
            if family in own or problem:
                continue
            pool = pools.get(family)
            if pool is None:
                problem = f"there is no IPv{family} pool of load balancer addresses"
                continue
            asked = asks[wish.key].get(family, "")
            if asked and ipaddress.ip_address(asked) not in pool:
                problem = f"{wish.where} {asked} is not in the pool {pool}"
            elif asked and asked in taken:
                problem = f"{wish.where} {asked} is in use by another Service"
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
