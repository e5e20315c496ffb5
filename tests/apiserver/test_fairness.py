"""Priority and fairness as a decision: levels, seats of one's own and borrowed ones, flows in turn, bounded queues."""

from __future__ import annotations

import random

import pytest

from seaway.cluster.apiserver import fairness, requests
from seaway.cluster.apiserver.authz import ANONYMOUS, AUTHENTICATED, MASTERS, User
from seaway.cluster.apiserver.fairness import LEVELS, Fairness, Level, Ticket

NODE = User("system:node:a", ("system:nodes", AUTHENTICATED))
ACCOUNT = User("system:serviceaccount:shop:web", ("system:serviceaccounts", "system:serviceaccounts:shop", AUTHENTICATED))
COMPONENT = User(
    "system:serviceaccount:kube-system:dns", ("system:serviceaccounts", "system:serviceaccounts:kube-system", AUTHENTICATED)
)
ADA, ADMIN = User("ada", (AUTHENTICATED,)), User("admin", (MASTERS, AUTHENTICATED))
PODS = "/api/v1/namespaces/shop/pods"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/l"


@pytest.mark.parametrize(
    ("user", "method", "path", "level"),
    [
        (ADMIN, "GET", PODS, "exempt"),
        (NODE, "PATCH", "/api/v1/nodes/a/status", "node-high"),
        (NODE, "PUT", LEASE.format("kube-node-lease"), "node-high"),
        (NODE, "GET", PODS, "system"),
        (COMPONENT, "PUT", LEASE.format("kube-system"), "leader-election"),
        (ACCOUNT, "PUT", LEASE.format("shop"), "leader-election"),
        (User("system:kube-scheduler", (AUTHENTICATED,)), "PUT", LEASE.format("kube-system"), "leader-election"),
        (User("system:kube-scheduler", (AUTHENTICATED,)), "GET", PODS, "workload-high"),
        (COMPONENT, "GET", PODS, "workload-high"),
        (ACCOUNT, "GET", PODS, "workload-low"),
        (ADA, "GET", PODS, "global-default"),
        (ADA, "PUT", LEASE.format("shop"), "global-default"),
        (ANONYMOUS, "GET", PODS, "catch-all"),
    ],
)
def test_a_requests_level(user: User, method: str, path: str, level: str) -> None:
    assert fairness.level_of(user, requests.read(method, path, {})).name == level


def test_masters_are_told_apart_by_program_and_others_by_user() -> None:
    assert fairness.flow_of(ADMIN, "kubectl/v1") != fairness.flow_of(ADMIN, "script/1")
    assert fairness.flow_of(ADA, "kubectl/v1") == fairness.flow_of(ADA, "script/1")


ONE, TWO = Level("one", 2, 1, 3, 5), Level("two", 1, 1, 3, 5)


def test_seats_are_borrowed_while_nobody_needs_them_and_ones_own_are_always_there() -> None:
    queues = Fairness((ONE, TWO), 4)
    first = [queues.arrive(ONE, "ada", 0) for _ in range(4)]
    assert [t.state for t in first] == ["running", "running", "running", "waiting"], "one of four is kept for the other"
    assert queues.arrive(TWO, "bob", 0).state == "running"
    assert queues.arrive(TWO, "bob", 0).state == "waiting", "nothing is left to borrow"
    assert queues.figures == {"one": (3, 1), "two": (1, 1)}


def test_no_flow_takes_every_seat_of_its_level() -> None:
    level = Level("only", 40, 40, 100, 1000)
    queues = Fairness((level,), 40)
    states = [queues.arrive(level, "flood", 0).state for _ in range(60)]
    assert states.count("running") == 32
    assert queues.arrive(level, "ada", 0).state == "running", "who has nothing gets a seat though others wait"
    assert [queues.arrive(level, "greedy", 0).state for _ in range(60)].count("running") == 6
    assert queues.arrive(level, "bob", 0).state == "running"


def test_who_has_had_least_is_next() -> None:
    level = Level("only", 1, 1, 100, 1000)
    queues = Fairness((level,), 1)
    now, flood = 0.0, [queues.arrive(level, "flood", 0) for _ in range(50)]
    running = flood[0]
    for _ in range(5):  # some of the flood is served before anybody else comes
        now += 1
        (running,) = queues.finish(running, now)
    mine = queues.arrive(level, "ada", now)
    other = queues.arrive(level, "bob", now)
    served = []
    for _ in range(3):
        now += 1
        (running,) = queues.finish(running, now)
        served.append(running.flow)
    assert set(served[:2]) == {"ada", "bob"}, "both come before the rest of the flood"
    assert served[2] == "flood"
    assert mine.state == "done" and other.state == "done"


def test_a_full_queue_refuses_its_own_flow_first() -> None:
    queues = Fairness((ONE, TWO), 3)
    states = [queues.arrive(TWO, "flood", 0).state for _ in range(6)]
    assert states == ["running", "running", "waiting", "waiting", "waiting", "refused"]
    assert queues.arrive(TWO, "ada", 0).state == "waiting"
    assert queues.arrive(TWO, "bob", 0).state == "waiting"
    assert queues.arrive(TWO, "cyd", 0).state == "refused", "the level as a whole is full"


def test_who_gives_up_waiting_leaves_no_trace() -> None:
    queues = Fairness((ONE, TWO), 3)
    running = [queues.arrive(ONE, "ada", 0) for _ in range(2)]
    gone = queues.arrive(ONE, "bob", 0)
    kept = queues.arrive(ONE, "bob", 0)
    queues.leave(gone)
    queues.leave(gone)
    assert queues.finish(running[0], 1) == [kept]
    assert queues.finish(running[0], 1) == [], "a seat is given back once"
    assert queues.figures["one"] == (2, 0)


@pytest.mark.parametrize("seed", range(5))
def test_whatever_comes_seats_are_never_lost_and_nobody_is_forgotten(seed: int) -> None:
    chooser = random.Random(seed)
    queues = Fairness()
    now, running, waiting = 0.0, list[Ticket](), list[Ticket]()
    for _ in range(3000):
        now += chooser.random() / 100
        action = chooser.random()
        if action < 0.5:
            ticket = queues.arrive(chooser.choice(LEVELS), chooser.choice("abcde"), now)
            {"running": running, "waiting": waiting}.get(ticket.state, []).append(ticket)
        elif action < 0.6 and waiting:
            queues.leave(waiting.pop(chooser.randrange(len(waiting))))
        elif running:
            started = queues.finish(running.pop(chooser.randrange(len(running))), now)
            running += started
            waiting = [t for t in waiting if t.state == "waiting"]
    while running:
        now += 1
        running += queues.finish(running.pop(), now)
    assert all(figures == (0, 0) for figures in queues.figures.values())
    assert all(t.state == "done" for t in waiting), "everybody who waited was served"
