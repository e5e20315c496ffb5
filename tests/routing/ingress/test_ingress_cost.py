"""The cost of a change follows the change: counted in decisions, at 5,000 Ingresses."""

from __future__ import annotations

import time

import pytest
from evaluate import evaluate
from ingressobjects import endpoints, fleet, ingress, ingress_class, secret, service
from routingworld import World

from seaway.api.tree import Key
from seaway.routing.ingress.frontend import INGRESS

MANY = 5000


@pytest.fixture(scope="module")
def many() -> World:
    world = World([INGRESS]).apply(ingress_class(), secret("wild", "*.example.com"))
    for i in range(50):
        world.apply(service(f"s{i}"), endpoints(f"s{i}", f"10.0.{i}.1"))
    for i in range(MANY):
        world.apply(one(i))
    return world.settle()


def one(i: int, to: str = "") -> dict:  # type: ignore[type-arg]
    tls = {"tls": [((f"h{i}.example.com",), "wild")]} if i % 10 == 0 else {}
    return ingress(f"i{i}", (f"h{i}.example.com", "/", to or f"s{i % 50}"), **tls)


def decided(world: World, *, settle: bool = True) -> int:
    before = world.engine.memo.decided
    world.settle()
    return world.engine.memo.decided - before


def test_a_change_of_one_ingress_decides_that_ingress(many: World) -> None:
    many.apply(one(7, "s3"))
    changes = many.engine.memo.decided
    assert decided(many) <= 10, changes
    assert evaluate(fleet(many), "h7.example.com", scheme="https", sni="h0.example.com").cluster == "default/s3/80"


def test_a_new_ingress_and_its_end_decide_a_handful(many: World) -> None:
    many.apply(one(MANY))
    assert decided(many) <= 60
    assert evaluate(fleet(many), f"h{MANY}.example.com", scheme="https").certificate == "default/wild"
    many.delete("Ingress", "default", f"i{MANY}")
    assert decided(many) <= 60


def test_endpoints_of_a_service_decide_no_ingress(many: World) -> None:
    many.apply(endpoints("s1", "10.0.1.1", "10.0.1.2"))
    assert decided(many) == 1


def test_a_service_that_changes_decides_its_users_only_if_its_port_does(many: World) -> None:
    tree = service("s2", selector={"app": "x"})
    many.apply(tree)
    assert decided(many) <= 3
    many.apply(service("s2", 81))
    # Its hundred users, each with its parts and its status.
    assert decided(many) <= 3 * (MANY // 50) + 5
    many.apply(tree).settle()


def test_a_certificate_that_is_renewed_changes_no_chain(many: World) -> None:
    key = Key("default", "wild")
    many.apply(secret("wild", "*.example.com,example.com"))
    before = many.engine.memo.decided
    changes = many.engine.settle()
    (pieces,) = changes.fleets.values()
    assert pieces is not None and list(pieces.certificates) == [str(key)] and not pieces.sockets and not pieces.hosts
    assert many.engine.memo.decided - before <= 3 * (MANY // 10) + 20  # who has it, asks only whether it can be used
    assert not changes.statuses


def test_a_change_is_fast(many: World) -> None:
    """A generous bound on time, to notice what is not counted in decisions."""
    took = []
    for i in range(20):
        many.apply(one(i, f"s{(i + 5) % 50}"))
        began = time.perf_counter()
        many.settle()
        took.append(time.perf_counter() - began)
    assert sorted(took)[10] < 0.05, took
