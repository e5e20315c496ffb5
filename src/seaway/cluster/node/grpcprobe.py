"""A gRPC health check (grpc.health.v1) over plain HTTP/2 (RFC 9113), without a gRPC library: one request on one connection.

`request` and `Answer` are pure: bytes out, bytes in. Header fields are sent without compression; of the answer's only the
grpc-status is read, for which HPACK (RFC 7541) is decoded as far as that needs: the static table, literals, Huffman texts.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, PADDED, PRIORITY, ACK = 0x1, 0x4, 0x8, 0x20, 0x1
SERVING = 1
STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
CODES = {5: "NotFound", 12: "Unimplemented"}


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _prefixed(value: int, bits: int) -> bytes:
    """An HPACK integer with an empty prefix (RFC 7541 5.1)."""
    limit = (1 << bits) - 1
    return bytes([value]) if value < limit else bytes([limit]) + varint(value - limit)


def _literal(name: str, value: str) -> bytes:
    """A field without indexing, its name new (RFC 7541 6.2.2)."""
    return b"\0" + _prefixed(len(name), 7) + name.encode() + _prefixed(len(value), 7) + value.encode()


def request(authority: str, service: str) -> bytes:
    """Everything that the client says: preface, settings, and Check(service) on stream 1."""
    fields = (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "kube-probe/1.36 grpc-go"),
    )
    message = b"\x0a" + varint(len(service.encode())) + service.encode() if service else b""
    body = b"\0" + struct.pack(">I", len(message)) + message
    return (
        PREFACE
        + frame(SETTINGS, 0, 0, b"")
        + frame(HEADERS, END_HEADERS, 1, b"".join(_literal(*f) for f in fields))
        + frame(DATA, END_STREAM, 1, body)
    )


@dataclass(slots=True)
class Answer:
    """The server's side: `feed` takes bytes and gives what is to be sent back; `done` when the stream has ended."""

    done: bool = False
    body: bytes = b""
    error: str = ""
    _rest: bytes = b""
    _block: bytes = b""
    _ends: bool = False
    _fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    _table: list[tuple[bytes, bytes]] = field(default_factory=list)

    def feed(self, data: bytes) -> bytes:
        self._rest += data
        reply = b""
        while len(self._rest) >= 9 and not self.done:
            length = int.from_bytes(self._rest[:3], "big")
            if length > 1 << 20:
                return self._fail("the answer is too large")
            if len(self._rest) < 9 + length:
                break
            kind, flags = self._rest[3], self._rest[4]
            stream = int.from_bytes(self._rest[5:9], "big") & 0x7FFFFFFF
            payload, self._rest = self._rest[9 : 9 + length], self._rest[9 + length :]
            reply += self._frame(kind, flags, stream, payload)
        return reply

    def _fail(self, text: str) -> bytes:
        self.done, self.error = True, text
        return b""

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        if kind == SETTINGS and not flags & ACK:
            return frame(SETTINGS, ACK, 0, b"")
        if kind == PING and not flags & ACK:
            return frame(PING, ACK, 0, payload)
        if kind == GOAWAY:
            return self._fail("the server closes the connection")
        if stream != 1:
            return b""
        if kind == RST_STREAM:
            return self._fail("the server resets the stream")
        if kind in (DATA, HEADERS) and flags & PADDED:
            payload = payload[1 : len(payload) - payload[0]]
        if kind == DATA:
            self.body += payload
            self.done = bool(flags & END_STREAM)
        elif kind in (HEADERS, CONTINUATION):
            self._block += payload[5:] if kind == HEADERS and flags & PRIORITY else payload
            self._ends = self._ends or bool(kind == HEADERS and flags & END_STREAM)
            if flags & END_HEADERS:
                self._fields += decode(self._block, self._table)
                self._block = b""
                self.done = self._ends
        return b""

    def header(self, name: bytes) -> str:
        return next((v.decode("utf-8", "replace") for n, v in self._fields if n == name), "")

    def verdict(self, service: str) -> tuple[bool, str]:
        """(passed, what is wrong), in the kubelet's words (pkg/probe/grpc)."""
        if self.error:
            return False, f"error: health rpc probe failed: {self.error}"
        code = self.header(b"grpc-status")
        if code == "12":
            return (
                False,
                f"error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {self._text()}",
            )
        if code not in ("", "0"):
            name = CODES.get(int(code) if code.isdigit() else -1, f"Code({code})")
            return False, f"error: health rpc probe failed: rpc error: code = {name} desc = {self._text()}"
        status = health_status(self.body)
        if status == SERVING:
            return True, ""
        return False, f'service unhealthy (responded with "{STATUSES.get(status, status)}")'

    def _text(self) -> str:
        return self.header(b"grpc-message")


