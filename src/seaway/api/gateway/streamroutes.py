"""TLSRoute, TCPRoute and UDPRoute: connections and datagrams as they are."""

from __future__ import annotations

from collections.abc import Mapping

from seaway.api.gateway.conditions import ROUTE_STATUS
from seaway.api.gateway.names import HOSTNAME, SECTION_NAME, SUBDOMAIN_PATTERN
from seaway.api.gateway.references import PARENTS, weighted
from seaway.api.gateway.schema import Tree, listing, record, rule, told

_RULE = record({"name": SECTION_NAME, "backendRefs!": listing(weighted(), 1, 16)})
_NAMES = rule(
    "self.all(l1, !has(l1.name) || self.exists_one(l2, has(l2.name) && l1.name == l2.name))",
    "Rule name must be unique within the route",
)
_ONE_RULE = listing(_RULE, 1, 1)
_SOME_RULES = listing(_RULE, 1, 16, _NAMES)
_HOST = rf"^({SUBDOMAIN_PATTERN})$".replace("\\", "\\\\")  # within a text of CEL
SERVER_NAMES = told(
    listing(
        HOSTNAME,
        1,
        1024,
        rule("self.all(h, !isIP(h))", "Hostnames cannot contain an IP"),
        rule(
            f"self.all(h, !h.contains('*') ? h.matches('{_HOST}') : true)",
            "Hostnames must be valid based on RFC-1123",
        ),
        rule(
            f"self.all(h, h.contains('*') ? (h.startsWith('*.') && h.substring(2).matches('{_HOST}')) : true)",
            "Wildcards on hostnames must be the first label, and the rest of hostname must be valid based on RFC-1123",
        ),
    ),
    "The server names that TLS clients ask for (RFC 6066 3).",
)


def _route(rules: Tree, hosts: Mapping[str, Tree]) -> dict[str, Tree]:
    parents = told(PARENTS, "What the route attaches to.")
    return {"spec!": record({"parentRefs": parents, **hosts, "rules!": rules}), "status": ROUTE_STATUS}


STREAM_ROUTE = _route(_ONE_RULE, {})
OLD_STREAM_ROUTE = _route(_SOME_RULES, {})
TLS_ROUTE = _route(_ONE_RULE, {"hostnames!": SERVER_NAMES})
OLD_TLS_ROUTE = _route(_SOME_RULES, {"hostnames": listing(HOSTNAME, None, 1024)})
