"""The gateway at work: what is watched goes into the engine; what comes out goes to the proxies, into statuses and into fleets.

    watching -> engine (routing) -> programming (Envoy's resources) -> xDS
                      |-> writing (statuses)     |-> provisioning (Envoy's Deployments and Services)

Facts flow back into the engine: what the proxies hold and refuse, and the addresses that fleets have.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any, NamedTuple

from seaway.api.tree import Key, key_of
from seaway.client.events import Events
from seaway.client.rest import Rest
from seaway.gateway.kinds import GATEWAY_API as GATEWAY_KINDS
from seaway.gateway.measures import Measures
from seaway.gateway.programming import Programming
from seaway.gateway.provisioning import Provisioning
from seaway.gateway.statuses import refused, stands
from seaway.gateway.watching import Watching, bundle_version
from seaway.gateway.writing import MANAGER, StatusWriter
from seaway.routing.engine import Changes, Engine, Status
from seaway.routing.fleets import Addresses
from seaway.routing.gateway.frontend import GATEWAY_API
from seaway.routing.ingress.classes import Settings as IngressSettings
from seaway.routing.ingress.frontend import ingress_front_end, left_behind
from seaway.routing.ir import Fleet
from seaway.routing.policies.frontend import policies_front_end

Tree = dict[str, Any]
log = logging.getLogger("seaway.gateway")
# Between two settlements: what comes in bursts is decided once. The first change after a quiet time waits for nothing.
PAUSE = 0.01
LOOK_AT_VERSION, BETWEEN_LOOKS = 60.0, 1.0  # seconds: at the latest, and at the earliest
OF_FLEETS = {"secrets": "Secret", "configmaps": "ConfigMap"}  # what fleets have of what is watched anyway
SILENCE = 10.0  # seconds
OWNERS = {"Gateway": ("gateways", "gatewayclasses"), "IngressClass": ("ingresses", "ingressclasses")}  # of fleets


class Settings(NamedTuple):
    """`controllers`: controllerNames of GatewayClasses that are ours; `ingress_controllers`: controllers of IngressClasses."""

    controllers: tuple[str, ...]
    ingress_controllers: tuple[str, ...]


class Gateway:
    def __init__(
        self,
        api: Rest,
        settings: Settings,
        programming: Programming,
        provisioning: Provisioning,
        measures: Measures,
        events: Events,
    ) -> None:
        self._api, self.settings = api, settings
        of_ingress = IngressSettings(frozenset(settings.ingress_controllers))
        self.engine = Engine([GATEWAY_API, policies_front_end(of_ingress), ingress_front_end(of_ingress)])
        self.engine.fact("controllers", value=settings.controllers)
        self.programming, self.provisioning = programming, provisioning
        self.watching = Watching(api, self.engine.resources, self._changed)
        self.writer = StatusWriter(
            api,
            self.watching,
            lambda: (*settings.controllers, *settings.ingress_controllers),
            wrote=measures.statuses.inc,
            unknown=lambda: bool(self._unheard),
            contested=self._contested,
        )
        self.measures = measures
        self._events = events
        self._dirty, self._classes_changed = asyncio.Event(), asyncio.Event()
        self._addresses: dict[Fleet, Addresses] = {}
        self._unheard: set[Fleet] = set()  # whose proxies have not told yet what they hold, since this process began
        self._late: set[Fleet] = set()
        self._silent: dict[Fleet, float] = {}  # since when nobody tells what a fleet's proxies hold
        self._failed: dict[str, str] = {}
        self._undecided: frozenset[str] = frozenset()  # what this process could not decide from its beginning on
        self._said: dict[tuple[str, Key], set[tuple[str, str, str]]] = {}
        self.settled = 0.0  # when it was last done, of time.monotonic(); 0 before the first time
        programming.listen(self._wake)
        provisioning.listen(self._wake, lambda key: self.watching.get("secrets", key), programming.trust_changed)

    # what comes in

    def _changed(self, resource: str, key: Key, tree: Tree | None) -> None:
        self.engine.change(resource, key, tree)
        if tree is None:
            self.writer.forget(resource, key)
            self._said.pop((resource, key), None)
        else:
            self.writer.look(resource, key)
        if resource == "gatewayclasses":
            self._classes_changed.set()
        elif resource == "services":
            self.provisioning.service_changed(key, tree)
        elif resource in OF_FLEETS:
            self.provisioning.data_changed(OF_FLEETS[resource], key, tree)
        self._dirty.set()

    def _wake(self) -> None:
        self._dirty.set()

    # at work

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.watching.run())
            group.create_task(self.writer.run())
            group.create_task(self.provisioning.run())
            group.create_task(self._settling())
            group.create_task(self._versions())

    async def _versions(self) -> None:
        """Which version of Gateway API's kinds is installed: looked at when classes change, for they come after their kind."""
        while True:
            found = await bundle_version(self._api)
            if found is not None:  # while nobody answers it stays what it was
                self.engine.fact("bundle version", value=found)
                self._dirty.set()
            self._classes_changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AT_VERSION):
                    await self._classes_changed.wait()
            await asyncio.sleep(BETWEEN_LOOKS)

    async def _settling(self) -> None:
        while True:
            await self._dirty.wait()
            await self.watching.complete.wait()
            self._dirty.clear()
            began = time.perf_counter()
            late, self._late = self._late, set()
            for fleet in self.programming.news() | late:
                self._learn(fleet)
            for fleet, addresses in self.provisioning.news().items():
                if self._addresses.get(fleet) != addresses:
                    self._addresses[fleet] = addresses
                    self.writer.look_at_cleared()
                self.engine.fact("addresses", *fleet, value=addresses)
            for place, problem in self.provisioning.problems().items():
                self.engine.fact("parameters problem", *place, value=problem or None)
            known = [kind for kind, resources in OWNERS.items() if all(map(self.watching.listed, resources))]
            changes = self.engine.settle()
            if not self.settled:
                self._recall(changes)
                self._undecided = changes.undecided
            # What is decided later and fails keeps what it had; of these proxies alone know what they had.
            self._undecided &= changes.undecided
            self.programming.keep(bool(self._undecided))
            await self._carry_out(changes)
            if not changes.failures:
                self.provisioning.know(known)
            self.measures.settled(time.perf_counter() - began, self.engine.memo.decided)
            self.settled = time.monotonic()
            await asyncio.sleep(PAUSE)

    def _recall(self, first: Changes) -> None:
        """What the last process knew of proxies, as statuses tell it: they stand until this one knows, too."""
        self._unheard = {fleet for fleet, spec in first.specs.items() if spec is not None}
        for fleet in self._unheard:
            self._listen_for(fleet)
        suspects = []
        for resource, (kind, _) in GATEWAY_KINDS.items():
            for tree in self.watching.all(resource):
                if refused(tree) or not stands(tree, self.settings.controllers):
                    suspects.append("/".join((kind, *key_of(tree))))
        self.programming.recall(suspects)

    def _listen_for(self, fleet: Fleet) -> None:
        """That nobody tells what proxies hold is believed after a while: connections break and are made anew."""
        self._silent[fleet] = time.monotonic()
        asyncio.get_running_loop().call_later(SILENCE, self._relearn, fleet)

    def _relearn(self, fleet: Fleet) -> None:
        if fleet in self._silent:
            self._late.add(fleet)
            self._dirty.set()

    def _learn(self, fleet: Fleet) -> None:
        """What the fleet's proxies hold and refuse becomes facts."""
        known, lasting = self.programming.in_force(fleet)
        if lasting and (fleet not in self._unheard or self.programming.settled(fleet)):
            self._silent.pop(fleet, None)
        elif fleet not in self._silent:
            self._listen_for(fleet)
            return
        elif time.monotonic() - self._silent[fleet] < SILENCE:
            return
        self._unheard.discard(fleet)
        self.engine.fact("in force", *fleet, value=known)
        for place, messages in self.programming.refusals(fleet).items():
            self.engine.fact("refused", *fleet, place, value=messages or None)

    async def _carry_out(self, changes: Changes) -> None:
        self.provisioning.want(changes.specs)
        if any(changes.specs.values()):
            await self.programming.start()
        failed: set[Fleet] = set()
        for fleet, pieces in changes.fleets.items():
            try:
                self.programming.change(fleet, pieces)
            except Exception:  # a fleet that cannot be told something keeps what it has; all others go on
                failed.add(fleet)
                log.exception("%s could not be programmed", fleet.title)
            self._learn(fleet)
            self._dirty.set()  # what was learnt may be for statuses
        for fleet, spec in changes.specs.items():
            if spec is None:
                self._forget(fleet)
            elif fleet not in failed:
                self.programming.know(fleet)
        for status in changes.statuses:
            self._tell(status)
            self.writer.want(status)
        for resource, namespace, name in changes.released:
            self._release(resource, Key(namespace, name))
        for decision, error in changes.failures.items():
            if self._failed.get(decision) != str(error):
                log.error("%s could not be decided: %s: %s", decision, type(error).__name__, error, exc_info=error)
        self._failed = {d: str(e) for d, e in changes.failures.items()}

    def _forget(self, fleet: Fleet) -> None:
        """The fleet is no more: what was known of it is not to be believed of one that comes under its name."""
        self.programming.forget(fleet)
        self._unheard.discard(fleet)
        self._silent.pop(fleet, None)
        self.engine.fact("in force", *fleet, value=None)
        self.engine.fact("addresses", *fleet, value=None)
        for place in self.programming.refusals(fleet):
            self.engine.fact("refused", *fleet, place, value=None)
        self._dirty.set()

    def _tell(self, status: Status) -> None:
        """What a front end has to say about an object to its owner, each thing once as long as it stands."""
        place = status.resource, Key(status.namespace, status.name)
        about = self.watching.get(*place)
        before = self._said.pop(place, set())
        for event in status.events:
            if about is not None and event not in before:
                self._events.tell(about, *event)
        if status.events:
            self._said[place] = set(status.events)

    def _contested(self, about: Tree, manager: str) -> None:
        rival = f"{manager} writes" if manager and manager != MANAGER else "another controller of the same name writes"
        said = f"{rival} over the status that this controller writes; it is written ever more seldom"
        log.warning("%s %s/%s: %s", about.get("kind"), *key_of(about), said)
        self._events.tell(about, "Warning", "StatusContested", said)

    def _release(self, resource: str, key: Key) -> None:
        """An object is none of ours: what we wrote into the status of an Ingress goes, once its addresses are known for ours."""
        self._said.pop((resource, key), None)
        self.writer.forget(resource, key)
        if resource == "ingresses":
            self.writer.clear(resource, key, self._left_behind)

    def _left_behind(self, tree: Tree) -> bool:
        """Whether an Ingress that is none of ours has addresses of ours, which this process or the one before it wrote."""
        mine = [v for f, found in self._addresses.items() if f.kind == "IngressClass" for _, v in found.usable]
        return left_behind(tree, mine)
