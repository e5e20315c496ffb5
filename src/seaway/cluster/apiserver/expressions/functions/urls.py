"""URLs (apiserver/pkg/cel/library/urls.go, on Go's net/url)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, quote

from seaway.cluster.apiserver.expressions.functions.overloads import Overload, one
from seaway.cluster.apiserver.expressions.values import EvaluationError
from seaway.cluster.apiserver.status import quoted

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):", re.ASCII)
ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
HOST = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:\[\]<>\"%\x80-\U0010ffff]*\Z")
PATH_SAFE = "/-._~!$&'()*+,;=:@%[]"


@dataclass(frozen=True, slots=True)
class Url:
    scheme: str
    host: str
    path: str
    query: str

    unit_equality = True
    cel_type = "kubernetes.URL"

    @property
    def hostname(self) -> str:
        if self.host.startswith("["):
            return self.host[1:].partition("]")[0]
        return self.host.rpartition(":")[0] if ":" in self.host else self.host

    @property
    def port(self) -> str:
        tail = self.host.rpartition("]")[2]
        return tail.rpartition(":")[2] if ":" in tail else ""


def problem(text: str) -> str | None:
    """What url.ParseRequestURI says of a text."""

    def of(why: str) -> str:
        return f"parse {quoted(text)}: {why}"

    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in text):
        return of("net/url: invalid control character in URL")
    if not text:
        return of("empty url")
    match = SCHEME.match(text)
    if text.startswith(":"):
        return of("missing protocol scheme")
    rest = text[match.end() :] if match else text
    if not rest.startswith("/"):
        return None if match else of("invalid URI for request")  # with a scheme, what has no root is opaque
    authority = rest[2:].partition("/")[0] if rest.startswith("//") and match else ""
    before = authority.partition("?")[0]
    userinfo, at, host = before.rpartition("@")
    if at and re.search(r"[^A-Za-z0-9\-._:~!$&'()*+,;=%@]", userinfo):
        return of("net/url: invalid userinfo")
    for part in (rest.partition("?")[0], before):
        bad = ESCAPE.search(part)
        if bad:
            return of(f"invalid URL escape {quoted(part[bad.start() : bad.start() + 3])}")
    if host and not HOST.match(host):
        bad_character = next(c for c in host if not HOST.match(c))
        return of(f"invalid character {quoted(bad_character)} in host name")
    tail = host.rpartition("]")[2] if host.startswith("[") else host
    if host.startswith("[") and "]" not in host:
        return of("missing ']' in host")
    colon = tail.rpartition(":")
    if colon[1] and colon[2] and not (colon[2].isascii() and colon[2].isdigit()):
        return of(f"invalid port {quoted(':' + colon[2])} after host")
    return None


def parse(text: str) -> Url:
    why = problem(text)
    if why is not None:
        raise EvaluationError(f"URL parse error during conversion from string: {why}")
    text = text.partition("#")[0]
    match = SCHEME.match(text)
    scheme, rest = (match[1].lower(), text[match.end() :]) if match else ("", text)
    rest, _, query = rest.partition("?")
    host = ""
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        host, rest = authority.rpartition("@")[2], slash + path
    path = quote(rest, safe=PATH_SAFE) if rest.startswith("/") or not scheme else ""
    return Url(scheme, host, path, query)


FUNCTIONS: dict[str, tuple[Overload, ...]] = {
    "url": one(parse, str),
    "isURL": one(lambda text: problem(text) is None, str),
    "getScheme": one(lambda u: u.scheme, Url),
    "getHost": one(lambda u: u.host, Url),
    "getHostname": one(lambda u: u.hostname, Url),
    "getPort": one(lambda u: u.port, Url),
    "getEscapedPath": one(lambda u: u.path, Url),
    "getQuery": one(lambda u: parse_qs(u.query, keep_blank_values=True), Url),
}
