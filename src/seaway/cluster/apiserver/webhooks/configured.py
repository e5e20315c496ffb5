"""Webhooks as their configurations have them, in the order in which they are asked; pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Tree = dict[str, Any]
HTTPS = 443


@dataclass(frozen=True, slots=True)
class Service:
    namespace: str
    name: str
    port: int = HTTPS

    @property
    def host(self) -> str:
        """The name that its certificate must have."""
        return f"{self.name}.{self.namespace}.svc"


@dataclass(frozen=True, slots=True)
class Client:
    """Where a webhook's server is: by URL, or behind a Service. `ca` is PEM; empty: the machine's authorities."""

    url: str = ""
    service: Service | None = None
    path: str = ""
    ca: bytes = b""

    def shown(self, seconds: float | None) -> str:
        """The URL that errors tell; the time-out is a parameter, to inform the server (rest.Request.Timeout)."""
        if self.service is not None:
            path = self.path if self.path.startswith("/") or not self.path else f"/{self.path}"
            whole = f"https://{self.service.host}:{self.service.port}{path}"
        else:
            parts = urlsplit(self.url)
            whole = f"{parts.scheme}://{parts.netloc}{parts.path}"
        return whole if seconds is None else f"{whole}?timeout={seconds:g}s"


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook. `uid` tells it from others of the same name; `reinvoked`: it is asked again when later ones change
    the object. `conditions` are its matchConditions."""

    name: str
    configuration: str
    uid: str
    client: Client
    rules: tuple[Tree, ...]
    match_policy: str
    namespace_selector: Tree
    object_selector: Tree
    fails_open: bool
    side_effects: str
    seconds: int
    versions: tuple[str, ...]
    reinvoked: bool
    conditions: tuple[Tree, ...]


def client(tree: Tree) -> Client:
    """A WebhookClientConfig."""
    try:
        ca = base64.b64decode(tree.get("caBundle") or "").strip()
    except (binascii.Error, ValueError):
        ca = b""
    service = tree.get("service")
    if service is None:
        return Client(tree.get("url") or "", ca=ca)
    where = Service(service.get("namespace", ""), service.get("name", ""), service.get("port") or HTTPS)
    return Client(service=where, path=service.get("path") or "", ca=ca)


def hooks(configurations: Iterable[Tree]) -> tuple[Hook, ...]:
    """Every webhook, by the names of the configurations and then as each has them."""
    found: list[Hook] = []
    for tree in sorted(configurations, key=lambda t: str(t["metadata"]["name"])):
        configuration, names = tree["metadata"]["name"], dict[str, int]()
        for hook in tree.get("webhooks") or ():
            name = hook.get("name", "")
            found.append(_hook(hook, configuration, f"{configuration}/{name}/{names.get(name, 0)}"))
            names[name] = names.get(name, 0) + 1
    return tuple(found)


def _hook(tree: Tree, configuration: str, uid: str) -> Hook:
    return Hook(
        name=tree.get("name", ""),
        configuration=configuration,
        uid=uid,
        client=client(tree.get("clientConfig") or {}),
        rules=tuple(tree.get("rules") or ()),
        match_policy=tree.get("matchPolicy") or "Equivalent",
        namespace_selector=tree.get("namespaceSelector") or {},
        object_selector=tree.get("objectSelector") or {},
        fails_open=tree.get("failurePolicy") == "Ignore",
        side_effects=tree.get("sideEffects") or "",
        seconds=tree.get("timeoutSeconds") or 10,
        versions=tuple(tree.get("admissionReviewVersions") or ()),
        reinvoked=tree.get("reinvocationPolicy") == "IfNeeded",
        conditions=tuple(tree.get("matchConditions") or ()),
    )
