"""From the API to the store: informers that keep rows and no objects."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from seaway.client.api import Reads, kind_of
from seaway.client.errors import ApiStatusError
from seaway.client.informer import Informer
from seaway.client.reflector import Change
from seaway.dns.settings import Kubernetes
from seaway.dns.zone import rows
from seaway.dns.zone.rows import ServiceRow, Tree
from seaway.dns.zone.store import Store

log = logging.getLogger("dns")
WAITING = 60.0  # seconds between lines that say what the first sync waits for
OBJECTS, SLICES = 100, 10  # a page: of slices a thousand endpoints; it is what a list costs beside what is kept
ROW = "row"


class Kept(dict[str, Any]):
    """What an informer keeps of an object, in the form of a tree and a fifth of its size: names, version, row."""

    __slots__ = ("name", "namespace", "row", "version")

    def __init__(self, tree: Tree, row: object) -> None:
        meta = tree["metadata"]
        self.name: str = meta["name"]
        self.namespace = sys.intern(meta.get("namespace") or "")
        self.version: str = meta.get("resourceVersion") or ""
        self.row = row

    def __getitem__(self, field: str) -> Any:
        return self.row if field == ROW else self if field == "metadata" else self.get(field)

    def __bool__(self) -> bool:
        return True

    def get(self, field: str, default: Any = None) -> Any:
        match field:
            case "metadata":
                return self
            case "name":
                return self.name
            case "namespace":
                return self.namespace or default
            case "resourceVersion":
                return self.version
        return default


class Feed:
    """Keeps a store true. `server`: where the API is, for messages.
    `changed` is called once for what came together, `synced` is set when the first lists are in."""

    def __init__(
        self, api: Reads, store: Store, settings: Kubernetes, changed: Callable[[], None], server: str = ""
    ) -> None:
        self.store, self._settings, self._changed, self._server = store, settings, changed, server or "its address"
        self.synced = asyncio.Event()
        self._scheduled = False
        pod_names = settings.endpoint_pod_names
        selector = {"labelSelector": settings.labels} if settings.labels else {}
        chosen = {"labelSelector": settings.namespace_labels} if settings.namespace_labels else {}
        self._services = _informer(api, "services", rows.service, selector)
        self._namespaces = _informer(api, "namespaces", lambda t: None, chosen)
        self._services.listen(self._service)
        self._namespaces.listen(self._namespace)
        self._informers = [self._services, self._namespaces]
        if not settings.noendpoints:
            shaped = partial(rows.endpoint_slice, pod_names=pod_names)
            slices = _informer(api, "endpointslices.discovery.k8s.io", shaped, page=SLICES)
            slices.listen(self._slice)
            self._informers.append(slices)
        if settings.pods == "verified":
            pods = _informer(api, "pods", rows.pod_addresses)
            pods.listen(self._pod)
            self._informers.append(pods)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for informer in self._informers:
                group.create_task(informer.run())
            telling = group.create_task(self._tell_waiting())
            for informer in self._informers:
                await informer.synced.wait()
            telling.cancel()
            self.store.serial = int(time.time())
            self.store.follow()
            self.synced.set()
            log.info("synced: %d Services, %d EndpointSlices", len(self.store.services), len(self.store.slices))

    async def _tell_waiting(self) -> None:
        """While the first lists do not come: what is missing, and what to do."""
        wait = self._settings.startup_timeout
        while True:
            await asyncio.sleep(wait)
            wait = WAITING
            missing = [i for i in self._informers if not i.synced.is_set()]
            log.warning("not ready: %s", _why(self._server, missing))

    def _service(self, change: Change) -> None:
        row: ServiceRow | None = change.new[ROW] if change.new else None
        self.store.put_service(row.key if row else rows.service_key(*change.key), row)
        self._touch()

    def _slice(self, change: Change) -> None:
        name = f"{change.key.namespace}/{change.key.name}"
        self.store.put_slice(name, change.new[ROW] if change.new else None)
        self._touch()

    def _namespace(self, change: Change) -> None:
        name = change.key.name
        wanted = not self._settings.namespaces or name in self._settings.namespaces
        self.store.put_namespace(name, change.new is not None and wanted)
        self._touch()

    def _pod(self, change: Change) -> None:
        key = f"{change.key.namespace}/{change.key.name}"
        self.store.put_pod(key, change.key.namespace, change.new[ROW] if change.new else ())
        self._touch()

    def _touch(self) -> None:
        if self.store.following and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._scheduled = False
        if self.store.changes:
            self.store.serial = int(time.time())
            self._changed()


def _informer(
    api: Reads, resource: str, of: Callable[[Tree], object], query: Mapping[str, str] | None = None, page: int = OBJECTS
) -> Informer:
    """One that keeps `of` of each object. Of a list that comes anew, what has not changed is what is kept already: no memory is
    taken twice."""

    def shaped(tree: Tree) -> Tree:
        meta = tree["metadata"]
        old = informer.get(meta.get("namespace") or "", meta["name"])
        if isinstance(old, Kept) and old.version and old.version == meta.get("resourceVersion"):
            return old
        return Kept(tree, of(tree))

    informer = Informer(api, kind_of(resource), "", query, shaped, page)
    return informer


def _why(server: str, missing: list[Informer]) -> str:
    """What keeps the lists from coming, in the words of who can help it."""
    refused = {i.kind.resource: i.trouble.code for i in missing if isinstance(i.trouble, ApiStatusError)}
    named = ", ".join(i.kind.resource for i in missing)
    forbidden = [n for n, code in refused.items() if code == 403]
    if forbidden:
        role = "bind a ClusterRole that may to this ServiceAccount (docs/dns.md has a manifest)"
        return f"may not list and watch {', '.join(forbidden)}: {role}, or give this user the same rights"
    if 401 in refused.values():
        return f"the API server at {server} does not know these credentials: see the token, or the kubeconfig's user"
    trouble = next((str(i.trouble) for i in missing if i.trouble is not None), "")
    if trouble and not refused:
        return f"the API server at {server} cannot be reached ({trouble}): see its address, the network and the server itself"
    return f"{named} have not come yet from the API server at {server}" + (f" ({trouble})" if trouble else "")
