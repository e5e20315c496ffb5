"""What consistent hashing goes by, as Envoy's hash policies: of a route, and of a cluster whose Service says it itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seaway.routing.policy import HashOn


def write(policies: Any, wanted: Iterable[HashOn]) -> None:
    """Into a repeated field of RouteAction.HashPolicy. What a request has of these counts together; who has none of them is sent
    anywhere. The client is who is believed to be it, behind forwarders and PROXY headers too."""
    for one in wanted:
        policy = policies.add()
        if one.kind == "header":
            policy.header.header_name = one.name
        elif one.kind == "query":
            policy.query_parameter.name = one.name
        elif one.kind == "cookie":
            policy.cookie.name, policy.cookie.path = one.name, one.path or "/"
            if one.seconds is not None:  # 0: a cookie of the browser's session
                policy.cookie.ttl.FromSeconds(one.seconds)
        else:
            policy.connection_properties.source_ip = True
