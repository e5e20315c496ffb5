"""The processes on the host's side, since the cluster's own have no way to a network: one fetches programs that images stand for
(`fetcher`) and answers as the router's name server (`relay`); one starts it again. They end with the cluster's init.

Standard library only, and little of it until it is asked: they wait beside every cluster.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time

RESOLV_CONF = "/etc/resolv.conf"
BACKOFF = (0.1, 0.5, 2.0, 5.0)  # seconds before it is started again, the last from then on
STEADY = 10.0  # seconds alive after which an end counts as the first


def has_ended(init: int) -> bool:
    return bool(select.select([init], [], [], 0)[0])


def keep(listener: socket.socket, pid: int, folder: str, addresses: list[str]) -> None:
    """Until the process `pid`, the cluster's init, ends. `addresses` are the router's, where the relay answers; none: no
    relay."""
    try:
        init = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    failures = 0
    while not has_ended(init):
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            try:
                serve(listener, init, pid, folder, addresses)
                os._exit(0)
            except BaseException as e:
                os.write(2, f"{type(e).__name__}: {e}\n".encode())
                os._exit(1)
        os.waitpid(child, 0)
        failures = 0 if time.monotonic() - began > STEADY else failures + 1
        select.select([init], [], [], BACKOFF[min(failures, len(BACKOFF)) - 1] if failures else 0)


def serve(listener: socket.socket, init: int, pid: int, folder: str, addresses: list[str]) -> None:
    """The process that does it."""
    from seaway.cluster.fetcher import Fetcher

    poll = select.epoll()
    poll.register(init, select.EPOLLIN)
    fetcher = Fetcher(poll, listener, folder)
    relay = None
    if addresses:
        from seaway.cluster.relay import inside
        from seaway.cluster.relay.serve import Relay

        relay = Relay(poll, inside.sockets(pid, addresses), RESOLV_CONF)
    while True:
        wait = relay.expire(time.monotonic()) if relay else None
        for fd, events in poll.poll(wait):
            if fd == init:
                fetcher.end()
                return
            if not fetcher.ready(fd) and relay:
                relay.ready(fd, events, time.monotonic())


if __name__ == "__main__":
    sys.path[0:0] = [sys.argv[4]]
    keep(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), sys.argv[3], sys.argv[5:])
