"""What goes over a stream, as values, and a response as bytes.

A response is put together by hand from the bodies as they are, so that a resource is serialised once, whatever the number of
proxies (envoy/service/discovery/v3/discovery.proto has the field numbers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from seaway.envoy.xds.resources import Resource
from seaway.protowire import sized, varint


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


def encode(response: Response) -> bytes:
    """The response as protobuf: the bodies are copied, not encoded anew."""
    url = response.type.encode()
    any_type = sized(1, url)
    parts: list[bytes] = []
    for found in response.resources:
        size = len(found.body)
        value = b"\x12" + varint(size)
        inner = len(any_type) + len(value) + size
        # Resource: version = 1, resource (an Any: type_url = 1, value = 2) = 2, name = 3; the body comes last.
        head = sized(3, found.name.name.encode()) + sized(1, found.version.encode()) + b"\x12" + varint(inner)
        parts += (b"\x12", varint(len(head) + inner), head, any_type, value, found.body)
    parts.append(sized(4, url))
    parts.append(sized(5, response.nonce.encode()))
    parts += [sized(6, name.encode()) for name in response.removed]
    return b"".join(parts)
