"""Addresses and CIDRs in the API (KEP-4858): what is refused, what is only warned of; pure.

Fields that were once parsed sloppily refuse leading zeros, IPv4-mapped addresses and stray host bits in new values; what an
object already holds stays valid (`known`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from seaway.cluster.apiserver.status import Cause, wrong

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ADDRESS_TEXT = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR_TEXT = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def sloppy(text: str) -> Address | None:
    """An address as Go's older parser reads it: leading zeros do not matter."""
    parts = text.split(".")
    if len(parts) == 4 and all(p.isascii() and p.isdigit() and len(p) < 10 for p in parts):
        text = ".".join(str(int(p)) for p in parts)
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None


def strict(text: str) -> Address | None:
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None


def mapped(address: Address | None) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None


def is_ipv6(text: str) -> bool:
    found = sloppy(text)
    return found is not None and found.version == 6 and not mapped(found)


def family(text: str) -> str:
    return "IPv6" if is_ipv6(text) else "IPv4"


def plain(address: Address) -> Address:
    """The address that an IPv4-mapped one stands for."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def problem(text: str) -> str:
    """What is wrong with a new address, empty where nothing is."""
    if sloppy(text) is None:
        return ADDRESS_TEXT
    found = strict(text)
    if found is None:
        return "must not have leading 0s"
    return "must not be an IPv4-mapped IPv6 address" if mapped(found) else ""


def causes(path: str, text: str, known: Collection[str] = ()) -> list[Cause]:
    """An address in a field that was once read sloppily."""
    why = problem(text) if text not in known else ""
    return [wrong(path, text, why)] if why else []


def canonical_problem(text: str) -> str:
    """What is wrong with an address where only the canonical form is taken (RFC 5952)."""
    found = strict(text)
    if found is None or mapped(found):
        return problem(text)
    return f'must be in canonical form ("{found}")' if str(found) != text else ""


def special_causes(path: str, text: str) -> list[Cause]:
    """An address that an endpoint may have: none that means this host or this link."""
    found = sloppy(text)
    if found is None:
        return [wrong(path, text, "must be a valid IP address")]
    found = plain(found)
    told = []
    if found.is_unspecified:
        told.append(f"may not be unspecified ({text})")
    if found.is_loopback:
        told.append("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if found.is_link_local:
        told.append("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if _link_local_multicast(found):
        told.append("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    return [wrong(path, text, why) for why in told]


def _link_local_multicast(address: Address) -> bool:
    if address.version == 4:
        return int(address) >> 8 == 0xE00000
    return int(address) >> 120 == 0xFF and int(address) >> 112 & 0xF == 2


def sloppy_network(text: str) -> tuple[Address, Network] | None:
    """Address and network of a CIDR, as Go's older parser reads it."""
    host, slash, length = text.partition("/")
    address = sloppy(host)
    if not slash or address is None or not (length.isascii() and length.isdigit() and len(length) < 10):
        return None
    bits = int(length)
    if bits > address.max_prefixlen:
        return None
    return address, ipaddress.ip_network(f"{address}/{bits}", strict=False)


def cidr_problem(text: str) -> str:
    """What is wrong with a new CIDR, empty where nothing is."""
    read = sloppy_network(text)
    if read is None:
        return CIDR_TEXT
    address, network = read
    host, _, length = text.partition("/")
    if strict(host) is None or str(int(length)) != length:
        return "must not have leading 0s in IP or prefix length"
    if mapped(address):
        return "must not have an IPv4-mapped IPv6 address"
    if address != network.network_address:
        return "must not have bits set beyond the prefix length"
    return ""


def cidr_causes(path: str, text: str, known: Collection[str] = ()) -> list[Cause]:
    """A CIDR in a field that was once read sloppily."""
    why = cidr_problem(text) if text not in known else ""
    return [wrong(path, text, why)] if why else []


def canonical_cidr_causes(path: str, text: str) -> list[Cause]:
    """A CIDR in a field that takes the canonical form only."""
    why = cidr_problem(text)
    if why:
        return [wrong(path, text, why)]
    found = str(ipaddress.ip_network(text))
    return [wrong(path, text, f'must be in canonical form ("{found}")')] if found != text else []


def warnings(path: str, text: str) -> list[str]:
    """What is said of an address that is accepted but not in its usual form."""
    found = sloppy(text)
    if found is None:
        return []
    if strict(text) is None or mapped(found):
        told = f'non-standard IP address "{text}" will be considered invalid in a future Kubernetes release: use'
        return [f'{path}: {told} "{plain(found)}"']
    if found.version == 6 and str(found) != text:
        return [f'{path}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{found}")']
    return []


def cidr_warnings(path: str, text: str) -> list[str]:
    """The same of a CIDR."""
    read = sloppy_network(text)
    if read is None:
        return []
    address, network = read
    if address != network.network_address:
        either = f'"{network}" or "{address}/{address.max_prefixlen}"'
        return [f'{path}: CIDR value "{text}" is ambiguous in this context (should be {either}?)']
    if cidr_problem(text):
        told = f'non-standard CIDR value "{text}" will be considered invalid in a future Kubernetes release: use'
        return [f'{path}: {told} "{network}"']
    if network.version == 6 and str(network) != text:
        return [f'{path}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{network}")']
    return []
