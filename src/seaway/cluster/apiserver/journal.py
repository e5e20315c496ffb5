"""SQLite: objects and their history, written in groups, each group one transaction and one fsync.

The only file that touches the disk. `write` returns when the group is durable (WAL, synchronous=FULL); it is called from
a thread of its own, while the event loop collects the next group.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

ADDED, MODIFIED, DELETED = 0, 1, 2
SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (resource TEXT, key TEXT, rv INTEGER, data BLOB, PRIMARY KEY (resource, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history (rv INTEGER PRIMARY KEY, resource TEXT, key TEXT, kind INTEGER, data BLOB, prev BLOB);
CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Change:
    """One write: `data` is the object after it (for DELETED: its last state), `prev` the state before, if any."""

    rv: int
    resource: str
    key: str
    kind: int
    data: bytes
    prev: bytes | None


class Journal:
    """The durable side of the storage. `path` may be `:memory:` (tests)."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA wal_autocheckpoint=2000")
        self._db.executescript(SCHEMA)

    @property
    def synchronous(self) -> str:
        """The level in force, in SQLite's words."""
        return {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}[self._db.execute("PRAGMA synchronous").fetchone()[0]]

    def load(self) -> tuple[int, int, Iterator[tuple[str, str, int, bytes]], Iterator[Change]]:
        """(last resourceVersion, compacted up to, objects, history in order)."""
        numbers = dict(self._db.execute("SELECT name, value FROM numbers").fetchall())
        objects = self._db.execute("SELECT resource, key, rv, data FROM objects ORDER BY resource, key")
        history = self._db.execute("SELECT rv, resource, key, kind, data, prev FROM history ORDER BY rv")
        return numbers.get("rv", 0), numbers.get("compacted", 0), iter(objects), (Change(*row) for row in history)

    def write(self, changes: Iterable[Change], compact_to: int) -> None:
        """Makes a group durable. On an error nothing of it is."""
        changes = list(changes)
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            for change in changes:
                if change.kind == DELETED:
                    db.execute("DELETE FROM objects WHERE resource=? AND key=?", (change.resource, change.key))
                else:
                    db.execute(
                        "INSERT OR REPLACE INTO objects VALUES (?,?,?,?)",
                        (change.resource, change.key, change.rv, change.data),
                    )
            db.executemany(
                "INSERT INTO history VALUES (?,?,?,?,?,?)",
                [(c.rv, c.resource, c.key, c.kind, c.data, c.prev) for c in changes],
            )
            if changes:
                db.execute("INSERT OR REPLACE INTO numbers VALUES ('rv', ?)", (changes[-1].rv,))
            if compact_to:
                db.execute("DELETE FROM history WHERE rv <= ?", (compact_to,))
                db.execute("INSERT OR REPLACE INTO numbers VALUES ('compacted', ?)", (compact_to,))
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def close(self) -> None:
        self._db.close()
