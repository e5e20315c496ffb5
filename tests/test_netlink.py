"""Netlink's messages from recorded bytes, and the conversations that a socket has with the kernel."""

from __future__ import annotations

import errno
import socket
import struct

import pytest

from seaway import netlink
from seaway.netlink import DUMP_INTERRUPTED, Link, Request, attribute, attributes, messages
from seaway.proxy import addresses
from seaway.proxy.conntrack import map_flows

# What a kernel answered to RTM_GETADDR: lo with 127.0.0.1, 10.1.0.1 and ::1 (fd00::1 left out), in one read, then the end.
ADDRESSES = bytes.fromhex(
    "4c0000001400020001000000964f0000020880fe01000000080001007f000001080002007f000001070003006c6f0000080008008000000014000600"
    "ffffffffffffffffdd582400dd5824004c0000001400020001000000964f00000220800001000000080001000a010001080002000a01000107000300"
    "6c6f0000080008008000000014000600ffffffffffffffffdd582400dd582400500000001400020001000000964f00000a8080fe0100000014000100"
    "0000000000000000000000000000000114000600ffffffffffffffffdd582400dd582400080008008000000005000b0001000000")
END = bytes.fromhex("140000000300020001000000964f000000000000")
# IPCTNL_MSG_CT_GET's answer: 10.1.0.1:40000 to 10.9.9.9:53, answered by 10.1.0.1:5353.
FLOW = bytes.fromhex(
    "a40000000001220001000000992b3dd2020000003400018014000180080001000a010001080002000a0909091c000280050001001100000006000200"
    "9c40000006000300003500003400028014000180080001000a010001080002000a0100011c00028005000100110000000600020014e9000006000300"
    "9c40000008000300000001a8080008000000000008000c00d29ccfa908000b0000000001080007000000001d")
# The second deletion of it: ENOENT, with the request in it.
REFUSED = bytes.fromhex(
    "640000000200000003000000992b3dd2feffffff50000000020105000300000000000000020000003400018014000180080001000a01000108000200"
    "0a0909091c0002800500010011000000060002009c400000060003000035000008000c00d29ccfa9")


def test_messages_and_attributes_are_walked_over_their_padding() -> None:
    assert [(m.kind, m.sequence, len(m.body)) for m in messages(ADDRESSES + END)] == [(20, 1, 60), (20, 1, 60), (20, 1, 64), (3, 1, 4)]
    assert addresses.found(m.body for m in messages(ADDRESSES)) == ["127.0.0.1", "10.1.0.1", "::1"]
    assert [netlink.code(m) for m in messages(REFUSED)] == [errno.ENOENT]
    text = attribute(3 | netlink.NESTED, attribute(1, b"lo\0") + attribute(2, b"1234"))
    ((kind, payload),) = attributes(text)
    assert (kind, list(attributes(payload))) == (3, [(1, b"lo\0"), (2, b"1234")])


def test_a_flow_is_read_from_the_kernels_bytes_with_what_deletes_it() -> None:
    (flow,) = map_flows(4, [m.body for m in messages(FLOW)])
    assert (flow.address, flow.port, flow.answers, flow.source) == ("10.9.9.9", 53, ("10.1.0.1", 5353), ("10.1.0.1", 40000))
    (asked,) = messages(REFUSED)
    assert asked.body[24:] == flow.handle  # after the error, the header and the nfgenmsg of the request


@pytest.mark.parametrize("text", [
    ADDRESSES[:100], struct.pack("=IHHII", 15, 20, 0, 1, 0), struct.pack("=IHHII", 4000, 20, 0, 1, 0)])
def test_a_message_that_is_cut_off_is_an_error(text: bytes) -> None:
    with pytest.raises(OSError) as e:
        list(messages(text))
    assert e.value.errno == errno.EBADMSG


def test_attributes_that_are_cut_off_are_none() -> None:
    whole = attribute(1, b"1234")
    assert list(attributes(whole + struct.pack("=HH", 0, 7))) == list(attributes(whole + whole[:6])) == [(1, b"1234")]


def told(sequence: int, body: bytes = b"some", flags: int = 0) -> bytes:
    return netlink.encode(20, flags, sequence, body)


def ended(sequence: int, code: int = 0, flags: int = 0, kind: int = netlink.DONE) -> bytes:
    return netlink.encode(kind, flags, sequence, struct.pack("=i", -code))


class Script:
    """A kernel that answers each send with a list of reads; an int is the length of a read that is too large."""

    def __init__(self, *answers: list) -> None:
        self.answers, self.reads, self.sent, self.closed = list(answers), [], [], 0

    def send(self, text: bytes) -> None:
        self.sent.append(list(messages(text)))
        self.reads = self.answers.pop(0)

    def recv_into(self, buffer: bytearray, size: int, flags: int) -> int:
        assert flags == socket.MSG_TRUNC and size == 0
        if not self.reads:
            raise TimeoutError("timed out")
        read = self.reads.pop(0)
        if isinstance(read, int):
            return read
        buffer[: len(read)] = read
        return len(read)

    def close(self) -> None:
        self.closed += 1


