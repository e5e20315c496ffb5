"""Trees as Kubernetes' protobuf: an encoder a message, made once from the facts tables; pure."""

from __future__ import annotations

import base64
import functools
import struct
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from seaway.cluster.apiserver.messages import (
    FIELDS_V1,
    INT_OR_STRING,
    JSON,
    QUANTITY,
    RAW,
    SCALARS,
    SCHEMA,
    TIMES,
    UNIONS,
    Field,
    fields_of,
    is_strings,
)
from seaway.protowire import numbered, sized, varint

MAGIC = b"k8s\0"


def encode_message(message: str, value: Any) -> bytes:
    """The bytes of a message from its JSON form."""
    return _encoder(message)(value)


Encoder = Callable[[Any], bytes]


def _quantity(value: Any) -> bytes:
    return sized(1, str(value).encode())


def _int_or_string(value: Any) -> bytes:
    if isinstance(value, str):
        return numbered(1, 1) + sized(3, value.encode())
    return numbered(2, value)


def _time(value: Any) -> bytes:
    moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    seconds, nanos = int(moment.timestamp()), moment.microsecond * 1000
    return numbered(1, seconds) + numbered(2, nanos)


def _json(value: Any) -> bytes:
    return sized(1, msgspec.json.encode(value))


def _strings(value: Any) -> bytes:
    return b"".join(sized(1, str(v).encode()) for v in value)


def _union_encoder(schema: int, other: int, of: str) -> Encoder:
    def encode_union(value: Any) -> bytes:
        if isinstance(value, dict):
            allowed = _put_value(other, of)(True) if of == "bool" else b""  # a schema for more allows more
            return allowed + _put_value(schema, SCHEMA)(value)
        return b"".join(map(_put_value(other, of), value if isinstance(value, list) else [value]))

    return encode_union


@functools.cache
def _encoder(message: str) -> Encoder:
    """What encodes a message; made once for each, its fields when it is first used (messages hold each other)."""
    if message in TIMES:
        return _time
    special = {QUANTITY: _quantity, INT_OR_STRING: _int_or_string, FIELDS_V1: _json, RAW: _json, JSON: _json}
    if message in special:
        return special[message]
    if message in UNIONS:
        return _union_encoder(*UNIONS[message])
    if is_strings(message):
        return _strings
    plan: list[tuple[str, str, Encoder]] = []

    def encode_fields(value: Any) -> bytes:
        if not plan:
            plan.extend((f.name, f.shape, _put(f)) for f in fields_of(message))
        out = []
        for name, shape, put in plan:
            if shape == "inline":
                out.append(put(value))
            elif (found := value.get(name)) is not None:
                if shape == "repeated":
                    out.extend(map(put, found))
                else:
                    out.append(put(found))
        return b"".join(out)

    return encode_fields


def _put(f: Field) -> Encoder:
    """What writes one value of a field, its number before it."""
    if f.shape == "map":
        value_of = _put_value(2, f.kind)
        tag = varint(f.number << 3 | 2)

        def put_map(value: Any) -> bytes:
            entries = (sized(1, k.encode()) + value_of(v) for k, v in sorted(value.items()))
            return b"".join(tag + varint(len(e)) + e for e in entries)

        return put_map
    return _put_value(f.number, f.kind)


def _put_value(number: int, kind: str) -> Encoder:
    if kind in SCALARS and kind not in ("string", "bytes"):
        if kind in ("double", "float"):
            fixed = varint(number << 3 | 1)
            return lambda value: fixed + struct.pack("<d", value)
        plain = varint(number << 3)
        return lambda value: plain + varint(int(value))
    tag = varint(number << 3 | 2)
    if kind == "string":

        def put_string(value: Any) -> bytes:
            data = value.encode() if type(value) is str else str(value).encode()
            return tag + varint(len(data)) + data

        return put_string
    encoder: Encoder = base64.b64decode if kind == "bytes" else _encoder(kind)

    def put_message(value: Any) -> bytes:
        data = encoder(value)
        return tag + varint(len(data)) + data

    return put_message


def envelope(api_version: str, kind: str, size: int) -> bytes:
    """What stands before a message of a size; `ENVELOPE_END` follows it (runtime.Unknown)."""
    meta = sized(1, api_version.encode()) + sized(2, kind.encode())
    return MAGIC + sized(1, meta) + varint(2 << 3 | 2) + varint(size)


ENVELOPE_END = sized(3, b"") + sized(4, b"")


def encode(tree: dict[str, Any], message: str) -> bytes:
    """A tree as a response body."""
    raw = encode_message(message, tree)
    return envelope(str(tree.get("apiVersion", "")), str(tree.get("kind", "")), len(raw)) + raw + ENVELOPE_END
