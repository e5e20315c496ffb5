"""GRPCRoute."""

from __future__ import annotations

from seaway.api.gateway.conditions import ROUTE_STATUS
from seaway.api.gateway.filters import GRPC_FILTERS
from seaway.api.gateway.httproutes import HOSTNAMES, MATCH_TYPE, SESSION_PERSISTENCE, matched, total
from seaway.api.gateway.names import SECTION_NAME
from seaway.api.gateway.references import PARENTS, weighted
from seaway.api.gateway.schema import Tree, listing, record, rule, text, told

SERVICE_PATTERN = r"^(?i)\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$"
METHOD_PATTERN = "^[A-Za-z_][A-Za-z_0-9]*$"


def _literal(field: str, pattern: str) -> Tree:
    return rule(
        f"(!has(self.type) || self.type == 'Exact') && has(self.{field}) ? "
        f'self.{field}.matches(r"""{pattern}"""): true',
        f"{field} must only contain valid characters (matching {pattern})",
    )


METHOD = record(
    {"type": MATCH_TYPE, "service": text(None, 1024), "method": text(None, 1024)},
    rule(
        "has(self.type) ? has(self.service) || has(self.method) : true",
        "One or both of 'service' or 'method' must be specified",
    ),
    _literal("service", SERVICE_PATTERN),
    _literal("method", METHOD_PATTERN),
)
_RULE = record(
    {
        "name": SECTION_NAME,
        "matches": listing(record({"method": METHOD, "headers": matched(4096)}), None, 64),
        "filters": GRPC_FILTERS,
        "backendRefs": listing(weighted(filters=GRPC_FILTERS), None, 16),
        "sessionPersistence": SESSION_PERSISTENCE,
    }
)
GRPC_ROUTE = {
    "spec!": record(
        {
            "parentRefs": told(PARENTS, "What the route attaches to."),
            "hostnames": HOSTNAMES,
            "rules": listing(_RULE, None, 16, total("(has(self[%d].matches) ? self[%d].matches.size() : 0)")),
        }
    ),
    "status": ROUTE_STATUS,
}
