"""Garbage: what goes with its owner, what is let go, what waits; against the fake API server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from seaway.api.tree import Key
from seaway.client.fake import FakeApi
from seaway.client.rest import kind_of
from seaway.cluster.workloads import ownership
from seaway.cluster.workloads.garbage import GarbageCollector
from seaway.cluster.workloads.ownership import FOREGROUND, ORPHAN, Graph, Item
from seaway.controllers import run
from seaway.controllers.run import Caches

MAPS = kind_of("configmaps")


def ref(name: str, uid: str = "", kind: str = "ConfigMap", version: str = "v1", block: bool = False) -> dict:
    return {"apiVersion": version, "kind": kind, "name": name, "uid": uid or name, **({"blockOwnerDeletion": True} if block else {})}


def thing(name: str, *refs: dict, **meta: Any) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n", "uid": name, "ownerReferences": list(refs), **meta}}


class Api(FakeApi):
    """The fake, with finalizers as a server has them: what is held is marked, and goes when nothing holds it."""

    async def delete(self, kind: Any, namespace: str, name: str, options: Any = None) -> Any:
        tree = await self.get(kind, namespace, name)
        policy = (options or {}).get("propagationPolicy")
        held = [f for f in tree["metadata"].get("finalizers") or () if f not in (FOREGROUND, ORPHAN)]
        held += {"Foreground": [FOREGROUND], "Orphan": [ORPHAN]}.get(policy, [])
        if not held:
            self.remove(kind, namespace, name)
            return tree
        return self.put({**tree, "metadata": {**tree["metadata"], "finalizers": held, "deletionTimestamp": "t"}})

    async def patch(self, kind: Any, namespace: str, name: str, patch: Any, *more: Any, **others: Any) -> Any:
        answer = await super().patch(kind, namespace, name, patch, *more, **others)
        meta = answer["metadata"]
        if meta.get("deletionTimestamp") and not meta.get("finalizers"):
            self.remove(kind, namespace, name)
        return answer


def collected(there: list[dict], then: Callable[[Api], Awaitable[Any]] | None = None) -> dict[str, dict]:
    """What is left of ConfigMaps after `then`, by name."""

    async def main() -> dict[str, dict]:
        api = Api(THINGS)
        for tree in there:
            api.put(tree)
        caches = Caches(api)
        collector = GarbageCollector(caches)
        task = asyncio.create_task(run.run(caches, [collector]))
        try:
            for step in (None, then):
                if step is not None:
                    await step(api)
                before, still = -1, 0
                while still < 4:  # until nothing has changed for a while
                    await asyncio.sleep(0.01)
                    still = still + 1 if api.version == before and not collector.queue._running else 0
                    before = api.version
        finally:
            task.cancel()
        return {t["metadata"]["name"]: t for t in api.of(MAPS)}

    return asyncio.run(main())


def deleting(name: str, policy: str = "Background") -> Callable[[Api], Awaitable[Any]]:
    return lambda api: api.delete(MAPS, "n", name, {"propagationPolicy": policy})


def test_dependents_go_with_their_owner_level_by_level() -> None:
    there = [thing("o"), thing("d", ref("o")), thing("e", ref("d")), thing("x")]
    assert set(collected(there)) == {"o", "d", "e", "x"}
    assert set(collected(there, deleting("o"))) == {"x"}


@pytest.mark.parametrize(
    ("refs", "stays"),
    [
        ([ref("none")], False),
        ([ref("o", uid="another")], False),  # its owner was another of that name
        ([ref("o"), ref("none")], True),
        ([ref("x", kind="Nothing", version="example.com/v1")], True),  # nobody here knows that kind
        ([ref("o", kind="Node")], False),  # no node of that name
    ],
)
def test_who_has_no_owner_left_goes(refs: list, stays: bool) -> None:
    left = collected([thing("o"), thing("d", *refs)])
    assert ("d" in left) == stays
    if stays and len(refs) == 2:
        assert [r["name"] for r in left["d"]["metadata"]["ownerReferences"]] == ["o"]  # the lost one is taken away


def test_orphans_are_let_go_and_stay() -> None:
    left = collected([thing("o"), thing("d", ref("o"), ref("p")), thing("p")], deleting("o", "Orphan"))
    assert set(left) == {"d", "p"} and [r["name"] for r in left["d"]["metadata"]["ownerReferences"]] == ["p"]


def test_foreground_waits_for_what_blocks_it() -> None:
    there = [thing("o"), thing("d", ref("o", block=True)), thing("e", ref("d", block=True), finalizers=["example.com/hold"])]
    left = collected(there, deleting("o", "Foreground"))
    assert {n: t["metadata"]["finalizers"] for n, t in left.items()} == {"o": [FOREGROUND], "d": [FOREGROUND], "e": ["example.com/hold"]}

    async def release(api: Api) -> None:
        await deleting("o", "Foreground")(api)
        await asyncio.sleep(0.05)
        await api.patch(MAPS, "n", "e", {"metadata": {"finalizers": None}})

    assert collected(there, release) == {}


def test_foreground_does_not_wait_for_what_does_not_block() -> None:
    there = [thing("o"), thing("d", ref("o"), finalizers=["example.com/hold"])]
    assert set(collected(there, deleting("o", "Foreground"))) == {"d"}


def test_a_dependent_with_another_owner_outlives_a_foreground_deletion() -> None:
    there = [thing("o"), thing("p"), thing("d", ref("o", block=True), ref("p"))]
    left = collected(there, deleting("o", "Foreground"))
    assert set(left) == {"p", "d"} and [r["name"] for r in left["d"]["metadata"]["ownerReferences"]] == ["p"]


def test_two_that_own_each_other_do_not_wait_for_ever() -> None:
    there = [thing("a", ref("b", block=True)), thing("b", ref("a", block=True))]
    assert collected(there, deleting("a", "Foreground")) == {}


def test_the_graph_forgets_what_changes() -> None:
    graph = Graph()
    graph.put(Item("configmaps", Key("n", "d")), thing("d", ref("o", block=True)))
    assert [i.key.name for i, _ in graph.dependents("o")] == ["d"] == [i.key.name for i, _ in graph.blocking("o")]
    graph.put(Item("configmaps", Key("n", "d")), thing("d", ref("p")))
    assert graph.dependents("o") == [] and len(graph.dependents("p")) == 1 and graph.blocking("p") == []
    graph.remove("d")
    assert graph.below == {} == graph.trees


def test_a_custom_kind_is_known_by_its_definition() -> None:
    definition = {"spec": {"group": "g.io", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
                           "versions": [{"name": "v1", "served": True}, {"name": "v2", "served": True, "storage": True}, {"name": "v0"}]}}
    assert [(k.api_version, k.group_resource) for k in ownership.custom_kinds(definition)] == [("g.io/v2", "things.g.io"), ("g.io/v1", "things.g.io")]
    assert not ownership.is_established(definition)
    assert ownership.is_established({**definition, "status": {"conditions": [{"type": "Established", "status": "True"}]}})


def definition(established: bool = True) -> dict:
    """A definition of the namespaced kind Thing."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.g.io", "uid": "definition"},
        "spec": {"group": "g.io", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"}, "versions": [{"name": "v1", "served": True}]},
        "status": {"conditions": [{"type": "Established", "status": str(established)}]},
    }


THINGS = ownership.custom_kinds(definition())[0]
DEFINITIONS = kind_of("customresourcedefinitions.apiextensions.k8s.io")
CUSTOM = {"apiVersion": "g.io/v1", "kind": "Thing", "metadata": {"name": "c", "namespace": "n", "uid": "c"}}
OWNED = thing("d", ref("c", kind="Thing", version="g.io/v1"))


def test_what_a_custom_resource_owns_goes_with_it_and_with_its_definition() -> None:
    async def alone(api: Api) -> None:
        await api.delete(THINGS, "n", "c")

    async def with_its_kind(api: Api) -> None:
        await api.delete(THINGS, "n", "c")
        api.remove(DEFINITIONS, "", "things.g.io")  # before anybody has looked: nobody can be asked about a Thing any more

    async def unestablished(api: Api) -> None:
        api.put(definition(established=False))

    for then, left in ((None, {"d"}), (alone, set()), (with_its_kind, set()), (unestablished, {"d"})):
        assert set(collected([definition(), CUSTOM, OWNED], then)) == left, then
