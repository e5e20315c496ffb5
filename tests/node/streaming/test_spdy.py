"""SPDY/3.1 as transcripts: `>>` is what comes, `<<` what is sent back or told."""

from __future__ import annotations

import struct
import zlib

import pytest

from seaway.cluster.node.streaming.spdy import (
    CANCEL,
    CONTROL_LIMIT,
    DATA_LIMIT,
    DICTIONARY,
    HEADERS_LIMIT,
    STREAMS_LIMIT,
    Connection,
    Data,
    Opened,
    Pinged,
    Replied,
    Reset,
    SpdyError,
    WentAway,
)


def control(kind: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack(">HHI", 0x8003, kind, flags << 24 | len(body)) + body


def data(stream: int, body: bytes, fin: bool = False) -> bytes:
    return struct.pack(">II", stream, (1 if fin else 0) << 24 | len(body)) + body


def packed(*fields: tuple[str, str], packer: zlib._Compress | None = None) -> bytes:
    text = struct.pack(">I", len(fields)) + b"".join(struct.pack(">I", len(p)) + p.encode() for f in fields for p in f)
    packer = packer or zlib.compressobj(zdict=DICTIONARY)
    return packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH)


def syn(stream: int, block: bytes, flags: int = 0) -> bytes:
    return control(1, struct.pack(">IIBB", stream, 0, 0, 0) + block, flags)


def test_the_dictionary_is_the_drafts() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_an_exec_from_the_first_stream_to_the_goodbye() -> None:
    server, client = Connection(), Connection(client=True)
    # >> SYN_STREAM error, SYN_STREAM stdout     << SYN_REPLY each
    error, stdout = client.open({"streamType": "error"}), client.open({"streamType": "stdout"})
    assert server.receive(client.take()) == [Opened(1, {"streamtype": "error"}), Opened(3, {"streamtype": "stdout"})]
    server.reply(1)
    server.reply(3)
    assert client.receive(server.take()) == [Replied(error, {}), Replied(stdout, {})]
    # << DATA stdout, DATA error with FIN, GOAWAY
    assert server.send(3, b"hello\n") and server.send(1, b"{}", True)
    server.go_away()
    assert client.receive(server.take()) == [Data(3, b"hello\n"), Data(1, b"{}", True), WentAway(0)]
    # the half that is closed takes no more
    assert not server.send(1, b"more")
    assert server.take() == b""


def test_frames_may_come_in_any_pieces() -> None:
    block = packed(("streamtype", "stdin"))
    whole = syn(1, block) + data(1, b"abcdef") + data(1, b"", True) + control(6, struct.pack(">I", 1))
    wanted = [Opened(1, {"streamtype": "stdin"}), Data(1, b"", True), Pinged(1)]
    for size in (1, 2, 3, 7, len(whole)):
        server, found = Connection(), []
        for at in range(0, len(whole), size):
            found += server.receive(whole[at : at + size])
        assert b"".join(e.data for e in found if isinstance(e, Data)) == b"abcdef"
        assert [e for e in found if not (isinstance(e, Data) and e.data)] == wanted
        assert server.take() == control(6, struct.pack(">I", 1))  # << PING, its own number back


def test_headers_share_one_compression_state() -> None:
    packer = zlib.compressobj(zdict=DICTIONARY)
    server = Connection()
    for stream in (1, 3, 5):
        [event] = server.receive(syn(stream, packed(("port", "80"), ("requestid", str(stream)), packer=packer)))
        assert event == Opened(stream, {"port": "80", "requestid": str(stream)})


def test_a_fin_on_the_opening_frame_is_told() -> None:
    assert Connection().receive(syn(1, packed(("a", "b")), 1)) == [Opened(1, {"a": "b"}, True)]


def test_a_reset_stream_takes_and_brings_nothing_more() -> None:
    server = Connection()
    server.receive(syn(1, packed()))
    # >> RST_STREAM, DATA                        << nothing of the data
    assert server.receive(control(3, struct.pack(">II", 1, CANCEL)) + data(1, b"late")) == [Reset(1, CANCEL)]
    assert not server.send(1, b"x")
    server.reset(1)
    assert server.take() == b""


def test_our_reset_is_sent_once_and_what_follows_is_dropped() -> None:
    server = Connection()
    server.receive(syn(1, packed()))
    server.reset(1)
    assert server.take() == control(3, struct.pack(">II", 1, CANCEL))
    assert server.receive(data(1, b"on its way already")) == []


def test_settings_windows_and_unknown_frames_say_nothing() -> None:
    server = Connection()
    frames = control(4, struct.pack(">III", 1, 7, 1000)) + control(9, struct.pack(">II", 0, 5)) + control(99, b"?")
    assert server.receive(frames) == [] and server.take() == b""


def test_long_data_is_cut_and_only_the_last_frame_ends_it() -> None:
    server, client = Connection(), Connection(client=True)
    client.open({})
    server.receive(client.take())
    text = bytes(range(256)) * (DATA_LIMIT // 100)
    server.send(1, text, True)
    out = server.take()
    found = client.receive(out)
    assert b"".join(e.data for e in found if isinstance(e, Data)) == text
    assert [e.fin for e in found if isinstance(e, Data)][-1] and sum(e.fin for e in found if isinstance(e, Data)) == 1


def test_too_many_streams_are_refused_one_by_one() -> None:
    packer, server = zlib.compressobj(zdict=DICTIONARY), Connection()
    for number in range(STREAMS_LIMIT):
        server.receive(syn(2 * number + 1, packed(packer=packer)))
    assert server.receive(syn(2 * STREAMS_LIMIT + 1, packed(packer=packer))) == []
    assert server.take() == control(3, struct.pack(">II", 2 * STREAMS_LIMIT + 1, 3))


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        (struct.pack(">HHI", 0x8002, 1, 0), "SPDY version 2"),
        (control(1, b"\0\0\0\1"), "too short"),
        (struct.pack(">HHI", 0x8003, 1, CONTROL_LIMIT + 1), "control frame of"),
        (syn(2, packed()), "stream 2 may not be opened"),
        (syn(0, packed()), "stream 0 may not be opened"),
        (data(5, b"x"), "stream 5, which was never opened"),
        (data(6, b"x"), "stream 6, which was never opened"),
        (b"GET / HTTP/1.1\r\n", "which was never opened"),
        (syn(1, b"no zlib at all"), "cannot be unpacked"),
        (syn(1, packed(("a", "b" * HEADERS_LIMIT))), "longer than"),
        (syn(1, packed()[:2]), "too short"),
        (control(3, b"\0"), "too short"),
    ],
)
def test_what_breaks_the_protocol_is_said(frames: bytes, why: str) -> None:
    with pytest.raises(SpdyError, match=why):
        Connection().receive(frames)


def test_a_header_longer_than_its_block_is_an_error() -> None:
    packer = zlib.compressobj(zdict=DICTIONARY)
    block = packer.compress(struct.pack(">II", 1, 99) + b"abc") + packer.flush(zlib.Z_SYNC_FLUSH)
    with pytest.raises(SpdyError, match="ends too early"):
        Connection().receive(syn(1, block))


def test_a_stream_number_is_used_once() -> None:
    packer, server = zlib.compressobj(zdict=DICTIONARY), Connection()
    server.receive(syn(3, packed(packer=packer)))
    with pytest.raises(SpdyError, match="stream 1 may not be opened"):
        server.receive(syn(1, packed(packer=packer)))
