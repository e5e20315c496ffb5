"""Rules that a proxy refuses, played against a model of it in any order of messages: these are found, and no other."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from fakeenvoy import FakeEnvoy
from transcripts import FLEET, Stream

from seaway.envoy import messages
from seaway.envoy.translation import clusters, connections, secrets
from seaway.envoy.xds.fleets import Fleets
from seaway.envoy.xds.resources import CLUSTER, ENDPOINT, EXTENSION, LISTENER, SCOPES, SECRET, Resource
from seaway.gateway.programmed import Programmed
from seaway.routing.ir import (
    Action,
    Certificate,
    Chain,
    Cluster,
    End,
    Endpoints,
    Forward,
    Host,
    Match,
    PathMatch,
    Pieces,
    Redirect,
    Rule,
    ServerTls,
    Socket,
    Source,
    Target,
)

WEB = "shop/web/80"
SHARED = "shared.example.com"
NO_MATCH, NO_ACTION = "(large){1,1000}", "no-such-place.example.com"  # what the model refuses: of a match, of an action


class StrictEnvoy(FakeEnvoy):
    """Reads what we really send, and refuses scopes for their routes."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.served: dict[str, set[str]] = {}

    def read(self, resource: Resource) -> dict[str, Any]:
        name = resource.name
        if name.type == CLUSTER:
            return {"eds": name.name}
        if name.type == LISTENER:
            chains = messages.Listener.FromString(resource.body).filter_chains
            fetched = {key: [n.name for n in resource.needs if n.type == t] for key, t in (("extensions", EXTENSION), ("secrets", SECRET))}
            return {"scopes": True, **fetched, **({"bad": "alone"} if any("bad" in c.name for c in chains) else {})}
        if name.type != SCOPES:
            return {}
        routes = [
            route
            for host in messages.ScopedRouteConfiguration.FromString(resource.body).route_configuration.virtual_hosts
            for route in host.routes
        ]
        bad = any(NO_MATCH in r.match.safe_regex.regex or r.redirect.host_redirect == NO_ACTION for r in routes)
        return {"bad": "alone"} if bad else {}


def rule(name: str, path: str, action: Action | None = None, kind: str = "prefix") -> Rule:
    return Rule(Match(PathMatch(kind, path)), action or Forward((Target(WEB),)), Source("HTTPRoute", "shop", name, "rules[0]"))


def bad_match(name: str) -> Rule:
    return rule(name, f"/{name}/{NO_MATCH}", kind="regex")


def bad_action(name: str) -> Rule:
    return rule(name, f"/{name}", Redirect(host=NO_ACTION))


def hosts(**rules: list[Rule]) -> dict[str, dict[str, Host | None]]:
    names = {"shared": SHARED, "other": "other.example.com", "wild": "*.example.com"}
    return {"http": {names[n]: Host(names[n], tuple(r)) for n, r in rules.items()}}


def beginning(**rules: list[Rule]) -> Pieces:
    return Pieces(
        sockets={"tcp-80": Socket(80, "tcp", (Chain("http", Source("Gateway", "shop", "edge", "http"), table="http"),))},
        hosts=hosts(**rules),
        clusters={WEB: Cluster(WEB)},
        endpoints={WEB: Endpoints(WEB, ())},
    )


class Play:
    """A fleet's proxies; each message, and each look at what they said, comes when chance has it."""

    def __init__(self, seed: int, proxies: int = 2) -> None:
        self.chance = random.Random(seed)
        self.fleets = Fleets()
        self.programmed = Programmed(FLEET, self.fleets)
        self.streams = [Stream(self.fleets, StrictEnvoy(self.chance), f"p{n}") for n in range(proxies)]

    def some(self, steps: int) -> None:
        for _ in range(steps):
            stream = self.chance.choice(self.streams)
            self.chance.choice([stream.ask, stream.hear, stream.say, stream.take, self.look])()

    def look(self) -> bool:
        """As the process does: at all that came since the last look, in one."""
        if not self.fleets.changes():
            return False
        self.programmed.review()
        return True

    def settle(self) -> None:
        for _ in range(20_000):
            moved = [
                step()
                for s in self.chance.sample(self.streams, len(self.streams))
                for step in (s.ask, s.hear, s.say, s.take)
            ]
            if self.chance.random() < 0.3 or not any(moved):
                moved.append(self.look())
                if not any(moved):
                    return
        raise AssertionError("it does not come to an end")

    @property
    def accused(self) -> set[str]:
        return {place.rpartition("/")[2] for place in self.programmed.refusals}

    def in_force(self) -> bool:
        """All that anybody on the proxies asks for."""
        used = {need for n in self.programmed.names for need in self.fleets.wanted(FLEET, n).needs}  # type: ignore[union-attr]
        return all(self.fleets.in_force(FLEET, n) for n in self.programmed.names if n.type not in (ENDPOINT, SECRET) or n in used)


