"""Events of events.k8s.io/v1: one for each thing that happens, a series where it happens again."""

from __future__ import annotations

import asyncio

import pytest

from seaway.client import events
from seaway.client.errors import ApiStatusError, Unavailable
from seaway.client.events import Recorder
from seaway.client.fake import FakeApi
from seaway.client.rest import kind_of

NODE = {"kind": "Node", "name": "here", "uid": "here"}
SERVICE = {"apiVersion": "v1", "kind": "Service", "namespace": "shop", "name": "web", "uid": "u"}


def played(*steps: object, api: FakeApi | None = None) -> list[dict]:
    """Tells each step (arguments, or an error that the API has next), waits for it, and gives what is stored."""
    api = api or FakeApi()

    async def go() -> list[dict]:
        recorder = Recorder(api, "kube-proxy", "host")
        task = asyncio.ensure_future(recorder.run())
        for step in steps:
            if isinstance(step, Exception):
                api.fail_next(step)
                continue
            recorder.tell(*step)  # type: ignore[misc]
            await recorder.flush(5)
        assert not task.done()
        task.cancel()
        return api.of(kind_of("events.events.k8s.io"))

    return asyncio.run(go())


STARTING = (NODE, "Normal", "Starting", "StartKubeProxy", "")


def test_an_event_says_who_what_and_about_whom() -> None:
    (found,) = played(STARTING)
    assert found["metadata"]["namespace"] == "default" and found["metadata"]["name"].startswith("here.")
    assert (found["reportingController"], found["reportingInstance"], found["action"]) == ("kube-proxy", "kube-proxy-host", "StartKubeProxy")
    assert (found["regarding"], found["reason"], found["type"], found["note"]) == (NODE, "Starting", "Normal", "")
    assert found["eventTime"].endswith("Z") and len(found["eventTime"].partition(".")[2]) == 7 and "series" not in found


def test_what_happens_again_is_a_series_whatever_its_note_says() -> None:
    failed = [(SERVICE, "Warning", "Failed", "Listen", f"try {n}") for n in range(3)]
    other, first = sorted(played(*failed, (SERVICE, "Warning", "Other", "Listen", "x")), key=lambda e: e["reason"] == "Failed")
    assert first["metadata"]["namespace"] == "shop" and first["note"] == "try 0" and first["series"]["count"] == 3
    assert first["series"]["lastObservedTime"] >= first["eventTime"] and "series" not in other


def test_after_a_while_it_is_an_event_of_its_own(monkeypatch) -> None:
    monkeypatch.setattr(events, "SERIES", 0.0)
    assert len(played(STARTING, STARTING)) == 2


def test_an_event_that_is_refused_harms_no_other() -> None:
    refused = ApiStatusError(403, {"reason": "Forbidden", "message": "no"}, "POST")
    assert [e["reason"] for e in played(refused, STARTING, (SERVICE, "Warning", "Failed", "Listen", "x"))] == ["Failed"]


def test_an_event_is_tried_again_while_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "WAIT", 0.001)
    away = [Unavailable("away")] * (events.TRIES - 1)
    assert len(played(*away, STARTING)) == 1
    assert [e["reason"] for e in played(*away, away[0], STARTING, (SERVICE, "Warning", "Failed", "Listen", "x"))] == ["Failed"]
