"""What goes over a stream, as values, and a response as bytes.

A response is put together by hand from the bodies as they are, so that a resource is serialised once, whatever the number of
proxies (envoy/service/discovery/v3/discovery.proto has the field numbers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from seaway.envoy.xds.resources import Resource


class Request(NamedTuple):
    """A DeltaDiscoveryRequest, without the node. `error` is None but in a NACK."""

    type: str
    subscribe: Sequence[str] = ()
    unsubscribe: Sequence[str] = ()
    versions: Mapping[str, str] = {}
    nonce: str = ""
    error: str | None = None


class Response(NamedTuple):
    """A DeltaDiscoveryResponse."""

    type: str
    nonce: str
    resources: tuple[Resource, ...]
    removed: tuple[str, ...] = ()


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, value: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(value)) + value


def encode(response: Response) -> bytes:
    """The response as protobuf: the bodies are copied, not encoded anew."""
    url = response.type.encode()
    any_type = _field(1, url)
    parts: list[bytes] = []
    for found in response.resources:
        size = len(found.body)
        value = b"\x12" + _varint(size)
        inner = len(any_type) + len(value) + size
        # Resource: version = 1, resource (an Any: type_url = 1, value = 2) = 2, name = 3; the body comes last.
        head = _field(3, found.name.name.encode()) + _field(1, found.version.encode()) + b"\x12" + _varint(inner)
        parts += (b"\x12", _varint(len(head) + inner), head, any_type, value, found.body)
    parts.append(_field(4, url))
    parts.append(_field(5, response.nonce.encode()))
    parts += [_field(6, name.encode()) for name in response.removed]
    return b"".join(parts)
