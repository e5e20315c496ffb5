"""What one object gives to a fleet: the seam between front ends, which make parts, and `merge`, which puts them together."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from seaway.routing.ir import Chain, Cluster, Fleet, PathMatch, Rule, Source


class Order(NamedTuple):
    """Precedence of a rule within its domain, the smallest first: Gateway API's rules (path exact, then the longest; a method;
    more headers; more query parameters; the older object; its name; the place in it). `late` 1 puts a rule behind all others
    (an Ingress's default backend)."""

    late: int
    kind: int
    length: int
    method: int
    headers: int
    query: int
    created: str
    namespace: str
    name: str
    place: tuple[int, ...]


KINDS = {"exact": 0, "regex": 1, "prefix": 2}


def order(rule: Rule, created: str, place: tuple[int, ...], late: int = 0) -> Order:
    """`created` is the creationTimestamp; `place` the rule's and the match's index."""
    match, source = rule.match, rule.source
    path: PathMatch = match.path
    if match.grpc:  # GRPCRouteRule.matches: the most characters of a service, then of a method
        kind, length, method = 0, -match.named[0], -match.named[1]
    else:
        kind, length, method = KINDS[path.kind], -len(path.value), int(not match.method)
    return Order(
        late,
        kind,
        length,
        method,
        -len(match.headers),
        -len(match.query),
        created,
        source.namespace,
        source.name,
        place,
    )


class Entry(msgspec.Struct, frozen=True):
    """A rule in a table, under a domain."""

    table: str
    domain: str
    order: Order
    rule: Rule


class Domain(NamedTuple):
    """A domain that a table has whether or not a rule is there: requests for it never fall to a wider one."""

    table: str
    domain: str
    source: Source
    misdirected: bool = False


class Way(NamedTuple):
    """A chain of a socket. Of two of one name the smaller `order` wins (the older object). `share`: the server names of all
    that share the chain are put together."""

    port: int
    transport: str
    chain: Chain
    order: tuple[str, ...] = ()
    share: bool = False


class Part(msgspec.Struct, frozen=True):
    """`clusters` are all that its rules and streams refer to; `needs` names of certificates and trusts follow from its chains and
    clusters."""

    fleet: Fleet
    ways: tuple[Way, ...] = ()
    domains: tuple[Domain, ...] = ()
    entries: tuple[Entry, ...] = ()
    clusters: tuple[Cluster, ...] = ()


Parts = tuple[Part, ...]
