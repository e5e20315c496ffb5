"""What the control process and the workers say to each other, a message a packet; pure.

A worker says Hello with a number of its own and gets Names, the last with `last`; what was on its way before that is for a
worker that is no more. Then each Change comes as it happens, and answers to what it asks: all on one ordered socket, so that
no answer that a Change made void can come after it.
"""

from __future__ import annotations

import msgspec

LARGEST = 150_000  # bytes of a packet: below what a socket's buffer takes by default
NAMES = 900  # a packet: as many of the longest names as it has room for


class Hello(msgspec.Struct, tag="h", array_like=True):
    nonce: int


class Ask(msgspec.Struct, tag="q", array_like=True):
    name: bytes
    kind: int


class Stats(msgspec.Struct, tag="s", array_like=True):
    """A worker's counts, in the form of `tally`."""

    token: int
    part: bytes
    last: bool


class Looped(msgspec.Struct, tag="l", array_like=True):
    """A probe to this upstream came back: it leads here. Said by the worker that saw it, and passed on to all."""

    host: str
    port: int


class Names(msgspec.Struct, tag="n", array_like=True):
    """Services that there are, and the ClusterIPs of each, IPv4 before IPv6, empty where the zone is to be asked. `first`: forget
    the others."""

    nonce: int
    services: list[bytes]
    addresses: list[bytes]
    serial: int
    first: bool
    last: bool


class Told(msgspec.Struct, tag="t", array_like=True):
    """The answer to an Ask, in the form of `Answer`; `known` False: the name is none of the zone's."""

    name: bytes
    kind: int
    known: bool = True
    flags: int = 0
    counts: tuple[int, int, int] = (0, 0, 0)
    body: bytes = b""
    run: tuple[int, int, int] = (0, 0, 0)
    owners: tuple[bytes, ...] = ()
    target: bytes = b""


class Change(msgspec.Struct, tag="c", array_like=True):
    come: list[bytes]
    addresses: list[bytes]
    gone: list[bytes]
    owners: list[bytes]
    serial: int


class Count(msgspec.Struct, tag="m", array_like=True):
    """Please tell your counts."""

    token: int


FromWorker = Hello | Ask | Stats | Looped
FromControl = Names | Told | Change | Count | Looped

encode = msgspec.msgpack.Encoder().encode
from_worker = msgspec.msgpack.Decoder(FromWorker).decode
from_control = msgspec.msgpack.Decoder(FromControl).decode
