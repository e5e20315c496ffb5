"""Which endpoint a relay's next client gets: round robin, or the one it had; pure but for the turn that it keeps."""

from __future__ import annotations

import ipaddress

from seaway.proxy.table import Backend, Facts
from seaway.proxy.userspace.translate import Ends

CLIENTS = 65_536  # remembered at most; the oldest are forgotten first


class Chooser:
    """The turn and the remembered clients of a Service port; `now` is handed in, in seconds."""

    def __init__(self) -> None:
        self.turn = 0
        self.clients: dict[str, tuple[Backend, float]] = {}

    def order(self, ends: Ends, facts: Facts, client: str, now: float) -> list[Backend]:
        """The endpoints to try, the chosen one first; empty where the client may use none."""
        allowed = ends.everywhere if inside(facts, client) else ends.outside
        if not allowed:
            return []
        had = self.clients.get(client) if ends.affinity else None
        if had is not None and had[0] in allowed and now - had[1] < ends.affinity:
            first = allowed.index(had[0])
        else:
            first = self.turn % len(allowed)
            self.turn += 1
        self.stay(
            ends, client, allowed[first], now
        )  # at once: the client's next connection may come before this one is made
        return [*allowed[first:], *allowed[:first]]

    def stay(self, ends: Ends, client: str, backend: Backend, now: float) -> None:
        """Notes the endpoint that a client got."""
        if not ends.affinity:
            return
        self.clients.pop(client, None)
        self.clients[client] = (backend, now)
        while len(self.clients) > CLIENTS:
            self.clients.pop(next(iter(self.clients)))


def inside(facts: Facts, client: str) -> bool:
    """Whether a client is a pod or this node: policy Local does not bind those (TestInternalExternalMasquerade)."""
    found = ipaddress.ip_address(client)
    if found.is_loopback or client in facts.node_addresses:
        return True
    return any(found in ipaddress.ip_network(cidr) for cidr in facts.cluster_cidrs)
