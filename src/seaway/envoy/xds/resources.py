"""Resources by type: their names, their order on the wire, and which may need which."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

_PREFIX = "type.googleapis.com/"
CLUSTER = _PREFIX + "envoy.config.cluster.v3.Cluster"
ENDPOINT = _PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
SECRET = _PREFIX + "envoy.extensions.transport_sockets.tls.v3.Secret"
RUNTIME = _PREFIX + "envoy.service.runtime.v3.Runtime"
EXTENSION = _PREFIX + "envoy.config.core.v3.TypedExtensionConfig"
LISTENER = _PREFIX + "envoy.config.listener.v3.Listener"
SCOPES = _PREFIX + "envoy.config.route.v3.ScopedRouteConfiguration"
ROUTES = _PREFIX + "envoy.config.route.v3.RouteConfiguration"
VIRTUAL_HOST = _PREFIX + "envoy.config.route.v3.VirtualHost"

# Make before break (Envoy's "eventual consistency considerations"): what is routed to goes before what routes.
ORDER = (CLUSTER, ENDPOINT, SECRET, RUNTIME, EXTENSION, LISTENER, SCOPES, ROUTES, VIRTUAL_HOST)
# Where the users of a type are looked for before one of it is taken away.
USERS = {
    CLUSTER: (LISTENER, EXTENSION, SCOPES, ROUTES, VIRTUAL_HOST),
    ENDPOINT: (CLUSTER,),
    SECRET: (CLUSTER, LISTENER),
    EXTENSION: (LISTENER, ROUTES),
    SCOPES: (LISTENER, SCOPES),
    ROUTES: (LISTENER, SCOPES),
    VIRTUAL_HOST: (ROUTES,),
    LISTENER: (),
    RUNTIME: (),
}
# What a proxy lets go of by itself when nothing there uses it; told that it is gone, Envoy does nothing (eds.cc, sds_api.cc,
# rds_route_config_subscription.cc).
LET_GO = (ENDPOINT, SECRET, ROUTES)


class Name(NamedTuple):
    """A resource's type URL and its name."""

    type: str
    name: str

    @property
    def title(self) -> str:
        return f"{self.type.rpartition('.')[2]} {self.name}"


class Resource(NamedTuple):
    """A serialised message (without the Any around it), and what it needs on the proxy.

    `needs`: the clusters that it routes to, which must be warm before it is sent; other scopes that a scope leads
    requests to, which are there before it; a scope's route table, a listener's route tables, which the proxy fetches once it has
    the scope or the listener; a cluster's assignment (then it is one whose endpoints
    come by EDS) and secrets, which end its warming. Whatever is needed is not taken away before its user.
    """

    name: Name
    version: str
    body: bytes
    needs: frozenset[Name] = frozenset()


def resource(type: str, name: str, body: bytes, needs: frozenset[Name] = frozenset()) -> Resource:
    """A resource in the version of its content; `body` must be serialised deterministically."""
    return Resource(Name(type, name), hashlib.blake2b(body, digest_size=8).hexdigest(), body, needs)


def held_elsewhere(name: Name, version: str) -> Resource:
    """What a proxy says it holds, in a version of which only the name is known."""
    return Resource(name, version, b"")
