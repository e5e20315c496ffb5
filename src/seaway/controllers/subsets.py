"""Subsets of an Endpoints object: addresses that offer the same ports, in canonical form; pure
(pkg/api/endpoints RepackSubsets)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

Tree = dict[str, Any]
CAPACITY = 1000  # addresses that an Endpoints object may hold (KEP-0752)
AddressKey = tuple[str, str]
PortKey = tuple[str, str, int, str]
NO_PORT: PortKey = ("", "", -1, "")


def _port_key(port: Tree) -> PortKey:
    return (port.get("name") or "", port.get("protocol") or "TCP", port.get("port") or 0, port.get("appProtocol") or "")


def _port_row(key: PortKey) -> Tree:
    name, protocol, number, app = key
    row: Tree = {"port": number, "protocol": protocol}
    if name:
        row["name"] = name
    if app:
        row["appProtocol"] = app
    return row


def repack(subsets: Iterable[Tree]) -> list[Tree]:
    """Each port's addresses, then all ports with the same addresses together. An address that is ready and not ready for the
    same port is not ready."""
    known: dict[AddressKey, Tree] = {}
    offered: dict[PortKey, dict[AddressKey, bool]] = {}
    for subset in subsets:
        ports = [_port_key(p) for p in subset.get("ports") or ()] or [NO_PORT]
        for section, ready in (("addresses", True), ("notReadyAddresses", False)):
            for address in subset.get(section) or ():
                key = (address.get("ip") or "", (address.get("targetRef") or {}).get("uid") or "")
                known.setdefault(key, address)
                for port in ports:
                    of_port = offered.setdefault(port, {})
                    of_port[key] = ready and of_port.get(key, True)
    together: dict[tuple[tuple[AddressKey, bool], ...], list[PortKey]] = {}
    for port, addresses in offered.items():
        together.setdefault(tuple(sorted(addresses.items())), []).append(port)
    found = []
    for addresses_key, ports in together.items():
        tree: Tree = {}
        for section, wanted in (("addresses", True), ("notReadyAddresses", False)):
            rows = [known[key] for key, ready in addresses_key if ready == wanted]
            if rows:
                tree[section] = rows
        rows = [_port_row(p) for p in sorted(ports) if p != NO_PORT]
        if rows:
            tree["ports"] = rows
        found.append(tree)
    return sorted(found, key=_order)


def _order(subset: Tree) -> tuple[list[str], list[str], list[PortKey]]:
    return (
        [a.get("ip") or "" for a in subset.get("addresses") or ()],
        [a.get("ip") or "" for a in subset.get("notReadyAddresses") or ()],
        [_port_key(p) for p in subset.get("ports") or ()],
    )


def size(subsets: Iterable[Tree], section: str) -> int:
    return sum(len(s.get(section) or ()) for s in subsets)


def truncate(subsets: list[Tree], capacity: int = CAPACITY) -> tuple[list[Tree], bool]:
    """At most `capacity` addresses, ready ones first, each subset its proportion; and whether anything was cut."""
    ready, waiting = size(subsets, "addresses"), size(subsets, "notReadyAddresses")
    if ready + waiting <= capacity:
        return subsets, False
    section, total, room = "notReadyAddresses", waiting, capacity - ready
    if ready > capacity:
        section, total, room = "addresses", ready, capacity
    left = room
    found: list[Tree] = []
    for subset in subsets:
        rows = subset.get(section) or []
        share = min(math.ceil(len(rows) / total * room), left)
        left -= min(share, len(rows))
        cut = {k: v for k, v in subset.items() if k != "notReadyAddresses" or section == "notReadyAddresses"}
        cut.pop(section, None)
        if rows[:share]:
            cut[section] = rows[:share]
        found.append(cut)
    return [s for s in found if "addresses" in s or "notReadyAddresses" in s], True
