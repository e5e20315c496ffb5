"""Session affinity ClientIP: chains of their own for the few Services that ask for it; pure.

A chain for each endpoint notes who comes in a set that forgets (`timeout`), the chain in front of them looks the client up in
those sets before it draws. A set belongs to an endpoint of a Service port, whichever address was used, and goes with it: no
client stays with an endpoint that is gone. Names are made of what is in a chain, so that a chain never changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from seaway.proxy.nftables.layout import PROTOCOLS, draw, family_name, from_inside
from seaway.proxy.table import Answer, Backend, Facts, Refusal, Split, Target

PREFIXES = ("affinity-", "endpoint-")


class Objects(NamedTuple):
    """Sets (name -> type) and chains (name -> rules), each after those that its rules name."""

    sets: dict[str, str]
    chains: dict[str, tuple[str, ...]]


def _safe(title: str) -> str:
    return "".join(c for c in title.replace(":", "/") if c.isascii() and (c.isalnum() or c in "-./_"))[:160]


def _pool(title: str, backends: tuple[Backend, ...], seconds: int) -> str:
    digest = hashlib.sha256(repr((title, backends, seconds)).encode()).hexdigest()[:10]
    return f"affinity-{_safe(title)}-{digest}"


def chain_of(answer: Target | Split) -> str:
    """The chain that an address with this answer goes to."""
    if isinstance(answer, Target):
        return _pool(answer.title, answer.backends, answer.affinity) + ("-masq" if answer.masquerade else "")
    whole = _pool(answer.title, (*answer.everywhere, ("", 0), *answer.local), answer.affinity)
    return f"{whole}-local"


def _names(title: str, backend: Backend, seconds: int) -> tuple[str, str]:
    """(set, chain) of an endpoint."""
    where = f"{_safe(title)}-{backend[0].replace(':', '.')}/{backend[1]}"
    return f"clients-{where}", f"endpoint-{where}-{seconds}s"


def _add_pool(found: Objects, family: int, title: str, backends: tuple[Backend, ...], seconds: int) -> str:
    """Adds the chain in front of some endpoints, and theirs."""
    f, addr = family_name(family), "ipv4_addr" if family == 4 else "ipv6_addr"
    chains = []
    rules = []
    for address, port in backends:
        members, chain = _names(title, (address, port), seconds)
        target = f"{address}:{port}" if family == 4 else f"[{address}]:{port}"
        found.sets[members] = f"type {addr}; flags dynamic,timeout;"
        found.chains[chain] = (
            f"update @{members} {{ {f} saddr timeout {seconds}s }}",
            f"meta l4proto {PROTOCOLS} dnat {f} to {target}",
        )
        chains.append(chain)
        rules.append(f"{f} saddr @{members} goto {chain}")
    name = _pool(title, backends, seconds)
    found.chains[name] = (*rules, draw(chains))
    found.chains[f"{name}-masq"] = ("jump mark-masquerade", f"goto {name}")
    return name


def objects(facts: Facts, answers: Iterable[Answer]) -> Objects:
    """What the answers of one Service port need."""
    found, family = Objects({}, {}), facts.family
    for answer in answers:
        if isinstance(answer, Refusal) or not answer.affinity:
            continue
        if isinstance(answer, Target):
            _add_pool(found, family, answer.title, answer.backends, answer.affinity)
            continue
        whole = _add_pool(found, family, answer.title, answer.everywhere, answer.affinity)
        rules = from_inside(facts, whole, f"{whole}-masq")
        if answer.local:
            rules.append(f"goto {_add_pool(found, family, answer.title, answer.local, answer.affinity)}")
        found.chains[chain_of(answer)] = tuple(rules)
    return found
