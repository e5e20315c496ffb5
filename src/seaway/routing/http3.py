"""Which chains of a socket are served over QUIC as well: decided once, for the listener that does it and for the Service's port.

Not those that ask for a client's certificate or bound the number of connections (over QUIC Envoy does neither), nor those that
may not speak TLS 1.3 (RFC 9001 knows no other), and none of a socket where connections begin with a PROXY header, which QUIC
has no place for: who the client is would not be known there.
"""

from __future__ import annotations

from seaway.routing.ir import Chain, Socket


def chains(socket: Socket) -> tuple[Chain, ...]:
    """In the order of the socket's."""
    if socket.transport != "tcp" or proxied(socket):
        return ()
    return tuple(chain for chain in socket.chains if _may(chain))


def proxied(socket: Socket) -> bool:
    """Whether connections begin with a PROXY header. A socket is asked as a whole, since it comes before the server name that
    chooses a chain: where one chain wants it all connections must have one, so that nobody can leave it out."""
    return any(chain.client is not None and chain.client.proxy_protocol for chain in socket.chains)


def _may(chain: Chain) -> bool:
    wanted, tls = chain.client, chain.tls
    if wanted is None or not wanted.http3 or tls is None or not chain.table:
        return False
    highest = tls.maximum or wanted.maximum_tls
    return tls.client is None and highest in ("", "1.3") and not wanted.connections
