"""Priority and fairness (KEP-1040): whose request is worked on now, whose waits, whose is turned away; pure.

A request belongs to a level, by who asks and for what (apiserver/pkg/apis/flowcontrol/bootstrap/default.go), and in it to a
flow: its user. A level has seats of its own and may borrow those that others do not use. Within a level the flow that has
used the least goes first (start-time fair queuing), so that a flood makes only its own flow wait. Time is passed in.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from seaway.cluster.apiserver.authz import MASTERS, UNAUTHENTICATED, User
from seaway.cluster.apiserver.requests import RequestInfo

SEATS = 64  # requests worked on at a time: they share one event loop, more of them would only wait there
ESTIMATE = 0.003  # seconds of a seat that a request is charged as it starts, until what it took is known
GREED = 4  # seats that a flow may have for each that is left
FLOWS = 2000  # of a level that are remembered for what they have used
NODES, ACCOUNTS, KUBE_SYSTEM = "system:nodes", "system:serviceaccounts", "system:serviceaccounts:kube-system"
LEASE_VERBS = frozenset({"get", "create", "update", "patch"})


class Level(NamedTuple):
    """`seats` are always its own; `kept` of them are not lent while it does not use them; `queue` requests of one flow may
    wait, `total` of all its flows."""

    name: str
    seats: int
    kept: int
    queue: int
    total: int


# Shares and lendable parts in upstream's proportions. Members of system:masters are never turned away, as upstream, but they
# take seats too: a script that runs wild with the administrator's certificate leaves the administrator a turn.
EXEMPT = Level("exempt", 64, 32, 1 << 30, 1 << 30)
SYSTEM = Level("system", 8, 5, 300, 2000)
NODE_HIGH = Level("node-high", 10, 8, 300, 2000)
LEADER_ELECTION = Level("leader-election", 3, 3, 100, 800)
WORKLOAD_HIGH = Level("workload-high", 10, 5, 300, 2000)
WORKLOAD_LOW = Level("workload-low", 26, 3, 300, 2000)
GLOBAL_DEFAULT = Level("global-default", 6, 3, 300, 2000)
CATCH_ALL = Level("catch-all", 1, 1, 50, 50)
LEVELS = (EXEMPT, LEADER_ELECTION, NODE_HIGH, SYSTEM, WORKLOAD_HIGH, WORKLOAD_LOW, GLOBAL_DEFAULT, CATCH_ALL)


def level_of(user: User, info: RequestInfo) -> Level:
    """The level of a request: the first flow schema that matches, in upstream's order of precedence."""
    groups = user.groups
    if MASTERS in groups:
        return EXEMPT
    if UNAUTHENTICATED in groups:
        return CATCH_ALL
    is_lease = info.resource == "leases" and info.verb in LEASE_VERBS
    if NODES in groups:
        mine = info.resource == "nodes" or (is_lease and info.namespace == "kube-node-lease")
        return NODE_HIGH if mine else SYSTEM
    if is_lease and (ACCOUNTS in groups or user.name.startswith("system:kube-")):
        return LEADER_ELECTION
    if user.name in ("system:kube-controller-manager", "system:kube-scheduler") or KUBE_SYSTEM in groups:
        return WORKLOAD_HIGH
    return WORKLOAD_LOW if ACCOUNTS in groups else GLOBAL_DEFAULT


def flow_of(user: User, agent: str) -> str:
    """Who is fair to whom: users. Masters, whom nothing turns away, also by the program that asks."""
    return f"{user.name}\0{agent[:64]}" if MASTERS in user.groups else user.name


@dataclass(slots=True, eq=False)
class Ticket:
    """A request: `state` is waiting, running, refused or done."""

    level: Level
    flow: str
    since: float
    state: str = "waiting"


@dataclass(slots=True)
class _Flow:
    """`served`: seconds of seats so far, on its level's scale."""

    served: float
    waiting: deque[Ticket] = field(default_factory=deque)
    running: int = 0


@dataclass(slots=True)
class _Queue:
    """A level at work. `reached` is how far its service has come: a flow that comes anew starts there."""

    level: Level
    flows: dict[str, _Flow] = field(default_factory=dict)
    hungry: dict[str, _Flow] = field(default_factory=dict)  # flows with requests that wait
    running: int = 0
    waiting: int = 0
    reached: float = 0.0