def health_status(body: bytes) -> int:
    """The field `status` (1, an enum) of a HealthCheckResponse in a gRPC message; 0 where it is absent."""
    message = body[5:]
    if len(message) >= 2 and message[0] == 0x08:
        return message[1]
    return 0


# HPACK, reading only. Of the static table the names that may stand with an index before a literal value.
STATIC = {8: (b":status", b"200"), 9: (b":status", b"204"), 10: (b":status", b"206"), 11: (b":status", b"304"),
          12: (b":status", b"400"), 13: (b":status", b"404"), 14: (b":status", b"500"), 31: (b"content-type", b"")}  # fmt: skip


def _integer(data: bytes, at: int, bits: int) -> tuple[int, int]:
    limit = (1 << bits) - 1
    value = data[at] & limit
    at += 1
    if value < limit:
        return value, at
    shift = 0
    while True:
        byte = data[at]
        at += 1
        value += (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at


def _text(data: bytes, at: int) -> tuple[bytes, int]:
    coded = bool(data[at] & 0x80)
    length, at = _integer(data, at, 7)
    raw = data[at : at + length]
    return (unhuffman(raw) if coded else raw), at + length


def decode(block: bytes, dynamic: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The fields of a header block; `dynamic` is the connection's table, which grows. Indexes that are not known here give
    fields without a name: nobody asks for them."""
    found: list[tuple[bytes, bytes]] = []
    at = 0
    try:
        while at < len(block):
            first = block[at]
            if first & 0x80:  # indexed
                index, at = _integer(block, at, 7)
                found.append(_entry(index, dynamic))
                continue
            if first & 0xE0 == 0x20:  # a new size of the dynamic table
                _, at = _integer(block, at, 5)
                continue
            index, at = _integer(block, at, 6 if first & 0x40 else 4)
            name, at = (_entry(index, dynamic)[0], at) if index else _text(block, at)
            value, at = _text(block, at)
            found.append((name, value))
            if first & 0x40:
                dynamic.insert(0, (name, value))
    except IndexError:
        pass  # cut off: what was read counts
    return found


def _entry(index: int, dynamic: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    if index >= 62 and index - 62 < len(dynamic):
        return dynamic[index - 62]
    return STATIC.get(index, (b"", b""))


# RFC 7541, appendix B: the codes of the printable characters, by length.
_CODES: dict[int, tuple[int, str]] = {
    5: (0x0, "012aceiost"),
    6: (0x14, " %-./3456789=A_bdfghlmnpru"),
    7: (0x5C, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    8: (0xF8, "&*,;XZ"),
    10: (0x3F8, '!"()?'),
    11: (0x7FA, "'+|"),
    12: (0xFFA, "#>"),
    13: (0x1FF8, "\0$@[]~"),
    14: (0x3FFC, "^}"),
    15: (0x7FFC, "<`{"),
}
_HUFFMAN = {(length, first + i): ord(c) for length, (first, chars) in _CODES.items() for i, c in enumerate(chars)}


def unhuffman(raw: bytes) -> bytes:
    """A Huffman coded text; what is not printable ends it."""
    out = bytearray()
    code = length = 0
    for byte in raw:
        for bit in range(7, -1, -1):
            code, length = code << 1 | byte >> bit & 1, length + 1
            found = _HUFFMAN.get((length, code))
            if found is not None:
                out.append(found)
                code = length = 0
            elif length > 30:
                return bytes(out)
    return bytes(out)
