"""Numbers, durations, addresses and the words of DNS as a Corefile writes them, in Go's forms; pure."""

from __future__ import annotations

import ipaddress
import re

from seaway.dns.corefile.lines import Line

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)"
_DURATION = re.compile(rf"([-+]?)((?:{_PART})+)")
_WHOLE = re.compile(r"[-+]?\d{1,18}")

RCODES = (
    "NOERROR FORMERR SERVFAIL NXDOMAIN NOTIMP REFUSED YXDOMAIN YXRRSET NXRRSET NOTAUTH NOTZONE BADSIG BADKEY BADTIME BADMODE "
    "BADNAME BADALG BADTRUNC BADCOOKIE"
).split()
RCODE_NUMBERS = dict(zip(RCODES, (*range(11), *range(16, 24)), strict=True)) | {"NOTIMPL": 4, "STATEFULTYPENOTIMPL": 11}
CLASSES = {"IN": 1, "CS": 2, "CH": 3, "HS": 4, "NONE": 254, "ANY": 255}
TYPES = {
    "A": 1, "NS": 2, "MD": 3, "MF": 4, "CNAME": 5, "SOA": 6, "MB": 7, "MG": 8, "MR": 9, "NULL": 10, "PTR": 12, "HINFO": 13,
    "MINFO": 14, "MX": 15, "TXT": 16, "RP": 17, "AFSDB": 18, "X25": 19, "ISDN": 20, "RT": 21, "NSAP-PTR": 23, "SIG": 24,
    "KEY": 25, "PX": 26, "GPOS": 27, "AAAA": 28, "LOC": 29, "NXT": 30, "EID": 31, "NIMLOC": 32, "SRV": 33, "ATMA": 34,
    "NAPTR": 35, "KX": 36, "CERT": 37, "DNAME": 39, "OPT": 41, "APL": 42, "DS": 43, "SSHFP": 44, "IPSECKEY": 45, "RRSIG": 46,
    "NSEC": 47, "DNSKEY": 48, "DHCID": 49, "NSEC3": 50, "NSEC3PARAM": 51, "TLSA": 52, "SMIMEA": 53, "HIP": 55, "NINFO": 56,
    "RKEY": 57, "TALINK": 58, "CDS": 59, "CDNSKEY": 60, "OPENPGPKEY": 61, "CSYNC": 62, "ZONEMD": 63, "SVCB": 64, "HTTPS": 65,
    "SPF": 99, "UINFO": 100, "UID": 101, "GID": 102, "UNSPEC": 103, "NID": 104, "L32": 105, "L64": 106, "LP": 107,
    "EUI48": 108, "EUI64": 109, "NXNAME": 128, "TKEY": 249, "TSIG": 250, "IXFR": 251, "AXFR": 252, "MAILB": 253,
    "MAILA": 254, "ANY": 255, "URI": 256, "CAA": 257, "AVC": 258, "AMTRELAY": 260, "RESINFO": 261, "TA": 32768, "DLV": 32769,
}  # fmt: skip


def duration(line: Line, text: str, what: str = "") -> float:
    """Seconds of Go's durations: 30s, 1m30s, 100ms, 0."""
    found = _DURATION.fullmatch(text)
    if text in ("0", "+0", "-0"):
        return 0.0
    if not found:
        raise line.error(f"{what or line.word}: {text!r} is not a duration; write a number with its unit, like 30s, 500ms or 1h")
    seconds = sum(float(n) * _UNITS[u] for n, u in re.findall(_PART, found[2]))
    return round(-seconds if found[1] == "-" else seconds, 9)


def whole(line: Line, text: str, low: int | None, high: int | None = None, what: str = "") -> int:
    """A whole number within bounds."""
    named = what or line.word
    if not _WHOLE.fullmatch(text):
        raise line.error(f"{named}: {text!r} is not a whole number")
    value = int(text)
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"at least {low}" if high is None else f"{low} to {high}"
        raise line.error(f"{named} must be {bounds}, not {value}")
    return value


def one_of(line: Line, text: str, words: tuple[str, ...], what: str = "") -> str:
    if text not in words:
        raise line.error(f"{what or line.word} is one of {', '.join(words)}, not {text!r}")
    return text


def rcode(line: Line, text: str) -> str:
    """An rcode by its name, in any case."""
    word = text.upper()
    if word not in RCODE_NUMBERS:
        raise line.error(f"{text!r} is not an rcode; they are words like NXDOMAIN, SERVFAIL and REFUSED")
    return "NOTIMP" if word == "NOTIMPL" else word


def is_address(text: str) -> bool:
    """An address without port; an IPv6 one may have a %zone."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def host_port(text: str) -> tuple[str, str] | None:
    """`[::1]:53` and `10.0.0.1:53` in their two parts, as Go's net.SplitHostPort; None where it is no such pair."""
    if text.startswith("["):
        host, closed, port = text[1:].partition("]:")
        return (host, port) if closed and "[" not in host + port and "]" not in host + port else None
    host, colon, port = text.rpartition(":")
    return (host, port) if colon and ":" not in host and "]" not in host else None


def port_number(text: str) -> int | None:
    return int(text) if text.isdigit() and len(text) < 6 and int(text) < 65536 else None


def listener(line: Line, text: str) -> str:
    """HOST:PORT of one of the server's own listeners; host empty for all addresses."""
    pair = host_port(text)
    if pair is None or port_number(pair[1]) is None:
        raise line.error(f"{text!r} is not an address to listen on; write HOST:PORT, or :PORT for all addresses")
    return text
