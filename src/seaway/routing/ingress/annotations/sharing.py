"""CORS (ingress-nginx, annotations/cors)."""

from __future__ import annotations

import re
from typing import Any

from seaway.routing.ingress.annotations.reading import Reader
from seaway.routing.ingress.annotations.values import Unreadable, flag, tokens, whole, words

Tree = dict[str, Any]
ORIGIN = re.compile(r"([a-z]+://(\*\.)?[A-Za-z0-9\-.]*(:[0-9]{1,5})?|\*|null)\Z")  # corsOriginRegex
METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS")
HEADERS = tuple(
    "DNT Keep-Alive User-Agent X-Requested-With If-Modified-Since Cache-Control Content-Type Range Authorization".split()
)
MAX_AGE = 1728000


def methods(text: str) -> tuple[str, ...]:
    found = words(text)
    if not all(re.fullmatch("[A-Za-z]{1,32}", w) for w in found):
        raise Unreadable("must be methods, apart by commas")
    return tuple(w.upper() for w in found)


def cors(reader: Reader) -> Tree | None:
    """The field `cors` of a SecurityPolicy."""
    enabled = reader.get("enable-cors", flag, False, "false is taken")
    origins = []
    given = reader.get("cors-allow-origin", words, ("*",))
    for origin in given:
        if ORIGIN.match(origin):
            origins.append(origin)
        else:
            reader.wrong("cors-allow-origin", f'"{origin[:100]}" is no origin as https://example.com; it is left out')
    if "*" in origins:
        origins = ["*"]
    tree: Tree = {
        "allowOrigins": origins,
        "allowMethods": list(reader.get("cors-allow-methods", methods, METHODS, "the default is taken")),
        "allowHeaders": list(reader.get("cors-allow-headers", tokens, HEADERS, "the default is taken")),
        "exposeHeaders": list(reader.get("cors-expose-headers", tokens, ())),
        # With `*` a browser takes no credentials (Fetch 3.2.5); a proxy that names the origin instead would let it.
        "allowCredentials": reader.get("cors-allow-credentials", flag, True, "false is taken") and origins != ["*"],
        "maxAge": reader.get("cors-max-age", whole(0), MAX_AGE, f"{MAX_AGE} is taken"),
    }
    return tree if enabled else None
