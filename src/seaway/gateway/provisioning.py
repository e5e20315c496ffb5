"""Fleets made real: the objects of their Envoys applied, kept, and removed with who wanted them; addresses learnt."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from seaway.api import kinds
from seaway.api.kinds import Kind
from seaway.api.tree import Key
from seaway.client.errors import NotFound
from seaway.client.informer import Informer
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import Rest, kind_of
from seaway.gateway import identity
from seaway.gateway.identity import Authorities
from seaway.gateway.infrastructure import objects, parameters
from seaway.gateway.infrastructure.addresses import addresses
from seaway.gateway.infrastructure.parameters import Parameters
from seaway.gateway.infrastructure.values import FLEET, MANAGED, Owner, Port, Wanted
from seaway.gateway.places import Places
from seaway.routing.fleets import Addresses, FleetSpec
from seaway.routing.ir import Fleet

Tree = dict[str, Any]
log = logging.getLogger("seaway.gateway")
MANAGER = "seaway-gateway"
LOOK_AGAIN = 300.0  # seconds until a fleet's objects are applied anew, whatever anybody did to them
OWNED = ("deployments.apps", "daemonsets.apps", "serviceaccounts", "poddisruptionbudgets.policy")
API_VERSIONS = {"Gateway": "gateway.networking.k8s.io/v1", "IngressClass": "networking.k8s.io/v1"}


class Place(NamedTuple):
    """An object whose parameters may be bad: kind, namespace, name."""

    kind: str
    namespace: str
    name: str


class Provisioning:
    """`own`: the namespace of the controller; `base`: the parameters of those who choose none; `controller`: where fleets find
    xDS."""

    def __init__(
        self,
        api: Rest,
        own: str,
        base: Parameters,
        controller: tuple[str, int],
    ) -> None:
        self._api, self._own, self._base, self._controller = api, own, base, controller
        self._secret: Callable[[Key], Tree | None] = lambda key: None
        self._specs: dict[Fleet, FleetSpec] = {}
        self._places = Places(own, self._owner)
        self._applied: dict[Fleet, dict[str, str]] = {}
        self._data: dict[tuple[str, Key], Tree] = {}  # of Secrets and ConfigMaps, as applied
        self._services: dict[Key, Tree] = {}
        self._one_authority = asyncio.Lock()
        self._news: dict[Fleet, Addresses] = {}
        self._problems: dict[Place, str] = {}
        self._known_problems: dict[Place, str] = {}
        self._swept: dict[Fleet, set[str]] = {}
        self._heard: Callable[[], None] = lambda: None
        self._trust_changed: Callable[[], None] = lambda: None
        self._trusted: dict[str, Any] = {}
        self._applied_at: dict[Fleet, float] = {}
        self._watched: tuple[Informer, ...] = ()
        self._known: frozenset[str] = frozenset()  # kinds of owners of which all that there are is known
        self._more_known = asyncio.Event()
        self.queue: Reconciler[Fleet] = Reconciler("fleet", self._reconcile)
        self.orphans: Reconciler[Key] = Reconciler("orphan", self._remove, 1)

    # what others ask

    def listen(
        self, heard: Callable[[], None], secret: Callable[[Key], Tree | None], trust_changed: Callable[[], None]
    ) -> None:
        """`heard` is called when there is news; `secret` gives a Secret as it is known; `trust_changed`: the authority is
        another, or trusted together with another."""
        self._heard, self._secret, self._trust_changed = heard, secret, trust_changed

    def want(self, specs: Mapping[Fleet, FleetSpec | None]) -> None:
        """What these fleets are to be now; None: nobody wants them any more."""
        for fleet, spec in specs.items():
            if spec is None:
                self._specs.pop(fleet, None)
            else:
                self._specs[fleet] = spec
        self._places.want(specs, self._specs)
        for fleet, spec in specs.items():
            self.queue.add(fleet)
            self._look(fleet)
            if spec is not None:
                self._parameters(spec)

    def know(self, kinds: Iterable[str]) -> None:
        """Of these kinds of owners all that there are is known, and what they want: what is there for others may go."""
        found = frozenset(kinds)
        if not found <= self._known:
            self._known |= found
            self._more_known.set()

    def _owner(self, at: Key) -> str:
        """The uid of the object that owns the fleet at a place, as its Secret says."""
        secret = self._secret(Key(at.namespace, at.name + objects.OF_SECRET))
        owners = (secret["metadata"].get("ownerReferences") or ()) if secret is not None else ()
        return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")

    def service_changed(self, key: Key, tree: Tree | None) -> None:
        labels = (tree["metadata"].get("labels") or {}) if tree is not None else {}
        if tree is not None and FLEET in labels:
            self._services[key] = tree
        elif self._services.pop(key, None) is None:
            return
        fleet = self._places.fleet(key)
        if fleet is not None:
            self._look(fleet)
            if tree is None:
                self._applied.pop(fleet, None)
                self.queue.add(fleet)

    def data_changed(self, kind: str, key: Key, tree: Tree | None) -> None:
        """A Secret or ConfigMap: what others change in a fleet's, or delete, comes back."""
        if kind == "Secret" and key == Key(self._own, identity.AUTHORITY) and self._trusted:
            if tree is None or any(
                (tree.get("data") or {}).get(k) != self._trusted[k] for k in ("tls.crt", "tls.key", "ca.crt")
            ):
                for fleet in self._specs:
                    self.queue.add(fleet)
            return
        ours = self._data.get((kind, key))
        found = self._places.fleet(Key(key.namespace, key.name.removesuffix(objects.OF_SECRET)))
        if ours is not None and found is not None and (tree is None or tree.get("data") != ours):
            self._applied.pop(found, None)
            self.queue.add(found)

    def news(self) -> dict[Fleet, Addresses]:
        """The addresses of fleets of which something changed since this was asked last."""
        found, self._news = self._news, {}
        return found

    def problems(self) -> dict[Place, str]:
        """What is wrong with parameters, "" for nothing any more, since this was asked last."""
        found, self._problems = self._problems, {}
        return found

    async def authorities(self) -> Authorities:
        """The authority of the channel's certificates: made once for the cluster, kept in a Secret of the controller's own, and
        renewed in time."""
        async with self._one_authority:
            try:
                secret: Tree | None = await self._api.get(kind_of("secrets"), self._own, identity.AUTHORITY)
            except NotFound:
                secret = None
            found = identity.authorities(secret, time.time())
            tree = identity.authority_secret(found, self._own)
            if secret is None or secret.get("data") != tree["data"]:
                await self._apply(kind_of("secrets"), tree)
            if tree["data"] != self._trusted:
                told, self._trusted = bool(self._trusted), tree["data"]
                if told:
                    self._trust_changed()
            return found

    # at work

    async def run(self) -> None:
        query = {"labelSelector": f"{MANAGED[0]}={MANAGED[1]}"}
        self._watched = tuple(Informer(self._api, kind_of(r), query=query) for r in OWNED)

        def changed(change: Change) -> None:
            fleet = self._places.fleet(change.key)
            # What others change of a spec, or delete, comes back.
            touched = change.new is None or (
                change.old is not None
                and change.old["metadata"].get("generation") != change.new["metadata"].get("generation")
            )
            if fleet is not None and touched:
                self._applied.pop(fleet, None)
                self.queue.add(fleet)

        async with asyncio.TaskGroup() as group:
            for informer in self._watched:
                informer.listen(changed)
                group.create_task(informer.run())
            group.create_task(self.queue.run())
            group.create_task(self.orphans.run())
            group.create_task(self._tidying())

    async def _tidying(self) -> None:
        """What this controller made for those who went to others while it was not at work is removed."""
        for informer in self._watched:
            await informer.synced.wait()
        while True:
            await self._more_known.wait()
            self._more_known.clear()
            trees = (tree for informer in self._watched for tree in informer.all())
            for at in {found for tree in trees if (found := self._places.orphan(tree, self._known)) is not None}:
                self.orphans.add(at)

    async def _remove(self, at: Key) -> None:
        if self._places.fleet(at) is None:
            log.info("%s/%s: nobody wants this fleet any more; it is removed", *at)
            await self._sweep(*at, set())

    def _look(self, fleet: Fleet) -> None:
        """What the fleet's Service says of its addresses."""
        spec = self._specs.get(fleet)
        if spec is None:
            return
        at = self._places.of(fleet)
        service = self._services.get(at) if at is not None else None
        strange = sorted({kind for kind, _ in spec.addresses if kind != "IPAddress"})
        wanted = [value for kind, value in spec.addresses if kind == "IPAddress"]
        found = addresses(service, wanted)
        self._news[fleet] = Addresses(
            () if found.pending else tuple((a.kind, a.value) for a in found.given),
            "; ".join(f"{address}: {why}" for address, why in found.unusable),
            f"addresses of type {', '.join(strange)} cannot be requested; IPAddress can" if strange else "",
        )
        self._heard()

    async def _reconcile(self, fleet: Fleet) -> float | None:
        spec, at = self._specs.get(fleet), self._places.of(fleet)
        for old in self._places.left(fleet):
            self._data.pop(("ConfigMap", old), None)
            self._data.pop(("Secret", Key(old.namespace, old.name + objects.OF_SECRET)), None)
            await self._sweep(*old, set())
            self._places.swept(old)
        if spec is None or at is None:
            self._applied.pop(fleet, None)
            self._swept.pop(fleet, None)
            return None
        namespace, name = at
        by = await self.authorities()
        place_of_secret = Key(namespace, name + objects.OF_SECRET)
        secret = self._secret(place_of_secret) or {"data": self._data.get(("Secret", place_of_secret))}
        wanted = Wanted(
            fleet,
            namespace,
            name,
            Owner(API_VERSIONS[fleet.kind], fleet.kind, fleet.name, spec.owner_uid) if spec.owner_uid else None,
            tuple(Port(f"{protocol.lower()}-{port}", port, protocol) for _, port, protocol in spec.ports),
            identity.identity(secret, fleet, by, time.time()),
            identity.drain_key(fleet, by),
            self._parameters(spec),
            tuple(value for kind, value in spec.addresses if kind == "IPAddress" and value),
            spec.labels,
            spec.annotations,
            self._controller,
            spec.class_name if fleet.kind == "Gateway" else "",
            self._own,
        )
        trees = objects.objects(wanted)
        if time.monotonic() - self._applied_at.get(fleet, -LOOK_AGAIN) >= LOOK_AGAIN:
            self._applied.pop(fleet, None)
            self._applied_at[fleet] = time.monotonic()
        applied = self._applied.setdefault(fleet, {})
        titles = {f"{t['kind']}/{t['metadata']['name']}" for t in trees}
        for tree in trees:
            title = f"{tree['kind']}/{tree['metadata']['name']}"
            digest = hashlib.blake2b(repr(tree).encode(), digest_size=16).hexdigest()
            if "data" in tree:
                self._data[tree["kind"], Key(namespace, tree["metadata"]["name"])] = tree["data"]
            if applied.get(title) != digest:
                await self._apply(kinds.by_kind()[tree["apiVersion"], tree["kind"]], tree)
                applied[title] = digest
        if self._swept.get(fleet) != titles:
            await self._sweep(namespace, name, titles)
            self._swept[fleet] = titles
        return LOOK_AGAIN

    def _parameters(self, spec: FleetSpec) -> Parameters:
        """The parameters; a value that is bad counts as not given, and is told of."""
        reading = parameters.read(
            self._base, [{"data": dict(data)} for data in spec.parameters], spec.of_class
        )
        problem = "; ".join(str(p) for p in reading.problems)
        where = Place(*spec.fleet)
        if self._known_problems.get(where, "") != problem:
            self._known_problems[where] = self._problems[where] = problem
            self._heard()
        return reading.parameters

    async def _apply(self, kind: Kind, tree: Tree) -> None:
        meta = tree["metadata"]
        await self._api.request(
            "PATCH",
            kinds.path(kind, meta["namespace"], meta["name"]),
            tree,
            {"fieldManager": MANAGER, "force": "true"},
            "application/apply-patch+yaml",
        )

    async def _sweep(self, namespace: str, name: str, wanted: set[str]) -> None:
        """Removes what a fleet of this name had and has no more: a Service without ports, another kind of workload, all."""
        query = {"labelSelector": f"{FLEET}={name},{MANAGED[0]}={MANAGED[1]}"}
        for api_version, kind_name in objects.KINDS:
            kind = kinds.by_kind()[api_version, kind_name]
            for tree in (await self._api.list(kind, namespace, query))["items"]:
                meta = tree["metadata"]
                if f"{kind_name}/{meta['name']}" not in wanted and "deletionTimestamp" not in meta:
                    options = {"preconditions": {"uid": meta["uid"]}, "propagationPolicy": "Background"}
                    try:
                        await self._api.delete(kind, namespace, meta["name"], options)
                    except NotFound:
                        pass
