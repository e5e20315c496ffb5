"""Ends UDP sockets that are connected to an endpoint which no longer serves (NETLINK_SOCK_DIAG, SOCK_DESTROY): a connected socket
keeps the address that it was given once. The client's next call fails, and its next socket is right.

Sockets belong to network namespaces: every namespace with a process in the node's cgroup is entered by a thread of its own.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import socket
import struct
import threading
from collections.abc import Callable

from seaway.netlink import Link, Request
from seaway.proxy.table import Backend

log = logging.getLogger("kube-proxy")
SOCK_DIAG, BY_FAMILY, DESTROY = 4, 20, 21
NEWNET = 0x40000000
ESTABLISHED = 1
UDP = 17
MAPPED = "::ffff:"
ID = struct.Struct("!HH16s16s")  # source port, destination port, source, destination
Used = Callable[[int, Backend], bool]


_told: set[str] = set()


def _tell_once(text: str) -> None:
    if text not in _told:
        _told.add(text)
        log.info("%s", text)


def namespaces(cgroup: str) -> list[str]:
    """A path to each network namespace with a process in a cgroup or below it."""
    found: dict[tuple[int, int], str] = {}
    for folder, _, _ in os.walk(cgroup):
        try:
            with open(os.path.join(folder, "cgroup.procs")) as f:
                numbers = f.read().split()
        except OSError:
            continue
        for number in numbers:
            if number == "0":
                _tell_once(
                    "processes of other PID namespaces are not to be seen: UDP sockets to endpoints that are gone are not ended "
                    "there, but refused what they send"
                )
                continue
            path = f"/proc/{number}/ns/net"
            try:
                there = os.stat(path)
            except OSError:
                continue
            found.setdefault((there.st_dev, there.st_ino), path)
    return list(found.values())


def end_later(cgroup: str, family: int, ends: set[Backend], used: Used) -> threading.Thread:
    """Looks through the namespaces beside the caller, and returns the thread that does."""
    thread = threading.Thread(target=_end_all, args=(cgroup, family, ends, used), name="sockets", daemon=True)
    thread.start()
    return thread


def _end_all(cgroup: str, family: int, ends: set[Backend], used: Used) -> None:
    libc = ctypes.CDLL(None, use_errno=True)

    def mapped(cookie: int, end: Backend) -> bool:
        return used(cookie, (end[0].removeprefix(MAPPED), end[1]))

    for path in namespaces(cgroup):
        try:
            fd = os.open(path, os.O_RDONLY)
        except OSError:
            continue
        try:
            # Of this thread alone, which ends here.
            if libc.setns(fd, NEWNET) != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            _end_here(family, ends, used)
            if family == 4:  # by sockets of IPv6, too
                _end_here(6, {(MAPPED + address, port) for address, port in ends}, mapped)
        except OSError as e:
            log.warning("UDP sockets to endpoints that are gone stay in one network namespace: %s", e)
        finally:
            os.close(fd)


def _wanted(family: int, sockid: bytes) -> bytes:
    """An inet_diag_req_v2."""
    kernel = socket.AF_INET if family == 4 else socket.AF_INET6
    return struct.pack("=BBBxI", kernel, UDP, 0, 1 << ESTABLISHED) + sockid


def _end_here(family: int, ends: set[Backend], used: Used) -> None:
    """Ends the sockets of this thread's namespace."""
    kernel, width = (socket.AF_INET, 4) if family == 4 else (socket.AF_INET6, 16)
    with Link(SOCK_DIAG) as link:
        chosen = []
        for body in link.dump(BY_FAMILY, _wanted(family, bytes(48))):
            sockid = body[4:52]
            _, port, _, destination = ID.unpack_from(sockid)
            (cookie,) = struct.unpack_from("=Q", sockid, 40)
            end = (socket.inet_ntop(kernel, destination[:width]), port)
            if end in ends and used(cookie, end):
                chosen.append(Request(DESTROY, _wanted(family, sockid)))
        for code in link.each(chosen):
            if code not in (0, errno.ENOENT):  # that one has ended by itself
                raise OSError(code, os.strerror(code))
