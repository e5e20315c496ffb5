"""Tokens of pods: asked for bound to the pod, kept while they are young, renewed before they end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from seaway.api.tree import stamp
from seaway.cluster.node import sources
from seaway.cluster.node.sources import Tokens

START = 1_800_000_000.0
POD = {"metadata": {"name": "p", "namespace": "n", "uid": "u1"}, "spec": {"serviceAccountName": "sa"}}


class Api:
    """Answers TokenRequests with a token that tells its number."""

    def __init__(self, clock: list[float]) -> None:
        self.clock, self.asked = clock, []

    async def create(self, kind: Any, namespace: str, tree: Any, subresource: str, name: str) -> Any:
        assert (kind.resource, namespace, subresource) == ("serviceaccounts", "n", "token")
        self.asked.append((name, tree["spec"]))
        ends = stamp(self.clock[0] + tree["spec"]["expirationSeconds"])
        return {"status": {"token": f"t{len(self.asked)}", "expirationTimestamp": ends}}


def test_a_token_is_renewed_at_four_fifths_of_its_life(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [START]
    monkeypatch.setattr(sources.time, "time", lambda: clock[0])
    api = Api(clock)
    tokens = Tokens(api)  # type: ignore[arg-type]

    def get(audience: str = "", pod: Any = POD) -> tuple[str, float]:
        return asyncio.run(tokens.get(pod, audience, 1000))

    assert get() == ("t1", START + 800)
    bound = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u1"}
    assert api.asked == [("sa", {"expirationSeconds": 1000, "boundObjectRef": bound})]
    clock[0] = START + 799
    assert get()[0] == "t1", "still young"
    clock[0] = START + 801
    assert get() == ("t2", START + 801 + 800), "renewed before it ends, so that nobody holds one that has"
    assert get("vault")[0] == "t3" and api.asked[-1][1]["audiences"] == ["vault"]
    assert get()[0] == "t2", "each audience has its own"
    again = {**POD, "metadata": {**POD["metadata"], "uid": "u2"}}
    assert get(pod=again)[0] == "t4", "another pod of that name is another pod"
    tokens.forget("u1")
    assert get()[0] == "t5" and get(pod=again)[0] == "t4"
