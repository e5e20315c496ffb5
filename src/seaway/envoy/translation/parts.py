"""The parts of a resource, and from which objects they come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from seaway.envoy import messages
from seaway.envoy.translation.marks import source_of
from seaway.envoy.translation.wire import serialised
from seaway.envoy.xds.resources import LISTENER, SCOPES, Resource
from seaway.routing.ir import Source


class Part(NamedTuple):
    """A route, or a filter chain, as its bytes; `source` None: it comes from no object."""

    body: bytes
    source: Source | None


def parts(found: Resource) -> tuple[Part, ...]:
    """The parts of a resource that come from objects of their own."""
    of = {SCOPES: _routes, LISTENER: _chains}.get(found.name.type)
    if of is None or not found.body:
        return ()
    return tuple(Part(serialised(part), source_of(metadata)) for part, metadata in of(found.body))


def sources(found: Iterable[Part]) -> tuple[Source, ...]:
    """The objects that parts come from, each once."""
    return tuple(dict.fromkeys(part.source for part in found if part.source is not None))


def _routes(body: bytes) -> Iterable[tuple[Any, Any]]:
    scope = messages.ScopedRouteConfiguration.FromString(body)
    for host in scope.route_configuration.virtual_hosts:
        for route in host.routes:
            yield route, route.metadata


def _chains(body: bytes) -> Iterable[tuple[Any, Any]]:
    listener = messages.Listener.FromString(body)
    for chain in listener.filter_chains:
        yield chain, chain.metadata
    if not listener.filter_chains:
        yield listener, listener.metadata
