"""What the gateway knows of a cluster: informers for all kinds that are served, every change handed on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import Any

from seaway.api.kinds import Kind
from seaway.api.tree import Key
from seaway.client.errors import ApiStatusError, NotFound, Unavailable
from seaway.client.informer import Informer
from seaway.client.reflector import Change
from seaway.client.rest import Rest
from seaway.gateway.kinds import BUILTIN, CUSTOM, GROUP, KINDS, builtin, served
from seaway.routing.fleets import CUT

Tree = dict[str, Any]
log = logging.getLogger("seaway.gateway")
ASK_AGAIN = 5.0  # seconds until kinds that are not served are looked for anew
LOOK = 1.0  # seconds between two looks at what keeps the first lists from being complete
KEYS_OF_SECRETS = ("tls.crt", "tls.key", "ca.crt", "auth")
LARGEST_MAP = 1 << 16  # bytes of a ConfigMap that is kept whole; of a larger one the authorities


def kept(resource: str, tree: Tree) -> Tree:
    """An object without what is never read: there may be many, and large ones."""
    meta = tree["metadata"]
    meta.pop("managedFields", None)
    if "annotations" in meta:
        meta["annotations"].pop("kubectl.kubernetes.io/last-applied-configuration", None)
    if resource == "secrets":
        data = tree.get("data") or {}
        if tree.get("type") != "Opaque" or sum(map(len, data.values())) > LARGEST_MAP:
            tree["data"] = {k: data[k] for k in KEYS_OF_SECRETS if k in data}
    elif resource == "configmaps":
        data = tree.get("data") or {}
        tree.pop("binaryData", None)
        if sum(map(len, data.values())) > LARGEST_MAP:
            tree["data"] = {k: v for k, v in data.items() if k == "ca.crt"}
            tree[CUT] = True
    elif resource == "endpointslices":
        for endpoint in tree.get("endpoints") or ():
            endpoint.pop("targetRef", None)
    return tree


DEFINITION = Kind(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False, ("get",)
)
BUNDLE_VERSION = "gateway.networking.k8s.io/bundle-version"


async def bundle_version(api: Rest) -> str | None:
    """The version of Gateway API's kinds that are installed, "" where they have none; None where that cannot be known."""
    try:
        tree = await api.get(DEFINITION, "", f"gatewayclasses.{GROUP}")
    except (ApiStatusError, Unavailable):
        return None
    return str((tree["metadata"].get("annotations") or {}).get(BUNDLE_VERSION) or "")


async def discovered(api: Rest) -> dict[str, Kind]:
    """The custom kinds that an API server serves."""
    found: dict[str, Kind] = {}
    for group, (_, versions) in CUSTOM.items():
        try:
            said = await api.request("GET", f"/apis/{group}")
        except NotFound:
            continue
        resources = {}
        for version in [v["version"] for v in said.get("versions") or ()]:
            if version in versions:
                listed = await api.request("GET", f"/apis/{group}/{version}")
                resources[version] = [r["name"] for r in listed.get("resources") or ()]
        found.update(served(group, resources))
    return found


class Watching:
    """`tell(resource, key, tree or None)` is called for each change, and once for each object that is there."""

    def __init__(self, api: Rest, resources: Iterable[str], tell: Callable[[str, Key, Tree | None], None]) -> None:
        self._api, self._tell = api, tell
        self._resources = tuple(resources)
        self.informers: dict[str, Informer] = {}
        self.kinds: dict[str, Kind] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._began = False  # all that was served at first has been listed
        self.complete = asyncio.Event()  # all that is followed has been listed; until then nothing may be decided of it

    async def run(self) -> None:
        """Until cancelled. Kinds that come later are followed when they come."""
        async with asyncio.TaskGroup() as group:
            for resource in self._resources:
                if resource in BUILTIN:
                    self._follow(group, resource, builtin(resource))
            while True:
                missing = [r for r in self._resources if r in KINDS and r not in self.informers]
                known = False
                if missing:
                    try:
                        found = await discovered(self._api)
                        known = True
                        for resource in missing:
                            if resource in found:
                                # Half of the new kinds would be half a world: routes without their Gateways, or the other way.
                                self.complete.clear()
                                self._follow(group, resource, found[resource])
                    except (ApiStatusError, Unavailable) as e:
                        log.warning("what kinds are served: %s; asking again in %.0f s", e, ASK_AGAIN)
                if known or not missing:
                    await self._listed()
                await asyncio.sleep(ASK_AGAIN)

    async def _listed(self) -> None:
        """Waits for the first lists. Kinds that are gone again before theirs are forgotten; for one that came later and cannot be
        listed what is already at work does not wait."""
        while not self.complete.is_set():
            waiting = {r: i for r, i in self.informers.items() if not i.synced.is_set()}
            for resource, informer in list(waiting.items()):
                if resource not in BUILTIN and isinstance(informer.trouble, NotFound):
                    self._tasks.pop(resource).cancel()
                    del self.informers[resource], self.kinds[resource], waiting[resource]
                elif self._began and informer.trouble is not None:
                    log.warning("%s: %s: going on without them", resource, informer.trouble)
                    del waiting[resource]
            if not waiting:
                self._began = True
                self.complete.set()
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await asyncio.gather(*(i.synced.wait() for i in waiting.values()))

    def _follow(self, group: asyncio.TaskGroup, resource: str, kind: Kind) -> None:
        informer = Informer(self._api, kind, transform=lambda tree: kept(resource, tree))

        def changed(change: Change) -> None:
            self._tell(resource, change.key, change.new)

        informer.listen(changed)
        self.informers[resource], self.kinds[resource] = informer, kind
        self._tasks[resource] = group.create_task(informer.run())

    def listed(self, resource: str) -> bool:
        """All that there is of a resource is known."""
        informer = self.informers.get(resource)
        return informer is not None and informer.synced.is_set()

    def all(self, resource: str) -> Iterable[Tree]:
        """What there is of a resource."""
        informer = self.informers.get(resource)
        return informer.all() if informer is not None else ()

    def get(self, resource: str, key: Key) -> Tree | None:
        informer = self.informers.get(resource)
        return informer.get(*key) if informer is not None else None
