"""Values of annotations, read typed. What cannot be read says why; nothing of it goes on as text that was not looked at."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from seaway.re2 import syntax_error
from seaway.routing.policies import security
from seaway.routing.policies.security import PROXYS_OWN

# strconv.ParseBool, which ingress-nginx reads flags with.
FLAGS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,128}\Z")  # RFC 9110 5.6.2: names of headers, cookies, methods
LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
HOST = re.compile(rf"{LABEL}(\.{LABEL})*\Z")
SIZE = re.compile(r"([0-9]{1,15})([bkmg]?)\Z", re.I)  # parser.SizeRegex
SIZES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
PATH = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*\Z")  # RFC 3986 3.3
QUERY = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@%/?\[\]{}]*\Z")
LARGEST = 2_000_000_000


class Unreadable(ValueError):
    """A value that cannot be read; the text says what it must be."""


def flag(text: str) -> bool:
    if text not in FLAGS:
        raise Unreadable("must be true or false")
    return FLAGS[text]


def switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise Unreadable('must be "on" or "off"')
    return text == "on"


def whole(least: int, most: int = LARGEST) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[-+]?[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise Unreadable(f"must be a whole number between {least} and {most}")
        return int(text)

    return read


def one_of(*words: str, caseless: bool = False) -> Callable[[str], str]:
    def read(text: str) -> str:
        for word in words:
            if text == word or (caseless and text.lower() == word.lower()):
                return word
        raise Unreadable("must be one of " + ", ".join(words))

    return read


def size(text: str) -> int:
    match = SIZE.match(text)
    if match is None:
        raise Unreadable("must be bytes, as 512k, 8m or 1g")
    return int(match[1]) * SIZES[match[2].lower()]


def token(text: str) -> str:
    if not TOKEN.match(text):
        raise Unreadable("must be a name of letters, digits and !#$%&'*+-.^_`|~")
    return text


def header_name(text: str) -> str:
    """In lower case; not one that says where a request goes."""
    name = token(text).lower()
    own = name.startswith(PROXYS_OWN)
    if own or name in ("host", "connection", "content-length", "transfer-encoding", "te", "upgrade"):
        raise Unreadable(f"{name} is the proxy's own header")
    return name


def words(text: str) -> tuple[str, ...]:
    """What commas part, without empty ones."""
    return tuple(dict.fromkeys(w for w in (p.strip() for p in text.split(",")) if w))


def tokens(text: str) -> tuple[str, ...]:
    return tuple(token(w) for w in words(text))


def header_names(text: str) -> tuple[str, ...]:
    return tuple(header_name(w) for w in words(text))


def header_value(text: str) -> str:
    if not text.isascii() or not text.isprintable() or len(text) > 1024:
        raise Unreadable("must be printable ASCII, at most 1024 characters")
    return text


def host(text: str) -> str:
    found = text.lower()
    if not HOST.match(found) or len(found) > 253:
        raise Unreadable("must be a host name")
    return found


def hosts(text: str) -> tuple[str, ...]:
    """Names, also `*.example.com`."""
    found = []
    for word in words(text):
        if word.startswith("~"):
            raise Unreadable(f"{word[:100]}: hosts by regex are not served")
        wild = "*." if word.startswith("*.") else ""
        found.append(wild + host(word[len(wild) :]))
    return tuple(found)


def authority(text: str) -> str:
    """A host name or address, perhaps with a port."""
    name, _, port = text.rpartition(":") if re.search(r":[0-9]{1,5}\Z", text) else (text, "", "")
    if not port or int(port) < 65536:
        return host(name) + (f":{port}" if port else "")
    raise Unreadable("must be a host name, perhaps with a port")


def path(text: str) -> str:
    if not PATH.match(text) or len(text) > 1024:
        raise Unreadable("must be a path that begins with a slash")
    return text


def network(text: str) -> str:
    try:
        return security.network(text)
    except ValueError:
        raise Unreadable(f'"{text[:100]}" is neither an address nor a network') from None


def networks(text: str) -> tuple[str, ...]:
    found = tuple(network(w) for w in words(text))
    if not found:
        raise Unreadable("must be addresses and networks, apart by commas")
    return found


def regex(text: str) -> str:
    problem = syntax_error(text)
    if problem:
        raise Unreadable(problem)
    return text


def own_object(namespace: str, kind: str) -> Callable[[str], str]:
    """The name of an object of the same namespace, also as NAMESPACE/NAME."""

    def read(text: str) -> str:
        space, _, name = text.rpartition("/")
        if space not in ("", namespace):
            raise Unreadable(f"a {kind} of another namespace may not be used")
        return host(name)

    return read


class Url(NamedTuple):
    """`path` with its query, empty where nothing follows the host; `port` as it was written, 0 for none."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        return self.host + (f":{self.port}" if self.port else "")

    @property
    def asked_port(self) -> int:
        return self.port or (443 if self.scheme == "https" else 80)


def url(text: str) -> Url:
    """An absolute URL of http or https, without variables, users and fragments."""
    if "$" in text:
        raise Unreadable("variables of nginx are not known here")
    try:
        parts = urlsplit(text)
        port = parts.port or 0
    except ValueError:
        raise Unreadable("must be a URL") from None
    if parts.scheme not in ("http", "https") or parts.username is not None or parts.fragment or not parts.hostname:
        raise Unreadable("must be a URL that begins with http:// or https://")
    if (parts.path and not PATH.match(parts.path)) or not QUERY.match(parts.query) or len(text) > 2048:
        raise Unreadable("must be a URL of the characters that RFC 3986 has")
    query = f"?{parts.query}" if parts.query else ""
    return Url(parts.scheme, host(parts.hostname), port, (parts.path or ("/" if query else "")) + query)
