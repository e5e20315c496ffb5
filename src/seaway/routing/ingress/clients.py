"""What client policies of an IngressClass ask of and grant to those who come in by its chains."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from seaway.routing import http3
from seaway.routing.incremental import View
from seaway.routing.ir import Chain, ServerTls, Socket, Source
from seaway.routing.parts import Way
from seaway.routing.policies.clients import certificates, client
from seaway.routing.policies.force import Force, force
from seaway.routing.policies.targets import CLIENTS, Target
from seaway.routing.policies.traffic import value


def asked(view: View, class_name: str, ways: Iterable[Way]) -> tuple[Way, ...]:
    """The ways into a class as its policies have them. Where certificates of clients are to be checked and cannot be, nobody is
    let in by TLS."""
    policies = view.ask(_of_class, class_name)
    if not policies.fields and not policies.closed:
        return tuple(ways)
    found = []
    for way in ways:
        tls = way.chain.tls
        if tls is not None:
            if policies.closed and (tls.client is None or not tls.client.required):
                continue
            tls = _secured(tls, policies)
        chain = msgspec.structs.replace(way.chain, tls=tls, client=client(policies.fields))
        found.append(way._replace(chain=chain))
    return tuple(found)


def over_quic(view: View, class_name: str, port: int) -> bool:
    """Whether chains of the class are served by HTTP/3 as well: those that ask nothing of their own of clients."""
    chain = Chain("", Source("IngressClass", "", class_name), tls=ServerTls(()), table="any")
    chains = tuple(way.chain for way in asked(view, class_name, (Way(port, "tcp", chain),)))
    return bool(http3.chains(Socket(port, "tcp", chains)))


def _of_class(view: View, class_name: str) -> Force:
    """A decision: what client policies say for a class."""
    return force(view, CLIENTS, (Target("IngressClass", "", class_name),))


def _secured(tls: ServerTls, policies: Force) -> ServerTls:
    """A host's own check of certificates comes before the class's."""
    wanted = value(policies.fields, "tls")
    return msgspec.structs.replace(
        tls,
        client=tls.client or certificates(policies.fields),
        minimum=str(wanted.get("minVersion") or tls.minimum),
        maximum=str(wanted.get("maxVersion") or tls.maximum),
    )
