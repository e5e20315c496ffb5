"""Ports in Services, endpoints, Ingresses and policies: numbers, names, protocols; pure."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.status import Cause, required, unsupported, wrong

Tree = dict[str, Any]
PROTOCOLS = ("SCTP", "TCP", "UDP")


def number_causes(path: str, number: int) -> list[Cause]:
    return [wrong(path, number, why) for why in formats.port_number(number)]


def number_or_name_causes(path: str, port: Any) -> list[Cause]:
    """An IntOrString that is a port."""
    if isinstance(port, int):
        return number_causes(path, port)
    return formats.causes(path, str(port), formats.port_name)


def protocol_causes(path: str, protocol: str | None) -> list[Cause]:
    if not protocol:
        return [required(path)]
    return [] if protocol in PROTOCOLS else [unsupported(path, protocol, PROTOCOLS)]


def name_causes(path: str, port: Tree, named: bool) -> list[Cause]:
    """The name of a Service's or an endpoint's port; `named`: it must have one, since there are others."""
    name = port.get("name", "")
    if not name:
        return [required(path)] if named else []
    return formats.causes(path, name, formats.label)


def application_causes(path: str, port: Tree) -> list[Cause]:
    if port.get("appProtocol") is None:
        return []
    return formats.causes(path, port["appProtocol"], formats.qualified_name)
