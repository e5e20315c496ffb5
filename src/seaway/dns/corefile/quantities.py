"""Numbers, durations, addresses and rcodes as a Corefile writes them, in Go's forms; pure."""

from __future__ import annotations

import ipaddress
import re

from seaway.dns.corefile.lines import Line
from seaway.dns.presentation import RCODE_NUMBERS

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)"
_DURATION = re.compile(rf"([-+]?)((?:{_PART})+)")
_WHOLE = re.compile(r"[-+]?\d{1,18}")


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