class Scripted(Link):
    def __init__(self, *answers: list) -> None:
        super().__init__(0)
        self.script = Script(*answers)

    def _open(self):
        self._socket = self.script
        return self.script


def test_a_dump_ends_with_its_end_and_overhears_answers_to_others() -> None:
    link = Scripted([told(9) + told(1, b"one!"), told(1, b"two!") + ended(7, errno.EPERM), ended(1)], [ended(2)])
    assert link.dump(22, b"") == [b"one!", b"two!"] and link.dump(22, b"") == []
    assert [(m.kind, m.flags, m.sequence) for sent in link.script.sent for m in sent] == [(22, 0x305, 1), (22, 0x305, 2)]


def test_a_dump_of_a_table_that_changes_is_begun_anew() -> None:
    link = Scripted([told(1, b"old!"), told(1, flags=DUMP_INTERRUPTED), ended(1)], [told(2, b"new!"), ended(2, flags=DUMP_INTERRUPTED)],
                    [told(3, b"last"), ended(3)])
    assert link.dump(22, b"") == [b"last"]
    link = Scripted(*[[ended(n + 1, flags=DUMP_INTERRUPTED)] for n in range(netlink.AGAIN)])
    with pytest.raises(OSError, match="faster than it can be read"):
        link.dump(22, b"")


def test_a_read_that_was_cut_off_is_asked_for_again_with_room() -> None:
    large = b"x" * (netlink.BUFFER + 100)
    link = Scripted([told(1), len(large) + 16], [told(2, large), ended(2)])
    assert link.dump(22, b"") == [large] and link.script.closed == 1
    with pytest.raises(OSError) as e:
        Scripted([netlink.LARGEST + 1]).dump(22, b"")
    assert e.value.errno == errno.EMSGSIZE
    with pytest.raises(OSError) as e:  # nothing but a dump may be asked twice
        Scripted([netlink.BUFFER + 1]).ask(20, b"")
    assert e.value.errno == errno.EMSGSIZE


def test_a_refused_dump_is_an_error_and_the_next_has_a_socket_of_its_own() -> None:
    for refusal in (ended(1, errno.EPERM, kind=netlink.ERROR), ended(1, errno.EPERM), netlink.encode(netlink.OVERRUN, 0, 1, b"")):
        link = Scripted([told(1) + refusal], [told(2) + ended(2)])
        with pytest.raises(OSError) as e:
            link.dump(22, b"")
        assert e.value.errno in (errno.EPERM, errno.ENOBUFS) and link.script.closed == 1
        assert link.dump(22, b"") == [b"some"]
    with pytest.raises(TimeoutError):
        Scripted([told(1)]).dump(22, b"")


def test_requests_go_in_batches_and_each_has_its_own_end() -> None:
    def acknowledged(first: int, count: int) -> list:
        return [b"".join(ended(n, errno.ENOENT if n == 3 else 0, kind=netlink.ERROR) for n in range(first, first + count))]

    link = Scripted(acknowledged(1, netlink.BATCH), acknowledged(netlink.BATCH + 1, 6))
    codes = link.each([Request(20, b"12345")] * (netlink.BATCH + 6))
    assert len(codes) == netlink.BATCH + 6 and [n for n, code in enumerate(codes) if code] == [2]
    assert [len(sent) for sent in link.script.sent] == [netlink.BATCH, 6]
    assert Scripted().each([]) == []


def test_one_request_has_its_answers_or_its_error() -> None:
    assert Scripted([told(1, b"this"), ended(1, kind=netlink.ERROR)]).ask(16, b"") == [b"this"]
    link = Scripted([ended(1, errno.ENODEV, kind=netlink.ERROR)])
    with pytest.raises(OSError) as e:
        link.ask(16, b"")
    assert e.value.errno == errno.ENODEV and link.script.closed == 0  # refused is not broken


@pytest.mark.kernel
def test_the_kernel_is_asked_and_refuses_by_errno() -> None:
    with Link(socket.NETLINK_ROUTE) as link:
        assert "127.0.0.1" in addresses.found(link.dump(22, bytes(8)))
        body = struct.pack("=BBHiII", 0, 0, 0, 999_999, 0, 0)
        assert link.each([Request(18, body)] * 3) == [errno.ENODEV] * 3  # RTM_GETLINK of none
        with pytest.raises(OSError) as e:
            link.ask(18, body)
        assert e.value.errno == errno.ENODEV
