"""Redirects (ingress-nginx, annotations/redirect, and those to https of annotations/rewrite)."""

from __future__ import annotations

from typing import NamedTuple

from seaway.routing.ingress.annotations.reading import Reader
from seaway.routing.ingress.annotations.values import flag, url, whole
from seaway.routing.ir import Redirect, Respond

REST = "$request_uri"


class Redirects(NamedTuple):
    """`ssl`: from http to https where the host has TLS, as ingress-nginx does unless told otherwise; `force_ssl`: also where it
    has none (TLS ends before the proxies); `elsewhere`: what all paths are answered with."""

    ssl: bool = True
    force_ssl: bool = False
    www: bool = False
    elsewhere: Redirect | Respond | None = None


def _elsewhere(text: str, code: int) -> Redirect | Respond:
    """nginx's `return CODE URL`: the URL as it is, without the request's query."""
    if text.endswith(REST):
        base = url(text.removesuffix(REST).rstrip("/"))
        if not base.path and code in (301, 302, 303, 307, 308):
            return Redirect(base.scheme, base.host, base.port, code=code)
    url(text)
    return Respond(code, headers=(("location", text),))


def redirects(reader: Reader) -> Redirects:
    temporal = reader.get("temporal-redirect-code", whole(300, 307), 302, "302 is taken")
    permanent = reader.get("permanent-redirect-code", whole(300, 308), 301, "301 is taken")
    for_good = reader.get("permanent-redirect", lambda text: _elsewhere(text, permanent), None)
    for_now = reader.get("temporal-redirect", lambda text: _elsewhere(text, temporal), None)
    return Redirects(
        reader.get("ssl-redirect", flag, True, "true is taken"),
        reader.get("force-ssl-redirect", flag, False, "false is taken"),
        reader.get("from-to-www-redirect", flag, False, "false is taken"),
        for_now or for_good,
    )
