"""The machine that a Corefile is read on: its files, environment, interfaces and resolver. The edge of this package."""

from __future__ import annotations

import fcntl
import glob
import ipaddress
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

_SIOCGIFADDR = 0x8915
_ADDRESS_AT = slice(20, 24)  # struct ifreq: a name of 16 octets, then a sockaddr_in


class Disk:
    """An `Outside` that looks. A host name that upstreams are given by is resolved by the system, at once."""

    environment: Mapping[str, str] = os.environ

    def text(self, path: str) -> str:
        return Path(path).read_text(encoding="utf-8")

    def matching(self, pattern: str) -> Sequence[str]:
        if "*" in pattern or "?" in pattern:
            return sorted(glob.glob(pattern, include_hidden=True))
        return [pattern] if os.path.exists(pattern) else []

    def addresses(self, host: str) -> Sequence[str]:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        except OSError:
            return []
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    def interface(self, name: str) -> Sequence[str]:
        found = []
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
                reply = fcntl.ioctl(asked, _SIOCGIFADDR, struct.pack("256s", os.fsencode(name)[:15]))
            found.append(socket.inet_ntoa(reply[_ADDRESS_AT]))
        except OSError:
            pass
        try:
            rows = Path("/proc/net/if_inet6").read_text().splitlines()
        except OSError:
            rows = []
        for row in rows:
            digits, *_, interface = row.split()
            if interface == name:
                address = ipaddress.IPv6Address(int(digits, 16))
                found.append(f"{address}%{name}" if address.is_link_local else str(address))
        return found
