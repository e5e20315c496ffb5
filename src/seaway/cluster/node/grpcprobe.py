"""A gRPC health check (grpc.health.v1) over plain HTTP/2 (RFC 9113), without a gRPC library: one request on one connection.

`request` and `Answer` are pure: bytes out, bytes in. Header fields are sent without compression; of the answer's only the
grpc-status is read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from seaway.cluster.node import hpack
from seaway.protowire import sized

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, PADDED, PRIORITY, ACK = 0x1, 0x4, 0x8, 0x20, 0x1
SERVING = 1
STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
CODES = {5: "NotFound", 12: "Unimplemented"}


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


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
    message = sized(1, service) if service else b""
    body = b"\0" + struct.pack(">I", len(message)) + message
    return (
        PREFACE
        + frame(SETTINGS, 0, 0, b"")
        + frame(HEADERS, END_HEADERS, 1, hpack.encode(fields))
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
    _fields: list[tuple[str, str]] = field(default_factory=list)
    _headers: hpack.Decoder = field(default_factory=hpack.Decoder)

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
                try:
                    self._fields += self._headers.decode(self._block)
                except ValueError:
                    return self._fail("the server's headers cannot be read")
                self._block = b""
                self.done = self._ends
        return b""

    def header(self, name: str) -> str:
        return next((v.encode("latin-1").decode("utf-8", "replace") for n, v in self._fields if n == name), "")

    def verdict(self, service: str) -> tuple[bool, str]:
        """(passed, what is wrong), in the kubelet's words (pkg/probe/grpc)."""
        if self.error:
            return False, f"error: health rpc probe failed: {self.error}"
        code = self.header("grpc-status")
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
        return self.header("grpc-message")


def health_status(body: bytes) -> int:
    """The field `status` (1, an enum) of a HealthCheckResponse in a gRPC message; 0 where it is absent."""
    message = body[5:]
    if len(message) >= 2 and message[0] == 0x08:
        return message[1]
    return 0
