"""The process without its edges: what it tells those who program proxies, and who make fleets, when decisions fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from seaway.api.tree import Key, Tree
from seaway.gateway.measures import Measures
from seaway.gateway.process import Gateway, Settings
from seaway.routing.fleets import InForce
from seaway.routing.gateway.classes import CONTROLLER
from seaway.routing.ir import Fleet, Pieces

EDGE = Fleet("Gateway", "shop", "edge")
HTTP = {"name": "http", "port": 80, "protocol": "HTTP"}


def tree(kind: str, name: str, **rest: Any) -> Tree:
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, **rest,
            "metadata": {"name": name, "namespace": "shop", "uid": name, "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}}


def route(name: str) -> Tree:
    return tree("HTTPRoute", name, spec={"parentRefs": [{"name": "edge"}], "hostnames": [f"{name}.example.com"], "rules": [{}]})


class Edges:
    """Stands for programming and for provisioning, and remembers what it was told. `news` is what there is to tell of either."""

    def __init__(self, news: Any) -> None:
        self.news = lambda: news
        self.keeping: bool | None = None
        self.pieces: dict[Fleet, Pieces] = {}
        self.known: set[str] = set()

    def keep(self, keeping: bool) -> None:
        self.keeping = keeping

    def change(self, fleet: Fleet, pieces: Pieces | None) -> None:
        assert self.keeping is not None, "it is said before anything is programmed"
        self.pieces[fleet] = pieces or Pieces()

    def know(self, what: Any) -> None:
        self.known |= set(what) if isinstance(what, list) else set()

    def in_force(self, fleet: Fleet) -> tuple[InForce, bool]:
        return InForce(0), False

    def problems(self) -> dict[Any, Any]:
        return {}

    def want(self, specs: Any) -> None: ...

    def listen(self, *_: Any) -> None: ...

    def recall(self, suspects: Any) -> None: ...

    def trust_changed(self) -> None: ...

    def data_changed(self, *_: Any) -> None: ...

    async def start(self) -> None: ...


class Listed:
    """An informer that has listed all there is."""

    def __init__(self) -> None:
        self.synced = asyncio.Event()
        self.synced.set()

    def all(self) -> list[Tree]:
        return []

    def get(self, namespace: str, name: str) -> None: ...


def test_what_cannot_be_decided_at_first_keeps_proxies_and_fleets_as_they_are_until_it_can() -> None:
    async def main() -> None:
        edges, fleets = Edges(frozenset()), Edges({})
        found = Gateway(None, Settings((CONTROLLER,), ()), edges, fleets, Measures(), None)  # type: ignore[arg-type]
        decide = found.engine._parts["httproutes"]

        def failing(view: Any, namespace: str, name: str) -> Any:
            if view.get("httproutes", namespace, name)["spec"]["hostnames"] == ["bad.example.com"]:
                raise RuntimeError("a bug")
            return decide(view, namespace, name)

        found.engine._parts["httproutes"] = failing
        found.watching.informers = {r: Listed() for r in found.engine.resources}  # type: ignore[misc]
        found.watching.complete.set()
        klass = tree("GatewayClass", "seaway", spec={"controllerName": CONTROLLER})
        found._changed("gatewayclasses", Key("", "seaway"), klass)
        found._changed("gateways", Key("shop", "edge"), tree("Gateway", "edge", spec={"gatewayClassName": "seaway", "listeners": [HTTP]}))
        found._changed("httproutes", Key("shop", "good"), route("good"))
        found._changed("httproutes", Key("shop", "bad"), route("bad"))
        running = asyncio.create_task(found._settling())

        async def until(claim: Callable[[], Any]) -> None:
            async with asyncio.timeout(10):
                while not claim():
                    assert not running.done(), running.result()
                    await asyncio.sleep(0.005)

        await until(lambda: found.settled)
        assert edges.keeping and not fleets.known, "nothing is an orphan yet"
        assert {d for hosts in edges.pieces[EDGE].hosts.values() for d in hosts} >= {"good.example.com"}
        found._changed("httproutes", Key("shop", "bad"), route("mended"))
        await until(lambda: edges.keeping is False)
        assert fleets.known == {"Gateway", "IngressClass"}
        found._changed("httproutes", Key("shop", "bad"), route("bad"))
        await until(lambda: found._failed)
        assert edges.keeping is False, "what failed later keeps what it had"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())
