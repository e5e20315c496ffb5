"""How requests are spread over endpoints (ingress-nginx, annotations/loadbalancing and annotations/upstreamhashby)."""

from __future__ import annotations

import re
from typing import Any

from seaway.routing.ingress.annotations.reading import Reader
from seaway.routing.ingress.annotations.values import Unreadable, one_of

Tree = dict[str, Any]
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
ALGORITHMS = {"round_robin": "RoundRobin", "ewma": "LeastRequest"}
PLAIN: dict[str, Tree] = {
    "remote_addr": {"type": "ClientIP"},
    "binary_remote_addr": {"type": "ClientIP"},
    "request_uri": {"type": "Header", "name": ":path"},
    "uri": {"type": "Header", "name": ":path"},
    "host": {"type": "Header", "name": ":authority"},
    "http_host": {"type": "Header", "name": ":authority"},
    "request_method": {"type": "Header", "name": ":method"},
}


def _key(variable: str) -> Tree:
    if variable in PLAIN:
        return PLAIN[variable]
    for prefix, kind in (("http_", "Header"), ("cookie_", "Cookie"), ("arg_", "QueryParam")):
        name = variable.removeprefix(prefix)
        if name not in ("", variable):
            return {"type": kind, "name": name.replace("_", "-").lower() if kind == "Header" else name}
    raise Unreadable(f"${variable} is not known here")


def hash_keys(text: str) -> list[Tree]:
    """Of `$request_uri`, `${remote_addr}$http_x_user`, ...: text between variables says nothing."""
    found = [_key(braced or plain) for braced, plain in VARIABLE.findall(text)]
    if not found:
        raise Unreadable("must have a variable as $request_uri or $remote_addr")
    if len(found) > 4:
        raise Unreadable("may have four variables at most")
    return found


def load_balancing(reader: Reader) -> Tree | None:
    """The field `loadBalancing` of a BackendTrafficPolicy."""
    algorithm = reader.get("load-balance", one_of(*ALGORITHMS), "")
    keys = reader.get("upstream-hash-by", hash_keys, None)
    if keys is not None:
        return {"algorithm": "RingHash", "hashOn": keys}
    return {"algorithm": ALGORITHMS[algorithm]} if algorithm else None
