"""A server and a client of new TCP connections, as tight as Python gets: what a connection costs is to be the kernel's part.

An exchange is a connection, one byte from the server, and the end; the client ends it with a reset, so that no port waits.
"""

from __future__ import annotations

import signal
import socket
import struct
import time
from typing import NamedTuple

BATCH = 32  # connections that are open at once
PATIENCE = 5.0  # seconds beyond a round's time after which a connection hangs
ABORT = struct.pack("ii", 1, 0)


class Counted(NamedTuple):
    """What a round did, and how long it took."""

    made: int
    seconds: float


def serve(port: int) -> None:
    """Answers every connection with a byte, for ever."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("", port))
        listener.listen(1024)
        while True:
            client, _ = listener.accept()
            try:
                client.send(b".")
            except OSError:
                pass
            client.close()


def _hung(*_: object) -> None:
    raise TimeoutError("a connection was not answered")


def connect(to: tuple[str, int], seconds: float, most: int) -> Counted:
    """Exchanges with `to` until the time is over or there were `most`; OSError where one fails."""
    before = signal.signal(signal.SIGALRM, _hung)
    signal.setitimer(signal.ITIMER_REAL, seconds + PATIENCE)
    try:
        return _connect(to, seconds, most)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _connect(to: tuple[str, int], seconds: float, most: int) -> Counted:
    began = time.perf_counter()
    now, end, count = began, began + seconds, 0
    while now < end and count < most:
        opened = []
        for _ in range(BATCH):
            client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            client.connect(to)
            opened.append(client)
        for client in opened:
            if client.recv(1) != b".":
                raise ConnectionResetError("a connection was closed without an answer")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            client.close()
        count += BATCH
        now = time.perf_counter()
    return Counted(count, now - began)
