"""Events are forgotten an hour after they were last written."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from pathlib import Path

import pytest

from seaway.api.kinds import by_kind
from seaway.api.tree import stamp
from seaway.cluster.apiserver.admission import Admission
from seaway.cluster.apiserver.allocation import Allocator
from seaway.cluster.apiserver.calls import Call
from seaway.cluster.apiserver.expiry import SYSTEM, TTL, expired, sweep
from seaway.cluster.apiserver.journal import Journal
from seaway.cluster.apiserver.storage import Storage
from seaway.cluster.apiserver.verbs import Edges, Verbs

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("event", "want"),
    [
        ({"metadata": {"creationTimestamp": stamp(NOW - TTL)}}, True),
        ({"metadata": {"creationTimestamp": stamp(NOW - TTL + 2)}}, False),
        ({"metadata": {"creationTimestamp": stamp(NOW - 9 * TTL), "managedFields": [{"time": stamp(NOW - 5)}]}}, False),
        ({"metadata": {"creationTimestamp": stamp(NOW - 9 * TTL), "managedFields": [{"manager": "m"}]}}, True),
        # what the reporter says does not count: its clock may run ahead
        ({"metadata": {"creationTimestamp": stamp(NOW - 2 * TTL)}, "lastTimestamp": stamp(NOW + TTL)}, True),
    ],
)
def test_an_event_lives_an_hour_after_its_last_write(event: dict, want: bool) -> None:
    assert expired(event, NOW) == want


def test_a_sweep_deletes_only_what_is_over(tmp_path: Path) -> None:
    async def scene() -> tuple[int, list[str]]:
        storage = Storage(Journal(str(tmp_path / "state.db")))
        clock = [NOW - 2 * TTL]
        admission = Admission(storage, Allocator((ip_network("10.96.0.0/16"),)))
        verbs = Verbs(storage, admission, Edges(lambda: clock[0], lambda: "uid", lambda n: "x" * n))
        event = by_kind()[("v1", "Event")]
        await verbs.create_tree(
            Call(by_kind()[("v1", "Namespace")], "", "n", SYSTEM), {"metadata": {"name": "n"}, "kind": "Namespace"}
        )
        for name in ("old", "young"):
            about = {"kind": "Pod", "namespace": "n", "name": "p"}
            await verbs.create_tree(
                Call(event, "n", name, SYSTEM), {"metadata": {"name": name, "namespace": "n"}, "involvedObject": about}
            )
            clock[0] = NOW - 5
        gone = await sweep(verbs)
        left = [entry.key for entry in storage.entries("events", "")]
        storage.close()
        return gone, left

    assert asyncio.run(scene()) == (1, ["n/young"])
