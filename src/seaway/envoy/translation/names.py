"""Names that the parts of a translation share, and the resources of the xDS server they end up in."""

from __future__ import annotations

from typing import NamedTuple

# Request headers of the proxy's own that choose a scope. Whatever a client sends under these names is thrown away first.
HOST_HEADER = "x-seaway-scope-host"
TABLE_HEADER = "x-seaway-scope-table"
# Filters, under whose names routes switch them off or say something to them.
FALLBACK_FILTER = "seaway.fallback"
SHARD_FILTER = "seaway.shard"
ADVERTISED_FILTER = "seaway.advertised"  # says that there is HTTP/3
CORS_FILTER = "envoy.filters.http.cors"
SESSION_FILTER = "envoy.filters.http.stateful_session"
ADDRESS_FILTER = "seaway.addresses"
GUARD_FILTER = "seaway.guard"
GATE_FILTER = "seaway.gate"
TOKEN_FILTER = "seaway.tokens"
AUTHZ_FILTER = "envoy.filters.http.ext_authz"
LIMIT_FILTER = "seaway.limits"
BUFFER_FILTER = "seaway.bodies"
SHARED_LIMIT_FILTER = "seaway.shared-limits"
# A cluster that never exists: what is sent there is answered with 500, datagrams and connections are dropped.
NOWHERE = "seaway.nowhere"
# Clusters of a proxy's bootstrap that lead to its controller: for configuration, and for the counting of requests.
CONTROLLER, COUNTING = "xds", "counting"
MARK = "seaway"  # the namespace of marks in metadata
LIMITS = "seaway.limits"  # the namespace of limits in metadata
NO_RULE = "no-rule"  # the route of what no rule matches
SHARDED = "shards"  # the route that only says how many shards there are
ANY = "*"


class Scope(NamedTuple):
    """`domain` is ANY for a table's fallback. `shard` is DEPTH.NUMBER, or empty for the scope itself: shards of another depth
    have other names, so that all of them are there before requests are led to the first."""

    table: str
    domain: str
    shard: str = ""

    @property
    def name(self) -> str:
        return f"{self.table}/{self.domain}" + (f"#{self.shard}" if self.shard else "")

    @property
    def key(self) -> tuple[str, str]:
        """What the two headers say. No request can say it of itself: the table's part is the proxy's own."""
        table = self.table + (ANY if self.domain == ANY else "")
        return self.domain, f"{table}#{self.shard}" if self.shard else table


def is_exact(domain: str) -> bool:
    return not domain.startswith(ANY)
