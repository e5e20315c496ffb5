"""The Kubernetes protobuf encoding, both ways, driven by the facts tables; pure.

A body is the four bytes `k8s\\0` and a runtime.Unknown envelope (typeMeta, raw).
"""

from __future__ import annotations

import base64
import struct
from datetime import UTC, datetime
from typing import Any

import msgspec

from seaway.api import facts
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
    by_number,
    is_strings,
    message_of,
)
from seaway.cluster.apiserver.protowriter import ENVELOPE_END, MAGIC, encode, encode_message, envelope
from seaway.protowire import read

__all__ = [
    "CONTENT_TYPE",
    "ENVELOPE_END",
    "MAGIC",
    "UNIONS",
    "ProtobufError",
    "decode",
    "encode",
    "encode_message",
    "envelope",
    "message_of",
]
CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
DEPTH = 64


class ProtobufError(ValueError):
    """Bytes that are not the message they claim to be; the text is what Go's generated decoders say."""


class FieldError(ProtobufError):
    """A field that is not what it should be. Who knows the field's name adds it (`of`), in Go's form."""

    def __init__(self, why: str, name: str = "") -> None:
        super().__init__(f"proto: {why} for field {name[:1].upper()}{name[1:]}" if name else f"proto: {why}")
        self._why, self._name = why, name

    def of(self, name: str) -> FieldError:
        return self if self._name else FieldError(self._why, name)


def _wrong_wire(wire: int) -> FieldError:
    return FieldError(f"wrong wireType = {wire}")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    try:
        return read(data, at)
    except EOFError:
        raise ProtobufError("unexpected EOF") from None
    except OverflowError:
        raise ProtobufError("proto: integer overflow") from None


