"""Fleets' objects against an API server that only stores: where they lie, and what becomes of those that nobody wants any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest

from seaway.api.kinds import Kind
from seaway.api.tree import Key, Tree
from seaway.client.errors import NotFound, Unavailable
from seaway.client.informer import PAGE
from seaway.gateway.infrastructure.parameters import Parameters
from seaway.gateway.places import Places
from seaway.gateway.provisioning import Provisioning
from seaway.routing.fleets import FleetSpec
from seaway.routing.ir import Fleet

OWN = "seaway-system"
A, AB = Fleet("Gateway", "shop", "a"), Fleet("Gateway", "shop", "a-b")
INGRESS = Fleet("IngressClass", "", "seaway")


def spec(fleet: Fleet, class_name: str) -> FleetSpec:
    return FleetSpec(fleet, f"uid-of-{fleet.name}", class_name, (("http", 80, "TCP"),))


WANTED = {A: spec(A, "b-c"), AB: spec(AB, "c"), INGRESS: spec(INGRESS, "seaway")}


class Server:
    """Applies, lists and deletes."""

    def __init__(self) -> None:
        self.trees: dict[tuple[str, str, str], Tree] = {}
        self.refusing = 0
        self.deleted: list[tuple[str, str, str]] = []

    async def request(self, method: str, path: str, tree: Tree, query: Mapping[str, str], media: str) -> Tree:
        assert method == "PATCH" and query["fieldManager"] == "seaway-gateway"
        meta = tree["metadata"]
        key = (tree["kind"], meta["namespace"], meta["name"])
        self.trees[key] = {**tree, "metadata": {**meta, "uid": str(key), "resourceVersion": "1"}}
        return self.trees[key]

    async def get(self, kind: Kind, namespace: str, name: str) -> Tree:
        found = self.trees.get((kind.kind, namespace, name))
        if found is None:
            raise NotFound(404, {}, "get")
        return found

    async def list(self, kind: Kind, namespace: str = "", query: Mapping[str, str] | None = None) -> Tree:
        wanted = dict(part.split("=") for part in (query or {}).get("labelSelector", "").split(",") if part)
        items = [
            tree
            for (of, space, _), tree in sorted(self.trees.items())
            if of == kind.kind and namespace in ("", space) and wanted.items() <= (tree["metadata"].get("labels") or {}).items()
        ]
        assert len(items) < PAGE
        return {"items": items, "metadata": {"resourceVersion": "1"}}

    async def watch(self, kind: Kind, namespace: str = "", query: Mapping[str, str] | None = None) -> AsyncIterator[Tree]:
        await asyncio.Event().wait()
        yield {}

    async def delete(self, kind: Kind, namespace: str, name: str, options: Tree | None = None) -> Tree:
        if self.refusing:
            self.refusing -= 1
            raise Unavailable("no")
        self.deleted.append((kind.kind, namespace, name))
        return self.trees.pop((kind.kind, namespace, name))

    def fleets(self) -> dict[str, str]:
        """Where the Deployments are, and whose."""
        return {name: (tree["metadata"].get("ownerReferences") or [{"name": ""}])[0]["name"]
                for (kind, _, name), tree in self.trees.items() if kind == "Deployment"}


def at_work(server: Server, play: Callable[[Provisioning], Awaitable[None]], own: str = OWN) -> None:
    """A controller that begins, and ends when `play` does."""

    async def main() -> None:
        found = Provisioning(server, own, Parameters(), ("seaway-gateway", 18000))  # type: ignore[arg-type]
        found.listen(lambda: None, lambda key: server.trees.get(("Secret", *key)), lambda: None)
        running = asyncio.create_task(found.run())
        try:
            await play(found)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


async def until(claim: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not claim():
            await asyncio.sleep(0.005)


def having(server: Server, *fleets: Fleet, own: str = OWN) -> None:
    async def play(found: Provisioning) -> None:
        before = len(server.fleets())
        found.want({f: WANTED[f] for f in fleets})
        await until(lambda: len(server.fleets()) == before + len(fleets) and found.queue.idle)

    at_work(server, play, own)


def test_two_gateways_that_meet_in_one_name_have_objects_of_their_own() -> None:
    server = Server()

    async def play(found: Provisioning) -> None:
        found.want({AB: WANTED[AB]})
        await until(lambda: server.fleets() == {"a-b-c": "a-b"})
        found.want({A: WANTED[A]})
        await until(lambda: len(server.fleets()) == 2 and found.queue.idle)
        assert server.fleets()["a-b-c"] == "a-b", "who was there first keeps the name"
        [other] = server.fleets().keys() - {"a-b-c"}
        assert server.fleets()[other] == "a" and other.startswith("a-b-c-")
        found.want({AB: None})
        await until(lambda: server.fleets() == {other: "a"})
        assert ("Service", "shop", "a-b-c") in server.deleted and ("Service", "shop", other) in server.trees

    at_work(server, play)


@pytest.mark.parametrize("first", [A, AB])
def test_a_new_controller_moves_no_gateway_to_another_name(first: Fleet) -> None:
    server = Server()
    having(server, first)
    assert server.fleets() == {"a-b-c": first.name}

    async def both(found: Provisioning) -> None:
        found.want({A: WANTED[A], AB: WANTED[AB]})
        await until(lambda: len(server.fleets()) == 2 and found.queue.idle)

    at_work(server, both)
    after = server.fleets()
    assert after["a-b-c"] == first.name
    at_work(server, both)
    assert server.fleets() == after and not server.deleted

    async def only_the_other(found: Provisioning) -> None:
        fleet = AB if first == A else A
        found.want({fleet: WANTED[fleet]})
        await until(lambda: found.queue.idle)

    at_work(server, only_the_other)
    assert server.fleets() == after, "it keeps its name when the other is gone"


def test_what_was_made_for_those_who_went_while_no_controller_was_at_work_is_removed() -> None:
    server = Server()
    having(server, A, INGRESS)

    async def play(found: Provisioning) -> None:
        other = Fleet("Gateway", "shop", "other")
        found.want({other: spec(other, "c")})
        await until(lambda: len(server.fleets()) == 3 and found.queue.idle)
        assert not server.deleted, "not before it is known who is wanted"
        server.refusing = 1
        found.know(["IngressClass"])
        await until(lambda: "seaway-ingress" not in server.fleets() and found.orphans.idle)
        assert all(name.startswith("seaway-ingress") for _, _, name in server.deleted), "which Gateways there are is not known"
        found.know(["Gateway", "IngressClass"])
        await until(lambda: server.fleets() == {"other-c": "other"} and found.orphans.idle)

    at_work(server, play)
    assert {name for _, _, name in server.trees} == {"other-c", "other-c-xds", "seaway-gateway-ca"}, "what is no fleet's stays"


def test_a_controller_removes_nothing_that_another_one_made_or_that_is_wanted() -> None:
    server = Server()
    having(server, A, own="elsewhere")
    having(server, INGRESS)
    by_hand = ("Deployment", "shop", "by-hand")
    server.trees[by_hand] = {"metadata": {"name": "by-hand", "namespace": "shop", "uid": "1",
                                          "labels": {"app.kubernetes.io/managed-by": "seaway-gateway"}}}
    before = dict(server.trees)

    async def play(found: Provisioning) -> None:
        found.want({INGRESS: WANTED[INGRESS]})
        found.know(["Gateway", "IngressClass"])
        await until(lambda: found.queue.idle)
        await asyncio.sleep(0.1)
        assert found.orphans.idle

    at_work(server, play)
    assert not server.deleted and server.trees.keys() >= before.keys()


def test_a_place_is_free_again_only_when_it_is_swept() -> None:
    places = Places(OWN, lambda key: "")
    places.want({A: WANTED[A]}, {A: WANTED[A]})
    plain = Key("shop", "a-b-c")
    assert places.of(A) == plain and places.fleet(plain) == A
    places.want({A: None}, {})
    assert places.of(A) is None and places.fleet(plain) is None and places.left(A) == [plain]
    places.want({AB: WANTED[AB]}, {AB: WANTED[AB]})
    assert places.of(AB) not in (None, plain)
    places.swept(plain)
    places.want({A: WANTED[A]}, WANTED)
    assert places.of(A) == plain and places.left(A) == []


def test_a_gateway_that_goes_to_another_class_leaves_its_old_place() -> None:
    server = Server()

    async def play(found: Provisioning) -> None:
        found.want({A: WANTED[A]})
        await until(lambda: server.fleets() == {"a-b-c": "a"})
        server.refusing = 2
        found.want({A: spec(A, "other")})
        await until(lambda: server.fleets() == {"a-other": "a"} and found.queue.idle)
        assert {name for _, space, name in server.trees if space == "shop"} == {"a-other", "a-other-xds"}

    at_work(server, play)
