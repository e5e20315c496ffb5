"""last-change-trigger-time: the earliest change that is new (TriggerTimeTracker), as a transcript of calls."""

from __future__ import annotations

import pytest

from seaway.api.tree import Key
from seaway.controllers.triggers import Triggers

KEY = Key("shop", "web")


def at(second: int) -> str:
    return f"2026-01-01T00:00:{second:02d}Z" if second else ""


def service(created: int) -> dict:
    return {"metadata": {"name": "web", "creationTimestamp": at(created)}}


def pods(times: dict[str, int]) -> list[dict]:
    """Pods whose Ready condition last turned then; 0: they have no such condition."""
    return [{"metadata": {"name": n}, "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": at(s)}] if s else []}}
            for n, s in times.items()]


# Calls one after the other: (Service created, pods: name -> when it turned, answer)
TRANSCRIPTS: dict[str, list[tuple[int, dict[str, int], int]]] = {
    "a new Service: its own time, whatever its pods say": [(10, {"a": 5, "b": 20}, 10)],
    "nothing new: none": [(10, {"a": 20}, 10), (10, {"a": 20}, 0)],
    "a pod turned": [(10, {"a": 20}, 10), (10, {"a": 25}, 25)],
    "a pod came": [(10, {}, 10), (10, {"a": 25}, 25)],
    "two turned: the earlier": [(10, {"a": 20, "b": 20}, 10), (10, {"a": 31, "b": 30}, 30)],
    "one turned, one did not": [(10, {"a": 20, "b": 20}, 10), (10, {"a": 20, "b": 30}, 30)],
    "a pod went: none": [(10, {"a": 20}, 10), (10, {}, 0)],
    "a pod that comes back with its old time is new": [(10, {"a": 20}, 10), (10, {}, 0), (10, {"a": 20}, 20)],
    "a pod that is not ready yet says nothing": [(10, {}, 10), (10, {"a": 0}, 0), (10, {"a": 22}, 22)],
    "a time that went back is not new": [(10, {"a": 20}, 10), (10, {"a": 15}, 0), (10, {"a": 16}, 16)],
    "a Service made again": [(10, {"a": 20}, 10), (40, {"a": 20}, 40)],
    "a Service made again before its pod turned": [(10, {"a": 20}, 10), (40, {"a": 50}, 40)],
    "a Service made again after its pod turned": [(10, {"a": 20}, 10), (40, {"a": 30}, 30)],
}


@pytest.mark.parametrize("case", TRANSCRIPTS)
def test_the_trigger_is_the_earliest_change_that_is_new(case: str) -> None:
    triggers = Triggers()
    for created, times, want in TRANSCRIPTS[case]:
        assert triggers.time_of(KEY, service(created), pods(times)) == at(want)


def test_services_do_not_know_of_each_other_and_are_forgotten() -> None:
    triggers = Triggers()
    triggers.time_of(KEY, service(10), pods({"a": 20}))
    assert triggers.time_of(Key("shop", "other"), service(11), pods({"a": 20})) == at(11)
    triggers.forget(KEY)
    triggers.forget(Key("shop", "never"))
    assert triggers.time_of(KEY, service(12), pods({"a": 20})) == at(12)
