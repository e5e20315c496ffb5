"""Sessions of rules with several backends: the session's cookie names an endpoint, which means nothing in another cluster.

So a second cookie says which cluster it was. Whoever shows it gets a route of that cluster's own, before chance has its say; a
cluster that has lost its weight has no such route, and its clients are shared out anew.
"""

from __future__ import annotations

import zlib
from typing import Any

from seaway.envoy.translation import headers
from seaway.routing.ir import Forward, HeaderEdits, Session, Target


def session_of(action: Forward, targets: list[Target]) -> Session | None:
    """The session whose clients have to keep to a cluster."""
    session = action.session
    return session if session is not None and session.kind == "cookie" and len(targets) > 1 else None


def kept(targets: list[Target]) -> list[Target]:
    """The targets that clients can keep to."""
    found = {t.cluster: t for t in reversed(targets) if t.cluster and t.redirect is None}
    return [found[name] for name in sorted(found)]


def _token(target: Target) -> str:
    return f"{zlib.crc32(target.cluster.encode()):08x}"


def _cookie(session: Session) -> str:
    return f"{session.name}-share"


def match(route: Any, session: Session, target: Target) -> None:
    """Into a RouteMatch: requests that show the target's cookie."""
    name = "".join(c if c.isalnum() or c in "-_" else f"\\{c}" for c in _cookie(session))
    matcher = route.headers.add(name="cookie")
    matcher.string_match.safe_regex.regex = f"(?:.*; *)?{name}={_token(target)}(?: *;.*)?"


def told(target: Target, session: Session) -> Target:
    """The target with an answer that says which it was."""
    if not target.cluster or target.redirect is not None:
        return target
    lasting = f"; Max-Age={session.seconds}" if session.permanent and session.seconds else ""
    more = "".join(f"; {name}={value}" if value else f"; {name}" for name, value in session.attributes)
    value = f"{_cookie(session)}={_token(target)}; Path={session.path or '/'}{lasting}; HttpOnly{more}"
    return Target(
        target.cluster,
        target.weight,
        target.request,
        headers.then(target.response, HeaderEdits(add=(("set-cookie", value),))),
        target.rewrite,
        target.redirect,
        target.why,
        target.title,
    )
