"""Messages put together of parts that are serialised already (protocol buffers' encoding of length-delimited fields).

Of a scope with hundreds of routes one changes: its bytes are made, the others' are copied.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def field(number: int, body: bytes) -> bytes:
    """One element of a field of messages or strings."""
    return varint(number << 3 | 2) + varint(len(body)) + body


def fields(number: int, bodies: Iterable[bytes]) -> bytes:
    tag = varint(number << 3 | 2)
    return b"".join([tag + varint(len(body)) + body for body in bodies])


def number_of(message: type[Any], name: str) -> int:
    found: int = message.DESCRIPTOR.fields_by_name[name].number
    return found


def serialised(message: Any) -> bytes:
    found: bytes = message.SerializeToString(deterministic=True)
    return found


def packed(message: Any) -> Any:
    """The message in an Any."""
    from seaway.envoy import messages

    found = messages.Any()
    found.Pack(message, deterministic=True)
    return found
