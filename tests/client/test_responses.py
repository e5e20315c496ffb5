"""Responses of HTTP/1.1, however they are cut."""

from __future__ import annotations

import pytest

from seaway.client.responses import BadResponse, Response

WHOLE = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
    "nothing": (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"", True),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "no phrase": (b"HTTP/1.1 404\r\nContent-Length: 2\r\n\r\nno", b"no", True),
    "asked to close": (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 1\r\n\r\nx", b"x", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x", False),
    "interim": (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x", True),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\nC\r\n, the\r\nworld\r\n0\r\n\r\n", b"hello, the\r\nworld", True),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\n\n\r\n000\r\nA: b\r\nC: d\r\n\r\n", b"\n", True),
}  # fmt: skip


@pytest.mark.parametrize("case", WHOLE)
def test_a_response_is_read_the_same_wherever_it_is_cut(case: str) -> None:
    data, body, keeps = WHOLE[case]
    for size in range(1, len(data) + 1):
        response, found = Response(), b""
        for at in range(0, len(data), size):
            assert not response.done
            found += response.feed(data[at : at + size])
        assert (found, response.done, response.keeps) == (body, True, keeps), size


def test_without_a_length_the_body_ends_with_the_connection() -> None:
    response = Response()
    assert response.feed(b"HTTP/1.1 200 OK\r\n\r\nhe") + response.feed(b"llo") == b"hello"
    assert not response.done
    response.end()
    assert response.done and not response.keeps


def test_what_nobody_asked_for_is_no_reason_to_ask_again_on_the_same_connection() -> None:
    response = Response()
    assert response.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200") == b"x"
    assert response.done and not response.keeps


@pytest.mark.parametrize("case", [c for c in WHOLE if c not in ("nothing", "no content")])
def test_a_connection_that_ends_early_is_an_error(case: str) -> None:
    data = WHOLE[case][0]
    for end in range(len(data)):
        response = Response()
        response.feed(data[:end])
        with pytest.raises(BadResponse):
            response.end()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no line of status"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "no line of status"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "nobody asked for"),
        (b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n", "no header"),
        (b"HTTP/1.1 200 OK\r\nLength : 1\r\n\r\n", "no header"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "a length that is none"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "a length that is none"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "transfer coding"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello", "no length of a chunk"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", "no length of a chunk"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhello\r\n", "longer than it said"),
        (b"H" * 70_000, "a head that does not end"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 70_000, "a line that does not end"),
    ],
)
def test_what_is_no_response_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(BadResponse, match=why):
        Response().feed(data)
