"""A worker that has lived through changes says what one says that has just been born: hot path, table and short ways together."""

from __future__ import annotations

import random

import pytest
from test_worker_fuzz import BLOCKS
from workerbench import Bench
from zonestates import Event, event, final, questions

from seaway.dns import wire

NAMES = [wire.to_text(name) for name in questions() if not wire.to_text(name).startswith(("ns.dns", "x"))]
NAMES += ["web.x.test.", "www.outside.test.red.svc.cluster.local.", "db.blue.red.svc.cluster.local."]


def said(worker: Bench, asked: str, kind: str) -> tuple[str, ...]:
    lines = worker.asks(asked, kind)
    while worker.waiting:
        worker.tell("60 A 192.0.2.1")
        lines += worker.transcript()
    (reply,) = [line for line in lines if line.startswith("<")]
    return tuple(sorted(reply.removeprefix("< ").split(" | ")))


@pytest.mark.parametrize("kind", BLOCKS)
def test_what_has_changed_is_said_by_all_ways(kind: str) -> None:
    chance = random.Random(kind)
    events: list[Event] = [("namespace", (name, True)) for name in ("red", "blue")]
    events += [event(chance) for _ in range(30)]
    old = Bench(BLOCKS[kind], events=tuple(events))
    differed = 0
    last: dict[tuple[str, str], tuple[str, ...]] = {}
    for _ in range(8):
        some = [event(chance) for _ in range(chance.randrange(1, 4))]
        events += some
        old.change(*some)
        fresh = Bench(BLOCKS[kind], events=tuple(final(events)))
        for asked in NAMES:
            for of in ("A", "PTR" if "arpa" in asked else "SRV"):
                found = said(old, asked, of)
                assert found == said(fresh, asked, of), (asked, of)
                assert found == said(old, asked, of), "and again, by the hot path"
                differed += last.get((asked, of), found) != found
                last[(asked, of)] = found
    assert differed > 20
