"""The process on the host's side, since the cluster's own have no way to a network: it fetches programs that images stand for
(`fetcher`) and answers as the router's name server (`relay`). It ends with the cluster's init.

Standard library only, and little of it until it is asked: it waits beside every cluster.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time

RESOLV_CONF = "/etc/resolv.conf"


def serve(listener: socket.socket, pid: int, folder: str, addresses: list[str]) -> None:
    """Until the process `pid`, the cluster's init, ends. `addresses` are the router's, where the relay answers; none: no
    relay."""
    from seaway.cluster.fetcher import Fetcher

    try:
        init = os.pidfd_open(pid)
    except ProcessLookupError:
        return
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
    serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), sys.argv[3], sys.argv[5:])
