"""The relay's sockets on the router's addresses: a child enters the namespace, opens them and hands them over. A socket keeps its
namespace; the relay itself stays on the host's side."""

from __future__ import annotations

import os
import socket

PORT = 53
BACKLOG = 128


def open_sockets(addresses: list[str], port: int = PORT) -> list[socket.socket]:
    """UDP and TCP on each address, in the namespace that the process is in; UDP and TCP take turns."""
    found = []
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind == socket.SOCK_STREAM))
            sock.bind((address, port))
            if kind == socket.SOCK_STREAM:
                sock.listen(BACKLOG)
            found.append(sock)
    return found


def sockets(init: int, addresses: list[str], port: int = PORT) -> list[socket.socket]:
    """The same in the network namespace of the process `init`, and in its user namespace first where we are not root."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        try:
            from seaway.cluster.fabric import linux  # here, so that what it needs does not stay in memory

            network = os.open(f"/proc/{init}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            if os.geteuid() != 0:
                linux.enter(f"/proc/{init}/ns/user", linux.CLONE_NEWUSER)
            linux.setns(network, linux.CLONE_NEWNET)
            opened = open_sockets(addresses, port)
            socket.send_fds(theirs, [b"ok"], [s.fileno() for s in opened])
            os._exit(0)
        except BaseException as e:
            os.write(2, f"relay: {e}\n".encode())
            os._exit(1)
    theirs.close()
    with ours:
        _, fds, _, _ = socket.recv_fds(ours, 16, 2 * len(addresses))
    os.waitpid(pid, 0)
    if not fds:
        raise OSError("the relay's sockets could not be opened")
    return [socket.socket(fileno=fd) for fd in fds]
