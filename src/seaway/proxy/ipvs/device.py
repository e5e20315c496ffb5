"""kube-ipvs0, the dummy interface that holds the addresses of Services, and the sysctls of IPVS (rtnetlink, /proc/sys)."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterable

from seaway.netlink import CREATE, EXCL, Link, Request, attribute, attributes
from seaway.proxy.kernel import KernelError

NAME = "kube-ipvs0"
NEWLINK, DELLINK, NEWADDR, DELADDR, GETADDR = 16, 17, 20, 21, 22
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
# No other interface answers ARP for the addresses of kube-ipvs0: load balancers by ARP need that.
STRICT_ARP = {"net/ipv4/conf/all/arp_ignore": "1", "net/ipv4/conf/all/arp_announce": "2"}


def present() -> bool:
    """Whether a proxy in IPVS mode has been here."""
    return NAME in (name for _, name in socket.if_nameindex())


class Device:
    """The interface; made when it is first needed."""

    def __init__(self, strict_arp: bool = False) -> None:
        self._index = 0
        self._sysctls = SYSCTLS | STRICT_ARP if strict_arp else SYSCTLS
        self._link = Link(socket.NETLINK_ROUTE)

    def _each(self, requests: list[Request], tolerate: int) -> None:
        try:
            refused = [code for code in self._link.each(requests) if code not in (0, tolerate)]
        except OSError as e:
            raise KernelError(f"{NAME}: {e.strerror}") from e
        if refused:
            raise KernelError(f"{NAME}: {os.strerror(refused[0])}")

    def open(self) -> None:
        """Makes the interface where it is missing, and sets the sysctls."""
        body = struct.pack("=BBHiII", 0, 0, 0, 0, 0, 0) + attribute(IFNAME, NAME.encode() + b"\0")
        body += attribute(LINKINFO, attribute(INFO_KIND, b"dummy"))
        self._each([Request(NEWLINK, body, EXCL | CREATE)], errno.EEXIST)
        self._index = socket.if_nametoindex(NAME)
        for path, value in self._sysctls.items():
            with contextlib.suppress(FileNotFoundError), open(f"/proc/sys/{path}", "w") as f:
                f.write(value)

    def held(self, family: int) -> set[str]:
        """The addresses on it."""
        kernel = socket.AF_INET if family == 4 else socket.AF_INET6
        found = set()
        try:
            answers = self._link.dump(GETADDR, struct.pack("=BBBBI", kernel, 0, 0, 0, 0))
        except OSError as e:
            raise KernelError(f"{NAME}: {e.strerror}") from e
        for answer in answers:
            (index,) = struct.unpack_from("=I", answer, 4)
            tree = dict(attributes(answer[8:]))
            raw = tree.get(IFA_LOCAL) or tree.get(IFA_ADDRESS)
            if index == self._index and raw and not raw.startswith(b"\xfe\x80"):
                found.add(socket.inet_ntop(kernel, raw))
        return found

    def _address(self, address: str) -> bytes:
        kernel, length = (socket.AF_INET6, 128) if ":" in address else (socket.AF_INET, 32)
        raw = socket.inet_pton(kernel, address)
        body = struct.pack("=BBBBI", kernel, length, 0, 0, self._index)
        return (
            body
            + attribute(IFA_LOCAL, raw)
            + attribute(IFA_ADDRESS, raw)
            + attribute(IFA_FLAGS, struct.pack("=I", NODAD))
        )

    def add(self, addresses: Iterable[str]) -> None:
        self._each([Request(NEWADDR, self._address(a), EXCL | CREATE) for a in addresses], errno.EEXIST)

    def remove(self, addresses: Iterable[str]) -> None:
        self._each([Request(DELADDR, self._address(a)) for a in addresses], errno.EADDRNOTAVAIL)

    def close(self) -> None:
        """Removes the interface and with it its addresses."""
        body = struct.pack("=BBHiII", 0, 0, 0, 0, 0, 0) + attribute(IFNAME, NAME.encode() + b"\0")
        self._each([Request(DELLINK, body)], errno.ENODEV)
        self._link.close()