class Fairness:
    """`arrive` for each request, then either `finish`, or `leave` where it gave up waiting."""

    def __init__(self, levels: tuple[Level, ...] = LEVELS, seats: int = SEATS) -> None:
        self._queues = {level.name: _Queue(level) for level in levels}
        self._seats = seats
        self._waiting = 0

    def arrive(self, level: Level, flow_name: str, now: float) -> Ticket:
        """A new request: running at once, waiting, or refused because too many of its kind wait."""
        queue = self._queues[level.name]
        ticket = Ticket(level, flow_name, now)
        flow = queue.flows.get(flow_name)
        if flow is None:
            flow = queue.flows[flow_name] = _Flow(queue.reached)
        if not flow.waiting and self._may_start(queue, flow):
            self._start(queue, flow, ticket, now)
        elif len(flow.waiting) >= level.queue or queue.waiting >= level.total:
            ticket.state = "refused"
            self._tidy(queue, flow_name, flow)
        else:
            flow.waiting.append(ticket)
            queue.hungry[flow_name] = flow
            queue.waiting += 1
            self._waiting += 1
        return ticket

    def finish(self, ticket: Ticket, now: float) -> list[Ticket]:
        """A request is done (again is no harm); answers with those that may start now."""
        if ticket.state != "running":
            return []
        ticket.state = "done"
        queue = self._queues[ticket.level.name]
        flow = queue.flows[ticket.flow]
        flow.served += now - ticket.since - ESTIMATE
        flow.running -= 1
        queue.running -= 1
        self._tidy(queue, ticket.flow, flow)
        return self._next(now) if self._waiting else []

    def leave(self, ticket: Ticket) -> None:
        """A request that waits gives up."""
        if ticket.state != "waiting":
            return
        ticket.state = "done"
        queue = self._queues[ticket.level.name]
        flow = queue.flows[ticket.flow]
        flow.waiting.remove(ticket)
        self._less_waiting(queue, ticket.flow, flow)
        self._tidy(queue, ticket.flow, flow)

    @property
    def figures(self) -> dict[str, tuple[int, int]]:
        """(running, waiting) by level."""
        return {name: (q.running, q.waiting) for name, q in self._queues.items()}

    def _may_start(self, queue: _Queue, flow: _Flow) -> bool:
        """Whether a flow may have another seat: the more it has, the more must be left for others of its level
        (dynamic thresholds, Choudhury and Hahne 1998). Requests that only wait for something cannot take all that is there.
        """
        left = self._capacity(queue) - queue.running
        return left > 0 and flow.running < GREED * left

    def _capacity(self, queue: _Queue) -> int:
        """A level's seats: its own at any time, and those that others do not use and do not keep."""
        level = queue.level
        if level is EXEMPT:
            return level.seats
        others = (q for q in self._queues.values() if q is not queue and q.level is not EXEMPT)
        return max(level.seats, self._seats - sum(max(q.running, q.level.kept) for q in others))

    def _start(self, queue: _Queue, flow: _Flow, ticket: Ticket, now: float) -> None:
        ticket.state, ticket.since = "running", now
        queue.reached = max(queue.reached, flow.served)
        flow.served += ESTIMATE
        flow.running += 1
        queue.running += 1

    def _next(self, now: float) -> list[Ticket]:
        started = []
        for queue in self._queues.values():
            while queue.waiting:
                able = [(f.served, name) for name, f in queue.hungry.items() if self._may_start(queue, f)]
                if not able:
                    break
                name = min(able)[1]
                flow = queue.flows[name]
                ticket = flow.waiting.popleft()
                self._less_waiting(queue, name, flow)
                self._start(queue, flow, ticket, now)
                started.append(ticket)
        return started

    def _less_waiting(self, queue: _Queue, name: str, flow: _Flow) -> None:
        queue.waiting -= 1
        self._waiting -= 1
        if not flow.waiting:
            del queue.hungry[name]

    @staticmethod
    def _tidy(queue: _Queue, name: str, flow: _Flow) -> None:
        """A flow is forgotten when nothing of it is left and it owes nothing."""
        if not flow.running and not flow.waiting and (flow.served <= queue.reached or not queue.waiting):
            queue.flows.pop(name, None)
        elif len(queue.flows) > FLOWS:
            for idle in [n for n, f in queue.flows.items() if not f.running and not f.waiting]:
                del queue.flows[idle]
