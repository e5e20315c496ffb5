"""NetworkPolicy: defaults, validation, warnings (pkg/apis/networking); pure."""

from __future__ import annotations

import ipaddress
from typing import Any

from seaway.cluster.apiserver.rules import addresses, fieldrules, ports
from seaway.cluster.apiserver.status import Cause, not_permitted, required, unlisted, wrong

Tree = dict[str, Any]
TYPES = ("Ingress", "Egress")
SECTIONS = (("ingress", "from"), ("egress", "to"))


def default_policy(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    spec.setdefault("podSelector", {})
    for section, _ in SECTIONS:
        for rule in spec.get(section) or ():
            for port in rule.get("ports") or ():
                if port.get("protocol") is None:
                    port["protocol"] = "TCP"
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress"] + (["Egress"] if spec.get("egress") else [])


def _blocks(tree: Tree | None) -> list[tuple[str, Tree]]:
    """Every ipBlock with its path."""
    spec = (tree or {}).get("spec") or {}
    return [
        (f"spec.{section}[{i}].{side}[{j}].ipBlock", peer["ipBlock"])
        for section, side in SECTIONS
        for i, rule in enumerate(spec.get(section) or ())
        for j, peer in enumerate(rule.get(side) or ())
        if peer.get("ipBlock")
    ]


def validate_policy(tree: Tree, old: Tree | None = None) -> list[Cause]:
    spec = tree.get("spec") or {}
    known = {c for _, block in _blocks(old) for c in (block.get("cidr", ""), *(block.get("except") or ()))}
    found = fieldrules.selector_causes(spec.get("podSelector"), "spec.podSelector")
    for section, side in SECTIONS:
        for i, rule in enumerate(spec.get(section) or ()):
            at = f"spec.{section}[{i}]"
            for j, port in enumerate(rule.get("ports") or ()):
                found += _port_causes(port, f"{at}.ports[{j}]")
            for j, peer in enumerate(rule.get(side) or ()):
                found += _peer_causes(peer, f"{at}.{side}[{j}]", known)
    types = spec.get("policyTypes") or []
    if len(types) > len(TYPES):
        return [*found, wrong("spec.policyTypes", types, "may not specify more than two policyTypes")]
    for i, kind in enumerate(types):
        if kind not in TYPES:
            found.append(unlisted(f"spec.policyTypes[{i}]", kind, TYPES))
    return found


def _port_causes(port: Tree, at: str) -> list[Cause]:
    found: list[Cause] = []
    if port.get("protocol") not in ports.PROTOCOLS:
        found.append(unlisted(f"{at}.protocol", port.get("protocol"), ("TCP", "UDP", "SCTP")))
    number, end = port.get("port"), port.get("endPort")
    if number is None:
        if end is not None:
            found.append(wrong(f"{at}.endPort", end, "may not be specified when `port` is not specified"))
        return found
    if isinstance(number, int):
        found += ports.number_causes(f"{at}.port", number)
        if end is not None:
            if end < number:
                found.append(wrong(f"{at}.endPort", number, "must be greater than or equal to `port`"))
            found += ports.number_causes(f"{at}.endPort", end)
        return found
    if end is not None:
        found.append(wrong(f"{at}.endPort", end, "may not be specified when `port` is non-numeric"))
    return found + ports.number_or_name_causes(f"{at}.port", number)


def _peer_causes(peer: Tree, at: str, known: set[str]) -> list[Cause]:
    found: list[Cause] = []
    given = [name for name in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(name) is not None]
    for name in ("podSelector", "namespaceSelector"):
        found += fieldrules.selector_causes(peer.get(name), f"{at}.{name}")
    if "ipBlock" in given:
        found += _block_causes(peer["ipBlock"], f"{at}.ipBlock", known)
    if not given:
        found.append(required(at, "must specify a peer"))
    elif len(given) > 1 and "ipBlock" in given:
        found.append(not_permitted(at, "may not specify both ipBlock and another peer"))
    return found


def _block_causes(block: Tree, at: str, known: set[str]) -> list[Cause]:
    cidr = block.get("cidr", "")
    if not cidr:
        return [required(f"{at}.cidr")]
    found = addresses.cidr_causes(f"{at}.cidr", cidr, known)
    outer = _network(cidr)
    if outer is None:
        return found
    for i, text in enumerate(block.get("except") or ()):
        path = f"{at}.except[{i}]"
        found += addresses.cidr_causes(path, text, known)
        inner = _network(text)
        if inner is not None and not _within(inner, outer):
            found.append(wrong(path, text, "must be a strict subset of `cidr`"))
    return found


def _network(text: str) -> addresses.Network | None:
    read = addresses.sloppy_network(text)
    return read[1] if read else None


def _within(inner: addresses.Network, outer: addresses.Network) -> bool:
    """A strict subset."""
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner != outer and inner.subnet_of(outer)
    if isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return inner != outer and inner.subnet_of(outer)
    return False


def policy_warnings(tree: Tree, old: Tree | None) -> list[str]:
    found: list[str] = []
    for path, block in _blocks(tree):
        found += addresses.cidr_warnings(f"{path}.cidr", block.get("cidr", ""))
        for i, text in enumerate(block.get("except") or ()):
            found += addresses.cidr_warnings(f"{path}.except[{i}]", text)
    return found
