"""Parts of many objects put together: who wins, what is shared, and that only what changes is told."""

from __future__ import annotations

import pytest

from seaway.routing.ir import (
    Chain,
    Cluster,
    Fleet,
    Host,
    Match,
    PathMatch,
    Pieces,
    Respond,
    Rule,
    ServerTls,
    Socket,
    Source,
)
from seaway.routing.merge import Claims, FleetState
from seaway.routing.parts import Domain, Entry, Part, Way, order

FLEET = Fleet("IngressClass", "", "seaway")
OWNER = Source("IngressClass", "", "seaway")


def entry(
    name: str, path: str = "/", *, domain: str = "x", created: str = "1", code: int = 200, late: int = 0, place: int = 0
) -> Entry:
    rule = Rule(Match(PathMatch("prefix", path)), Respond(code), Source("Ingress", "ns", name))
    return Entry("http", domain, order(rule, created, (place, 0), late), rule)


def part(*entries: Entry, **more: tuple[object, ...]) -> Part:
    return Part(FLEET, entries=entries, **more)  # type: ignore[arg-type]


def chain(name: str, *names: str, table: str = "https") -> Chain:
    return Chain(name, OWNER, names, ServerTls((name,)), table)


def taken(state: FleetState) -> Pieces:
    pieces = Pieces()
    state.take(pieces)
    return pieces


def rules(pieces: Pieces, domain: str = "x") -> list[str]:
    host = pieces.hosts["http"][domain]
    return [r.source.name for r in host.rules] if host is not None else []


def test_rules_of_a_domain_stand_in_order_of_precedence_whoever_came_first() -> None:
    state = FleetState()
    state.change("d", None, part(entry("default", late=1, created="0")))
    state.change("b", None, part(entry("young", created="2"), entry("long", "/long", created="3")))
    state.change("a", None, part(entry("old", created="1")))
    assert rules(taken(state)) == ["long", "old", "young", "default"]


def test_only_domains_that_changed_are_told() -> None:
    state = FleetState()
    one, two = entry("one", domain="x"), entry("two", domain="y")
    state.change("a", None, part(one, two))
    taken(state)
    state.change("a", part(one, two), part(one, entry("two", domain="y", code=503)))
    assert list(taken(state).hosts["http"]) == ["y"]
    assert not taken(state).hosts


def test_a_domain_without_rules_is_gone_unless_it_is_reserved() -> None:
    state = FleetState()
    there = part(entry("one"), domains=(Domain("http", "x", OWNER), Domain("http", "y", OWNER)))
    state.change("a", None, there)
    assert taken(state).hosts["http"]["y"] == Host("y")
    reserved = part(domains=there.domains)
    state.change("a", there, reserved)
    assert taken(state).hosts == {"http": {"x": Host("x")}}
    state.change("a", reserved, None)
    assert taken(state).hosts == {"http": {"x": None, "y": None}} and state.empty


def test_a_domain_that_is_anothers_is_misdirected_only_while_nobody_has_it() -> None:
    state = FleetState()
    other = part(domains=(Domain("http", "x", OWNER, misdirected=True),))
    state.change("a", None, other)
    assert taken(state).hosts["http"]["x"] == Host("x", misdirected=True)
    state.change("b", None, part(domains=(Domain("http", "x", OWNER),)))
    assert taken(state).hosts["http"]["x"] == Host("x")
    state.change("b", part(domains=(Domain("http", "x", OWNER),)), part(entry("one")))
    assert rules(taken(state)) == ["one"]


def test_equal_rules_of_two_objects_are_removed_each_for_itself() -> None:
    state = FleetState()
    state.change("a", None, part(entry("one")))
    state.change("b", None, part(entry("one")))
    state.change("a", part(entry("one")), None)
    assert rules(taken(state)) == ["one"]


def socket_of(state: FleetState) -> Socket | None:
    return taken(state).sockets["tcp-443"]


def test_of_two_chains_of_a_name_the_older_wins_and_the_younger_takes_over() -> None:
    state = FleetState()
    young = part(ways=(Way(443, "tcp", chain("c", "young"), ("2",)),))
    old = part(ways=(Way(443, "tcp", chain("c", "old"), ("1",)),))
    state.change("y", None, young)
    state.change("o", None, old)
    assert socket_of(state) == Socket(443, "tcp", (chain("c", "old"),))
    state.change("o", old, None)
    assert socket_of(state) == Socket(443, "tcp", (chain("c", "young"),))
    state.change("y", young, None)
    assert socket_of(state) is None and state.empty


def test_chains_stand_in_order_of_their_names() -> None:
    state = FleetState()
    for name in "bac":
        state.change(name, None, part(ways=(Way(443, "tcp", chain(name, name)),)))
    assert [c.name for c in socket_of(state).chains] == ["a", "b", "c"]  # type: ignore[union-attr]


def test_names_of_a_shared_chain_are_put_together_and_go_with_their_last_user() -> None:
    state = FleetState()

    def way(*names: str) -> Part:
        return part(ways=(Way(443, "tcp", chain("c", *names), share=True),))

    state.change("one", None, way("b", "x"))
    state.change("two", None, way("a", "x"))
    assert socket_of(state) == Socket(443, "tcp", (chain("c", "a", "b", "x"),))
    state.change("one", way("b", "x"), way("x"))
    assert socket_of(state) == Socket(443, "tcp", (chain("c", "a", "x"),))
    state.change("two", way("a", "x"), None)
    assert socket_of(state) == Socket(443, "tcp", (chain("c", "x"),))


def test_one_more_object_with_the_same_way_is_no_change() -> None:
    state = FleetState()
    way = part(ways=(Way(443, "tcp", chain("c"), share=True),))
    state.change("one", None, way)
    taken(state)
    state.change("two", None, way)
    state.change("one", way, None)
    assert not taken(state).sockets and not state.empty


def test_a_cluster_lives_as_long_as_its_last_user_and_is_told_once() -> None:
    state = FleetState()
    uses = part(clusters=(Cluster("ns/s/80"),))
    state.change("one", None, uses)
    assert taken(state).clusters == {"ns/s/80": Cluster("ns/s/80")}
    state.change("two", None, uses)
    state.change("one", uses, None)
    assert taken(state).clusters == {}
    state.change("two", uses, None)
    assert taken(state).clusters == {"ns/s/80": None} and state.empty


@pytest.mark.parametrize("turn", [1, -1])
def test_who_disagrees_about_a_cluster_is_settled_by_name_in_any_order(turn: int) -> None:
    def some_function() -> None: ...

    state = FleetState()
    owners = [((some_function, "ns", "a"), "http1"), ((some_function, "ns", "b"), "h2")][::turn]
    for owner, protocol in owners:
        state.change(owner, None, part(clusters=(Cluster("c", protocol),)))
    assert taken(state).clusters["c"] == Cluster("c", "http1")


def test_claims_follow_orders_that_change() -> None:
    claims: Claims[str] = Claims()
    assert claims.winner() is None
    for owner, place in (("a", 2), ("b", 1), ("c", 3)):
        claims.put(owner, place, owner)
    assert claims.winner() == "b"
    claims.put("b", 4, "b")
    assert claims.winner() == "a"
    claims.put("c", 0, "c")
    assert claims.winner() == "c"
    claims.remove("c")
    claims.remove("nobody")
    assert claims.winner() == "a"
