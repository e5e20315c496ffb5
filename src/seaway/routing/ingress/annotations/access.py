"""Who may pass (ingress-nginx, annotations/auth, authreq, authtls, ipallowlist, ipdenylist). What cannot be carried out
closes."""

from __future__ import annotations

from typing import NamedTuple

from seaway.routing.ingress.annotations.reading import Reader
from seaway.routing.ingress.annotations.values import (
    TOKEN,
    Unreadable,
    Url,
    flag,
    header_names,
    network,
    networks,
    one_of,
    own_object,
    url,
    words,
)


class Users(NamedTuple):
    """Basic authentication. `form`: "auth-file" or "auth-map"."""

    secret: str
    form: str = "auth-file"
    realm: str = ""


class Asked(NamedTuple):
    """Somebody is asked about every request. `config`: a ConfigMap with headers for whom is asked."""

    url: Url
    method: str = "GET"
    headers: tuple[str, ...] = ()
    signin: str = ""
    config: str = ""


class Clients(NamedTuple):
    """Certificates of clients. `verify`: "on", "optional", "optional_no_ca"."""

    secret: str
    verify: str = "on"
    passed: bool = False


class Access(NamedTuple):
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    users: Users | None = None
    asked: Asked | None = None
    clients: Clients | None = None


def access(reader: Reader) -> Access:
    # An address that is left out of those that may pass lets nobody pass; one that is left out of the others would.
    name = "allowlist-source-range" if reader.has("allowlist-source-range") else "whitelist-source-range"
    allow = reader.secured(name, lambda text: _some_networks(reader, name, text), ())
    return Access(
        allow,
        reader.secured("denylist-source-range", networks, ()),
        _users(reader),
        _asked(reader),
        _clients(reader),
    )


def _some_networks(reader: Reader, name: str, text: str) -> tuple[str, ...]:
    found = []
    for word in words(text):
        try:
            found.append(network(word))
        except Unreadable as e:
            reader.wrong(name, f"{e}; it is left out")
    if not found:
        raise Unreadable("must be addresses and networks, apart by commas")
    return tuple(found)


def _realm(text: str) -> str:
    if not text.isascii() or not text.isprintable() or '"' in text or "\\" in text or len(text) > 128:
        raise Unreadable("must be printable, without quotes and backslashes")
    return text


def _users(reader: Reader) -> Users | None:
    kind = reader.secured("auth-type", one_of("basic", "digest"), "")
    secret = reader.secured("auth-secret", own_object(reader.namespace, "Secret"), "")
    form = reader.secured("auth-secret-type", one_of("auth-file", "auth-map"), "auth-file")
    realm = reader.get("auth-realm", _realm, "", "none is said")
    if kind == "digest":
        reader.close("auth-type", "Unsupported value: digest authentication is not served")
        return None
    if not kind:
        if secret and not reader.has("auth-type"):
            reader.wrong("auth-secret", "nobody is asked for a password without auth-type: basic")
        return None
    if not secret:
        if not reader.has("auth-secret"):
            reader.close("auth-secret", "Required value: with auth-type")
        return None
    return Users(secret, form, realm)


def _method(text: str) -> str:
    if not TOKEN.match(text) or not text.isupper():
        raise Unreadable("must be a method")
    return text


# The usual ends of a sign-in's URL, which are what `rd` is for.
RETURNS = (
    "rd=$escaped_request_uri",
    "rd=$scheme://$best_http_host$request_uri",
    "rd=$scheme://$host$request_uri",
    "rd=$pass_access_scheme://$http_host$escaped_request_uri",
    "rd=https://$host$escaped_request_uri",
    "rd=https://$host$request_uri",
)


def signin_url(text: str) -> str:
    """Where to sign in: a URL, or a path of the host that was asked."""
    for end in RETURNS:
        if text.endswith(("?" + end, "&" + end)):
            text = text[: -len(end) - 1]
            break
    for own in ("https://$host", "https://$http_host", "$scheme://$host", "$scheme://$http_host"):
        if text.startswith(own + "/"):
            return url("https://host.invalid" + text[len(own) :]).path
    url(text)
    return text


def _asked(reader: Reader) -> Asked | None:
    place = reader.secured("auth-url", url, None)
    method = reader.secured("auth-method", _method, "GET")
    headers = reader.secured("auth-response-headers", header_names, ())
    signin = reader.get("auth-signin", signin_url, "", "who is not known gets 401")
    if reader.get("auth-signin-redirect-param", str, "rd") != "rd":
        reader.wrong("auth-signin-redirect-param", "the parameter is always rd")
    config = reader.secured("auth-proxy-set-headers", own_object(reader.namespace, "ConfigMap"), "")
    return Asked(place, method, headers, signin, config) if place is not None else None


def _clients(reader: Reader) -> Clients | None:
    secret = reader.secured("auth-tls-secret", own_object(reader.namespace, "Secret"), "")
    verify = reader.get(
        "auth-tls-verify-client", one_of("on", "off", "optional", "optional_no_ca"), "on", "on is taken"
    )
    passed = reader.get("auth-tls-pass-certificate-to-upstream", flag, False, "false is taken")
    return Clients(secret, verify, passed) if secret and verify != "off" else None
