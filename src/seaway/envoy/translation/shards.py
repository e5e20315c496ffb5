"""Which scopes are split into shards, and which rules a shard holds.

A rule whose path fixes the first segments is in one shard; one that may match other paths too is in all. The order of rules
within a shard is the scope's. Everything follows from the rules alone: a restarted controller splits as the last one did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from seaway.routing.ir import Host, PathMatch, Rule

MANY = 256  # rules of a scope that is not split yet
COUNT = 64
DEEPEST = 3
EVERYWHERE = 32  # rules and domains that may stand in every shard


class Plan(NamedTuple):
    """`depth`: so many segments of the path choose the shard. `shards`: the hosts of each, as sequences of rules."""

    depth: int
    shards: tuple[tuple[Host, ...], ...]


@lru_cache(maxsize=65536)
def shard_of(path: str, depth: int) -> int:
    """The shard of a path without its query, as the script SHARD reckons it."""
    found = 5381
    for byte in path.encode(errors="replace")[1:]:
        if byte == 0x2F:
            depth -= 1
            if not depth:
                break
        found = (found * 33 + byte) % 4294967296
    return found % COUNT


@lru_cache(maxsize=65536)
def place(path: PathMatch, depth: int) -> int:
    """The shard of a rule with this path; -1: all of them."""
    if path.kind == "regex":
        return -1
    if path.kind == "exact":
        return shard_of(path.value, depth)
    segments = path.value.strip("/").split("/")
    if not segments[0] or len(segments) < depth:
        return -1  # also matches paths that go on with any other segment
    return shard_of(path.value, depth)


def plan(hosts: Sequence[Host]) -> Plan | None:
    """How the hosts of a scope are split; None where they are few, or where splitting would not help."""
    if sum(len(h.rules) for h in hosts) <= MANY:
        return None
    best: tuple[int, int, list[list[int]]] | None = None
    for depth in range(1, DEEPEST + 1):
        places = [[place(rule.match.path, depth) for rule in host.rules] for host in hosts]
        sizes = Counter(chain.from_iterable(places))
        if sizes.pop(-1, 0) + len(hosts) > EVERYWHERE:
            break  # deeper, still more rules are in all shards
        largest = max(sizes.values(), default=0)
        if best is None or largest < best[0]:
            best = largest, depth, places
        if largest <= MANY:
            break
    if best is None:
        return None
    parts = [_split(host, where) for host, where in zip(hosts, best[2], strict=True)]
    return Plan(best[1], tuple(zip(*parts, strict=True)))


def _split(host: Host, places: list[int]) -> list[Host]:
    found: list[list[Rule]] = [[] for _ in range(COUNT)]
    for rule, at in zip(host.rules, places, strict=True):
        if at >= 0:
            found[at].append(rule)
        else:
            for rules in found:
                rules.append(rule)
    return [Host(host.domain, tuple(rules), host.misdirected) for rules in found]
