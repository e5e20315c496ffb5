"""One request on its way through the door: what the metrics, the request log and the audit log are told of it; pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from seaway.api.kinds import Kind
from seaway.cluster.apiserver.auditing.policy import Config
from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.options import APPLY
from seaway.cluster.apiserver.requests import RequestInfo

TRACE = "seaway.trace"  # the name under which a request carries it
LONG_SUBRESOURCES = frozenset({"attach", "exec", "log", "portforward", "proxy"})
VERBS = {
    "get": "GET",
    "list": "LIST",
    "watch": "WATCH",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETECOLLECTION",
}


@dataclass(slots=True)
class Trace:
    """Filled as the door finds out. `begun` is monotonic, `received` of the clock; `user` is who asked, `acting` who it is
    decided for where that is somebody else. `kind` None: no resource that is served. `body` as it came."""

    begun: float
    received: float
    id: str
    method: str
    uri: str
    info: RequestInfo
    agent: str = ""
    source: tuple[str, ...] = ()
    accept: str = ""
    user: User | None = None
    acting: User | None = None
    kind: Kind | None = None
    media: str = ""
    body: bytes = b""
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    name: str = ""  # of a new object, where the path has none
    labels: tuple[str, ...] | None = None  # in metrics; None: not made yet
    config: Config | None = None  # what the audit log is told; None: nobody has asked its policy yet

    @property
    def long(self) -> bool:
        """Whether it may go on for long by its nature (genericfilters.BasicLongRunningRequestCheck)."""
        info = self.info
        return info.is_resource and (info.verb == "watch" or info.subresource in LONG_SUBRESOURCES)

    @property
    def verb(self) -> str:
        """The verb in metrics (endpoints/metrics cleanVerb)."""
        info = self.info
        if not info.is_resource:
            return self.method
        if info.subresource in LONG_SUBRESOURCES:
            return "CONNECT"
        if info.verb == "patch" and self.media == APPLY:
            return "APPLY"
        return VERBS.get(info.verb, "other")

    @property
    def scope(self) -> str:
        """How much a request is about (endpoints/metrics CleanScope)."""
        info = self.info
        if not info.is_resource:
            return ""
        if info.name or info.verb == "create":
            return "resource"
        return "namespace" if info.namespace else "cluster"
