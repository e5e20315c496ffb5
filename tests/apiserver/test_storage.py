"""The storage's edge: no answer and no event before the fsync; one version; history, pages and watches from it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import pytest

from seaway.cluster.apiserver import storage as storages
from seaway.cluster.apiserver.journal import ADDED, DELETED, MODIFIED, Change, Journal
from seaway.cluster.apiserver.storage import Compacted, Storage, StorageError


class GatedJournal(Journal):
    """A journal whose fsync waits for `gate`, or fails."""

    def __init__(self, path: str = ":memory:") -> None:
        super().__init__(path)
        self.gate = threading.Event()
        self.writing = threading.Event()
        self.groups: list[int] = []
        self.fail = ""

    def write(self, changes: Iterable[Change], compact_to: int) -> None:
        changes = list(changes)
        self.groups.append(len(changes))
        self.writing.set()
        assert self.gate.wait(10)
        if self.fail:
            raise sqlite3.OperationalError(self.fail)
        super().write(changes, compact_to)


def tree(name: str, **fields: object) -> dict:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, "namespace": "n"}, **fields}


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 30))


def test_no_answer_and_no_event_leaves_before_the_fsync() -> None:
    async def test() -> None:
        journal = GatedJournal()
        store = Storage(journal)
        watch = store.watch("configmaps", "", None)
        future = store.write("configmaps", "n/a", ADDED, tree("a"))
        while not journal.writing.is_set():
            await asyncio.sleep(0.001)
        for _ in range(20):
            await asyncio.sleep(0)
        assert not future.done()
        assert store.get("configmaps", "n/a") is None
        assert store.entries("configmaps", "") == []
        assert await watch.take(0.02) == []
        assert store.newest("configmaps", "n/a") is not None, "the next write builds on it"
        journal.gate.set()
        entry = await future
        assert store.get("configmaps", "n/a") is entry
        assert [e.entry for e in await watch.take(1)] == [entry]
        store.close()

    run(test)


def test_writes_that_arrive_during_an_fsync_share_the_next() -> None:
    async def test() -> None:
        journal = GatedJournal()
        store = Storage(journal)
        futures = [store.write("configmaps", "n/0", ADDED, tree("0"))]
        while not journal.writing.is_set():
            await asyncio.sleep(0.001)
        futures += [store.write("configmaps", f"n/{i}", ADDED, tree(str(i))) for i in range(1, 50)]
        journal.gate.set()
        await asyncio.gather(*futures)
        assert journal.groups == [1, 49]
        store.close()

    run(test)


def test_a_refused_group_never_happened_nor_what_built_on_it() -> None:
    async def test() -> None:
        journal = GatedJournal()
        store = Storage(journal)
        journal.gate.set()
        before = await store.write("configmaps", "n/a", ADDED, tree("a"))
        journal.gate.clear()
        journal.writing.clear()
        journal.fail = "disk full"
        first = store.write("configmaps", "n/a", MODIFIED, tree("a", data={"k": "1"}))
        while not journal.writing.is_set():
            await asyncio.sleep(0.001)
        second = store.write("configmaps", "n/a", MODIFIED, tree("a", data={"k": "2"}))
        journal.gate.set()
        for future in (first, second):
            with pytest.raises(StorageError, match="disk full"):
                await future
        assert store.get("configmaps", "n/a") is before and store.newest("configmaps", "n/a") is before
        journal.fail = ""
        after = await store.write("configmaps", "n/a", MODIFIED, tree("a", data={"k": "3"}))
        assert after.rv == before.rv + 1
        store.close()

    run(test)


def test_the_journal_is_synchronous(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "state.db"))
    assert journal.synchronous == "FULL"
    with sqlite3.connect(tmp_path / "state.db") as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    journal.close()


def test_a_restart_has_objects_versions_and_history(tmp_path: Path) -> None:
    async def test() -> None:
        path = str(tmp_path / "state.db")
        store = Storage(Journal(path))
        first = await store.write("configmaps", "n/a", ADDED, tree("a"))
        await store.write("configmaps", "n/b", ADDED, tree("b"))
        await store.write("configmaps", "n/a", MODIFIED, tree("a", data={"k": "v"}))
        last = await store.write("configmaps", "n/b", DELETED, tree("b"))
        store.close()
        store = Storage(Journal(path))
        assert store.rv == last.rv and store.next_rv == last.rv + 1
        assert [e.key for e in store.entries("configmaps", "")] == ["n/a"]
        watch = store.watch("configmaps", "", first.rv)
        assert [(e.kind, e.entry.key) for e in await watch.take(0)] == [(ADDED, "n/b"), (MODIFIED, "n/a"), (DELETED, "n/b")]
        assert [e.key for e in store.list_at("configmaps", "", first.rv + 1)] == ["n/a", "n/b"]
        store.close()

    run(test)


def test_what_is_compacted_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr(storages, "KEEP_EVENTS", 5)
        store = Storage(Journal(":memory:"))
        for i in range(12):
            await store.write("configmaps", f"n/{i:02}", ADDED, tree(str(i)))
        with pytest.raises(Compacted):
            store.watch("configmaps", "", 2)
        with pytest.raises(Compacted):
            store.list_at("configmaps", "", 2)
        assert len(store.list_at("configmaps", "", store.rv - 3)) == 9
        store.close()

    run(test)


def test_a_list_at_a_version_undoes_what_came_after() -> None:
    async def test() -> None:
        store = Storage(Journal(":memory:"))
        await store.write("configmaps", "n/a", ADDED, tree("a"))
        at = (await store.write("configmaps", "n/b", ADDED, tree("b", data={"v": "old"}))).rv
        await store.write("configmaps", "n/b", MODIFIED, tree("b", data={"v": "new"}))
        await store.write("configmaps", "n/a", DELETED, tree("a"))
        await store.write("configmaps", "n/c", ADDED, tree("c"))
        found = store.list_at("configmaps", "n/", at)
        assert [e.key for e in found] == ["n/a", "n/b"] and found[1].tree["data"] == {"v": "old"}
        assert [e.key for e in store.entries("configmaps", "n/")] == ["n/b", "n/c"]
        store.close()

    run(test)


def test_a_reader_that_falls_too_far_behind_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr(storages, "WATCH_BACKLOG", 3)
        store = Storage(Journal(":memory:"))
        told: list[str] = []
        watch = store.watch("configmaps", "", None, lambda: told.append("too slow"))
        for i in range(6):
            await store.write("configmaps", f"n/{i}", ADDED, tree(str(i)))
        assert watch.closed and told == ["too slow"]
        assert await watch.take(0) == [], "what it did not take is not kept for it"
        store.close()

    run(test)


def test_a_reader_is_measured_in_bytes_too_and_takes_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr(storages, "WATCH_BYTES", 10_000)
        monkeypatch.setattr(storages, "WATCH_CHUNK", 3000)
        store = Storage(Journal(":memory:"))
        quick, slow = store.watch("configmaps", "", None), store.watch("configmaps", "", None)
        taken = 0
        for i in range(12):
            await store.write("configmaps", f"n/{i}", ADDED, tree(str(i), data={"k": "x" * 1000}))
            if i % 4 == 3:
                chunks = []
                while not quick.idle:
                    chunks.append(len(await quick.take(0)))
                assert max(chunks) == 3, "a chunk ends with the event that fills it"
                taken += sum(chunks)
        assert taken == 12 and not quick.closed
        assert slow.closed
        store.close()

    run(test)


def test_namespaces_are_listed_by_prefix_and_not_by_a_shared_beginning() -> None:
    async def test() -> None:
        store = Storage(Journal(":memory:"))
        for key in ("a/x", "a-b/x", "ab/x", "a/y"):
            await store.write("configmaps", key, ADDED, tree(key))
        assert [e.key for e in store.entries("configmaps", "a/")] == ["a/x", "a/y"]
        store.close()

    run(test)
