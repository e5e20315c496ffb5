"""The Kubernetes protobuf encoding, both ways, driven by the facts tables; pure.

A body is the four bytes `k8s\\0` and a runtime.Unknown envelope (typeMeta, raw). Go embeds some messages (VolumeSource
in Volume): in JSON their fields stand in the parent, which the OpenAPI definition shows.
"""

from __future__ import annotations

import base64
import struct
from datetime import UTC, datetime
from typing import Any

import msgspec

from seaway.api import facts

MAGIC = b"k8s\0"
CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
PREFIX = "k8s.io."
QUANTITY = "k8s.io.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "k8s.io.apimachinery.pkg.util.intstr.IntOrString"
TIMES = {"k8s.io.apimachinery.pkg.apis.meta.v1.Time": 0, "k8s.io.apimachinery.pkg.apis.meta.v1.MicroTime": 6}
FIELDS_V1 = "k8s.io.apimachinery.pkg.apis.meta.v1.FieldsV1"
RAW = "k8s.io.apimachinery.pkg.runtime.RawExtension"
VERBS = "k8s.io.api.rbac.v1.Verbs"
SCALARS = frozenset({"string", "bool", "int32", "int64", "uint32", "uint64", "bytes", "double", "float"})
STRINGS = {"items": (1, "repeated string")}
DEPTH = 64


class ProtobufError(ValueError):
    """Bytes that are not the message they claim to be."""


def message_of(definition: str) -> str:
    """`io.k8s.api.core.v1.Pod` -> `k8s.io.api.core.v1.Pod`."""
    return PREFIX + definition.removeprefix("io.k8s.")


def _type(owner: str, name: str) -> str:
    """A type name as a field of `owner` writes it, in full."""
    name = name.removeprefix(".")
    if name in SCALARS or name.startswith(PREFIX):
        return name
    return f"{owner.rpartition('.')[0]}.{name}"


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ProtobufError("unexpected end of a varint")
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7


def _fields(data: memoryview) -> list[tuple[int, int, Any]]:
    """(number, wire type, value) of each field; lengths are checked."""
    found, at = [], 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        value: Any
        if number == 0:
            raise ProtobufError("field number 0")
        if wire == 0:
            value, at = _varint(data, at)
        elif wire == 2:
            length, at = _varint(data, at)
            if at + length > len(data):
                raise ProtobufError("unexpected end of a field")
            value, at = data[at : at + length], at + length
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            if at + size > len(data):
                raise ProtobufError("unexpected end of a field")
            value, at = bytes(data[at : at + size]), at + size
        else:
            raise ProtobufError(f"unknown wire type {wire}")
        found.append((number, wire, value))
    return found


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _scalar(kind: str, wire: int, value: Any) -> Any:
    if kind in ("string", "bytes"):
        if wire != 2:
            raise ProtobufError(f"wire type {wire} for a {kind}")
        if kind == "bytes":
            return base64.b64encode(value).decode()
        try:
            return str(value, "utf-8")
        except UnicodeDecodeError:
            raise ProtobufError("a string is not UTF-8") from None
    if kind in ("double", "float"):
        return struct.unpack("<d" if wire == 1 else "<f", value)[0]
    if wire != 0:
        raise ProtobufError(f"wire type {wire} for a {kind}")
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


_SPECIAL = frozenset({QUANTITY, INT_OR_STRING, *TIMES, FIELDS_V1, RAW})


def _is_inline(message: str, field: str, kind: str) -> bool:
    """Whether a message field is embedded: the OpenAPI definition of the parent does not have it."""
    if kind in SCALARS:
        return False
    schema = facts.definitions().get("io." + message)
    if schema is None:
        schema = facts.definitions().get("io.k8s." + message.removeprefix(PREFIX))
    return schema is not None and "properties" in schema and field not in schema["properties"]


def decode_message(message: str, data: memoryview, depth: int = 0) -> Any:
    """A message as its JSON form. Fields that the tables do not know are skipped, as protobuf has it."""
    if message in _SPECIAL:
        return _special(message, data)
    if depth > DEPTH:
        raise ProtobufError("nested too deep")
    table = facts.messages().get(message)
    if table is None:
        raise ProtobufError(f"unknown message {message}")
    by_number = {number: (name, kind) for name, (number, kind) in table.items()}
    if message == VERBS or table == STRINGS:  # Go's named slices of strings: ExtraValue, Verbs
        return [_scalar("string", wire, value) for number, wire, value in _fields(data) if number == 1]
    result: dict[str, Any] = {}
    for number, wire, value in _fields(data):
        if number not in by_number:
            continue
        name, kind = by_number[number]
        if kind.startswith("map<"):
            inner = _type(message, kind[4:-1].partition(",")[2].strip())
            entry = {n: (w, v) for n, w, v in _fields(value)}
            key = _scalar("string", *entry[1]) if 1 in entry else ""
            if 2 in entry:
                item = _value(inner, *entry[2], depth)
            else:
                item = "" if inner in ("string", "bytes") else _value(inner, 2, memoryview(b""), depth)
            result.setdefault(name, {})[key] = item
        elif kind.startswith("repeated "):
            inner = _type(message, kind[9:])
            if wire == 2 and inner in SCALARS and inner not in ("string", "bytes"):
                at = 0
                while at < len(value):  # packed
                    number_, at = _varint(value, at)
                    result.setdefault(name, []).append(_scalar(inner, 0, number_))
            else:
                result.setdefault(name, []).append(_value(inner, wire, value, depth))
        else:
            inner = _type(message, kind)
            item = _value(inner, wire, value, depth)
            if isinstance(item, dict) and _is_inline(message, name, inner):
                result.update(item)
            elif item is not None:
                result[name] = item
    return result


