"""Rewritten paths, of forwarded requests and of redirects: both messages of Envoy have the same fields for it.

Gateway API's table for prefixes (HTTPPathModifier) in Envoy's terms: the replacement has no slash at its end, a replacement
that is nothing leaves what follows the prefix, and "/" as a prefix is the slash alone.
"""

from __future__ import annotations

import re
from typing import Any

from seaway.routing.ir import PathMatch

# What RE2 takes for itself; the paths that are put into patterns are literal.
_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")


def quoted(text: str) -> str:
    """A text that stands for itself in a regex."""
    return _SPECIAL.sub(r"\\\1", text)


def _substitution(text: str) -> str:
    return text.replace("\\", "\\\\")


def _regex(message: Any, pattern: str, substitution: str) -> None:
    message.regex_rewrite.pattern.regex = pattern
    message.regex_rewrite.substitution = substitution


def prefix(message: Any, matched: str, replacement: str) -> None:
    """Replaces the prefix `matched` in a RouteAction or RedirectAction."""
    matched, replacement = matched.rstrip("/"), replacement.rstrip("/")
    if matched == replacement:
        return
    if not replacement:
        # "/foo" -> "/", "/foo/bar" -> "/bar"
        _regex(message, f"^{quoted(matched)}/*", "/")
    elif not matched:
        _regex(message, "^/", _substitution(replacement) + "/")
    else:
        message.prefix_rewrite = replacement


def forwarded(action: Any, kind: str, path: str, pattern: str, matched: PathMatch) -> None:
    """The path of a forwarded request, in a RouteAction."""
    if kind == "full":
        _regex(action, "^/.*$", _substitution(path or "/"))
    elif kind == "regex":
        _regex(action, pattern, path)
    elif kind == "prefix" and matched.kind == "prefix":
        prefix(action, matched.value, path)


def redirected(action: Any, kind: str, path: str, matched: PathMatch) -> None:
    """The path of a Location, in a RedirectAction."""
    if kind == "full":
        action.path_redirect = path or "/"
    elif kind == "prefix" and matched.kind == "prefix":
        prefix(action, matched.value, path)
