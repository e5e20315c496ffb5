"""What fleets do becomes Envoy's resources and goes to their proxies; what these hold and refuse is learnt.

Neither grpc nor protobuf is loaded before the first fleet exists.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING

from seaway.client.errors import ApiStatusError, Unavailable
from seaway.gateway import identity
from seaway.gateway.identity import Authorities
from seaway.gateway.measures import Measures
from seaway.pki.authority import Pair
from seaway.routing.fleets import InForce
from seaway.routing.ir import Fleet, Pieces

if TYPE_CHECKING:
    from seaway.envoy.counting.fleets import Counts
    from seaway.envoy.xds.fleets import Fleets
    from seaway.envoy.xds.server import Credentials, Server
    from seaway.gateway.programmed import Programmed

log = logging.getLogger("seaway.gateway")
LOOK_AT_CERTIFICATES = 3600.0  # seconds
LISTEN_AGAIN = 1.0


class Programming:
    """`authorities` gives the authority of the channel's certificates; `host`: the name that proxies call us by."""

    def __init__(
        self, port: int, authorities: Callable[[], Awaitable[Authorities]], measures: Measures, host: str
    ) -> None:
        self._port, self._authorities, self._measures = port, authorities, measures
        self._names = identity.server_names(host)
        self._programmed: dict[Fleet, Programmed] = {}
        self._known: set[Fleet] = set()
        self._fleets: Fleets | None = None
        self._server: Server | None = None
        self._counts: Counts | None = None
        self._certificate: Pair | None = None
        self._recalled: frozenset[str] = frozenset()
        self._keeping = False
        self._refused: dict[Fleet, dict[str, tuple[str, ...]]] = defaultdict(dict)
        self._heard: Callable[[], None] = lambda: None
        self._renewing = asyncio.Event()

    def listen(self, heard: Callable[[], None]) -> None:
        """`heard` is called when there is news."""
        self._heard = heard

    def recall(self, suspects: Collection[str]) -> None:
        """These, KIND/NAMESPACE/NAME, were refused when another process was at work, or came when none was."""
        self._recalled = frozenset(suspects)

    def keep(self, keeping: bool) -> None:
        """Whether proxies keep what an earlier process gave them and this one does not want: it may not know all yet."""
        self._keeping = keeping
        if self._fleets is not None:
            self._fleets.keep(keeping)

    # what is to be

    async def start(self) -> None:
        """Serves xDS; the first time loads what that takes."""
        if self._server is not None:
            return
        from seaway.envoy.counting.fleets import Counts
        from seaway.envoy.xds.fleets import Fleets
        from seaway.envoy.xds.server import Server

        self._fleets = Fleets(lambda: self._heard())
        self._fleets.keep(self._keeping)
        self._counts = Counts(lambda fleet, verdict, buckets: self._measures.count(fleet.title, verdict, buckets))
        self._server = Server(self._fleets, counts=self._counts)
        while True:
            try:
                await self._server.start(f"[::]:{self._port}", await self._credentials())
                return
            except (OSError, ApiStatusError, Unavailable) as e:
                log.error("xDS is not served: %s; again in %.0f s", e, LISTEN_AGAIN)
            await asyncio.sleep(LISTEN_AGAIN)

    def change(self, fleet: Fleet, pieces: Pieces | None) -> None:
        """What a fleet does has changed; None: it does nothing any more."""
        from seaway.gateway.programmed import Programmed

        assert self._fleets is not None
        known = self._programmed.get(fleet)
        if known is None:
            known = self._programmed[fleet] = Programmed(fleet, self._fleets, self._recalled)
        if pieces is None:
            del self._programmed[fleet]
            known.clear()
        else:
            known.change(pieces)
        self._known.add(fleet)
        self._measures.resources.set(len(known.names), fleet.title)

    def know(self, fleet: Fleet) -> None:
        """There is such a fleet, whether or not it has anything to do: its proxies are answered."""
        if fleet not in self._known and self._fleets is not None:
            self._known.add(fleet)
            self._fleets.update(fleet, ())

    def forget(self, fleet: Fleet) -> None:
        """The fleet is no more."""
        self._known.discard(fleet)
        self._programmed.pop(fleet, None)
        if self._fleets is not None:
            self._fleets.forget(fleet)
        if self._counts is not None:
            self._counts.forget(fleet)

    # what is

    def news(self) -> frozenset[Fleet]:
        """The fleets of which something changed since this was asked last."""
        return self._fleets.changes() if self._fleets is not None else frozenset()

    def in_force(self, fleet: Fleet) -> tuple[InForce, bool]:
        """What the fleet's proxies hold, and whether that lasts: no proxy, one that begins, and a search for what is refused
        pass by."""
        assert self._fleets is not None
        known = self._programmed.get(fleet)
        proxies = self._fleets.streams(fleet)
        self._measures.proxies.set(proxies, fleet.title)
        self._measures.sent(fleet.title, self._fleets.sent(fleet))
        self._measures.rejected.set(len(self._fleets.rejected(fleet)), fleet.title)
        begun = self._fleets.begun(fleet)
        if known is None:
            return InForce(proxies), begun
        known.review()
        return InForce(proxies, known.waiting, known.refused_listeners), begun and not known.trying

    def settled(self, fleet: Fleet) -> bool:
        """The fleet's proxies have taken, or refused, all routes."""
        known = self._programmed.get(fleet)
        return known is None or known.settled

    def refusals(self, fleet: Fleet) -> dict[str, tuple[str, ...]]:
        """What proxies refuse, by the object that it comes from: KIND/NAMESPACE/NAME -> messages, () for nothing any more."""
        known = self._programmed.get(fleet)
        now = known.refusals if known is not None else {}
        changed = {**{place: () for place in self._refused[fleet] if place not in now}, **now}
        self._refused[fleet] = dict(now)
        return changed

    # the channel's certificates

    def trust_changed(self) -> None:
        """The authority is another, or trusted together with another: those who come now are to be let in."""
        self._renewing.set()

    async def _credentials(self) -> Credentials:
        from seaway.envoy.xds.server import Credentials

        by = await self._authorities()
        self._certificate = identity.server(self._certificate, self._names, by, time.time())
        return Credentials(self._certificate.certificate, self._certificate.key, by.trusted)

    async def run(self) -> None:
        """Keeps the certificates fresh, until cancelled; then nobody is served any more."""
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._renewing.wait(), LOOK_AT_CERTIFICATES)
                self._renewing.clear()
                if self._server is not None:
                    try:
                        self._server.renew(await self._credentials())
                    except (ApiStatusError, Unavailable) as e:
                        log.error("the certificate of xDS is not looked after: %s", e)
        finally:
            if self._server is not None:
                await self._server.stop()
