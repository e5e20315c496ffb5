"""Who is answered: the `acl` plugin's rules, and how much one client may ask; pure."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from seaway.dns import wire
from seaway.dns.presentation import TYPES
from seaway.dns.settings import AccessRule

ANY_NUMBER = 1 << 60
CLIENTS = 65_536  # addresses that are counted at once
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache(maxsize=4096)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(text.split("%", 1)[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address


def _networks(rules: tuple[AccessRule, ...]) -> list[Network]:
    return [ipaddress.ip_network(n, strict=False) for rule in rules for n in rule.networks]


class Rules:
    """A block's rules, in order; the first that matches decides, none: allow."""

    def __init__(self, rules: tuple[AccessRule, ...], zones: tuple[bytes, ...]) -> None:
        self._rows = [
            (
                rule.action,
                frozenset(TYPES.get(t, -1) for t in rule.types),
                _networks((rule,)),
                tuple(wire.name_of(z) for z in rule.zones) or zones,
            )
            for rule in rules
        ]

    def __bool__(self) -> bool:
        return bool(self._rows)

    def verdict(self, client: str, name: bytes, kind: int) -> str:
        """allow, block, filter or drop."""
        address = _address(client)
        for action, kinds, networks, zones in self._rows:
            if kinds and kind not in kinds:
                continue
            if networks and not any(address in n for n in networks):
                continue
            if any(wire.is_below(name, zone) for zone in zones):
                return action
        return "allow"


class Clients:
    """What each client address may still ask in this second. The hot path takes one off; who has nothing left, or must be
    judged by rules, has no number and comes the long way."""

    def __init__(self, limit: int, rules: tuple[AccessRule, ...]) -> None:
        self.left: dict[str, int] = {}
        self._limit = limit or ANY_NUMBER
        self._networks = _networks(rules)
        self._judged = bool(rules) and any(not rule.networks for rule in rules)
        self._slow: dict[str, int] = {}

    def second(self) -> None:
        """A second has passed."""
        self.left.clear()
        self._slow.clear()

    def admit(self, client: str) -> bool:
        """A query that came the long way. False: more than the limit."""
        left = self.left.get(client)
        if left is not None:
            if left > 0:
                self.left[client] = left - 1
                return True
            return False
        if len(self.left) + len(self._slow) > CLIENTS:
            self.second()
        if self._judged or any(_address(client) in n for n in self._networks):
            used = self._slow.get(client, 0)
            self._slow[client] = used + 1
            return used < self._limit
        self.left[client] = self._limit - 1
        return True
