"""Logs are bounded in memory and on disk, and their writer's troubles are nobody else's."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from seaway.cluster.apiserver.auditing.linelog import HELD, LineLog


def test_lines_are_written_in_order_and_all_at_the_end(tmp_path: Path) -> None:
    log = LineLog(str(tmp_path / "log"))
    for i in range(1000):
        assert log.put(lambda i=i: f"line {i}".encode())  # type: ignore[misc]
    log.close()
    assert (tmp_path / "log").read_text().splitlines() == [f"line {i}" for i in range(1000)]
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_files_are_turned_over_and_the_oldest_go(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * 60 + b"\n")  # of an earlier run
    for i in range(4):
        log = LineLog(str(tmp_path / "log"), size=100, kept=2)
        log.put(lambda i=i: f"{i}".encode() * 60)  # type: ignore[misc]
        log.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    assert [(tmp_path / name).read_text()[:1] for name in ("log", "log.1", "log.2")] == ["3", "2", "1"]


def test_what_comes_faster_than_it_is_written_is_dropped_and_counted(tmp_path: Path) -> None:
    gate, begun = threading.Event(), threading.Event()

    def held() -> bytes:
        begun.set()
        gate.wait(10)
        return b"held"

    log = LineLog(str(tmp_path / "log"), waiting=5)
    log.put(held)
    assert begun.wait(10)
    taken = [log.put(lambda: b"x") for _ in range(10)]
    assert taken == [True] * 5 + [False] * 5 and log.dropped == 5
    gate.set()
    log.close()
    assert (tmp_path / "log").read_text() == "held\n" + "x\n" * 5


def test_what_waits_is_bounded_in_bytes_too(tmp_path: Path) -> None:
    gate, begun = threading.Event(), threading.Event()

    def held() -> bytes:
        begun.set()
        gate.wait(10)
        return b"held"

    log = LineLog(str(tmp_path / "log"))
    log.put(held)
    assert begun.wait(10)
    assert log.put(lambda: b"large", HELD) and not log.put(lambda: b"lost", 1) and log.put(lambda: b"small", 0)
    gate.set()
    end = time.monotonic() + 10
    while not log.put(lambda: b"again", HELD):
        assert time.monotonic() < end
        time.sleep(0.01)
    log.close()
    assert (tmp_path / "log").read_text().splitlines() == ["held", "large", "small", "again"]


def test_a_line_that_cannot_be_made_ends_nothing(tmp_path: Path) -> None:
    log = LineLog(str(tmp_path / "log"))
    log.put(lambda: b"a")
    log.put(lambda: b"" + None)  # type: ignore[operator]
    log.put(lambda: b"b")
    log.close()
    assert (tmp_path / "log").read_text() == "a\nb\n" and log.dropped == 1


def test_a_file_that_cannot_be_turned_over_is_written_on(tmp_path: Path) -> None:
    log = LineLog(str(tmp_path / "log"), size=10, kept=1)
    (tmp_path / "log.1").mkdir()  # nothing can take its place
    log.put(lambda: b"first line")
    end = time.monotonic() + 10
    while (tmp_path / "log").stat().st_size == 0:
        assert time.monotonic() < end
        time.sleep(0.01)
    log.put(lambda: b"lost")
    while not log.trouble:
        assert time.monotonic() < end
        time.sleep(0.01)
    (tmp_path / "log.1").rmdir()
    log.put(lambda: b"second")
    log.close()
    assert (tmp_path / "log").read_text() == "second\n" and (tmp_path / "log.1").read_text() == "first line\n" and log.dropped == 1


def test_a_disk_that_refuses_is_told_until_it_takes_again(tmp_path: Path) -> None:
    log = LineLog(str(tmp_path / "log"))
    good, log._file = log._file, open("/dev/full", "ab", buffering=0)
    log.put(lambda: b"lost")
    end = time.monotonic() + 10
    while not log.trouble:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert log.trouble.endswith("No space left on device") and log.dropped == 1
    log._file.close()
    log._file = good
    log.put(lambda: b"kept")
    log.close()
    assert log.trouble == "" and (tmp_path / "log").read_text() == "kept\n"
