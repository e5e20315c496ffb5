"""Messages of the library as bytes, and the numbers of their fields: of a scope with hundreds of routes one changes, so that
its bytes are made, and the others' are copied."""

from __future__ import annotations

from typing import Any


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
