"""A fleet as its owner wants it to be: what has to exist so that somebody listens; and what is known of it in return."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from seaway.routing.ir import Fleet

REFUSED = "the proxy refuses it"  # how messages begin that tell what proxies say
CUT = "seaway.dev/cut"  # a field of ConfigMaps of which only a part is kept, because they are large


def cut(tree: dict[str, Any] | None) -> str:
    """What is wrong with a ConfigMap as parameters: it may have more than is known of it."""
    return "is too large for parameters, which have 64 KiB at most" if tree is not None and tree.get(CUT) else ""


class FleetSpec(msgspec.Struct, frozen=True):
    """`ports`: (name of a listener, port, "TCP" or "UDP"), each port once. `addresses`: (type, value) that the owner asks for.
    `labels` and `annotations` for everything that belongs to the fleet. `parameters`: the data of ConfigMaps that are referred
    to, as sorted pairs, the more general first; the first `of_class` of them are the class's, which may say more. `owner_uid`
    empty: nothing owns it."""

    fleet: Fleet
    owner_uid: str
    class_name: str
    ports: tuple[tuple[str, int, str], ...]
    addresses: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    parameters: tuple[tuple[tuple[str, str], ...], ...] = ()
    of_class: int = 1


class InForce(NamedTuple):
    """The fact ("in force", *fleet). `proxies`: how many are connected; `waiting`: sockets that not all of them hold; `refused`:
    (a listener's source, message) of what they refuse."""

    proxies: int
    waiting: frozenset[str] = frozenset()
    refused: tuple[tuple[str, str], ...] = ()


class Addresses(NamedTuple):
    """The fact ("addresses", *fleet). `usable`: (type, value) where the fleet is reached, types as of Gateway API; `unusable`:
    why requested ones are not; `unsupported`: types of addresses that cannot be requested."""

    usable: tuple[tuple[str, str], ...] = ()
    unusable: str = ""
    unsupported: str = ""
