"""Policies in the intermediate representation: what users ask of traffic beyond where it goes. All empty by default.

Of routes (`RoutePolicy` of a Rule), of backends (`BackendPolicy` of a Cluster: who shares one shares the cluster) and of clients
(`ClientPolicy` of a Chain or Socket). Times in seconds, sizes in bytes.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

Struct = msgspec.Struct

# Of backends


class HashOn(NamedTuple):
    """What consistent hashing goes by. `kind`: "client" (address), "header", "cookie", "query"; a cookie with `seconds` is made
    where there is none (0: for the session)."""

    kind: str
    name: str = ""
    seconds: int | None = None
    path: str = "/"


class Balancing(Struct, frozen=True):
    """`algorithm`: "least-request", "round-robin", "random", "ring-hash", "maglev"; the last two go by a rule's `hash_on`,
    or where the cluster has its own by that (no cookie is made then). `slow_start`: how long a new endpoint takes to its full
    share."""

    algorithm: str = "least-request"
    table_size: int = 0
    slow_start: float = 0.0
    hash_on: tuple[HashOn, ...] = ()


class Breaker(Struct, frozen=True):
    """Circuit breaking; 0 is the proxy's default, which is large."""

    connections: int = 0
    pending: int = 0
    requests: int = 0
    requests_per_connection: int = 0


class Outliers(Struct, frozen=True):
    """Endpoints that answer badly are left out for a while (passive health checks). At most `most` percent of them at once."""

    consecutive_errors: int = 5
    consecutive_gateway_errors: int = 0
    interval: float = 10.0
    base_ejection: float = 30.0
    most: int = 10


class HealthCheck(Struct, frozen=True):
    """Endpoints are asked. `kind`: "http" (with path, host, expected statuses), "grpc", "tcp"."""

    kind: str = "http"
    path: str = "/"
    host: str = ""
    statuses: tuple[int, ...] = (200,)
    interval: float = 3.0
    timeout: float = 1.0
    unhealthy: int = 3
    healthy: int = 1


class BackendPolicy(Struct, frozen=True):
    """How a Service port is used."""

    balancing: Balancing | None = None
    breaker: Breaker | None = None
    outliers: Outliers | None = None
    health: HealthCheck | None = None
    connect_timeout: float = 0.0
    idle_timeout: float = 0.0
    proxy_protocol: int = 0  # the version that backends are sent, 0 for none


# Of routes


class LimitKey(NamedTuple):
    """What each has a bucket of its own. `kind`: "client" (address), "header" (each value; with `value` that one alone)."""

    kind: str
    name: str = ""
    value: str = ""


class RateLimit(Struct, frozen=True):
    """`requests` in `seconds`, with `burst` more at once, for each of what `keys` tell apart (none: for all together). `scope`:
    "local" counts a proxy at a time, "global" over all proxies of the fleet. `exempt`: networks whose clients are not counted; of
    a rule's limits those that have such have the same."""

    requests: int
    seconds: int = 1
    burst: int = 0
    keys: tuple[LimitKey, ...] = ()
    scope: str = "local"
    exempt: tuple[str, ...] = ()


class BasicAuth(Struct, frozen=True):
    """`users`: an htpasswd file, its hashes {SHA} or $apr1$. `header`: who it was, for the backend."""

    users: str
    realm: str = ""
    header: str = ""


class ApiKeys(Struct, frozen=True):
    """`keys`: (client, key). Looked for in order: ("header"|"query"|"cookie", name). `header`: who it was, for the backend."""

    keys: tuple[tuple[str, str], ...]
    places: tuple[tuple[str, str], ...]
    header: str = ""


class JwtProvider(Struct, frozen=True):
    """`keys`: a JWKS, inline or by a cluster and URI."""

    name: str
    issuer: str = ""
    audiences: tuple[str, ...] = ()
    keys: str = ""
    cluster: str = ""
    uri: str = ""
    headers: tuple[tuple[str, str], ...] = ()  # (claim, header for the backend)


class External(Struct, frozen=True):
    """Each request is asked about first; who does not answer in `timeout` has said no.

    `kind`: "http" asks with the request's own method, and its path behind `path`; "grpc" is Envoy's ext_authz service; "request"
    asks as nginx's auth_request does: `method` of `path` alone, with all headers, without a body, as host `host`. `headers_in`
    of the request go to whom is asked ("request": all do), `headers_out` of the answer to the backend, in place of what the
    client sent under these names. `body`: so many bytes of the request's are shown. `signin`: where who is not known is sent
    to ("request" only), the URL that was asked for in its parameter `rd`. `headers_set`: said to whom is asked, besides
    ("request" only)."""

    cluster: str
    kind: str = "http"
    path: str = ""
    timeout: float = 2.0
    headers_in: tuple[str, ...] = ()
    headers_out: tuple[str, ...] = ()
    body: int = 0
    method: str = "GET"
    host: str = ""
    signin: str = ""
    headers_set: tuple[tuple[str, str], ...] = ()


class RoutePolicy(Struct, frozen=True):
    """`closed`: why nobody may pass (a security policy that cannot be carried out never leaves its route open). `peer`: headers
    that tell the backend of the client's certificate, (name, "certificate" | "subject" | "issuer"); whatever the client itself
    sends under these names is taken away."""

    limits: tuple[RateLimit, ...] = ()
    hash_on: tuple[HashOn, ...] = ()
    basic: BasicAuth | None = None
    api_keys: ApiKeys | None = None
    jwt: tuple[JwtProvider, ...] = ()
    external: External | None = None
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    largest_body: int = 0
    closed: str = ""
    peer: tuple[tuple[str, str], ...] = ()


# Of clients


class ClientPolicy(Struct, frozen=True):
    """What is asked of and granted to clients of a socket. `trusted_hops`: proxies before this one whose X-Forwarded-For
    counts."""

    proxy_protocol: bool = False
    trusted_hops: int = 0
    trusted_addresses: tuple[str, ...] = ()
    minimum_tls: str = ""
    maximum_tls: str = ""
    ciphers: tuple[str, ...] = ()
    http3: bool = False
    streams: int = 0
    headers_kib: int = 0
    idle_timeout: float = 0.0
    request_timeout: float = 0.0
    connections: int = 0
