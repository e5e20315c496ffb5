"""Responses of HTTP/1.1 (RFC 9112) as they come, a piece at a time; pure."""

from __future__ import annotations

HEAD = 1 << 16  # bytes of a head, or of a chunk's line
NO_BODY = (204, 304)


class BadResponse(ValueError):
    """What came is no response."""


class Response:
    """The response to a GET: fed with what comes, it gives the bytes of the body that are in it. `headers` in lower case;
    `status` is 0 until the head is there."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.done = False
        self._rest = b""
        self._left: int | None = 0  # bytes of the body, or of its chunk; None: up to the end of the connection
        self._chunked = self._close = False
        self._part = "size"  # of what is chunked: which line comes next

    @property
    def keeps(self) -> bool:
        """Whether the connection may be asked again once the body is read."""
        return self.done and not self._close and not self._rest

    def feed(self, data: bytes) -> bytes:
        if not self.status:
            self._rest += data
            while not self.status and (end := self._rest.find(b"\r\n\r\n")) >= 0:
                head, self._rest = self._rest[:end], self._rest[end + 4 :]
                self._read_head(head)
            if not self.status:
                if len(self._rest) > HEAD:
                    raise BadResponse("a head that does not end")
                return b""
            data, self._rest = self._rest, b""
        if self._chunked:
            return self._chunks(data)
        if self._left is None:
            return data
        if len(data) >= self._left:
            self.done = True
            body, self._rest = data[: self._left], data[self._left :]
            self._left = 0
            return body
        self._left -= len(data)
        return data

    def end(self) -> None:
        """The connection has ended: BadResponse where more was to come."""
        if self.status and self._left is None and not self._chunked:
            self.done = True
        if not self.done:
            raise BadResponse("the connection ended within the response" if self.status or self._rest else "no response")

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdecimal() or len(words[1]) != 3:
            raise BadResponse(f"{first[:80]!r} is no line of status")
        status = int(words[1])
        if status < 200:
            if status == 101:
                raise BadResponse("a switch of protocols that nobody asked for")
            return  # the response proper follows
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise BadResponse(f"{line[:80]!r} is no header")
            name, value = name.lower(), value.strip()
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        told = self.headers.get("connection", "").lower()
        self._close = "close" in told or (words[0] == "HTTP/1.0" and "keep-alive" not in told)
        self._frame(status)
        self.status = status

    def _frame(self, status: int) -> None:
        """How long the body is (RFC 9112 6.3)."""
        if status in NO_BODY:
            self.done = True
        elif coding := self.headers.get("transfer-encoding"):
            if coding.lower() != "chunked":
                raise BadResponse(f"a transfer coding that nobody asked for: {coding[:80]}")
            self._chunked, self._left = True, 0
        elif (length := self.headers.get("content-length")) is not None:
            if not (length.isascii() and length.isdecimal()):
                raise BadResponse(f"a length that is none: {length[:80]}")
            self._left = int(length)
            self.done = not self._left
        else:
            self._left, self._close = None, True

    def _chunks(self, data: bytes) -> bytes:
        data = self._rest + data
        parts: list[bytes] = []
        at = 0
        while not self.done:
            if self._left:
                part = data[at : at + self._left]
                if not part:
                    break
                at += len(part)
                self._left -= len(part)
                parts.append(part)
                continue
            end = data.find(b"\r\n", at)
            if end < 0:
                if len(data) - at > HEAD:
                    raise BadResponse("a line that does not end")
                break
            self._line(data[at:end])
            at = end + 2
        self._rest = data[at:]
        return b"".join(parts)

    def _line(self, line: bytes) -> None:
        """What stands between chunks: the end of one, the length of the next, headers after the last (RFC 9112 7.1)."""
        if self._part == "trailers":
            self.done = not line
        elif self._part == "end":
            if line:
                raise BadResponse("a chunk that is longer than it said")
            self._part = "size"
        else:
            size = line.partition(b";")[0].strip()
            if not size or size.strip(b"0123456789abcdefABCDEF"):
                raise BadResponse(f"{line[:80]!r} is no length of a chunk")
            self._left = int(size, 16)
            self._part = "end" if self._left else "trailers"
