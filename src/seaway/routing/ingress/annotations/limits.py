"""How many requests, and how large (ingress-nginx, annotations/ratelimit and proxy-body-size)."""

from __future__ import annotations

from seaway.routing.ingress.annotations.reading import Reader
from seaway.routing.ingress.annotations.values import networks, size, whole
from seaway.routing.policy import LimitKey, RateLimit

BURST = 5  # defBurst
MOST = 10_000_000


def rate_limits(reader: Reader) -> tuple[RateLimit, ...]:
    """The limits of each client's address."""
    times = reader.get("limit-burst-multiplier", whole(1, 1000), BURST, f"{BURST} is taken")
    older: tuple[str, ...] = reader.get("limit-whitelist", networks, ())
    exempt = reader.get("limit-allowlist", networks, older)
    found = []
    for name, seconds in (("limit-rps", 1), ("limit-rpm", 60)):
        requests = reader.get(name, whole(0, MOST), 0, "there is no such limit")
        if requests:
            found.append(
                RateLimit(requests, seconds, min(requests * times, MOST), (LimitKey("client"),), exempt=exempt)
            )
    return tuple(found)


def largest_body(reader: Reader) -> int:
    """In bytes, 0 for any."""
    return reader.get("proxy-body-size", size, 0, "there is no limit")
