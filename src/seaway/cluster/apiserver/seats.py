"""The event loop's side of priority and fairness: who waits for a seat, for a turn at long work, for room for a body.

What is decided, `fairness` decides. A turn is for work that would hold the event loop for long (a huge body, a slice of a
huge list): one piece of it is done a round of the loop, the next one by flow, so that everybody else waits for one piece.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from seaway.cluster.apiserver import fairness
from seaway.cluster.apiserver.fairness import Fairness, Level, Ticket
from seaway.cluster.apiserver.status import ApiError, bad_request

PATIENCE = 15.0  # seconds that a request waits for a seat: upstream's quarter of a request's minute
BODY_SECONDS = 30.0  # that a body may take to arrive
SMALL_BODY = 64 << 10  # what aiohttp holds of a body anyway
FLOW_BODIES, ALL_BODIES = 64 << 20, 192 << 20  # bytes of larger bodies at a time
FLOW_STREAMS = 4000  # watches, logs and the like of one flow
TURN = Level("turn", 1, 1, 1 << 30, 1 << 30)


def too_many() -> ApiError:
    """429 in upstream's words (server/filters tooManyRequests)."""
    message = "Too many requests, please try again later."
    return ApiError(429, "TooManyRequests", message, {"retryAfterSeconds": 1})


class Seats:
    """Seats and turns by flow. `clock` is the event loop's."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._fairness = Fairness()
        self._turns = Fairness((TURN,), 1)
        self._futures: dict[Ticket, asyncio.Future[None]] = {}
        self._bodies: dict[str, int] = {}
        self._all_bodies = 0
        self._streams: dict[str, int] = {}

    def figures(self) -> dict[str, tuple[int, int]]:
        """(running, waiting) of each level."""
        return self._fairness.figures

    async def take(self, level: Level, flow: str) -> Ticket:
        """A seat, after waiting for it where none is free; ApiError 429 where too many wait, or for too long."""
        ticket = self._fairness.arrive(level, flow, self._clock())
        if ticket.state == "running":
            return ticket
        if ticket.state == "refused":
            raise too_many()
        patience = None if level is fairness.EXEMPT else PATIENCE
        try:
            async with asyncio.timeout(patience):
                await self._wait(ticket)
        except TimeoutError:
            self.give(ticket)
            raise too_many() from None
        except BaseException:
            self.give(ticket)
            raise
        return ticket

    def give(self, ticket: Ticket) -> None:
        """The seat back, or the place in the queue; twice is no harm."""
        self._fairness.leave(ticket)
        self._wake(self._fairness.finish(ticket, self._clock()))

    async def turn(self, flow: str) -> None:
        """Returns when the caller may hold the event loop for a while; the next one's turn is a round later."""
        ticket = self._turns.arrive(TURN, flow, self._clock())
        try:
            if ticket.state == "waiting":
                await self._wait(ticket)
        finally:
            self._turns.leave(ticket)
            asyncio.get_running_loop().call_soon(self._end_turn, ticket)

    def _end_turn(self, ticket: Ticket) -> None:
        self._wake(self._turns.finish(ticket, self._clock()))

    async def _wait(self, ticket: Ticket) -> None:
        future = self._futures[ticket] = asyncio.get_running_loop().create_future()
        try:
            await future
        finally:
            del self._futures[ticket]

    def _wake(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            future = self._futures.get(ticket)
            if future is not None and not future.done():
                future.set_result(None)

    # bodies

    async def body(self, request: web.BaseRequest, flow: str, limit: int) -> int:
        """Reads the body of a request; answers with the room it takes, for `emptied`. ApiError 413, 429, 408."""
        told = request.content_length
        if told is not None and told > limit:
            raise web.HTTPRequestEntityTooLarge(limit, told)
        if request.content.is_eof() and (told is None or told <= SMALL_BODY):
            await request.read()
            return 0
        size = limit if told is None else told
        room = size if size > SMALL_BODY else 0
        if room:
            if self._bodies.get(flow, 0) + room > FLOW_BODIES or self._all_bodies + room > ALL_BODIES:
                raise too_many()
            self._bodies[flow] = self._bodies.get(flow, 0) + room
            self._all_bodies += room
        try:
            async with asyncio.timeout(BODY_SECONDS):
                if request.headers.get("Expect", "").lower() == "100-continue":
                    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")  # RFC 9110 10.1.1: it waits to be asked
                    request.writer.output_size = 0
                await request.read()
        except TimeoutError:
            self.emptied(flow, room)
            told_text = f"Timeout: the request's body did not arrive within {BODY_SECONDS:.0f}s"
            raise ApiError(408, "Timeout", told_text) from None
        except web.RequestPayloadError as e:
            self.emptied(flow, room)
            raise bad_request(f"unable to read the request body: {e}") from None
        except BaseException:
            self.emptied(flow, room)
            raise
        return room

    def emptied(self, flow: str, room: int) -> None:
        """A body is no longer held."""
        if room:
            self._all_bodies -= room
            self._bodies[flow] -= room
            if not self._bodies[flow]:
                del self._bodies[flow]

    # streams

    def opened(self, flow: str) -> None:
        """A watch or another stream begins; ApiError 429 where its flow has too many."""
        if self._streams.get(flow, 0) >= FLOW_STREAMS:
            raise too_many()
        self._streams[flow] = self._streams.get(flow, 0) + 1

    def closed(self, flow: str) -> None:
        self._streams[flow] -= 1
        if not self._streams[flow]:
            del self._streams[flow]

    async def visit(self, request: web.BaseRequest, level: Level, flow: str, limit: int) -> Visit:
        """Everything that a request needs before it is worked on: its body, a seat, for a huge body a turn."""
        room = await self.body(request, flow, limit) if request.body_exists else 0
        try:
            visit = Visit(self, flow, await self.take(level, flow), room)
        except BaseException:
            self.emptied(flow, room)
            raise
        request[VISIT] = visit
        if room:
            try:
                await self.turn(flow)
            except BaseException:
                visit.end()
                raise
        return visit


VISIT = "seaway.visit"


def visit_of(request: web.BaseRequest) -> Visit:
    found: Visit = request[VISIT]
    return found


class Visit:
    """A request at work: what it holds, until `end`."""

    __slots__ = ("_seats", "_streams", "flow", "room", "ticket")

    def __init__(self, seats: Seats, flow: str, ticket: Ticket, room: int) -> None:
        self._seats, self.flow, self.ticket, self.room = seats, flow, ticket, room
        self._streams = False

    async def turn(self) -> None:
        """The next piece of long work may be done."""
        await self._seats.turn(self.flow)

    def stream(self) -> None:
        """It becomes a stream, whose pace its reader sets: it gives its seat away. ApiError 429 where there are too many."""
        if not self._streams:
            self._seats.opened(self.flow)
            self._streams = True
        self._seats.give(self.ticket)

    def end(self) -> None:
        self._seats.give(self.ticket)
        self._seats.emptied(self.flow, self.room)
        self.room = 0
        if self._streams:
            self._seats.closed(self.flow)
            self._streams = False