def many(n: int) -> list[Rule]:
    return [rule(f"r{i}", f"/r{i}") for i in range(n)]


@pytest.mark.parametrize("seed", range(8))
def test_refused_rules_of_a_host_in_shards_are_found_together_and_no_good_one_is_accused(seed: int) -> None:
    """Regexes are in every shard of their host; each shard is refused, and taken, for itself."""
    play = Play(seed)
    good, other = many(300), [rule("o", "/")]
    play.programmed.change(beginning(shared=good, other=other))
    play.settle()
    assert play.in_force()
    fresh = [bad_match("b0"), bad_match("b1"), rule("late", "/late"), bad_action("b2")]
    wrong = [bad_match("b3"), rule("later", "/later")]
    play.programmed.change(Pieces(hosts=hosts(shared=[*fresh, *good], other=[*wrong, *other])))
    play.settle()
    assert play.accused == {"b0", "b1", "b2", "b3"} and not play.programmed.trying
    assert play.in_force(), "everything else is served"
    assert all("no such thing" in message for said in play.programmed.refusals.values() for message in said)


@pytest.mark.parametrize("seed", range(8))
def test_rules_that_come_while_it_is_looked_for_bad_ones_are_judged_for_themselves(seed: int) -> None:
    play = Play(100 + seed)
    good = many(300)
    play.programmed.change(beginning(shared=good, other=[rule("o", "/")]))
    play.settle()
    fresh: list[Rule] = []
    bad = set[str]()
    for turn in range(12):
        name = f"n{turn}"
        made = play.chance.choice([bad_match, bad_action, lambda n: rule(n, f"/{n}"), lambda n: rule(n, f"/{n}.*", kind="regex")])
        fresh = [made(name), *fresh]
        if made in (bad_match, bad_action):
            bad.add(name)
        if turn % 4 == 3:  # one is mended
            name = play.chance.choice(sorted(bad)) if bad else name
            fresh = [rule(name, f"/{name}/mended") if r.source.name == name else r for r in fresh]
            bad.discard(name)
        play.programmed.change(Pieces(hosts=hosts(shared=[*fresh, *good])))
        play.some(play.chance.choice([0, 5, 60, 400]))
    play.settle()
    assert play.accused == bad and not play.programmed.trying
    assert play.in_force()


@pytest.mark.parametrize("seed", range(6))
def test_a_host_that_grows_into_shards_with_a_bad_rule_loses_no_good_one_for_ever(seed: int) -> None:
    play = Play(200 + seed, proxies=1)
    good = many(200)
    play.programmed.change(beginning(shared=good))
    play.settle()
    play.programmed.change(Pieces(hosts=hosts(shared=[bad_match("b0"), bad_match("b1"), *many(300)])))
    play.settle()
    assert play.accused == {"b0", "b1"} and play.in_force()


@pytest.mark.parametrize("seed", range(6))
def test_a_new_controller_finds_the_same_bad_rules_in_what_proxies_hold(seed: int) -> None:
    """Its first versions are others than those that the proxies hold, of which it knows nothing."""
    play = Play(300 + seed)
    wild = [bad_match("b0"), *many(40)]
    play.programmed.change(beginning(wild=wild, other=[rule("o", "/")]))
    play.settle()
    play.fleets = Fleets()
    play.programmed = Programmed(FLEET, play.fleets)
    play.streams = [Stream(play.fleets, s.proxy, f"p{n}") for n, s in enumerate(play.streams)]
    play.programmed.change(beginning(wild=[bad_match("b1"), *wild], other=[rule("o", "/")]))
    play.settle()
    assert play.accused == {"b0", "b1"} and play.in_force()


def test_a_rule_that_is_gone_while_it_is_looked_for_leaves_no_search_behind() -> None:
    play = Play(1)
    play.programmed.change(beginning(shared=many(3)))
    play.settle()
    play.programmed.change(Pieces(hosts=hosts(shared=[bad_match("b0"), rule("late", "/late"), *many(3)])))
    while not play.programmed.trying:
        play.some(1)
    play.programmed.change(Pieces(hosts=hosts(shared=many(3))))
    play.settle()
    assert not play.programmed.trying and not play.accused and play.in_force()


def test_a_bad_rule_whose_route_is_gone_is_told_of_no_more() -> None:
    play = Play(2)
    play.programmed.change(beginning(shared=[bad_match("b0"), *many(3)]))
    play.settle()
    assert play.accused == {"b0"}
    play.programmed.change(Pieces(hosts=hosts(shared=many(3))))
    play.settle()
    assert not play.accused and play.in_force()


