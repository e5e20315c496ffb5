"""The annotations of ingress-nginx, read typed: text becomes values, and says what is wrong with it.

- `names`: every annotation, with how it is carried out or why it is ignored; `values`: what single values may be.
- `reading`: by name, with defaults and problems. A value that cannot be read counts as not given; one that keeps requests away
  closes the Ingress's paths.
- By meaning: `sessions`, `balancing`, `backends`, `timeouts`, `limits`, `rewriting`, `redirects`, `sharing` (CORS), `access`,
  `canary`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from seaway.routing.ingress.annotations.access import Access, access
from seaway.routing.ingress.annotations.backends import Backends, backends
from seaway.routing.ingress.annotations.balancing import load_balancing
from seaway.routing.ingress.annotations.canary import OWN, Canary, canary
from seaway.routing.ingress.annotations.limits import largest_body, rate_limits
from seaway.routing.ingress.annotations.names import PREFIX
from seaway.routing.ingress.annotations.reading import Reader
from seaway.routing.ingress.annotations.redirects import Redirects, redirects
from seaway.routing.ingress.annotations.rewriting import Rewriting, rewriting
from seaway.routing.ingress.annotations.sessions import session
from seaway.routing.ingress.annotations.sharing import cors
from seaway.routing.ingress.annotations.timeouts import Timeouts, retry, timeouts
from seaway.routing.ingress.annotations.values import Unreadable, flag
from seaway.routing.ingress.problems import Problem
from seaway.routing.ir import Retry, Session
from seaway.routing.policy import RateLimit

Tree = dict[str, Any]


class Annotations(msgspec.Struct, frozen=True):
    """All that an Ingress says by them. `balancing` and `cors` are fields of policies; `closed`: why nobody may pass."""

    redirects: Redirects = Redirects()
    rewriting: Rewriting = Rewriting()
    backends: Backends = Backends()
    timeouts: Timeouts = Timeouts()
    access: Access = Access()
    session: Session | None = None
    balancing: Tree | None = None
    retry: Retry | None = None
    limits: tuple[RateLimit, ...] = ()
    largest_body: int = 0
    cors: Tree | None = None
    canary: Canary | None = None
    passthrough: bool = False
    problems: tuple[Problem, ...] = ()
    closed: str = ""


NONE = Annotations()


def read(annotations: Mapping[str, str], namespace: str = "") -> Annotations:
    """What the annotations of an Ingress in a namespace say."""
    if not any(name.startswith(PREFIX) for name in annotations):
        return NONE
    reader = Reader(annotations, namespace)
    found = Annotations(
        redirects(reader),
        rewriting(reader),
        backends(reader),
        timeouts(reader),
        access(reader),
        session(reader),
        load_balancing(reader),
        retry(reader),
        rate_limits(reader),
        largest_body(reader),
        cors(reader),
        canary(reader),
        reader.get("ssl-passthrough", flag, False, "false is taken"),
    )
    reader.rest()
    return msgspec.structs.replace(found, problems=tuple(reader.problems), closed=reader.closed)


def is_canary(annotations: Mapping[str, str]) -> bool:
    """Whether an Ingress serves others' paths, and none of its own."""
    try:
        return flag(str(annotations.get(PREFIX + "canary", "")).strip())
    except Unreadable:
        return False


__all__ = ["NONE", "OWN", "PREFIX", "Annotations", "is_canary", "read"]
