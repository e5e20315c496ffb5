"""SPDY/3.1 framing, as much of it as Kubernetes' streams use; pure: bytes in, events out.

Older clients (and all of client-go's SPDY executor) open the streams of an exec, attach or port-forward inside one SPDY
connection. Their library, moby/spdystream, has no flow control: windows are neither kept nor waited for, TCP does that.
Frame layouts are those of the SPDY Protocol draft 3.1, section 2.6.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

VERSION = 3
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN, UNIDIRECTIONAL = 1, 2
PROTOCOL_ERROR, INVALID_STREAM, REFUSED_STREAM, CANCEL, INTERNAL_ERROR, STREAM_IN_USE = 1, 2, 3, 5, 6, 8
DATA_LIMIT = 1 << 15  # bytes of a data frame that we send
CONTROL_LIMIT = 1 << 16  # bytes of a control frame that we take
HEADERS_LIMIT = 1 << 17  # bytes of a header block after it is unpacked
STREAMS_LIMIT = 4096

# Section 2.6.10.1: what both ends' zlib knows before the first header.
_WORDS = """
options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow
authorization cache-control connection content-base content-encoding content-language content-length content-location
content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match
if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range
referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get
status|200 OK|version|HTTP/1.1|url public set-cookie keep-alive origin
"""
_REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _dictionary() -> bytes:
    words = [w for part in _WORDS.split("|") for w in ([part] if part in ("200 OK", "HTTP/1.1") else part.split())]
    return b"".join(struct.pack(">I", len(w)) + w.encode() for w in words) + _REST.encode()


DICTIONARY = _dictionary()


class SpdyError(Exception):
    """The peer broke the protocol; the connection cannot go on."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The peer opened a stream. `fin`: it will send nothing on it."""

    stream: int
    headers: Mapping[str, str]
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Replied:
    """The peer accepted a stream that we opened."""

    stream: int
    headers: Mapping[str, str]
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes on a stream, or with `fin` the end of them."""

    stream: int
    data: bytes
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """The peer gave a stream up."""

    stream: int
    status: int


@dataclass(frozen=True, slots=True)
class Pinged:
    """A ping of the peer (answered already), or its answer to ours."""

    number: int


@dataclass(frozen=True, slots=True)
class WentAway:
    """The peer opens and takes no more streams."""

    status: int


Event = Opened | Replied | Data | Reset | Pinged | WentAway


class Connection:
    """One end of a connection. `receive` takes bytes and gives events; what is to be sent gathers until `take`."""

    def __init__(self, client: bool = False) -> None:
        self._client = client
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(level=6, zdict=DICTIONARY)
        self._buffer = bytearray()
        self._out = bytearray()
        self._data: tuple[int, int, bool] | None = None  # a data frame in the middle: stream, bytes left, fin
        self._theirs: set[int] = set()  # streams that may still bring something
        self._ours: set[int] = set()  # streams that we may still send on
        self._last = 0
        self._next = 1 if client else 2

    # in

    def receive(self, data: bytes) -> list[Event]:
        """The events in the next bytes. Raises SpdyError where nothing sensible can follow."""
        self._buffer += data
        found: list[Event] = []
        while True:
            if self._data is not None:
                if not self._part(found):
                    return found
                continue
            if len(self._buffer) < 8:
                return found
            first, second = struct.unpack_from(">II", self._buffer)
            flags, length = second >> 24, second & 0xFFFFFF
            if not first >> 31:
                del self._buffer[:8]
                self._data = (first, length, bool(flags & FIN))
                continue
            if first >> 16 & 0x7FFF != VERSION:
                raise SpdyError(f"SPDY version {first >> 16 & 0x7FFF} is not {VERSION}")
            if length > CONTROL_LIMIT:
                raise SpdyError(f"a control frame of {length} bytes: at most {CONTROL_LIMIT} are taken")
            if len(self._buffer) < 8 + length:
                return found
            body = bytes(self._buffer[8 : 8 + length])
            del self._buffer[: 8 + length]
            try:
                self._control(first & 0xFFFF, flags, body, found)
            except struct.error:
                raise SpdyError(f"a control frame of type {first & 0xFFFF} is too short") from None

    def _part(self, found: list[Event]) -> bool:
        """What has come of a data frame; False where more has to be waited for."""
        assert self._data is not None
        stream, left, fin = self._data
        if left and not self._buffer:
            return False
        data = bytes(self._buffer[:left])
        del self._buffer[: len(data)]
        left -= len(data)
        self._data = (stream, left, fin) if left else None
        over = fin and not left
        if stream in self._theirs:
            if over:
                self._theirs.discard(stream)
            if data or over:
                found.append(Data(stream, data, over))
        elif stream > self._last if bool(stream % 2) != self._client else stream >= self._next:
            raise SpdyError(f"data on stream {stream}, which was never opened")
        return True  # of a stream that has ended here: dropped

    def _control(self, kind: int, flags: int, body: bytes, found: list[Event]) -> None:
        if kind == SYN_STREAM:
            stream = struct.unpack_from(">I", body)[0] & 0x7FFFFFFF
            headers = self._headers(body[10:])
            if not stream or bool(stream % 2) == self._client or stream <= self._last:
                raise SpdyError(f"stream {stream} may not be opened now")
            self._last = stream
            if len(self._theirs | self._ours) >= STREAMS_LIMIT:
                self._send(RST_STREAM, 0, struct.pack(">II", stream, REFUSED_STREAM))
                return
            if not flags & FIN:
                self._theirs.add(stream)
            if not flags & UNIDIRECTIONAL:
                self._ours.add(stream)
            found.append(Opened(stream, headers, bool(flags & FIN)))
        elif kind in (SYN_REPLY, HEADERS):
            stream = struct.unpack_from(">I", body)[0] & 0x7FFFFFFF
            headers = self._headers(body[4:])
            if flags & FIN:
                self._theirs.discard(stream)
            if kind == SYN_REPLY:
                found.append(Replied(stream, headers, bool(flags & FIN)))
            elif flags & FIN:
                found.append(Data(stream, b"", True))
        elif kind == RST_STREAM:
            stream, status = struct.unpack_from(">II", body)
            self._forget(stream)
            found.append(Reset(stream, status))
        elif kind == PING:
            number = struct.unpack_from(">I", body)[0]
            if bool(number % 2) != self._client:  # the peer's own number: it wants it back
                self._send(PING, 0, body[:4])
            found.append(Pinged(number))
        elif kind == GOAWAY:
            found.append(WentAway(struct.unpack_from(">II", body)[1]))
        # SETTINGS and WINDOW_UPDATE say nothing to a peer without flow control; other types are to be ignored (2.2.1).

    def _headers(self, block: bytes) -> dict[str, str]:
        """A header block; every block passes through the one zlib, for its state is that of the connection."""
        try:
            text = self._inflate.decompress(block, HEADERS_LIMIT)
        except zlib.error as e:
            raise SpdyError(f"a header block cannot be unpacked: {e}") from None
        if self._inflate.unconsumed_tail:
            raise SpdyError(f"a header block is longer than {HEADERS_LIMIT} bytes")
        at, found = 4, {}

        def field() -> str:
            nonlocal at
            (size,) = struct.unpack_from(">I", text, at)
            if size > len(text) - at - 4:
                raise SpdyError("a header block ends too early")
            at += 4 + size
            return text[at - size : at].decode("latin-1")

        for _ in range(struct.unpack_from(">I", text)[0]):
            name = field().lower()
            found[name] = field()
        return found

    # out

    def take(self) -> bytes:
        """What is to be sent now."""
        found = bytes(self._out)
        self._out.clear()
        return found

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        self._out += struct.pack(">HHI", 0x8000 | VERSION, kind, flags << 24 | len(body)) + body

    def _packed(self, headers: Mapping[str, str]) -> bytes:
        text = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for part in (name.lower().encode("latin-1"), value.encode("latin-1")):
                text += struct.pack(">I", len(part)) + part
        return self._deflate.compress(text) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def open(self, headers: Mapping[str, str]) -> int:
        """Opens a stream and returns its number."""
        stream, self._next = self._next, self._next + 2
        self._theirs.add(stream)
        self._ours.add(stream)
        self._send(SYN_STREAM, 0, struct.pack(">IIBB", stream, 0, 0, 0) + self._packed(headers))
        return stream

    def reply(self, stream: int, headers: Mapping[str, str] | None = None) -> None:
        """Accepts a stream of the peer."""
        self._send(SYN_REPLY, 0, struct.pack(">I", stream) + self._packed(headers or {}))

    def send(self, stream: int, data: bytes, fin: bool = False) -> bool:
        """Bytes on a stream, with `fin` the last ones; False where the stream takes no more."""
        if stream not in self._ours:
            return False
        cut = [data[i : i + DATA_LIMIT] for i in range(0, len(data), DATA_LIMIT)] or ([b""] if fin else [])
        for number, part in enumerate(cut, 1):
            last = fin and number == len(cut)
            self._out += struct.pack(">II", stream, (FIN if last else 0) << 24 | len(part)) + part
        if fin:
            self._ours.discard(stream)
        return True

    def reset(self, stream: int, status: int = CANCEL) -> None:
        if stream in self._ours or stream in self._theirs:
            self._send(RST_STREAM, 0, struct.pack(">II", stream, status))
        self._forget(stream)

    def ping(self, number: int) -> None:
        self._send(PING, 0, struct.pack(">I", number))

    def go_away(self, status: int = 0) -> None:
        self._send(GOAWAY, 0, struct.pack(">II", self._last, status))

    def _forget(self, stream: int) -> None:
        self._theirs.discard(stream)
        self._ours.discard(stream)
