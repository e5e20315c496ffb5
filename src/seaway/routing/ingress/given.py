"""An Ingress's annotations as fields of policies, with the Secrets and Services that they name."""

from __future__ import annotations

from typing import Any, NamedTuple

from seaway.api.tree import Key
from seaway.routing.incremental import View
from seaway.routing.ingress.annotations import Annotations
from seaway.routing.ingress.annotations.access import Asked, Users
from seaway.routing.ingress.annotations.reading import field
from seaway.routing.ingress.annotations.values import Unreadable, header_name, header_value
from seaway.routing.ingress.problems import ANNOTATION, CLOSED, Problem
from seaway.routing.ingress.upstream import named
from seaway.routing.ir import Cluster, Mirror
from seaway.routing.policies.rules import Given
from seaway.routing.policies.security import Unusable, decoded, htpasswd
from seaway.routing.policies.targets import Won
from seaway.routing.policy import BasicAuth, External

PATIENCE = 5  # seconds for whom is asked, where no annotation says how long backends have


class Said(NamedTuple):
    """What annotations say of an Ingress's rules. `mirrors` are no field of a policy."""

    given: Given
    mirrors: tuple[Mirror, ...]
    problems: tuple[Problem, ...]


def said_by(view: View, key: Key, annotations: Annotations) -> Said:
    problems: list[Problem] = []
    clusters: list[Cluster] = []
    closed = annotations.closed

    def won(value: Any) -> Won:
        return Won(value, key)

    traffic = {
        "loadBalancing": annotations.balancing,
        "sessionPersistence": annotations.session,
        "timeouts": {"connect": f"{annotations.timeouts.connect}s"} if annotations.timeouts.connect else None,
        "retry": annotations.retry,
        "rateLimits": annotations.limits or None,
        "maxRequestBody": str(annotations.largest_body) if annotations.largest_body else None,
    }
    access = annotations.access
    security: dict[str, Any] = {
        "cors": annotations.cors,
        "allow": access.allow or None,
        "deny": access.deny or None,
    }
    try:
        security["basicAuth"] = _users(view, key, access.users)
        security["externalAuth"] = _asked(view, key, access.asked, annotations.timeouts.read, clusters, problems)
    except Unusable as e:
        closed = closed or str(e)
        problems.append(Problem(CLOSED, f"{e}; all requests of the Ingress are answered with 500"))
    mirrors: tuple[Mirror, ...] = ()
    if annotations.backends.mirror is not None:
        try:
            copies = named(view, key.namespace, annotations.backends.mirror)
        except Unreadable as e:
            problems.append(Problem(ANNOTATION, f"{field('mirror-target')}: {e}; nothing is copied"))
        else:
            clusters.append(copies)
            mirrors = (Mirror(copies.name),)
    given = Given(
        {name: won(value) for name, value in traffic.items() if value is not None},
        {name: won(value) for name, value in security.items() if value is not None},
        closed,
        tuple(clusters),
    )
    return Said(given, mirrors, tuple(problems))


def _users(view: View, key: Key, users: Users | None) -> BasicAuth | None:
    if users is None:
        return None
    where = f"{field('auth-secret')}: Secret {key.namespace}/{users.secret}"
    secret = view.get("secrets", key.namespace, users.secret)
    if secret is None:
        raise Unusable(f"{where} does not exist")
    data = secret.get("data") or {}
    if users.form == "auth-map":  # dumpSecretAuthMap: an entry is a user, its value the hash
        text = "\n".join(f"{name}:{(decoded(value) or '').strip()}" for name, value in sorted(data.items()))
    else:
        text = decoded(data.get("auth")) or ""
    return BasicAuth(htpasswd(text, where), users.realm)


def _asked(
    view: View, key: Key, asked: Asked | None, seconds: int, clusters: list[Cluster], problems: list[Problem]
) -> External | None:
    if asked is None:
        return None
    try:
        cluster = named(view, key.namespace, asked.url)
    except Unreadable as e:
        raise Unusable(f"{field('auth-url')}: {e}") from None
    said = _headers(view, key, asked.config, problems)
    clusters.append(cluster)
    return External(
        cluster.name,
        "request",
        asked.url.path or "/",
        float(seconds or PATIENCE),
        headers_out=asked.headers,
        method=asked.method,
        host=asked.url.authority,
        signin=asked.signin,
        headers_set=said,
    )


def _headers(view: View, key: Key, config: str, problems: list[Problem]) -> tuple[tuple[str, str], ...]:
    """The headers of a ConfigMap for whom is asked. One that is missing, or a name that is none, lets nobody pass, as in
    ingress-nginx; a value that cannot be said is told of."""
    if not config:
        return ()
    where = f"{field('auth-proxy-set-headers')}: ConfigMap {key.namespace}/{config}"
    tree = view.get("configmaps", key.namespace, config)
    if tree is None:
        raise Unusable(f"{where} does not exist")
    found = []
    for name, value in sorted((tree.get("data") or {}).items()):
        try:
            header = header_name(str(name))
        except Unreadable as e:
            raise Unusable(f"{where}: data[{str(name)[:100]}]: {e}") from None
        try:
            if "$" in str(value) or header.startswith("x-seaway-"):
                raise Unreadable("variables of nginx, and headers of the proxy's own, cannot be said")
            found.append((header, header_value(str(value).strip())))
        except Unreadable as e:
            problems.append(Problem(ANNOTATION, f"{where}: data[{name}]: {e}; it is left out"))
    return tuple(found)
