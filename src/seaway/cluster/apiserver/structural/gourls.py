"""URIs as Go's url.ParseRequestURI accepts them (net/url); pure."""

from __future__ import annotations

import re

from seaway.cluster.apiserver.rules import addresses

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# What may stand in a host as it is (shouldEscape, encodeHost), and escaped.
HOST = re.compile(r"(?:[A-Za-z0-9\-_.~$&+,/:;=?@!'()*\[\]<>\"]|[^\x00-\x7f]|%[0-9A-Fa-f]{2})*")
USERINFO = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
PORT = re.compile(r"(?::[0-9]*)?")


def is_request_uri(text: str) -> bool:
    """An absolute URI or an absolute path."""
    if not text or any(c < " " or c == "\x7f" for c in text):
        return False
    if text == "*":
        return True
    scheme, rest = _scheme(text)
    if scheme is None:
        return False
    rest = rest.partition("?")[0]
    if not rest.startswith("/"):
        return bool(scheme)  # a rootless path is opaque
    path = rest
    if scheme and rest.startswith("//"):
        authority, slash, tail = rest[2:].partition("/")
        path = slash + tail
        if not _is_authority(authority, strict=scheme.lower() in ("http", "https")):
            return False
    return ESCAPE.search(path) is None


def _scheme(text: str) -> tuple[str | None, str]:
    """The scheme ("" where there is none, None where it is malformed) and what follows it."""
    for i, character in enumerate(text):
        if "a" <= character <= "z" or "A" <= character <= "Z":
            continue
        if character in "0123456789+-.":
            if i == 0:
                return "", text
        elif character == ":":
            return (text[:i], text[i + 1 :]) if i else (None, "")
        else:
            return "", text
    return "", text


def _is_authority(text: str, strict: bool) -> bool:
    userinfo, at, host = text.rpartition("@")
    if at and (not USERINFO.fullmatch(userinfo) or ESCAPE.search(userinfo)):
        return False
    return _is_host(host, strict)


def _is_host(host: str, strict: bool) -> bool:
    """A name, an address in brackets, and a port. `strict`: as for http, a name has no colons."""
    if "[" in host:
        inner, bracket, port = host[1:].rpartition("]")
        if not host.startswith("[") or not bracket or "[" in inner or not PORT.fullmatch(port):
            return False
        address, zoned, zone = inner.partition("%25")
        if zoned and (not zone or not _is_zone(zone)):
            return False
        return ":" in address and _is_plain(address) and addresses.sloppy(address) is not None
    colon = host.find(":") if strict else host.rfind(":")
    return PORT.fullmatch(host[colon:] if colon >= 0 else "") is not None and _is_plain(host)


def _is_plain(host: str) -> bool:
    """Only what may stand in a host as it is; escaped may be what is no ASCII, and the percent sign."""
    return HOST.fullmatch(host) is not None and all(_may_be_escaped(e) for e in ESCAPED.findall(host))


def _is_zone(zone: str) -> bool:
    """A zone may escape what could stand there as it is, and blanks."""
    return HOST.fullmatch(zone) is not None and all(
        e == "25" or e == "20" or HOST.fullmatch(chr(int(e, 16))) for e in ESCAPED.findall(zone)
    )


def _may_be_escaped(digits: str) -> bool:
    return int(digits, 16) >= 0x80 or digits == "25"
