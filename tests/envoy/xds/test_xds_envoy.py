"""The discovery server and the real Envoy: make before break under constant requests, bad resources among good ones, a restart."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from channel import authority, fleet_pair, server_credentials
from realenvoy import Requests, cluster, endpoints, listener, running, table, upstream

from seaway.envoy.xds.fleets import Fleets
from seaway.envoy.xds.resources import CLUSTER, ENDPOINT, LISTENER, ROUTES, Name
from seaway.envoy.xds.server import Server
from seaway.pki.authority import Authority
from seaway.routing.ir import Fleet

FLEET = Fleet("Gateway", "web", "main")
MAIN, FRONT = Name(ROUTES, "main"), Name(LISTENER, "front")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def until(holds: Callable[[], bool], what: str, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"it did not come to be: {what}"
        await asyncio.sleep(0.002)


class World:
    """A server, an Envoy with one listener, and what is behind it."""

    def __init__(self, by: Authority, behind: int) -> None:
        self.by, self.behind = by, behind
        self.front = free_port()
        self.fleets = Fleets()
        self.server = Server(self.fleets)
        self.port = 0

    async def start(self) -> None:
        self.port = await self.server.start(f"127.0.0.1:{self.port}", server_credentials(self.by))

    def put(self, *names: str) -> None:
        """These clusters, and a route `/NAME` to each and to none else."""
        put = [r for n in names for r in (cluster(n), endpoints(n, self.behind))]
        self.fleets.update(FLEET, [*put, table("main", {f"/{n}": n for n in names}), listener("front", self.front, "main")])


@asynccontextmanager
async def world(*names: str) -> AsyncIterator[World]:
    by = authority()
    async with upstream() as behind:
        found = World(by, behind)
        found.put(*names)
        await found.start()
        try:
            async with running("p", found.port, by, fleet_pair(by, FLEET)):
                await until(lambda: found.fleets.in_force(FLEET, FRONT), "the proxy has all")
                yield found
        finally:
            await found.server.stop()


@asynccontextmanager
async def load(port: int, paths: list[str]) -> AsyncIterator[Requests]:
    """Requests without a pause to what `paths` has at the time."""
    requests, chance, over = Requests(port), random.Random(1), asyncio.Event()

    async def ask() -> None:
        while not over.is_set():
            await requests.get(chance.choice(paths))

    asking = asyncio.ensure_future(ask())
    try:
        yield requests
    finally:
        over.set()
        await asking
        requests.close()


def test_two_hundred_clusters_with_their_routes_come_change_and_go_and_no_request_fails() -> None:
    async def play() -> None:
        async with world("c000") as found:
            fleets, names, paths = found.fleets, ["c000"], ["/c000"]
            async with load(found.front, paths) as requests:
                await until(lambda: bool(requests.told), "requests are answered")
                times = []
                for n in range(1, 201):
                    name = f"c{n:03}"
                    names.append(name)
                    began = time.monotonic()
                    fleets.update(FLEET, [cluster(name), endpoints(name, found.behind), table("main", {f"/{x}": x for x in names})])
                    await until(lambda: fleets.in_force(FLEET, MAIN), f"the route of {name}")
                    times.append(time.monotonic() - began)
                    paths.append(f"/{name}")
                fleets.update(FLEET, [cluster(n, timeout=2.0) for n in names])
                await until(lambda: fleets.in_force(FLEET, Name(CLUSTER, "c200")), "the clusters changed")
                asked = sum(requests.told.values())
                await until(lambda: sum(requests.told.values()) > asked + 50, "requests go on")
                await until(fleets.sessions(FLEET)[0].idle, "all is acknowledged")
                assert fleets.state(FLEET)["p"][Name(ENDPOINT, "c200")]
                gone = names[1:]
                paths[:] = ["/c000"]
                await requests_are_over(requests)
                fleets.update(FLEET, [table("main", {"/c000": "c000"})], [Name(t, n) for n in gone for t in (CLUSTER, ENDPOINT)])
                await until(lambda: len(fleets.state(FLEET)["p"]) == 4, "the clusters are gone")
            assert set(requests.told) == {200}, requests.failed[:10]
            assert requests.told[200] > 500
            times.sort()
            print(f"a cluster with its route: median {times[100] * 1e3:.1f} ms, worst {times[-1] * 1e3:.1f} ms")

    asyncio.run(play())


async def requests_are_over(requests: Requests) -> None:
    """The requests that were under way have been answered."""
    asked = sum(requests.told.values())
    await until(lambda: sum(requests.told.values()) > asked + 1, "the next requests")


def test_a_bad_cluster_and_a_bad_route_among_good_ones_are_found_and_the_others_serve() -> None:
    async def play() -> None:
        async with world("good") as found:
            fleets, behind = found.fleets, found.behind
            async with load(found.front, ["/good"]) as requests:
                other = free_port()
                names = [f"n{n:02}" for n in range(20)]
                # Two clusters that break a rule of the message (the whole response is refused, and no name is said), one that is
                # refused by name, a table with a regex that is none, and one that goes to a refused cluster.
                bad = [cluster("n05", timeout=-1.0), cluster("n11", timeout=-2.0), cluster("n13", lb_policy=6)]
                refused = {b.name.name for b in bad}
                good = [cluster(n) for n in names if n not in refused]
                fleets.update(
                    FLEET,
                    [*bad, *good, *(endpoints(n, behind) for n in names),
                     table("main", {f"/{n}": n for n in ["good", *(g.name.name for g in good)]}),
                     table("broken", {"/good": "good"}, regex="("), listener("broken", other, "broken"),
                     table("waits", {"/good": "good", "/n05": "n05"}), listener("waits", free_port(), "waits")],
                )  # fmt: skip
                await until(lambda: len(fleets.rejected(FLEET)) == 4, "the bad ones are found")
                await until(fleets.sessions(FLEET)[0].idle, "all else is acknowledged")
                told = {r.name: r.message for r in fleets.rejected(FLEET)}
                assert told.keys() == {*(b.name for b in bad), Name(ROUTES, "broken")}
                assert "Expected positive duration" in told[Name(CLUSTER, "n05")]
                assert "n13: cluster manager: cluster provided LB specified" in told[Name(CLUSTER, "n13")]
                assert "missing )" in told[Name(ROUTES, "broken")]
                assert {h.name: h.waits_for for h in fleets.held(FLEET)} == {Name(LISTENER, "waits"): Name(CLUSTER, "n05")}
                for g in good:
                    assert await requests.copy().get(f"/{g.name.name}") == 200
                # Put right, they serve, and nothing is told of them any more.
                fleets.update(FLEET, [cluster(b.name.name) for b in bad])
                fleets.update(FLEET, [table("broken", {"/good": "good"})])
                await until(lambda: not fleets.rejected(FLEET) and not fleets.held(FLEET), "they are taken back")
                await until(lambda: fleets.in_force(FLEET, Name(LISTENER, "waits")), "what waited is there")
                fixed = Requests(other)
                assert await fixed.get("/good") == 200
                fixed.close()
            assert set(requests.told) == {200}, requests.failed[:10]

    asyncio.run(play())


def test_a_restarted_controller_sends_nothing_again_and_only_what_changed() -> None:
    async def play() -> None:
        names = [f"n{n:02}" for n in range(50)]
        async with world(*names) as found, load(found.front, [f"/{n}" for n in names]) as requests:
            await until(lambda: bool(requests.told), "requests are answered")
            before = found.fleets.state(FLEET)["p"]
            await found.server.stop()
            found.fleets = Fleets()
            found.server = Server(found.fleets)
            await found.start()
            await until(lambda: found.fleets.streams(FLEET) == 1, "the proxy is back")
            await until(lambda: found.fleets.early(FLEET) >= 4, "it has said what it has")
            found.put(*names)
            await until(lambda: found.fleets.in_force(FLEET, FRONT), "all is in force")
            assert found.fleets.state(FLEET)["p"] == before
            assert found.fleets.sessions(FLEET)[0].sent == 0
            found.put(*names[1:], "new")
            found.fleets.update(FLEET, [], [Name(CLUSTER, "n00"), Name(ENDPOINT, "n00")])
            assert found.fleets.wanted(FLEET, Name(CLUSTER, "new"))
            await until(lambda: found.fleets.in_force(FLEET, MAIN), "the change is in force")
            await until(lambda: Name(CLUSTER, "n00") not in found.fleets.state(FLEET)["p"], "what is not wanted is gone")
            assert found.fleets.sessions(FLEET)[0].sent == 4, "a cluster, its endpoints, the table, and a cluster that goes"
        assert set(requests.told) - {404} == {200}, requests.failed[:10]
        assert all(f.startswith("/n00:") for f in requests.failed)

    asyncio.run(play())
