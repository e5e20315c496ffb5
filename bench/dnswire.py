"""A small DNS client for `bench/dns.py`: blocking, one question at a time, and what an answer says."""

from __future__ import annotations

import socket
import struct
from typing import Any, NamedTuple

TYPES = {"A": 1, "CNAME": 5, "PTR": 12, "AAAA": 28, "SRV": 33}
CODES = {0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}


class Answer(NamedTuple):
    """`values`: addresses (A) or ports (SRV); `cut`: TC is set."""

    code: str
    count: int
    values: tuple[Any, ...] = ()
    cut: bool = False


def query(number: int, name: str, kind: str) -> bytes:
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
    return struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", TYPES[kind], 1)


def read(data: bytes) -> Answer:
    """An answer whose question is as `query` makes it."""
    _, flags, _, count, _, _ = struct.unpack_from("!HHHHHH", data)
    at = data.index(b"\0", 12) + 5
    values: list[Any] = []
    for _ in range(count):
        while data[at] and data[at] < 0xC0:
            at += 1 + data[at]
        at += 1 if not data[at] else 2
        if at + 10 > len(data):
            break
        kind, _, _, size = struct.unpack_from("!HHIH", data, at)
        at += 10
        if kind == 1:
            values.append(".".join(map(str, data[at : at + 4])))
        elif kind == 33:
            values.append(struct.unpack_from("!HHH", data, at)[2])
        at += size
    return Answer(CODES.get(flags & 15, str(flags & 15)), count, tuple(sorted(values)), bool(flags & 0x0200))


def client(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(2)
    sock.connect(("127.0.0.1", port))
    return sock


def exchange(sock: socket.socket, number: int, name: str, kind: str) -> Answer:
    """TimeoutError where there is no answer."""
    sock.send(query(number, name, kind))
    while True:
        data = sock.recv(65535)
        if data[:2] == struct.pack("!H", number):
            return read(data)


def ask(port: int, name: str, kind: str) -> Answer:
    with client(port) as sock:
        try:
            return exchange(sock, 4711, name, kind)
        except TimeoutError:
            return Answer("no answer", 0)


def share(values: list[float], at: float) -> float:
    return sorted(values)[min(int(at * len(values)), len(values) - 1)] if values else float("nan")
