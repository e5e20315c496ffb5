"""The server's side of HTTP/2 (RFC 9113) for the built-in programs: bytes in, requests out; answers in, bytes out.

Every request is whole before it is answered. Neither pushes nor priorities, which servers need not heed."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seaway.cluster.node import hpack
from seaway.cluster.node.programs.http import BODY_LIMIT, Answer, Handler, Later, Request

if TYPE_CHECKING:
    import socket

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 4, 5
WINDOW = 65535
PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, COMPRESSION_ERROR = 1, 3, 6, 9
# 8.2.2: what is about one connection has no place here.
HOP = ("connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade")


class Broken(Exception):
    """The connection ends with this error code (5.4.1)."""

    def __init__(self, code: int) -> None:
        self.code = code


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    return len(body).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + body


@dataclass(slots=True)
class Stream:
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    window: int = WINDOW  # what may still be sent
    out: bytes = b""
    last: bytes = b""  # the trailers' frame
    answered: bool = False
    head_only: bool = False


class Connection2:
    """One client that speaks HTTP/2; the same face to the server as `http.Connection`."""

    __slots__ = (
        "block", "close", "data", "decoder", "frame_size", "greeted", "initial", "last", "later", "out", "peer", "sock",
        "streams", "window",
    )  # fmt: skip

    def __init__(self, sock: socket.socket, peer: tuple[str, int], data: bytes = b"") -> None:
        self.sock, self.peer, self.data, self.out, self.close = sock, peer, data, b"", False
        self.later: list[tuple[Later, int]] = []  # answers that are worked on, and their streams
        self.decoder = hpack.Decoder()
        self.streams: dict[int, Stream] = {}
        self.block: tuple[int, int, bytes] | None = None  # of HEADERS that go on: stream, flags, what has come
        self.window, self.initial, self.frame_size, self.last, self.greeted = WINDOW, WINDOW, 16384, 0, False

    def feed(self, handler: Handler) -> None:
        """Reads every whole frame that has arrived, and answers every whole request."""
        if not self.greeted:
            if len(self.data) < len(PREFACE) and PREFACE.startswith(self.data):
                return
            if not self.data.startswith(PREFACE):
                self.close = True
                return
            self.data, self.greeted = self.data[len(PREFACE) :], True
            self.out += frame(SETTINGS, 0, 0)
        try:
            while len(self.data) >= 9 and not self.close:
                size = int.from_bytes(self.data[:3], "big")
                kind, flags, stream = struct.unpack(">BBI", self.data[3:9])
                if size > 16384:
                    raise Broken(FRAME_SIZE_ERROR)
                if len(self.data) < 9 + size:
                    return
                body, self.data = self.data[9 : 9 + size], self.data[9 + size :]
                self._frame(handler, kind, flags, stream & 0x7FFFFFFF, body)
        except Broken as e:
            self.out += frame(GOAWAY, 0, 0, struct.pack(">II", self.last, e.code))
            self.close = True

    def _frame(self, handler: Handler, kind: int, flags: int, number: int, body: bytes) -> None:
        if self.block is not None and (kind, number) != (CONTINUATION, self.block[0]):
            raise Broken(PROTOCOL_ERROR)  # 6.2: nothing may come between
        if kind == HEADERS:
            if number % 2 == 0 or (number <= self.last and number not in self.streams):
                raise Broken(PROTOCOL_ERROR)
            body = unpadded(flags, body)
            self._headers(handler, number, flags, body[5:] if flags & PRIORITY else body)
        elif kind == CONTINUATION and self.block is not None:
            _, before, started = self.block
            if len(started) > BODY_LIMIT >> 8:
                raise Broken(PROTOCOL_ERROR)
            self.block = None
            self._headers(handler, number, before & ~END_HEADERS | flags & END_HEADERS, started + body)
        elif kind == DATA:
            stream = self.streams.get(number)
            if body:  # what is read is given back at once
                given = struct.pack(">I", len(body))
                self.out += frame(WINDOW_UPDATE, 0, 0, given)
                if stream is not None and not flags & END_STREAM:
                    self.out += frame(WINDOW_UPDATE, 0, number, given)
            if stream is None:
                if number > self.last:
                    raise Broken(PROTOCOL_ERROR)
                return
            stream.body += unpadded(flags, body)
            if len(stream.body) > BODY_LIMIT:
                self.respond(number, Answer(413, b"too long for a test server\n"))
            elif flags & END_STREAM:
                self._request(handler, number)
        elif kind == SETTINGS and not flags & ACK:
            self._settings(body)
        elif kind == PING and not flags & ACK:
            self.out += frame(PING, ACK, 0, body)
        elif kind == WINDOW_UPDATE and len(body) == 4:
            self._window(number, int.from_bytes(body, "big") & 0x7FFFFFFF)
        elif kind == RST_STREAM:
            self.streams.pop(number, None)
        elif kind == GOAWAY:
            self.close = not self.streams

    def _settings(self, body: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", body[: len(body) // 6 * 6]):
            if name == INITIAL_WINDOW_SIZE:
                for stream in self.streams.values():  # 6.9.2: windows that are open move too
                    stream.window += value - self.initial
                self.initial = value
            elif name == MAX_FRAME_SIZE:
                self.frame_size = min(value, 16384)
        self.out += frame(SETTINGS, ACK, 0)
        self._send()

    def _window(self, number: int, more: int) -> None:
        if number == 0:
            self.window += more
        elif number in self.streams:
            self.streams[number].window += more
        if self.window > 0x7FFFFFFF:
            raise Broken(FLOW_CONTROL_ERROR)
        self._send()

    def _headers(self, handler: Handler, number: int, flags: int, block: bytes) -> None:
        if not flags & END_HEADERS:
            self.block = (number, flags, block)
            return
        try:
            found = self.decoder.decode(block)
        except ValueError:
            raise Broken(COMPRESSION_ERROR) from None
        if number not in self.streams:
            self.streams[number], self.last = Stream(found, window=self.initial), number
        if flags & END_STREAM:
            self._request(handler, number)

    def _request(self, handler: Handler, number: int) -> None:
        stream = self.streams[number]
        pseudo = dict(h for h in stream.headers if h[0].startswith(":"))
        plain = [h for h in stream.headers if not h[0].startswith(":")]
        if not {":method", ":path"} <= pseudo.keys() or any(name in HOP for name, _ in plain):
            self.out += frame(RST_STREAM, 0, number, struct.pack(">I", PROTOCOL_ERROR))  # 8.1.1: malformed
            del self.streams[number]
            return
        host = pseudo.get(":authority") or next((v for k, v in plain if k == "host"), "")
        tls: Any = self.sock if hasattr(self.sock, "cipher") else None
        headers = (("Host", host), *(h for h in plain if h[0] != "host"))
        stream.head_only = pseudo[":method"] == "HEAD"
        request = Request(pseudo[":method"], pseudo[":path"], "HTTP/2.0", headers, stream.body, self.peer, tls)
        answer = handler(request)
        if isinstance(answer, Later):
            self.later.append((answer, number))
        else:
            self.respond(number, answer)

    def respond(self, number: int, answer: Answer) -> None:
        stream = self.streams.get(number)
        if stream is None:
            return
        if answer.reset:  # a stream is all that a handler can end of a connection that others share
            self.out += frame(RST_STREAM, 0, number, struct.pack(">I", 2))
            del self.streams[number]
            return
        headers: tuple[tuple[str, str], ...] = ((":status", str(answer.status)),)
        if answer.status not in (204, 304):
            headers += (("content-type", answer.kind),)
            if not answer.trailers:
                headers += (("content-length", str(len(answer.body))),)
        body = b"" if stream.head_only else answer.body
        bare = not body and not answer.trailers
        block = hpack.encode(headers + answer.headers)
        self.out += frame(HEADERS, END_HEADERS | (END_STREAM if bare else 0), number, block)
        if answer.trailers:
            stream.last = frame(HEADERS, END_HEADERS | END_STREAM, number, hpack.encode(answer.trailers))
        stream.out, stream.answered = body, True
        if bare:
            del self.streams[number]
        else:
            self._send()

    def _send(self) -> None:
        """What the windows let through (5.2)."""
        for number, stream in list(self.streams.items()):
            while stream.answered and stream.out:
                size = min(len(stream.out), stream.window, self.window, self.frame_size)
                if size <= 0:
                    break
                part, stream.out = stream.out[:size], stream.out[size:]
                stream.window, self.window = stream.window - size, self.window - size
                self.out += frame(DATA, 0 if stream.out or stream.last else END_STREAM, number, part)
            if stream.answered and not stream.out:
                self.out += stream.last
                del self.streams[number]

    def finish(self, number: int, answer: Answer) -> None:
        self.later = [(later, stream) for later, stream in self.later if stream != number]
        self.respond(number, answer)


def unpadded(flags: int, body: bytes) -> bytes:
    if not flags & PADDED:
        return body
    if not body or body[0] >= len(body):
        raise Broken(PROTOCOL_ERROR)
    return body[1 : len(body) - body[0]]
