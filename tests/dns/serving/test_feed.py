"""From the API to the store."""

from __future__ import annotations

import asyncio
from typing import Any

from seaway.client.fake import FakeApi
from seaway.dns.serving.feed import Feed
from seaway.dns.settings import Kubernetes
from seaway.dns.zone.rows import service_key
from seaway.dns.zone.store import Store


def service(name: str, ip: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "one", "name": name}, "spec": {"clusterIP": ip}}


def test_a_list_that_comes_anew_makes_anew_what_has_changed_and_nothing_else() -> None:
    async def run() -> None:
        api, store = FakeApi(), Store()
        api.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "one"}})
        for name in "abc":
            api.put(service(name, "10.96.0.1"))
        feed = Feed(api, store, Kubernetes(zones=()), lambda: None)
        running = asyncio.ensure_future(feed.run())
        await feed.synced.wait()
        before = dict(store.services)
        kept = {name: feed._services.get("one", name) for name in "abc"}
        api.put(service("b", "10.96.0.2"))
        kind = feed._services.kind
        api.remove(kind, "one", "c")
        api.forget()
        async with asyncio.timeout(5):
            while service_key("one", "c") in store.services:
                await asyncio.sleep(0.01)
        running.cancel()
        assert feed._services.get("one", "a") is kept["a"]
        assert store.services[service_key("one", "a")] is before[service_key("one", "a")]
        assert feed._services.get("one", "b") is not kept["b"]
        assert store.services[service_key("one", "b")].addresses == (bytes((10, 96, 0, 2)),)

    asyncio.run(run())
