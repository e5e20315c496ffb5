"""BackendTrafficPolicy as values: of a rule, and of the clusters that it uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from seaway.routing.durations import seconds
from seaway.routing.ir import Retry, Session
from seaway.routing.policies.quantities import size
from seaway.routing.policies.targets import Target, Won
from seaway.routing.policy import BackendPolicy as Backend
from seaway.routing.policy import Balancing, Breaker, HashOn, HealthCheck, LimitKey, Outliers, RateLimit

Tree = dict[str, Any]
# The fields that say how a Service port is used.
OF_BACKENDS = ("loadBalancing", "circuitBreaker", "outlierDetection", "healthCheck", "timeouts", "proxyProtocol")
_STREAM = {
    "loadBalancing": ("algorithm", "hashOn", "slowStart"),
    "circuitBreaker": ("connections",),
    "outlierDetection": (),
    "healthCheck": (),
    "timeouts": ("connect",),
    "proxyProtocol": (),
}
# Of targets that are not asked for requests: the fields that hold for them, and of these the parts (none named: all).
HOLDS: dict[str, Mapping[str, tuple[str, ...]]] = {
    "Service": {**dict.fromkeys(OF_BACKENDS, ()), "timeouts": ("connect", "idle")},
    "TCPRoute": _STREAM,
    "TLSRoute": _STREAM,
    "UDPRoute": {"loadBalancing": ("algorithm", "hashOn")},
}
ALGORITHMS = {
    "LeastRequest": "least-request",
    "RoundRobin": "round-robin",
    "Random": "random",
    "RingHash": "ring-hash",
    "Maglev": "maglev",
}
UNITS = {"Second": 1, "Minute": 60, "Hour": 3600, "Day": 86400}
Fields = Mapping[str, Won]


def problem(fields: Mapping[str, Any], targets: Iterable[Target]) -> str:
    """What of a sound policy cannot hold for one of its targets."""
    for kind in sorted({t.kind for t in targets} & HOLDS.keys()):
        for name, tree in fields.items():
            if name not in HOLDS[kind]:
                return f"spec.{name}: cannot hold for a {kind}: {_only(kind)}"
            parts = HOLDS[kind][name]
            for part in tree if parts and isinstance(tree, dict) else ():
                if part not in parts:
                    return f"spec.{name}.{part}: cannot hold for a {kind}, only {', '.join(parts)}"
        for i, entry in enumerate((fields.get("loadBalancing") or {}).get("hashOn") or ()):
            if kind != "Service" and entry["type"] != "ClientIP":
                return f"spec.loadBalancing.hashOn[{i}].type: cannot hold for a {kind}, only ClientIP"
    return ""


def _only(kind: str) -> str:
    return f"only {', '.join(sorted(HOLDS[kind]))}"


def value(fields: Fields, name: str) -> Tree:
    won = fields.get(name)
    return won.value if won is not None and isinstance(won.value, dict) else {}


def backend(fields: Fields) -> Backend | None:
    """How endpoints are used, None where no policy says anything about it."""
    balancing, breaker = value(fields, "loadBalancing"), value(fields, "circuitBreaker")
    outliers, health, timeouts = (
        value(fields, "outlierDetection"),
        value(fields, "healthCheck"),
        value(fields, "timeouts"),
    )
    proxied = fields.get("proxyProtocol")
    found = Backend(
        Balancing(
            ALGORITHMS[str(balancing.get("algorithm") or "LeastRequest")],
            slow_start=seconds(balancing.get("slowStart")),
        )
        if balancing
        else None,
        Breaker(
            int(breaker.get("connections") or 0),
            int(breaker.get("pendingRequests") or 0),
            int(breaker.get("requests") or 0),
            int(breaker.get("requestsPerConnection") or 0),
        )
        if breaker
        else None,
        Outliers(
            int(outliers.get("consecutiveErrors") or 5),
            int(outliers.get("consecutiveGatewayErrors") or 0),
            seconds(outliers.get("interval")) or 10.0,
            seconds(outliers.get("ejection")) or 30.0,
            int(outliers.get("maxPercent") or 10),
        )
        if "outlierDetection" in fields
        else None,
        _health(health) if "healthCheck" in fields else None,
        seconds(timeouts.get("connect")),
        seconds(timeouts.get("idle")),
        {"V1": 1, "V2": 2}.get(str(proxied.value), 0) if proxied is not None else 0,
    )
    return found if found != Backend() else None


def _health(tree: Tree) -> HealthCheck:
    base = HealthCheck()
    return HealthCheck(
        str(tree.get("type") or "HTTP").lower(),
        str(tree.get("path") or base.path),
        str(tree.get("host") or ""),
        tuple(int(s) for s in tree.get("statuses") or base.statuses),
        seconds(tree.get("interval")) or base.interval,
        seconds(tree.get("timeout")) or base.timeout,
        int(tree.get("unhealthyThreshold") or base.unhealthy),
        int(tree.get("healthyThreshold") or base.healthy),
    )


def hash_on(fields: Fields) -> tuple[HashOn, ...]:
    """What consistent hashing goes by: the client's address where nothing else is named."""
    tree = value(fields, "loadBalancing")
    if tree.get("algorithm") not in ("RingHash", "Maglev"):
        return ()
    kinds = {"ClientIP": "client", "Header": "header", "Cookie": "cookie", "QueryParam": "query"}
    return tuple(
        HashOn(
            kinds[entry["type"]],
            _name(entry),
            int(seconds(entry["ttl"])) if "ttl" in entry else None,
        )
        for entry in tree.get("hashOn") or ({"type": "ClientIP"},)
    )


