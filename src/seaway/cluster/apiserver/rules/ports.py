"""Ports in Services, endpoints, Ingresses and policies: numbers, names, protocols; pure."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.status import Cause, required, unsupported, wrong

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
