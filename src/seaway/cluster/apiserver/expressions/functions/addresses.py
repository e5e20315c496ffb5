"""IP addresses and ranges (apiserver/pkg/cel/library/ip.go and cidr.go, on Go's net/netip)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from seaway.cluster.apiserver.expressions.functions.overloads import Overload, one
from seaway.cluster.apiserver.expressions.values import EvaluationError
from seaway.cluster.apiserver.status import quoted

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Address:
    ip: Ip

    unit_equality = True
    cel_type = "net.IP"

    @property
    def width(self) -> int:
        return len(self.ip.packed)

    def __str__(self) -> str:
        return str(self.ip)


@dataclass(frozen=True, slots=True)
class Range:
    """A prefix; bits of the address behind the mask are kept."""

    ip: Ip
    bits: int

    unit_equality = True
    cel_type = "net.CIDR"

    @property
    def width(self) -> int:
        return len(self.ip.packed)

    def __str__(self) -> str:
        return f"{self.ip}/{self.bits}"

    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        return ipaddress.ip_network((self.ip, self.bits), strict=False)


def parse_ip(text: str) -> Address:
    ip, problem = _parse(text)
    if ip is None:
        raise EvaluationError(
            f"IP Address {quoted(text)} parse error during conversion from string: ParseAddr({quoted(text)}): {problem}"
        )
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id:
            raise EvaluationError(f"IP address {quoted(text)} with zone value is not allowed")
        if ip.ipv4_mapped is not None:
            raise EvaluationError(f"IPv4-mapped IPv6 address {quoted(text)} is not allowed")
    return Address(ip)


def _parse(text: str) -> tuple[Ip | None, str]:
    """An address, or what is wrong with it in netip's words."""
    try:
        return ipaddress.ip_address(text), ""
    except ValueError:
        pass
    if ":" in text:
        if "%" in text and text.endswith("%"):
            return None, "zone must be a non-empty string"
        bad = next((i for i, c in enumerate(text.partition("%")[0]) if c not in "0123456789abcdefABCDEF:."), -1)
        if bad >= 0:
            return None, f"unexpected character (at {quoted(text[bad:])})"
        return None, "address string too short" if text.count(":") < 7 else "trailing garbage after address"
    if "." in text:
        return None, _four(text)
    return None, "unable to parse IP"


def _four(text: str) -> str:
    for i, c in enumerate(text):
        if not (c.isascii() and c.isdigit()) and c != ".":
            return f"unexpected character (at {quoted(text[i:])})"
    fields = text.split(".")
    for i, part in enumerate(fields):
        if not part:
            return f"IPv4 field must have at least one digit (at {quoted('.' + '.'.join(fields[i + 1 :]))})"
        if len(part) > 1 and part[0] == "0":
            return "IPv4 field has octet with leading zero"
        if int(part) > 255:
            return "IPv4 field has value >255"
    return "IPv4 address too short" if len(fields) < 4 else "IPv4 address too long"


def parse_cidr(text: str) -> Range:
    outer = "network address parse error during conversion from string: "
    address, slash, bits = text.rpartition("/")

    def bad(why: str) -> EvaluationError:
        return EvaluationError(f"{outer}{outer}netip.ParsePrefix({quoted(text)}): {why}")

    if not slash:
        raise bad("no '/'")
    ip, problem = _parse(address)
    if ip is None:
        raise bad(f"ParseAddr({quoted(address)}): {problem}")
    if isinstance(ip, ipaddress.IPv6Address) and ip.scope_id:
        raise bad("IPv6 zones cannot be present in a prefix")
    if not re.fullmatch(r"[1-9]\d*|0", bits, re.ASCII):
        raise bad(f"bad bits after slash: {quoted(bits)}")
    if int(bits) > ip.max_prefixlen:
        raise bad("prefix length out of range")
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        raise EvaluationError(f"{outer}IPv4-mapped IPv6 address {quoted(text)} is not allowed")
    return Range(ip, int(bits))


def _is_ip(text: str) -> bool:
    try:
        parse_ip(text)
    except EvaluationError:
        return False
    return True


def _is_cidr(text: str) -> bool:
    try:
        parse_cidr(text)
    except EvaluationError:
        return False
    return True


def _global_unicast(address: Address) -> bool:
    """netip.Addr.IsGlobalUnicast: private addresses are global, too."""
    ip = address.ip
    broadcast = ip == ipaddress.IPv4Address("255.255.255.255")
    return not (broadcast or ip.is_unspecified or ip.is_loopback or ip.is_multicast or _link_local_unicast(address))


def _link_local_unicast(address: Address) -> bool:
    return address.ip.is_link_local


def _link_local_multicast(address: Address) -> bool:
    ip = address.ip
    if isinstance(ip, ipaddress.IPv4Address):
        return ip in ipaddress.IPv4Network("224.0.0.0/24")
    return ip.packed[0] == 0xFF and ip.packed[1] & 0x0F == 0x02


def _contains_ip(range: Range, address: Address) -> bool:
    return range.ip.version == address.ip.version and address.ip in range.network()


def _contains_cidr(range: Range, other: Range) -> bool:
    return range.ip.version == other.ip.version and range.bits <= other.bits and other.ip in range.network()


FUNCTIONS: dict[str, tuple[Overload, ...]] = {
    "ip": (Overload((str,), parse_ip), Overload((Range,), lambda r: Address(r.ip))),
    "isIP": one(_is_ip, str),
    "ip.isCanonical": one(lambda text: str(parse_ip(text)) == text, str),
    "family": one(lambda a: a.ip.version, Address),
    "isUnspecified": one(lambda a: a.ip.is_unspecified, Address),
    "isLoopback": one(lambda a: a.ip.is_loopback, Address),
    "isLinkLocalMulticast": one(_link_local_multicast, Address),
    "isLinkLocalUnicast": one(_link_local_unicast, Address),
    "isGlobalUnicast": one(_global_unicast, Address),
    "cidr": one(parse_cidr, str),
    "isCIDR": one(_is_cidr, str),
    "containsIP": (
        Overload((Range, Address), _contains_ip),
        Overload((Range, str), lambda r, text: _contains_ip(r, parse_ip(text))),
    ),
    "containsCIDR": (
        Overload((Range, Range), _contains_cidr),
        Overload((Range, str), lambda r, text: _contains_cidr(r, parse_cidr(text))),
    ),
    "prefixLength": one(lambda r: r.bits, Range),
    "masked": one(lambda r: Range(r.network().network_address, r.bits), Range),
}
