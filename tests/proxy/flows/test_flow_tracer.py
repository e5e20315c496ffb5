"""The tracer agrees with every packet-flow case, without a kernel."""

from __future__ import annotations

import flowdata
import flowplanes
import pytest
from flowdata import SITES, Flow, address
from flownet import HELD, link_of, place_of

from seaway.proxy.table import ServiceTable
from seaway.proxy.trace import DROP, FORWARD, PASS, REJECT, Packet, Verdict, trace

FLOWS = flowdata.read()
OWN = ("node", "node.second", "node.leg", "localhost", HELD)
_TABLES: dict[tuple[str, int], ServiceTable] = {}


def table(world: str, family: int) -> ServiceTable:
    if (world, family) not in _TABLES:
        found = FLOWS.worlds[world]
        local = [address(symbol, f) for symbol in OWN for f in (4, 6)]
        _TABLES[(world, family)] = flowplanes.table(found, family, flowplanes.place(found.node, "nftables", local))
    return _TABLES[(world, family)]


def packets(flow: Flow) -> list[Packet]:
    """The first packets of a case: of each source to each destination."""
    own = [address(symbol, flow.family) for symbol in OWN]
    found = []
    for to, port in flow.destinations:
        for source in flow.sources:
            # The kernel's choice: who talks to an address of its own has that one.
            chosen = source or (to if to in own else address("node", flow.family))
            found.append(Packet(chosen, flow.protocol, to, port, flow.client == "node", link_of(place_of(flow.client))))
    return found


def names(backends: object, family: int) -> set[tuple[str, int]]:
    by_address = {site.addresses[family]: name for name, site in SITES.items()}
    return {(by_address[a], p) for a, p in backends}  # type: ignore[attr-defined]


def wrong(flow: Flow, packet: Packet, verdict: Verdict) -> str:
    """How a verdict differs from the case; "" where it does not."""
    expected, family = flow.expected, flow.family
    if verdict.action == PASS:
        # No Service's business: it leaves, or whoever has the address answers or refuses.
        direct = {(n, packet.port) for n, s in SITES.items() if s.addresses[family] == packet.address}
        here = expected.verdict == "REJECT" and direct
        return "" if expected.verdict == "NETWORK" or here or direct == expected.endpoints else "passed"
    if expected.verdict:
        return "" if verdict.action == {"DROP": DROP, "REJECT": REJECT}.get(expected.verdict) else verdict.action
    if verdict.action != FORWARD or names(verdict.backends, family) != expected.endpoints:
        return f"{verdict.action} {verdict.backends}"
    if bool(verdict.affinity) != flow.sticky and len(expected.endpoints) > 1:
        return f"affinity {verdict.affinity}"
    masqueraded = names(verdict.masqueraded, family)
    client = flowdata.CLIENTS[flow.client]
    right = {
        "yes": set(expected.endpoints),
        "no": set(),
        "hairpin": {e for e in expected.endpoints if e[0] == client},
        "any": masqueraded,
    }[expected.masquerade]
    return "" if masqueraded == right else f"masqueraded {masqueraded}"


@pytest.mark.parametrize("flow", FLOWS.flows, ids=[f"{f.id}-ipv{f.family}" for f in FLOWS.flows])
def test_the_tracer_says_what_the_kernel_does(flow: Flow) -> None:
    for packet in packets(flow):
        verdict = trace(table(flow.world, flow.family), packet)
        assert wrong(flow, packet, verdict) == "", (packet, verdict)
        assert verdict.reasons
