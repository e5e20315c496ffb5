"""What pods need from the API beside themselves: the ConfigMaps and Secrets they show, and tokens.

Each object is watched while a pod of this node needs it, and no longer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from seaway.api.tree import seconds
from seaway.client.errors import Unavailable
from seaway.client.informer import Informer
from seaway.client.rest import Api, kind_of

Tree = dict[str, Any]
SYNC_WITHIN = 5.0


@dataclass(slots=True)
class _Watched:
    informer: Informer
    task: asyncio.Task[None]
    users: set[str] = field(default_factory=set)


class Objects:
    """ConfigMaps and Secrets by need. `changed(uid)` is called for each pod whose object changed."""

    def __init__(self, api: Api, changed: Callable[[str], None]) -> None:
        self._api, self._changed = api, changed
        self._watched: dict[tuple[str, str, str], _Watched] = {}

    async def need(self, uid: str, namespace: str, wanted: set[tuple[str, str]]) -> None:
        """Makes sure that these (resource, name) are watched and known."""
        fresh = []
        for resource, name in sorted(wanted):
            key = (resource, namespace, name)
            if key not in self._watched:
                informer = Informer(self._api, kind_of(resource), namespace, {"fieldSelector": f"metadata.name={name}"})
                entry = _Watched(informer, asyncio.ensure_future(informer.run()))
                informer.listen(lambda change, entry=entry: self._tell(entry))  # type: ignore[misc]
                self._watched[key] = entry
            self._watched[key].users.add(uid)
            fresh.append(self._watched[key].informer.synced.wait())
        if fresh:
            try:
                await asyncio.wait_for(asyncio.gather(*fresh), SYNC_WITHIN)
            except TimeoutError:
                raise Unavailable("the API server does not answer") from None

    def _tell(self, entry: _Watched) -> None:
        for uid in tuple(entry.users):
            self._changed(uid)

    def get(self, resource: str, namespace: str, name: str) -> Tree | None:
        entry = self._watched.get((resource, namespace, name))
        return entry.informer.get(namespace, name) if entry else None

    def forget(self, uid: str) -> None:
        for key in list(self._watched):
            entry = self._watched[key]
            entry.users.discard(uid)
            if not entry.users:
                entry.task.cancel()
                del self._watched[key]


class Tokens:
    """Bound ServiceAccount tokens, renewed at four fifths of their life."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._kept: dict[tuple[str, str], tuple[str, float]] = {}

    async def get(self, pod: Tree, audience: str, lifetime: int) -> tuple[str, float]:
        """(token, when it is to be renewed)."""
        meta = pod["metadata"]
        key = (meta["uid"], audience)
        kept = self._kept.get(key)
        if kept and kept[1] > time.time():
            return kept
        spec: Tree = {
            "expirationSeconds": lifetime,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]},
        }
        if audience:
            spec["audiences"] = [audience]
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        account = pod["spec"].get("serviceAccountName") or "default"
        answer = await self._api.create(kind_of("serviceaccounts"), meta["namespace"], body, "token", account)
        status = answer["status"]
        expires = seconds(status["expirationTimestamp"]) or 0.0
        due = time.time() + (expires - time.time()) * 0.8
        self._kept[key] = (status["token"], due)
        return self._kept[key]

    def forget(self, uid: str) -> None:
        for key in [k for k in self._kept if k[0] == uid]:
            del self._kept[key]
