"""What is waited for before anything is decided: the first list of every kind that is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import yaml
from routingworld import World

from seaway.client.errors import ApiStatusError, NotFound
from seaway.gateway import watching
from seaway.gateway.watching import LARGEST_MAP, Watching, kept
from seaway.routing.gateway.frontend import GATEWAY_API
from seaway.routing.ingress.classes import Settings
from seaway.routing.ingress.frontend import ingress_front_end

Tree = dict[str, Any]
GROUP = "/apis/gateway.networking.k8s.io"
CLASSES = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: seaway}
spec: {controllerName: seaway.dev/gateway-controller, parametersRef: {group: "", kind: ConfigMap, name: envoys, namespace: infra}}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: seaway}
spec: {controller: seaway.dev/ingress-controller, parameters: {kind: ConfigMap, name: envoys, namespace: infra, scope: Namespace}}
"""


class Server:
    """Serves empty lists, but for what `refuses` says: resource -> status code."""

    def __init__(self) -> None:
        self.kinds: list[str] = ["gateways"]
        self.refuses: dict[str, int] = {}

    async def request(self, method: str, path: str) -> Tree:
        if path == GROUP:
            return {"versions": [{"version": "v1"}]}
        return {"resources": [{"name": name} for name in self.kinds]}

    async def list(self, kind: Any, namespace: str = "", query: Any = None) -> Tree:
        code = self.refuses.get(kind.resource)
        if code is not None:
            raise (NotFound if code == 404 else ApiStatusError)(code, {"message": "no"}, "list")
        return {"items": [], "metadata": {"resourceVersion": "1"}}

    async def watch(self, kind: Any, namespace: str, query: Any) -> AsyncIterator[Tree]:
        await asyncio.Event().wait()
        yield {}


async def until(claim: Any) -> None:
    async with asyncio.timeout(10):
        while not claim():
            await asyncio.sleep(0.01)


def followed(monkeypatch: pytest.MonkeyPatch, play: Any) -> None:
    monkeypatch.setattr(watching, "ASK_AGAIN", 0.05)
    monkeypatch.setattr(watching, "LOOK", 0.05)

    async def main() -> None:
        server = Server()
        found = Watching(server, ["services", "gateways", "tlsroutes"], lambda *_: None)  # type: ignore[arg-type]
        running = asyncio.ensure_future(found.run())
        try:
            await play(server, found)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def test_a_kind_that_is_gone_before_its_first_list_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(server: Server, found: Watching) -> None:
        await until(found.complete.is_set)
        server.refuses["tlsroutes"] = 404
        server.kinds = ["gateways", "tlsroutes"]
        await until(lambda: "tlsroutes" in found.informers)
        server.kinds = ["gateways"]
        await until(lambda: "tlsroutes" not in found.informers and found.complete.is_set())
        server.refuses.clear()
        server.kinds = ["gateways", "tlsroutes"]
        await until(lambda: "tlsroutes" in found.informers and found.complete.is_set())

    followed(monkeypatch, play)


def test_what_is_at_work_does_not_wait_for_a_kind_that_may_not_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(server: Server, found: Watching) -> None:
        await until(found.complete.is_set)
        server.refuses["tlsroutes"] = 403
        server.kinds = ["gateways", "tlsroutes"]
        await until(lambda: "tlsroutes" in found.informers)
        await until(found.complete.is_set)

    followed(monkeypatch, play)


def test_nothing_is_complete_while_a_kind_of_the_beginning_may_not_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(server: Server, found: Watching) -> None:
        await until(lambda: found.informers["gateways"].trouble is not None)
        await asyncio.sleep(0.2)
        assert not found.complete.is_set()
        server.refuses.clear()
        await until(found.complete.is_set)

    async def refused(server: Server, found: Watching) -> None:
        server.refuses["gateways"] = 403
        await until(lambda: "gateways" in found.informers)
        await play(server, found)

    followed(monkeypatch, refused)


def test_parameters_in_a_config_map_of_which_only_a_part_is_kept_are_told_of() -> None:
    def data(size: int) -> Tree:
        values = {"replicas": "3", "notes": "x" * size, "ca.crt": "an authority"}
        return kept("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "envoys", "namespace": "infra"}, "data": values})

    classes = list(yaml.safe_load_all(CLASSES))
    world = World([GATEWAY_API, ingress_front_end(Settings(frozenset(["seaway.dev/ingress-controller"])))])
    world.fact("controllers", value=("seaway.dev/gateway-controller",))
    world.apply(*classes, data(LARGEST_MAP)).settle()
    why = "ConfigMap infra/envoys is too large for parameters, which have 64 KiB at most"
    [accepted] = world.statuses["gatewayclasses", "", "seaway"].tree["conditions"][:1]
    assert (accepted["status"], accepted["reason"], accepted["message"]) == ("False", "InvalidParameters", f"parametersRef: {why}")
    assert world.statuses["ingressclasses", "", "seaway"].events == (("Warning", "InvalidParameters", f"spec.parameters: {why}"),)
    assert data(LARGEST_MAP)["data"] == {"ca.crt": "an authority"}, "authorities may be large"
    world.apply(data(100)).settle()
    assert world.statuses["gatewayclasses", "", "seaway"].tree["conditions"][0]["status"] == "True"
