"""URIs as Go's url.ParseRequestURI accepts them (net/url); pure."""

from __future__ import annotations

import re

from seaway.cluster.apiserver.rules import addresses

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# What may stand in a host as it is (shouldEscape, encodeHost), and escaped.
HOST = re.compile(r"(?:[A-Za-z0-9\-_.~$&+,/:;=?@!'()*\[\]<>\"]|[^\x00-\x7f]|%[0-9A-Fa-f]{2})*")
USERINFO = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
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
        if not _is_authority(authority):
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


def _is_authority(text: str) -> bool:
    userinfo, at, host = text.rpartition("@")
    if at and (not USERINFO.fullmatch(userinfo) or ESCAPE.search(userinfo)):
        return False
    return _is_host(host)


def _is_host(host: str) -> bool:
    if host.startswith("["):
        inner, bracket, port = host[1:].rpartition("]")
        if not bracket or not PORT.fullmatch(port):
            return False
        address, zoned, zone = inner.partition("%25")
        if zoned and ESCAPE.search(zone):
            return False
        return ":" in address and addresses.sloppy(address) is not None
    if "[" in host or "]" in host:
        return False
    colon = host.find(":")
    if colon >= 0 and not PORT.fullmatch(host[host.rfind(":") :]):
        return False
    if not HOST.fullmatch(host):
        return False
    # Escapes of ASCII are not taken in a host, but for a few that no client writes.
    return all(int(e, 16) >= 0x80 for e in re.findall(r"%([0-9A-Fa-f]{2})", host))
