"""How large a request's body may be, for each rule.

A body whose length is said before it is judged by that and streamed (RFC 9110 8.6; Envoy sees to it that no more comes). One of
unknown length is held back until it is whole, in memory, and so never more of it than HELD. That is no way for what has no end:
connections that become WebSockets, and calls of gRPC, whose messages are bounded by who reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from seaway.envoy import messages
from seaway.envoy.translation.names import BUFFER_FILTER
from seaway.envoy.translation.wire import packed
from seaway.routing.ir import Match

HELD = 16 << 20
TOO_LARGE = 413
_TEXT = "Payload Too Large"  # as Envoy's own
_ANY_LENGTH = (1 << 63) - 1


def bounded(largest: int, match: Match, refusing: Any, routes: Sequence[Any]) -> list[Any]:
    """The routes of a rule that takes bodies of `largest` bytes. `refusing` is a route of its match, without an action."""
    largest = min(largest, _ANY_LENGTH - 1)
    _length(refusing, largest + 1, _ANY_LENGTH)
    refusing.direct_response.status = TOO_LARGE
    refusing.direct_response.body.inline_string = _TEXT
    if match.grpc:
        return [refusing, *routes]
    found = [refusing]
    for route in _copies(routes):
        _length(route, 0, largest + 1)
        found.append(route)
    for route in _copies(routes):
        _becomes_websocket(route)
        found.append(route)
    for route in routes:
        route.typed_per_filter_config[BUFFER_FILTER].CopyFrom(_held(min(largest, HELD)))
        found.append(route)
    return found


def _copies(routes: Sequence[Any]) -> list[Any]:
    found = []
    for route in routes:
        copy = messages.Route()
        copy.CopyFrom(route)
        found.append(copy)
    return found


def _length(route: Any, start: int, end: int) -> None:
    header = route.match.headers.add(name="content-length")
    header.range_match.start, header.range_match.end = start, end


def _becomes_websocket(route: Any) -> None:
    """As Envoy itself tells (Http::Utility::isUpgrade), and as RFC 6455 4.1 has it: such a request has no body."""
    for name, value in (("upgrade", "exact"), ("connection", "contains")):
        matcher = route.match.headers.add(name=name).string_match
        setattr(matcher, value, "websocket" if name == "upgrade" else "upgrade")
        matcher.ignore_case = True
    route.match.headers.add(name=":method").string_match.exact = "GET"


@lru_cache(maxsize=256)
def _held(most: int) -> Any:
    found = messages.BufferPerRoute()
    found.buffer.max_request_bytes.value = max(most, 1)
    return packed(found)


def none() -> Any:
    """The filter of every chain. What no table knows would be held, too: the script of shards answers that before."""
    found = messages.Buffer()
    found.max_request_bytes.value = HELD
    return found


def off() -> Any:
    """For routes that say nothing."""
    return packed(messages.BufferPerRoute(disabled=True))
