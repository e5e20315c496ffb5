"""Random histories against the model of a proxy: what must hold whatever happens, and whenever each message arrives."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from fakeenvoy import FakeEnvoy
from transcripts import FLEET, Stream, cluster, endpoints, inline, listener, scope, table

from seaway.envoy.xds.fleets import Fleets
from seaway.envoy.xds.resources import CLUSTER, ENDPOINT, ROUTES, Name, Resource

BAD = ("alone", "whole")


def tcp(name: str, *clusters: str, **more: Any) -> Resource:
    return listener(name, clusters=clusters, **more)


class World:
    """What is wanted, changed at random and always whole: what is routed to is there. Some of it is bad."""

    def __init__(self, chance: random.Random, bad: float) -> None:
        self.chance, self.bad = chance, bad
        self.wanted: dict[Name, Resource] = {}
        self.changes = 0
        self.put(listener("http", "main"), table("main"), listener("scoped", scopes=True))

    def put(self, *resources: Resource) -> list[Resource]:
        changed = [r for r in resources if self.wanted.get(r.name) != r]
        self.wanted |= {r.name: r for r in resources}
        return changed

    def names(self, type: str) -> list[str]:
        return sorted(n.name for n in self.wanted if n.type == type)

    def change(self) -> tuple[list[Resource], list[Name]]:
        """One settle of a control process: some clusters come, change or go, and routes with them."""
        n = self.changes = self.changes + 1
        put: list[Resource] = []
        gone: list[Name] = []
        clusters = set(self.names(CLUSTER))
        for _ in range(self.chance.randint(1, 4)):
            name = f"c{self.chance.randrange(12):02}"
            if name in clusters and self.chance.random() < 0.4:
                clusters.discard(name)
                gone += [Name(CLUSTER, name), Name(ENDPOINT, name)]
            else:
                clusters.add(name)
                gone = [g for g in gone if g.name != name]
                put.append(cluster(name, n=n, **self.flaw()))
                put.append(endpoints(name, n=n, **self.flaw()))
        for name in self.names(ENDPOINT):
            if name in clusters and self.chance.random() < 0.2:
                put.append(endpoints(name, n=-n, **self.flaw()))
        tables = [t for t in self.names(ROUTES) if t != "main"]
        for key in sorted({f"t{self.chance.randrange(6)}" for _ in range(2)}):
            if key in tables and self.chance.random() < 0.4:
                gone += [Name(ROUTES, key), scope(f"s-{key}", key).name]
                tables.remove(key)
            elif key not in tables:
                tables.append(key)
                put.append(scope(f"s-{key}", key))
        for key in (*tables, "main"):
            old = self.wanted.get(Name(ROUTES, key))
            lost = old is None or any(x.name not in clusters for x in old.needs)
            if lost or self.chance.random() < 0.3:
                some = self.chance.sample(sorted(clusters), min(len(clusters), self.chance.randint(0, 4)))
                put.append(table(key, *some, n=n, **self.flaw()))
        for name, made in [(f"i{k}", inline) for k in range(4)] + [(f"tcp{k}", tcp) for k in range(2)]:
            full = made(name).name
            old = self.wanted.get(full)
            lost = old is not None and any(x.name not in clusters for x in old.needs)
            roll = self.chance.random()
            if old is not None and roll < 0.1:
                gone.append(full)
            elif lost or roll < 0.3:
                some = self.chance.sample(sorted(clusters), min(len(clusters), self.chance.randint(0, 3)))
                put.append(made(name, *some, n=n, **self.flaw()))
        put = list({r.name: r for r in put}.values())
        gone = [g for g in gone if g in self.wanted and g not in {r.name for r in put}]
        for name in gone:
            del self.wanted[name]
        return self.put(*put), gone

    def flaw(self) -> dict[str, str]:
        return {"bad": self.chance.choice(BAD)} if self.chance.random() < self.bad else {}


def play(seed: int, bad: float, proxies: int, breaks: bool) -> tuple[World, Fleets, list[Stream], int]:
    """A history: changes, messages and broken streams in any order, then quiet. What was sent, at last."""
    chance = random.Random(seed)
    world = World(chance, bad)
    fleets = Fleets()
    fleets.update(FLEET, world.wanted.values())
    streams = [Stream(fleets, FakeEnvoy(chance), f"p{n}") for n in range(proxies)]
    steps: tuple[Callable[[Stream], bool], ...] = (Stream.ask, Stream.hear, Stream.say, Stream.take)
    for _ in range(chance.randint(100, 400)):
        roll = chance.random()
        n = chance.randrange(proxies)
        if roll < 0.06:
            changed, gone = world.change()
            fleets.update(FLEET, changed, gone)
        elif roll < 0.07 and breaks:
            streams[n].close()
            streams[n] = Stream(fleets, streams[n].proxy, f"p{n}")
        elif roll < 0.075 and breaks:  # the controller is another one now, and learns late what is wanted
            fleets = Fleets()
            streams = [Stream(fleets, s.proxy, f"p{m}") for m, s in enumerate(streams)]
            if chance.random() < 0.5:
                for stream in streams:
                    stream.settle()
            fleets.update(FLEET, world.wanted.values())
        else:
            chance.choice(steps)(streams[n])
    for stream in streams:
        stream.settle(timeouts=bad > 0)
    return world, fleets, streams, sum(s.session.sent for s in streams)


@pytest.mark.parametrize("seed", range(120))
def test_every_history_ends_with_what_is_wanted_and_no_route_ever_went_to_a_cold_cluster(seed: int) -> None:
    world, fleets, streams, _ = play(seed, bad=0.0, proxies=1 + seed % 3, breaks=seed % 2 == 1)
    wanted = {(n.type, n.name): r.version for n, r in world.wanted.items()}
    for stream in streams:
        assert stream.proxy.wrong == []
        assert stream.proxy.holds() == wanted
        assert {tuple(n): v for n, v in stream.session.proxy.versions().items()} == wanted
        assert not stream.proxy.warming
    assert all(fleets.in_force(FLEET, name) for name in world.wanted)
    assert fleets.rejected(FLEET) == () and fleets.held(FLEET) == ()


@pytest.mark.parametrize("seed", range(120))
def test_every_bad_resource_is_found_and_all_others_go_on(seed: int) -> None:
    world, fleets, streams, _ = play(1_000 + seed, bad=0.12, proxies=1 + seed % 2, breaks=seed % 2 == 1)
    bad = {n for n, r in world.wanted.items() if b'"bad"' in r.body}
    assert {r.name for r in fleets.rejected(FLEET) if r.version == world.wanted[r.name].version} <= bad
    for stream in streams:
        assert stream.proxy.wrong == []
        refused, stuck, versions = stream.session.proxy.refusals(), stream.session.stuck(), stream.session.proxy.versions()
        assert refused.keys() <= bad
        for name, resource in world.wanted.items():
            if versions.get(name) == resource.version:
                assert name not in bad
            elif name in bad:
                asked = stream.session.proxy.asks(name)
                assert name in refused or name in stuck or not asked, f"{name} was neither refused nor held"
            else:
                assert name in stuck or not stream.session.proxy.asks(name), f"{name} is good, and is not there"
        for name, end in stuck.items():
            assert end in bad or end not in world.wanted, f"{name} waits for {end}"


@pytest.mark.parametrize("seed", range(40))
def test_the_work_follows_the_changes(seed: int) -> None:
    """Each change is sent once to a proxy, and a cluster's assignment once more after the cluster."""
    chance = random.Random(seed)
    world = World(chance, 0.0)
    fleets = Fleets()
    for n in range(12):
        world.put(cluster(f"c{n:02}"), endpoints(f"c{n:02}"))
    fleets.update(FLEET, world.wanted.values())
    stream = Stream(fleets, FakeEnvoy(chance))
    stream.settle()
    for _ in range(30):
        before = stream.session.sent
        changed, gone = world.change()
        fleets.update(FLEET, changed, gone)
        stream.settle()
        clusters = [r.name.name for r in changed if r.name.type == CLUSTER]
        again = [c for c in clusters if Name(ENDPOINT, c) not in {r.name for r in changed}]
        assert stream.session.sent - before <= len(changed) + len(gone) + 2 * len(clusters) + len(again)
        assert stream.proxy.wrong == []
