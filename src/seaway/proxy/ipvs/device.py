"""kube-ipvs0, the dummy interface that holds the addresses of Services, and the sysctls of IPVS (rtnetlink, /proc/sys)."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct

from seaway.proxy.ipvs.netlink import attribute, attributes
from seaway.proxy.kernel import KernelError

NAME = "kube-ipvs0"
NEWLINK, DELLINK, NEWADDR, DELADDR, GETADDR = 16, 17, 20, 21, 22
REQUEST, ACK, EXCL, CREATE, DUMP = 1, 4, 0x200, 0x400, 0x300
ERROR, DONE = 2, 3
IFNAME, LINKINFO, INFO_KIND = 3, 18, 1
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS, NODAD = 1, 2, 8, 0x02
# Without vs/conntrack masquerading is skipped in silence; the other three let endpoints that are gone be forgotten.
SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/vs/conntrack": "1",
    "net/ipv4/vs/conn_reuse_mode": "0",
    "net/ipv4/vs/expire_nodest_conn": "1",
    "net/ipv4/vs/expire_quiescent_template": "1",
}


def present() -> bool:
    """Whether a proxy in IPVS mode has been here."""
    return NAME in (name for _, name in socket.if_nameindex())


class Device:
    """The interface; made when it is first needed."""

    def __init__(self) -> None:
        self._index = 0

    def _ask(self, kind: int, flags: int, body: bytes, tolerate: int = 0) -> list[bytes]:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
            link.settimeout(10)
            link.send(struct.pack("=IHHII", 16 + len(body), kind, REQUEST | ACK | flags, 1, 0) + body)
            found: list[bytes] = []
            while True:
                data, at = link.recv(1 << 17), 0
                while at < len(data):
                    length, what = struct.unpack_from("=IH", data, at)
                    if what == DONE:
                        return found
                    if what == ERROR:
                        (code,) = struct.unpack_from("=i", data, at + 16)
                        if code and -code != tolerate:
                            raise KernelError(f"{NAME}: {os.strerror(-code)}")
                        return found
                    found.append(data[at + 16 : at + length])
                    at += (length + 3) & ~3

    def open(self) -> None:
        """Makes the interface where it is missing, and sets the sysctls."""
        body = struct.pack("=BBHiII", 0, 0, 0, 0, 0, 0) + attribute(IFNAME, NAME.encode() + b"\0")
        body += attribute(LINKINFO, attribute(INFO_KIND, b"dummy"))
        self._ask(NEWLINK, EXCL | CREATE, body, errno.EEXIST)
        self._index = socket.if_nametoindex(NAME)
        for path, value in SYSCTLS.items():
            with contextlib.suppress(FileNotFoundError), open(f"/proc/sys/{path}", "w") as f:
                f.write(value)

    def held(self, family: int) -> set[str]:
        """The addresses on it."""
        kernel = socket.AF_INET if family == 4 else socket.AF_INET6
        found = set()
        for answer in self._ask(GETADDR, DUMP, struct.pack("=BBBBI", kernel, 0, 0, 0, 0)):
            (index,) = struct.unpack_from("=I", answer, 4)
            tree = dict(attributes(answer[8:]))
            raw = tree.get(IFA_LOCAL) or tree.get(IFA_ADDRESS)
            if index == self._index and raw and not raw.startswith(b"\xfe\x80"):
                found.add(socket.inet_ntop(kernel, raw))
        return found

    def change(self, kind: int, address: str) -> None:
        kernel, length = (socket.AF_INET6, 128) if ":" in address else (socket.AF_INET, 32)
        raw = socket.inet_pton(kernel, address)
        body = struct.pack("=BBBBI", kernel, length, 0, 0, self._index)
        body += attribute(IFA_LOCAL, raw) + attribute(IFA_ADDRESS, raw) + attribute(IFA_FLAGS, struct.pack("=I", NODAD))
        self._ask(
            kind,
            EXCL | CREATE if kind == NEWADDR else 0,
            body,
            errno.EEXIST if kind == NEWADDR else errno.EADDRNOTAVAIL,
        )

    def add(self, address: str) -> None:
        self.change(NEWADDR, address)

    def remove(self, address: str) -> None:
        self.change(DELADDR, address)

    def close(self) -> None:
        """Removes the interface and with it its addresses."""
        body = struct.pack("=BBHiII", 0, 0, 0, 0, 0, 0) + attribute(IFNAME, NAME.encode() + b"\0")
        self._ask(DELLINK, 0, body, errno.ENODEV)
