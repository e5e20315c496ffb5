"""HPACK (RFC 7541) for the built-in programs: headers of HTTP/2 read in full, written as plain literals."""

from __future__ import annotations

# Appendix A; index 1 is the first.
STATIC = tuple(
    (name, value)
    for name, _, value in (
        line.partition("=")
        for line in (
            ":authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|:status=200|:status=204|"
            ":status=206|:status=304|:status=400|:status=404|:status=500|accept-charset|accept-encoding=gzip, deflate|"
            "accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control|"
            "content-disposition|content-encoding|content-language|content-length|content-location|content-range|"
            "content-type|cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|"
            "if-unmodified-since|last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|"
            "referer|refresh|retry-after|server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|"
            "via|www-authenticate"
        ).split("|")
    )
)
# Appendix B: how many bits each symbol has. The code is canonical, so that the lengths say everything.
LENGTHS = (
    "13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28 6 10 10 12 13 6 8 11 "
    "10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10 13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 "
    "14 6 15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28 20 22 20 20 22 22 22 23 22 23 23 23 23 23 "
    "24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24 22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 "
    "22 23 23 20 22 22 22 23 22 22 23 26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 "
    "28 27 27 27 20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26 30"
)
SIZE = 4096


def _code() -> dict[tuple[int, int], int]:
    """(bits, code) -> symbol."""
    lengths = [int(n) for n in LENGTHS.split()]
    found: dict[tuple[int, int], int] = {}
    code = before = 0
    for symbol in sorted(range(len(lengths)), key=lambda s: (lengths[s], s)):
        code <<= lengths[symbol] - before
        before = lengths[symbol]
        found[before, code] = symbol
        code += 1
    return found


_CODE: dict[tuple[int, int], int] = {}


def unhuffman(data: bytes) -> bytes:
    """Decodes a string of Huffman codes; ValueError where it is none (5.2)."""
    if not _CODE:
        _CODE.update(_code())
    out = bytearray()
    bits = code = 0
    for byte in data:
        for place in range(7, -1, -1):
            code, bits = code << 1 | (byte >> place & 1), bits + 1
            symbol = _CODE.get((bits, code))
            if symbol is not None:
                if symbol == 256:
                    raise ValueError("EOS in a string")
                out.append(symbol)
                bits = code = 0
            elif bits > 30:
                raise ValueError("no such code")
    if bits > 7 or code != (1 << bits) - 1:
        raise ValueError("bad padding")
    return bytes(out)


def integer(data: bytes, at: int, prefix: int) -> tuple[int, int]:
    """The integer at `at` and what follows it (5.1)."""
    top = (1 << prefix) - 1
    value = data[at] & top
    at += 1
    if value < top:
        return value, at
    shift = 0
    while True:
        byte = data[at]
        value, shift, at = value + ((byte & 127) << shift), shift + 7, at + 1
        if not byte & 128:
            return value, at
        if shift > 28:
            raise ValueError("integer too long")


def wrote(value: int, prefix: int, first: int = 0) -> bytes:
    top = (1 << prefix) - 1
    if value < top:
        return bytes([first | value])
    out = bytearray([first | top])
    value -= top
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def encode(headers: tuple[tuple[str, str], ...]) -> bytes:
    """Literals that no table keeps (6.2.2): longer than need be, and never wrong."""
    out = b""
    for name, value in headers:
        key, text = name.lower().encode("latin-1"), value.encode("latin-1")
        out += b"\0" + wrote(len(key), 7) + key + wrote(len(text), 7) + text
    return out


class Decoder:
    """One connection's dynamic table, and header blocks read against it."""

    __slots__ = ("limit", "table")

    def __init__(self) -> None:
        self.table: list[tuple[str, str]] = []
        self.limit = SIZE

    def _entry(self, index: int) -> tuple[str, str]:
        if index == 0 or index > len(STATIC) + len(self.table):
            raise ValueError("no such index")
        return STATIC[index - 1] if index <= len(STATIC) else self.table[index - 1 - len(STATIC)]

    def _shrink(self) -> None:
        while sum(len(n) + len(v) + 32 for n, v in self.table) > self.limit:  # 4.1: 32 for each entry's overhead
            self.table.pop()

    def _text(self, data: bytes, at: int) -> tuple[str, int]:
        length, start = integer(data, at, 7)
        raw = data[start : start + length]
        if len(raw) < length:
            raise ValueError("string too short")
        return (unhuffman(raw) if data[at] & 128 else raw).decode("latin-1"), start + length

    def decode(self, data: bytes) -> list[tuple[str, str]]:
        """A header block; ValueError where it is none."""
        found, at = [], 0
        try:
            while at < len(data):
                first = data[at]
                if first & 128:
                    index, at = integer(data, at, 7)
                    found.append(self._entry(index))
                    continue
                if first & 224 == 32:
                    limit, at = integer(data, at, 5)
                    if limit > SIZE:
                        raise ValueError("table too large")
                    self.limit = limit
                    self._shrink()
                    continue
                kept = first & 192 == 64
                index, at = integer(data, at, 6 if kept else 4)
                name, at = (self._entry(index)[0], at) if index else self._text(data, at)
                value, at = self._text(data, at)
                found.append((name, value))
                if kept:
                    self.table.insert(0, (name, value))
                    self._shrink()
        except IndexError as e:
            raise ValueError("block too short") from e
        return found
