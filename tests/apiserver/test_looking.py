"""The loop of controllers inside the server: each name is looked at once a round, and again where that went wrong."""

from __future__ import annotations

import asyncio

import pytest

from seaway.cluster.apiserver import looking
from seaway.cluster.apiserver.looking import Looking
from seaway.cluster.apiserver.status import ApiError


def play(problems: dict[str, list[Exception]], names: tuple[str, ...], rounds: int, firsts: list[Exception]) -> list[str]:
    """What is looked at, in order, until nothing has come for a while; "-" begins a round."""
    seen: list[str] = []

    async def look(name: str) -> None:
        seen.append(name)
        if problems.get(name):
            raise problems[name].pop(0)

    async def first() -> None:
        seen.append("-")
        if firsts:
            raise firsts.pop(0)

    async def run() -> None:
        queue = Looking(look, first)
        for name in names:
            queue.add(name)
        task = asyncio.ensure_future(queue.run())
        while seen.count("-") < rounds:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        task.cancel()

    asyncio.run(asyncio.wait_for(run(), 5))
    return seen


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "AGAIN", 0.002)


def test_a_name_is_looked_at_once_however_often_it_was_added() -> None:
    assert play({}, ("a", "b", "a"), 1, []) == ["-", "a", "b"]


def test_what_went_wrong_is_looked_at_again_and_alone() -> None:
    problems: dict[str, list[Exception]] = {"a": [ApiError(500, "InternalError", "no"), ValueError("a mistake of ours")]}
    assert play(problems, ("a", "b"), 3, []) == ["-", "a", "b", "-", "a", "-", "a"]


@pytest.mark.parametrize("code", [404, 409])
def test_what_somebody_else_changed_waits_for_the_change(code: int) -> None:
    assert play({"a": [ApiError(code, "Conflict", "changed")]}, ("a",), 1, []) == ["-", "a"]


def test_a_round_whose_beginning_failed_comes_again_even_on_a_conflict() -> None:
    assert play({}, ("a",), 2, [ApiError(409, "Conflict", "changed")]) == ["-", "a", "-"]
