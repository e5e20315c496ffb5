"""The counts of all fleets: a proxy's message in, the answer's bytes out. Each fleet has buckets of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seaway.envoy.counting.buckets import MOST, Buckets
from seaway.envoy.counting.questions import Answer, answer
from seaway.routing.ir import Fleet

PASSED, REFUSED = "passed", "refused"
_OK, _OVER_LIMIT = 1, 2  # RateLimitResponse.Code


class Counts:
    """`told(fleet, verdict, buckets)` is called for each request that was counted."""

    def __init__(self, told: Callable[[Fleet, str, int], None] | None = None, most: int = MOST) -> None:
        self._fleets: dict[Fleet, Buckets] = {}
        self._told = told
        self._most = most

    def asked(self, fleet: Fleet, request: Any, now: float) -> bytes:
        """Answers a RateLimitRequest."""
        buckets = self._fleets.get(fleet)
        if buckets is None:
            buckets = self._fleets[fleet] = Buckets(self._most)
        descriptors = [[(e.key, e.value) for e in descriptor.entries] for descriptor in request.descriptors]
        found = answer(buckets, descriptors, request.hits_addend, now)
        if self._told is not None and any(found.verdicts):
            self._told(fleet, PASSED if found.allowed else REFUSED, len(buckets))
        return response(found)

    def forget(self, fleet: Fleet) -> None:
        """The fleet is no more."""
        self._fleets.pop(fleet, None)


def response(found: Answer) -> bytes:
    """A RateLimitResponse, with a status for each descriptor."""
    from seaway.envoy import messages

    made = messages.RateLimitResponse(overall_code=_OK if found.allowed else _OVER_LIMIT)
    for verdict in found.verdicts:
        status = made.statuses.add(code=_OK if verdict is None or verdict.allowed else _OVER_LIMIT)
        if verdict is not None:
            status.limit_remaining = min(verdict.remaining, 4_294_967_295)
    for name, value in found.headers:
        made.response_headers_to_add.add(key=name, value=value)
    body: bytes = made.SerializeToString()
    return body
