"""Files in the form of resolv.conf (resolv.conf(5)); pure."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple


class ResolvConf(NamedTuple):
    nameservers: tuple[str, ...]
    searches: tuple[str, ...]


def read(text: str) -> ResolvConf:
    """Lines that make no sense are passed over, as a resolver does; of several `search` or `domain` lines the last holds."""
    servers: list[str] = []
    searches: tuple[str, ...] = ()
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            try:
                ipaddress.ip_address(words[1].split("%", 1)[0])
            except ValueError:
                continue
            if words[1] not in servers:
                servers.append(words[1])
        elif words[0] in ("search", "domain"):
            searches = tuple(w.rstrip(".").lower() for w in words[1:] if w.rstrip("."))
    return ResolvConf(tuple(servers), searches)