def _name(entry: Tree) -> str:
    """Of a header in lower case, as proxies hold them."""
    name = str(entry.get("name") or "")
    return name.lower() if entry["type"] == "Header" else name


def limits(fields: Fields) -> tuple[RateLimit, ...]:
    won = fields.get("rateLimits")
    return tuple(
        entry
        if isinstance(entry, RateLimit)
        else RateLimit(
            int(entry["requests"]),
            UNITS[str(entry.get("unit") or "Second")],
            int(entry.get("burst") or 0),
            tuple(
                LimitKey(
                    "client" if key["type"] == "ClientIP" else "header",
                    str(key.get("name") or "").lower(),
                    str(key.get("value") or ""),
                )
                for key in entry.get("by") or ()
            ),
            str(entry.get("scope") or "Local").lower(),
        )
        for entry in (won.value if won is not None else ())
    )


def retry(fields: Fields) -> Retry | None:
    tree = value(fields, "retry")
    if "retry" not in fields or isinstance(fields["retry"].value, Retry):
        return fields["retry"].value if "retry" in fields else None
    return Retry(
        int(tree.get("attempts") or 1),
        tuple(int(c) for c in tree.get("codes") or ()),
        seconds(tree.get("backoff")) or Retry().backoff,
        bool(tree.get("connectionErrors", True)),
    )


def session(fields: Fields, fallback: str) -> Session | None:
    """`fallback`: the session's name where none is given."""
    won = fields.get("sessionPersistence")
    if won is None or isinstance(won.value, Session):
        return won and won.value
    tree = value(fields, "sessionPersistence")
    kind = "header" if tree.get("type") == "Header" else "cookie"
    lifetime = int(seconds(tree.get("lifetime")))
    return Session(kind, str(tree.get("name") or fallback), lifetime, str(tree.get("path") or "/"), lifetime > 0)


def largest_body(fields: Fields) -> int:
    won = fields.get("maxRequestBody")
    return size(str(won.value)) if won is not None else 0


def timeouts(fields: Fields) -> tuple[float | None, float | None]:
    """(of the request, of each attempt), None where no policy says."""
    tree = value(fields, "timeouts")
    return (
        seconds(tree["request"]) if "request" in tree else None,
        seconds(tree["backendRequest"]) if "backendRequest" in tree else None,
    )
