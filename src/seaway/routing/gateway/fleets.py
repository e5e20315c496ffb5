"""The fleet that a Gateway asks for: its ports, addresses, labels and parameters (GEP-1762, GEP-1867)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from seaway.routing import http3
from seaway.routing.fleets import FleetSpec
from seaway.routing.gateway.classes import parameters
from seaway.routing.gateway.listeners import fleet_of, is_ours, listeners
from seaway.routing.gateway.parts import gateway_parts
from seaway.routing.incremental import View
from seaway.routing.ir import Chain, Socket

Tree = dict[str, Any]


def fleet_spec(view: View, namespace: str, name: str) -> FleetSpec | None:
    """A decision: the fleet of a Gateway of ours."""
    if not view.ask(is_ours, namespace, name):
        return None
    tree = view.get("gateways", namespace, name) or {}
    spec = tree["spec"]
    ports: dict[tuple[int, str], str] = {}
    for listener in view.ask(listeners, namespace, name) or ():
        if not listener.refused and not listener.conflicts:
            ports.setdefault((listener.port, listener.transport.upper()), listener.name)
    for port in _over_quic(view, namespace, name):
        ports.setdefault((port, "UDP"), ports.get((port, "TCP"), ""))
    infrastructure = spec.get("infrastructure") or {}
    class_name = str(spec.get("gatewayClassName") or "")
    return FleetSpec(
        fleet_of(namespace, name),
        str(tree["metadata"].get("uid") or ""),
        class_name,
        tuple((title, port, protocol) for (port, protocol), title in sorted(ports.items())),
        tuple((str(a.get("type") or "IPAddress"), str(a.get("value") or "")) for a in spec.get("addresses") or ()),
        _pairs(infrastructure.get("labels")),
        _pairs(infrastructure.get("annotations")),
        *_parameters(view, tree, class_name, namespace),
    )


def _over_quic(view: View, namespace: str, name: str) -> list[int]:
    """The ports of which the same is served by UDP as well: HTTP/3."""
    found: dict[int, dict[str, Chain]] = defaultdict(dict)
    for part in view.ask(gateway_parts, namespace, name):
        for way in part.ways:
            found[way.port][way.chain.name] = way.chain
    return sorted(p for p, chains in found.items() if http3.chains(Socket(p, "tcp", tuple(chains.values()))))


def _pairs(tree: Tree | None) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(k), str(v)) for k, v in (tree or {}).items()))


def _parameters(
    view: View, gateway: Tree, class_name: str, namespace: str
) -> tuple[tuple[tuple[tuple[str, str], ...], ...], int]:
    """The data of the ConfigMaps that the class and the Gateway name, and how many of them are the class's."""
    found = []
    of_class = parameters(view.get("gatewayclasses", "", class_name) or {}, "parametersRef")
    own = parameters(gateway, "infrastructure", "parametersRef")
    count = 0
    for reference, space in ((of_class, (of_class or ("", "", "", ""))[2]), (own, namespace)):
        if reference is not None and reference[:2] == ("", "ConfigMap"):
            data = (view.get("configmaps", space, reference[3]) or {}).get("data")
            if data:
                found.append(_pairs(data))
                count += reference is of_class
    return tuple(found), count