def _fields(data: memoryview) -> list[tuple[int, int, Any]]:
    """(number, wire type, value) of each field; lengths are checked."""
    if not isinstance(data, memoryview):
        raise _wrong_wire(0)
    found, at = [], 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        value: Any
        if number == 0:
            raise ProtobufError(f"proto: illegal tag 0 (wire type {wire})")
        if wire == 0:
            value, at = _varint(data, at)
        elif wire == 2:
            length, at = _varint(data, at)
            if at + length > len(data):
                raise ProtobufError("unexpected EOF")
            value, at = data[at : at + length], at + length
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            if at + size > len(data):
                raise ProtobufError("unexpected EOF")
            value, at = bytes(data[at : at + size]), at + size
        else:
            raise ProtobufError(f"proto: illegal wireType {wire}")
        found.append((number, wire, value))
    return found


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _scalar(kind: str, wire: int, value: Any) -> Any:
    if kind in ("string", "bytes"):
        if wire != 2:
            raise _wrong_wire(wire)
        if kind == "bytes":
            return base64.b64encode(value).decode()
        try:
            return str(value, "utf-8")
        except UnicodeDecodeError:
            raise FieldError("invalid UTF-8") from None
    if kind in ("double", "float"):
        if wire != (1 if kind == "double" else 5):
            raise _wrong_wire(wire)
        number = float(struct.unpack("<d" if wire == 1 else "<f", value)[0])
        return int(number) if number.is_integer() and abs(number) < 1e21 else number  # as Go writes it in JSON
    if wire != 0:
        raise _wrong_wire(wire)
    if kind == "bool":
        return bool(value)
    signed = _signed(value)
    if kind == "int32":
        return ((signed & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000
    return signed if kind == "int64" else value


def _special(kind: str, data: memoryview) -> Any:
    """Messages whose JSON is not an object."""
    values = {number: (wire, value) for number, wire, value in _fields(data)}

    def scalar(number: int, of: str, default: Any) -> Any:
        return _scalar(of, *values[number]) if number in values else default

    if kind == QUANTITY:
        return scalar(1, "string", "0")
    if kind == INT_OR_STRING:
        return scalar(3, "string", "") if scalar(1, "int64", 0) else scalar(2, "int32", 0)
    if kind in TIMES:
        seconds, nanos = scalar(1, "int64", 0), scalar(2, "int32", 0)
        if not values:
            return None
        try:
            moment = datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            raise ProtobufError("a time out of range") from None
        return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{nanos // 1000:06d}Z" if TIMES[kind] else "Z")
    raw = bytes(values[1][1]) if 1 in values and values[1][0] == 2 else b"null"
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        raise ProtobufError("embedded JSON cannot be read") from None


_SPECIAL = frozenset({QUANTITY, INT_OR_STRING, *TIMES, FIELDS_V1, RAW, JSON})


def _union(kind: str, data: memoryview, depth: int) -> Any:
    schema, other, of = UNIONS[kind]
    fields = _fields(data)
    for number, wire, value in fields:
        if number == schema:
            return _value(SCHEMA, wire, value, depth)
    found = [_value(of, wire, value, depth) for number, wire, value in fields if number == other]
    return bool(found and found[-1]) if of == "bool" else found


def decode_message(message: str, data: memoryview, depth: int = 0) -> Any:
    """A message as its JSON form. Fields that the tables do not know are skipped, as protobuf has it.

    Go's encoder writes every field that is no pointer, also when it is empty: JSON leaves these out, and so do we. A
    pointer is written when it is set: its zero means something.
    """
    if message in _SPECIAL:
        return _special(message, data)
    if depth > DEPTH:
        raise ProtobufError("nested too deep")
    if message in UNIONS:
        return _union(message, data, depth)
    if message not in facts.messages():
        raise ProtobufError(f"unknown message {message}")
    if is_strings(message):
        return [_scalar("string", wire, value) for number, wire, value in _fields(data) if number == 1]
    table = by_number(message)
    result: dict[str, Any] = {}
    for number, wire, value in _fields(data):
        known = table.get(number)
        if known is None:
            continue
        try:
            _take(result, known, wire, value, depth)
        except FieldError as e:
            raise e.of(known.name) from None
    return result


def _take(result: dict[str, Any], known: Field, wire: int, value: Any, depth: int) -> None:
    """One field of a message into the tree of it."""
    name, kind = known.name, known.kind
    if known.shape == "map":
        entry = {n: (w, v) for n, w, v in _fields(value)}
        key = _scalar("string", *entry[1]) if 1 in entry else ""
        if 2 in entry:
            item = _value(kind, *entry[2], depth)
        else:
            item = "" if kind in ("string", "bytes") else _value(kind, 2, memoryview(b""), depth)
        result.setdefault(name, {})[key] = item
    elif known.shape == "repeated":
        if wire == 2 and kind in SCALARS and kind not in ("string", "bytes"):
            at = 0
            while at < len(value):  # packed
                packed, at = _varint(value, at)
                result.setdefault(name, []).append(_scalar(kind, 0, packed))
        else:
            result.setdefault(name, []).append(_value(kind, wire, value, depth))
    else:
        item = _value(kind, wire, value, depth)
        if known.shape == "inline" and isinstance(item, dict):
            result.update(item)
        elif item is None or (kind in SCALARS and not known.pointer and not item):
            return
        elif item != {} or known.pointer or name not in ("metadata", "status"):
            result[name] = item


def _value(kind: str, wire: int, value: Any, depth: int) -> Any:
    if kind in SCALARS:
        return _scalar(kind, wire, value)
    if wire != 2:
        raise _wrong_wire(wire)
    return decode_message(kind, value, depth + 1)


def decode(body: bytes, message_for: Any) -> dict[str, Any]:
    """A request body as a tree. `message_for(apiVersion, kind)` names the message, or None for an unknown kind."""
    if not body.startswith(MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    api_version = kind = ""
    raw = memoryview(b"")
    for number, wire, value in _fields(memoryview(body)[4:]):
        if number == 1 and wire == 2:
            for n, w, v in _fields(value):
                if n == 1:
                    api_version = _scalar("string", w, v)
                elif n == 2:
                    kind = _scalar("string", w, v)
        elif number == 2 and wire == 2:
            raw = value
    message = message_for(api_version, kind)
    if message is None:
        raise ProtobufError(f'no kind "{kind}" is registered for version "{api_version}"')
    return {"kind": kind, "apiVersion": api_version, **decode_message(message, raw)}
