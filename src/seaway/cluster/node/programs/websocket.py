"""WebSocket (RFC 6455) for the built-in programs: the handshake's answer, and frames sent back as they come."""

from __future__ import annotations

import base64
import hashlib

from seaway.cluster.node.programs.http import Answer, Request

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def frame(opcode: int, payload: bytes) -> bytes:
    """A whole message in one frame; a server does not mask (5.1)."""
    size = len(payload)
    head = bytes([0x80 | opcode])
    if size < 126:
        return head + bytes([size]) + payload
    if size < 65536:
        return head + b"\x7e" + size.to_bytes(2, "big") + payload
    return head + b"\x7f" + size.to_bytes(8, "big") + payload


class Echo:
    """What follows the handshake: each frame's payload goes back as text, as golang.org/x/net/websocket's io.Copy does."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What to send, and whether that is the end."""
        self.data += data
        out = b""
        while len(self.data) >= 2:
            opcode, size, at = self.data[0] & 15, self.data[1] & 127, 2
            if size > 125:
                width = 2 if size == 126 else 8
                size, at = int.from_bytes(self.data[2 : 2 + width], "big"), 2 + width
            masked = bool(self.data[1] & 128)
            end = at + (4 if masked else 0) + size
            if not masked or size > 1 << 20:
                return out + frame(CLOSE, (1002).to_bytes(2, "big")), True  # 5.1: a client masks
            if len(self.data) < end:
                break
            mask = self.data[at : at + 4]
            payload = bytes(b ^ mask[i % 4] for i, b in enumerate(self.data[at + 4 : end]))
            self.data = self.data[end:]
            if opcode == CLOSE:
                return out + frame(CLOSE, payload[:2]), True
            if opcode == PING:
                out += frame(PONG, payload)
            elif opcode != PONG:
                out += frame(TEXT, payload)
        return out, False


def answer(request: Request) -> Answer:
    """The handshake (4.2.2); without an Origin it is refused, as that library's Handler does."""
    key = request.header("Sec-WebSocket-Key")
    if request.method != "GET" or request.header("Upgrade").lower() != "websocket" or not key:
        return Answer(400, b"")
    if not request.header("Origin"):
        return Answer(403, b"")
    accept = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()
    headers = (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept))
    return Answer(101, b"", headers=headers, after=Echo().feed)