def _value(kind: str, wire: int, value: Any, depth: int) -> Any:
    if kind in SCALARS:
        return _scalar(kind, wire, value)
    if wire != 2:
        raise ProtobufError(f"wire type {wire} for a message")
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
    tree = decode_message(message, raw)
    tree = _without_zeros(tree)
    return {"kind": kind, "apiVersion": api_version, **tree}


# Go's encoder writes every non-pointer field, also when it is empty; JSON leaves these out. Pointers are only written
# when set, so that their zero means something: these names are pointers (or are always shown).
POINTERS = frozenset(
    """
    replicas terminationGracePeriodSeconds revisionHistoryLimit progressDeadlineSeconds backoffLimit completions parallelism
    optional allocateLoadBalancerNodePorts runAsUser runAsGroup fsGroup runAsNonRoot readOnlyRootFilesystem privileged value
    allowPrivilegeEscalation automountServiceAccountToken enableServiceLinks controller blockOwnerDeletion partition suspend
    manualSelector immutable ready serving terminating port defaultMode mode activeDeadlineSeconds ttlSecondsAfterFinished
    deletionGracePeriodSeconds gracePeriodSeconds weight storageClassName ingressClassName tolerationSeconds endPort priority
    leaseDurationSeconds leaseTransitions successfulJobsHistoryLimit failedJobsHistoryLimit maxUnavailable minAvailable
    maxSurge targetPort shareProcessNamespace hostUsers expirationSeconds averageUtilization minReplicas revision
    """.split()
)


def _without_zeros(value: Any, depth: int = 0) -> Any:
    if isinstance(value, dict):
        result = {}
        for k, v in value.items():
            if depth and k not in POINTERS and (v == "" or v is False or (v == 0 and isinstance(v, int))):
                continue
            result[k] = _without_zeros(v, depth + 1)
        for k in ("metadata", "status"):
            if result.get(k) == {}:
                del result[k]
        return result
    if isinstance(value, list):
        return [_without_zeros(v, depth + 1) for v in value]
    return value


def _put_varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, data: bytes) -> bytes:
    return _put_varint(number << 3 | 2) + _put_varint(len(data)) + data


def _encode_value(number: int, kind: str, value: Any) -> bytes:
    if kind == "string":
        return field(number, str(value).encode())
    if kind == "bytes":
        return field(number, base64.b64decode(value))
    if kind in ("double", "float"):
        return _put_varint(number << 3 | 1) + struct.pack("<d", value)
    if kind in SCALARS:
        return _put_varint(number << 3) + _put_varint(int(value))
    return field(number, encode_message(kind, value))


def encode_message(message: str, value: Any) -> bytes:
    """The bytes of a message from its JSON form."""
    if message == QUANTITY:
        return field(1, str(value).encode())
    if message == INT_OR_STRING:
        if isinstance(value, str):
            return _put_varint(1 << 3) + b"\x01" + field(3, value.encode())
        return _put_varint(2 << 3) + _put_varint(value)
    if message in TIMES:
        moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        seconds, nanos = int(moment.timestamp()), moment.microsecond * 1000
        return _put_varint(1 << 3) + _put_varint(seconds) + _put_varint(2 << 3) + _put_varint(nanos)
    if message in (FIELDS_V1, RAW):
        return field(1, msgspec.json.encode(value))
    if message == VERBS or isinstance(value, list):
        return b"".join(field(1, str(v).encode()) for v in value)
    out = bytearray()
    table = facts.messages()[message]
    for name, (number, kind) in sorted(table.items(), key=lambda f: f[1][0]):
        if kind.startswith("map<"):
            inner = _type(message, kind[4:-1].partition(",")[2].strip())
            for k, v in sorted((value.get(name) or {}).items()):
                out += field(number, field(1, k.encode()) + _encode_value(2, inner, v))
        elif kind.startswith("repeated "):
            for v in value.get(name) or ():
                out += _encode_value(number, _type(message, kind[9:]), v)
        else:
            inner = _type(message, kind)
            if _is_inline(message, name, inner):
                out += field(number, encode_message(inner, value))
            elif value.get(name) is not None:
                out += _encode_value(number, inner, value[name])
    return bytes(out)


def envelope(api_version: str, kind: str, size: int) -> bytes:
    """What stands before a message of a size; `ENVELOPE_END` follows it (runtime.Unknown)."""
    meta = field(1, api_version.encode()) + field(2, kind.encode())
    return MAGIC + field(1, meta) + _put_varint(2 << 3 | 2) + _put_varint(size)


ENVELOPE_END = field(3, b"") + field(4, b"")


def encode(tree: dict[str, Any], message: str) -> bytes:
    """A tree as a response body."""
    raw = encode_message(message, tree)
    return envelope(str(tree.get("apiVersion", "")), str(tree.get("kind", "")), len(raw)) + raw + ENVELOPE_END