@pytest.mark.parametrize("seed", range(4))
def test_chains_that_are_refused_are_found_and_the_others_listen(seed: int) -> None:
    play = Play(400 + seed)
    chains = [Chain(n, Source("Gateway", "shop", "edge", n), names=(f"{n}.example.com",), table="http")
              for n in ("a", "bad-1", "c", "bad-2", "e")]
    play.programmed.change(beginning(shared=many(3)))
    play.programmed.change(Pieces(sockets={"tcp-443": Socket(443, "tcp", tuple(chains))}))
    play.settle()
    assert [place for place, _ in play.programmed.refused_listeners] == [f"Gateway/shop/edge/bad-{n}" for n in (1, 2)]
    assert not play.programmed.waiting and not play.programmed.trying and play.in_force()


def test_pieces_that_cannot_be_said_are_told_of_hurt_no_other_and_are_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster, a certificate, endpoints and a chain that our own translation fails at, among good ones, in one change."""

    def failing(module: Any, name: str, bad: Callable[..., bool]) -> None:
        real = getattr(module, name)

        def played(*args: Any) -> Any:
            if bad(*args):
                raise KeyError("no such word")
            return real(*args)

        monkeypatch.setattr(module, name, played)

    failing(clusters, "cluster", lambda c: c.name == "shop/broken/80" and c.protocol == "h2")
    failing(clusters, "endpoints", lambda e: e.cluster == "shop/lost/80" and bool(e.ends))
    failing(secrets, "certificate", lambda c: c.chain == b"broken")
    failing(connections, "manager", lambda _, chain, *__: chain.name == "unsayable")
    play = Play(3)
    tls = {n: Chain(n, Source("Gateway", "shop", "edge", n), (f"{n}.test",), ServerTls((f"shop/{n}",)), "http") for n in ("good", "broken")}
    odd = Chain("unsayable", Source("Gateway", "shop", "edge", "unsayable"), ("odd.test",), table="http")
    pieces = beginning(shared=[rule("b", "/broken", Forward((Target("shop/broken/80"),))), rule("l", "/lost", Forward((Target("shop/lost/80"),))),
                               rule("g", "/")])
    pieces.clusters |= {"shop/broken/80": Cluster("shop/broken/80", "h2"), "shop/lost/80": Cluster("shop/lost/80")}
    pieces.endpoints |= {"shop/broken/80": Endpoints("shop/broken/80", ()), "shop/lost/80": Endpoints("shop/lost/80", (End("10.0.0.1", 1),))}
    pieces.certificates |= {"shop/good": Certificate("shop/good", b"chain", b"key"), "shop/broken": Certificate("shop/broken", b"broken", b"key")}
    pieces.sockets |= {"tcp-443": Socket(443, "tcp", (odd, *tls.values()))}
    play.programmed.change(pieces)
    play.programmed.review()
    play.settle()
    assert play.accused == {"b", "l"} and "no such word" in str(play.programmed.refusals)
    assert [place for place, _ in play.programmed.refused_listeners] == ["Gateway/shop/edge/broken", "Gateway/shop/edge/unsayable"]
    assert play.in_force() and not play.programmed.waiting
    play.programmed.change(Pieces(
        clusters={"shop/broken/80": Cluster("shop/broken/80")}, endpoints={"shop/lost/80": Endpoints("shop/lost/80", ())},
        certificates={"shop/broken": Certificate("shop/broken", b"chain", b"key")},
        sockets={"tcp-443": Socket(443, "tcp", tuple(tls.values()))},
    ))
    play.programmed.review()
    play.settle()
    assert not play.accused and not play.programmed.refused_listeners and play.in_force()
    assert {n.name for n in play.programmed.names} >= {"shop/broken/80", "shop/broken", "tcp-443"}


def test_what_a_controller_cannot_decide_when_it_begins_stays_as_the_last_one_left_it() -> None:
    """A host whose route cannot be read, and a listener whose Gateway cannot; all others change, and it goes when that is known."""
    play = Play(4)
    pieces = beginning(shared=many(300), other=[rule("o", "/")])
    pieces.sockets |= {"tcp-81": Socket(81, "tcp", (Chain("http", Source("Gateway", "shop", "edge", "more"), table="http"),))}
    play.programmed.change(pieces)
    play.settle()
    play.fleets = Fleets()
    play.fleets.keep(True)
    play.programmed = Programmed(FLEET, play.fleets)
    play.streams = [Stream(play.fleets, s.proxy, f"p{n}") for n, s in enumerate(play.streams)]
    play.programmed.change(beginning(other=[rule("o", "/"), rule("p", "/p")]))
    play.settle()

    def held(stream: Stream, type: str) -> set[str]:
        return {name for of, name in stream.proxy.holds() if of == type}

    assert play.in_force(), "what is known is in force"
    for stream in play.streams:
        assert {f"http/{SHARED}", "http/other.example.com"} < held(stream, SCOPES) and len(held(stream, SCOPES)) > 50
        assert held(stream, LISTENER) == {"tcp-80", "tcp-81"}
    play.fleets.keep(False)
    play.settle()
    for stream in play.streams:
        assert held(stream, SCOPES) == {"http/other.example.com"} and held(stream, LISTENER) == {"tcp-80"}
