"""BackendTrafficPolicy: how requests are spread over a backend's endpoints, how long they may take, how many there may be."""

from __future__ import annotations

from seaway.api.gateway.conditions import POLICY_STATUS
from seaway.api.gateway.names import HEADER_NAME, PRECISE_HOSTNAME
from seaway.api.gateway.schema import Tree, choice, defaulted, flag, listing, record, rule, told, unique, whole
from seaway.api.policies.shared import (
    COOKIE_NAME,
    COOKIE_PATH,
    COUNT,
    INGRESSES,
    LASTING_DURATION,
    PATH,
    QUANTITY,
    QUERY_NAME,
    ROUTED,
    SHORT_DURATION,
    STATUS,
    targets,
)

_HASH = record(
    {
        "type!": choice("ClientIP", "Header", "Cookie", "QueryParam"),
        "name": HEADER_NAME,
        "ttl": told(SHORT_DURATION, "Of a cookie that is made where there is none; without it none is made."),
    },
    rule("has(self.name) == (self.type != 'ClientIP')", "name is required, except for ClientIP, which has none"),
    rule("!has(self.ttl) || self.type == 'Cookie'", "ttl may only be given for a Cookie"),
)
BALANCING = record(
    {
        "algorithm": defaulted(choice("LeastRequest", "RoundRobin", "Random", "RingHash", "Maglev"), "LeastRequest"),
        "hashOn": told(listing(_HASH, None, 4), "What RingHash and Maglev go by; the client's address if nothing."),
        "slowStart": told(LASTING_DURATION, "How long a new endpoint takes to its full share."),
    },
    rule(
        "!has(self.hashOn) || (has(self.algorithm) && self.algorithm in ['RingHash', 'Maglev'])",
        "hashOn may only be given for RingHash and Maglev",
    ),
    rule(
        "!has(self.slowStart) || !has(self.algorithm) || self.algorithm in ['LeastRequest', 'RoundRobin']",
        "slowStart may only be given for LeastRequest and RoundRobin",
    ),
)
SESSION = record(
    {
        "type": defaulted(choice("Cookie", "Header"), "Cookie"),
        "name": COOKIE_NAME,
        "lifetime": told(LASTING_DURATION, "Of the cookie; without it, the browser's session."),
        "path": COOKIE_PATH,
    },
    rule("!has(self.lifetime) || self.type == 'Cookie'", "lifetime may only be given for a Cookie"),
    rule("!has(self.path) || self.type == 'Cookie'", "path may only be given for a Cookie"),
)
TIMEOUTS = record(
    {
        "request": told(SHORT_DURATION, "Of the whole request, retries included; 0s for none."),
        "backendRequest": told(SHORT_DURATION, "Of each attempt."),
        "connect": LASTING_DURATION,
        "idle": told(LASTING_DURATION, "Of connections to backends that nobody uses."),
    }
)
RETRY = record(
    {
        "attempts": defaulted(whole(1, 10), 1),
        "codes": unique(STATUS, 16),
        "backoff": LASTING_DURATION,
        "connectionErrors": defaulted(flag(), True),
    }
)
BREAKER = record({"connections": COUNT, "pendingRequests": COUNT, "requests": COUNT, "requestsPerConnection": COUNT})
OUTLIERS = record(
    {
        "consecutiveErrors": defaulted(whole(1, 1000), 5),
        "consecutiveGatewayErrors": whole(1, 1000),
        "interval": LASTING_DURATION,
        "ejection": told(LASTING_DURATION, "How long at first; longer each time."),
        "maxPercent": told(defaulted(whole(1, 100), 10), "Of the endpoints, at once."),
    }
)
HEALTH = record(
    {
        "type": defaulted(choice("HTTP", "GRPC", "TCP"), "HTTP"),
        "path": PATH,
        "host": PRECISE_HOSTNAME,
        "statuses": unique(STATUS, 16),
        "interval": LASTING_DURATION,
        "timeout": LASTING_DURATION,
        "unhealthyThreshold": whole(1, 100),
        "healthyThreshold": whole(1, 100),
    },
    rule(
        "(!has(self.path) && !has(self.statuses)) || self.type == 'HTTP'",
        "path and statuses may only be given for HTTP",
    ),
    rule("!has(self.host) || self.type != 'TCP'", "host may only be given for HTTP and GRPC"),
)
_KEY = record(
    {"type!": choice("ClientIP", "Header"), "name": HEADER_NAME, "value": QUERY_NAME},
    rule("self.type == 'ClientIP' || has(self.name)", "name is required for a Header"),
    rule(
        "self.type == 'Header' || (!has(self.name) && !has(self.value))",
        "name and value may only be given for a Header",
    ),
)
LIMIT = record(
    {
        "requests!": whole(1, 10_000_000),
        "unit": defaulted(choice("Second", "Minute", "Hour", "Day"), "Second"),
        "burst": told(whole(0, 10_000_000), "So many more at once."),
        "by": told(listing(_KEY, None, 4), "What has a limit of its own each; nothing: one for all."),
        "scope": told(
            defaulted(choice("Local", "Global"), "Local"), "Local: each proxy counts for itself; Global: all together."
        ),
    }
)
FIELDS: dict[str, Tree] = {
    "loadBalancing": BALANCING,
    "sessionPersistence": told(SESSION, "A client stays with its endpoint, as long as that is there."),
    "timeouts": TIMEOUTS,
    "retry": RETRY,
    "circuitBreaker": BREAKER,
    "outlierDetection": OUTLIERS,
    "healthCheck": HEALTH,
    "rateLimits": listing(LIMIT, None, 8),
    "maxRequestBody": QUANTITY,
    "proxyProtocol": told(choice("V1", "V2"), "Sent to backends."),
}
TARGETS = (*ROUTED, ("", "Service"), *INGRESSES)
BACKEND_TRAFFIC_POLICY = {
    "spec!": record({"targetRefs!": targets(TARGETS), **FIELDS}),
    "status": POLICY_STATUS,
}
