"""Host names of listeners and routes: which a pattern covers, and what two lists have in common.

A pattern is exact, `*.example.com` (any number of labels, at least one), or "" for all (GatewayClass.spec.listeners.hostname).
"""

from __future__ import annotations

from collections.abc import Iterable


def covers(pattern: str, host: str) -> bool:
    """Whether every name that `host` (exact or a wildcard) stands for is one of `pattern`'s."""
    if not pattern or pattern == host:
        return True
    if not pattern.startswith("*."):
        return False
    return bool(host) and host.removeprefix("*").endswith(pattern[1:]) and host != pattern[2:]


def intersection(listener: str, routes: Iterable[str]) -> tuple[str, ...]:
    """The domains that a route serves at a listener, `*` for all; nothing if the two have nothing in common."""
    wanted = [h.lower() for h in routes]
    if not wanted:
        return (listener or "*",)
    found = {h if covers(listener, h) else listener for h in wanted if covers(listener, h) or covers(h, listener)}
    return tuple(sorted(found))


def specificity(pattern: str) -> tuple[bool, int]:
    """The larger, the more specific: exact before wildcards, longer before shorter."""
    return bool(pattern) and not pattern.startswith("*"), len(pattern)


def owner(patterns: Iterable[str], domain: str) -> str | None:
    """The most specific pattern that covers a domain (`*` stands for all)."""
    host = "" if domain == "*" else domain
    return max((p for p in patterns if covers(p, host)), key=specificity, default=None)
