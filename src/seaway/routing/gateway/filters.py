"""Filters of HTTPRoute and GRPCRoute rules, and of their backends, as values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec

from seaway.routing.gateway.matches import Unsupported
from seaway.routing.ir import Cors, HeaderEdits, Mirror, Redirect, Rewrite

Tree = dict[str, Any]
Mirrored = Callable[[Tree], str]  # a mirror's backendRef -> cluster, "" where there is none
# What would end a header, or a request's first line (RFC 9110, 5.5; RFC 9112, 3).
NO_VALUE, NO_PATH = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]"), re.compile(r"[\x00-\x20\x7f]")
WELL_KNOWN = {"http": 80, "https": 443}


class Filters(msgspec.Struct, frozen=True):
    """What the filters of a rule or of a backend say. `broken`: requests are answered with 500, because a filter is not known."""

    request: HeaderEdits = HeaderEdits()
    response: HeaderEdits = HeaderEdits()
    redirect: Redirect | None = None
    rewrite: Rewrite = Rewrite()
    mirrors: tuple[Mirror, ...] = ()
    cors: Cors | None = None
    broken: str = ""


class Incompatible(ValueError):
    """Filters that cannot stand together."""


def _shown(value: str, bad: re.Pattern[str], field: str, what: str) -> str:
    found = bad.search(value)
    if found:
        raise Unsupported(
            f"{field}: Invalid value: {json.dumps(value)[:100]}: {what} must not contain {found.group()!a}"
        )
    return value


def _edits(tree: Tree, field: str) -> HeaderEdits:
    """Of entries with one name only the first counts (HTTPHeaderFilter)."""

    def pairs(kind: str) -> tuple[tuple[str, str], ...]:
        found: dict[str, tuple[str, str]] = {}
        for i, entry in enumerate(tree.get(kind) or ()):
            _shown(str(entry.get("value") or ""), NO_VALUE, f"{field}.{kind}[{i}].value", "the value of a header")
            found.setdefault(str(entry["name"]).lower(), (str(entry["name"]), str(entry.get("value") or "")))
        return tuple(found.values())

    return HeaderEdits(pairs("set"), pairs("add"), tuple(str(n) for n in tree.get("remove") or ()))


def _path(tree: Tree | None, field: str) -> tuple[str, str]:
    if not tree:
        return "", ""
    name = "replaceFullPath" if tree.get("type") == "ReplaceFullPath" else "replacePrefixMatch"
    value = _shown(str(tree.get(name) or ""), NO_PATH, f"{field}.{name}", "a path")
    return "full" if name == "replaceFullPath" else "prefix", value


def _redirect(tree: Tree, scheme: str, port: int, field: str) -> Redirect:
    """At a listener of `scheme` and `port` (HTTPRequestRedirectFilter.port): a scheme that is named brings its own port, and
    well-known ports are not written."""
    wanted = str(tree.get("scheme") or "")
    number = int(tree.get("port") or 0) or (WELL_KNOWN.get(wanted, 0) if wanted else port)
    if number == WELL_KNOWN.get(wanted or scheme):
        number = 0
    path = _path(tree.get("path"), f"{field}.path")
    return Redirect(wanted, str(tree.get("hostname") or ""), number, *path, int(tree.get("statusCode") or 302))


def _cors(tree: Tree) -> Cors:
    def words(name: str) -> tuple[str, ...]:
        return tuple(str(w) for w in tree.get(name) or ())

    return Cors(
        words("allowOrigins"),
        words("allowMethods"),
        words("allowHeaders"),
        words("exposeHeaders"),
        bool(tree.get("allowCredentials")),
        int(tree.get("maxAge", 5)),
    )


def _fraction(tree: Tree) -> tuple[int, int]:
    if tree.get("percent") is not None:
        return int(tree["percent"]), 100
    fraction = tree.get("fraction")
    if fraction:
        return int(fraction.get("numerator") or 0), int(fraction.get("denominator") or 100)
    return 100, 100


def read(entries: Any, field: str, scheme: str, port: int, mirrored: Mirrored) -> Filters:
    """The filters of a list, all of them; Unsupported or Incompatible where a rule cannot be made of them."""
    request, response, rewrite = HeaderEdits(), HeaderEdits(), Rewrite()
    redirect: Redirect | None = None
    cors: Cors | None = None
    mirrors: list[Mirror] = []
    broken = ""
    for i, entry in enumerate(entries or ()):
        kind = entry["type"]
        here = f"{field}[{i}].{kind[0].lower()}{kind[1:]}"
        if kind == "RequestHeaderModifier":
            request = _edits(entry.get("requestHeaderModifier") or {}, here)
        elif kind == "ResponseHeaderModifier":
            response = _edits(entry.get("responseHeaderModifier") or {}, here)
        elif kind == "RequestRedirect":
            redirect = _redirect(entry.get("requestRedirect") or {}, scheme, port, here)
        elif kind == "URLRewrite":
            tree = entry.get("urlRewrite") or {}
            rewrite = Rewrite(
                str(tree.get("hostname") or ""), *_path(tree.get("path"), f"{field}[{i}].urlRewrite.path")
            )
        elif kind == "RequestMirror":
            tree = entry.get("requestMirror") or {}
            cluster = mirrored(tree.get("backendRef") or {})
            if cluster:
                mirrors.append(Mirror(cluster, *_fraction(tree)))
        elif kind == "CORS":
            cors = _cors(entry.get("cors") or {})
        elif kind == "ExtensionRef":
            # HTTPRouteFilter.extensionRef: a filter that cannot be resolved must not be skipped.
            ref = entry.get("extensionRef") or {}
            broken = f"{ref.get('kind')} {ref.get('name')} is no filter that is known"
        else:
            raise Unsupported(f"{field}[{i}].type: {kind} is not supported")
    if redirect is not None and rewrite != Rewrite():
        raise Incompatible(f"{field}: RequestRedirect and URLRewrite cannot stand together")
    return Filters(request, response, redirect, rewrite, tuple(mirrors), cors, broken)
