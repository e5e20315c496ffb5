"""Informers, reconcilers and leases over the fake API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from seaway.api.tree import Key
from seaway.client import lease
from seaway.client.errors import Conflict, NotFound, Unavailable
from seaway.client.fake import FakeApi
from seaway.client.informer import Informer
from seaway.client.reconcile import Reconciler
from seaway.client.rest import kind_of

PODS = kind_of("pods")


def pod(name: str, app: str = "x") -> dict:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "n", "name": name, "labels": {"app": app}}, "spec": {}}


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 20))


async def until(check: Callable[[], bool]) -> None:
    while not check():
        await asyncio.sleep(0.001)


def test_an_informer_follows_and_indexes() -> None:
    async def test() -> None:
        api = FakeApi()
        api.put(pod("a"))
        informer = Informer(api, PODS)
        informer.add_index("app", lambda t: [t["metadata"]["labels"]["app"]])
        seen: list[tuple[bool, bool]] = []
        informer.listen(lambda c: seen.append((c.old is not None, c.new is not None)))
        task = asyncio.ensure_future(informer.run())
        await informer.synced.wait()
        assert [p["metadata"]["name"] for p in informer.by("app", "x")] == ["a"]
        api.put(pod("b", "y"))
        api.put(pod("a", "y"))
        await until(lambda: len(informer.by("app", "y")) == 2)
        assert informer.by("app", "x") == []
        api.remove(PODS, "n", "a")
        await until(lambda: informer.get("n", "a") is None)
        assert seen == [(False, True), (False, True), (True, True), (True, False)]
        task.cancel()

    run(test)


def test_a_bookmark_is_not_shaped_as_an_object() -> None:
    async def test() -> None:
        api = FakeApi()
        api.put(pod("a"))
        informer = Informer(api, PODS, transform=lambda tree: {**tree, "of": tree["metadata"]["namespace"]})
        task = asyncio.ensure_future(informer.run())
        await informer.synced.wait()
        api.bookmark(PODS)
        api.put(pod("b"))
        await until(lambda: task.done() or informer.get("n", "b") is not None)
        found = informer.get("n", "b")
        assert found is not None and found["of"] == "n"
        task.cancel()

    run(test)


def test_an_informer_survives_failures_and_a_forgotten_history() -> None:
    async def test() -> None:
        api = FakeApi()
        api.fail_next(Unavailable("down"), Unavailable("still"))
        informer = Informer(api, PODS)
        task = asyncio.ensure_future(informer.run())
        await informer.synced.wait()
        api.put(pod("a"))
        await until(lambda: informer.get("n", "a") is not None)
        api.put(pod("b"))
        api.remove(PODS, "n", "a")
        api.forget()
        await until(lambda: informer.get("n", "a") is None and informer.get("n", "b") is not None)
        task.cancel()

    run(test)


def test_a_key_is_worked_on_once_at_a_time_and_again_when_asked_meanwhile() -> None:
    async def test() -> None:
        running, most, calls = 0, 0, 0
        gate = asyncio.Event()

        async def work(key: Key) -> None:
            nonlocal running, most, calls
            running, calls = running + 1, calls + 1
            most = max(most, running)
            await gate.wait()
            running -= 1

        queue: Reconciler[Key] = Reconciler("test", work)
        task = asyncio.ensure_future(queue.run())
        for _ in range(5):
            queue.add(Key("n", "a"))
        await until(lambda: running == 1)
        for _ in range(3):
            queue.add(Key("n", "a"))
        gate.set()
        await until(lambda: queue.idle)
        assert (most, calls) == (1, 2)
        task.cancel()

    run(test)


def test_a_failing_key_is_tried_again_and_harms_no_other() -> None:
    async def test() -> None:
        tries: dict[str, int] = {}

        async def work(key: Key) -> None:
            tries[key.name] = tries.get(key.name, 0) + 1
            if key.name == "bad" and tries["bad"] < 4:
                raise Conflict(409, {}, "test")

        queue: Reconciler[Key] = Reconciler("test", work)
        task = asyncio.ensure_future(queue.run())
        queue.add(Key("", "bad"))
        queue.add(Key("", "good"))
        await until(lambda: tries.get("bad") == 4 and queue.idle)
        assert tries["good"] == 1
        task.cancel()

    run(test)


@pytest.mark.parametrize(
    ("spec", "unchanged", "takes"),
    [
        ({}, 0, True),
        ({"holderIdentity": "me"}, 0, True),
        ({"holderIdentity": "other", "leaseDurationSeconds": 15}, 14, False),
        ({"holderIdentity": "other", "leaseDurationSeconds": 15}, 16, True),
        ({"holderIdentity": "", "leaseDurationSeconds": 15}, 0, True),
    ],
)
def test_a_lease_is_taken_when_free_ours_or_stale(spec: dict, unchanged: float, takes: bool) -> None:
    found = lease.decide(spec, "me", unchanged, 1_000_000.0, lease.Timing())
    assert (found is not None) == takes
    if found is not None:
        assert found["holderIdentity"] == "me"
        taken = spec.get("holderIdentity") == "other"
        assert found.get("leaseTransitions", 0) == (1 if taken else 0)


def test_one_of_two_leads_and_the_other_follows_when_it_ends() -> None:
    async def test() -> None:
        api = FakeApi()
        timing = lease.Timing(duration=0.3, deadline=0.2, retry=0.02)
        led: list[str] = []
        stop = {"a": asyncio.Event(), "b": asyncio.Event()}

        async def member(name: str) -> None:
            async def work() -> None:
                led.append(name)
                await stop[name].wait()

            await lease.lead(api, "n", "lease", name, work, timing)

        first = asyncio.ensure_future(member("a"))
        await until(lambda: led == ["a"])
        second = asyncio.ensure_future(member("b"))
        await asyncio.sleep(0.1)
        assert led == ["a"]
        first.cancel()
        await until(lambda: led == ["a", "b"])
        second.cancel()

    run(test)


def test_the_fake_refuses_what_is_not_there() -> None:
    async def test() -> None:
        api = FakeApi()
        with pytest.raises(NotFound):
            await api.get(PODS, "n", "none")
        await api.create(PODS, "n", pod("a"))
        with pytest.raises(Conflict):
            await api.create(PODS, "n", pod("a"))
        assert api.writes[0][:2] == ("create", "pods")

    run(test)
