"""From which objects a refused resource comes: those whose part of it differs from what was accepted last."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seaway.envoy import messages
from seaway.envoy.translation.clusters import source_of as service
from seaway.envoy.translation.marks import source_of
from seaway.envoy.translation.wire import serialised
from seaway.envoy.xds.resources import CLUSTER, ENDPOINT, LISTENER, SCOPES, SECRET, Resource
from seaway.routing.ir import Source


def suspects(refused: Resource, accepted: Resource | None = None) -> tuple[Source, ...]:
    """Whose parts of `refused` are not in `accepted`; all of them where that does not tell."""
    kind, name = refused.name
    if kind in (CLUSTER, ENDPOINT):
        return (service(name),)
    if kind == SECRET:
        # NAMESPACE/NAME is a Secret's; authorities are KIND/NAMESPACE/NAME, several with commas between.
        if name.count("/") == 1:
            return (Source("Secret", *name.split("/")),)
        return tuple(Source(*one.split("/")) for one in name.split(",") if one.count("/") == 2)
    parts = {SCOPES: _routes, LISTENER: _chains}.get(kind)
    if parts is None:
        return ()
    before = {serialised(part) for part, _ in parts(accepted.body)} if accepted and accepted.body else set()
    now = list(parts(refused.body))
    differing = [metadata for part, metadata in now if serialised(part) not in before]
    found = _sources(differing) or _sources(metadata for _, metadata in now)
    return found


def _sources(all_metadata: Iterable[Any]) -> tuple[Source, ...]:
    found = (source_of(metadata) for metadata in all_metadata)
    return tuple(dict.fromkeys(source for source in found if source is not None))


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
