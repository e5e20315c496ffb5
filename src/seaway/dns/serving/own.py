"""What the kernel says of this machine and this process: addresses, and a name for `ps` and `top`."""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct

SIOCGIFCONF = 0x8912
ROW = 40  # struct ifreq on 64 bits


def addresses() -> list[bytes]:
    """Those that others may reach, packed: no loopback, no link-local."""
    found = []
    for packed in (*_ipv4(), *_ipv6()):
        address = ipaddress.ip_address(packed)
        if not (address.is_loopback or address.is_link_local or address.is_unspecified):
            found.append(packed)
    return sorted(set(found))


def _ipv4() -> list[bytes]:
    import array

    room = array.array("B", bytes(ROW * 256))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        asked = struct.pack("iL", len(room), room.buffer_info()[0])
        size = struct.unpack("iL", fcntl.ioctl(sock.fileno(), SIOCGIFCONF, asked))[0]
    raw = room.tobytes()[:size]
    return [raw[at + 20 : at + 24] for at in range(0, len(raw), ROW)]


def _ipv6() -> list[bytes]:
    try:
        with open("/proc/net/if_inet6", encoding="ascii") as f:
            return [bytes.fromhex(line.split()[0]) for line in f]
    except OSError:
        return []


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::", 0))
        return True
    except OSError:
        return False


def call_process(name: str) -> None:
    """The name that `ps -o comm` and `top` show, at most 15 bytes."""
    try:
        with open("/proc/self/comm", "w", encoding="ascii") as f:
            f.write(name[:15])
    except OSError:
        return
