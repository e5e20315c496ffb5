"""Container logs in CRI form, read in all the usual ways."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from seaway.cluster.node.crilogs import Shown, attempt, read, tail_start
from seaway.cluster.node.lifecycle import Container

NOON = 1767268800.0  # 2026-01-01T12:00:00Z


def line(second: int, text: str, stream: str = "stdout", tag: str = "F") -> str:
    return f"2026-01-01T12:00:{second:02}.123456789Z {stream} {tag} {text}\n"


def shown(path: Path, tail: int | None = None, timestamps: bool = False, since: float | None = None,
          limit: int | None = None, stream: str = "All") -> str:
    async def collect() -> bytes:
        return b"".join([c async for c in read(str(path), tail, Shown(timestamps, since, limit, stream), False, lambda: True)])

    return asyncio.run(collect()).decode()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "0.log"
    path.write_text(line(0, "zero") + line(1, "one", "stderr") + line(2, "two") + line(3, "") + line(4, "four x  y"))
    return path


@pytest.mark.parametrize(
    ("options", "want"),
    [
        ({}, "zero\none\ntwo\n\nfour x  y\n"),
        ({"tail": 0}, ""), ({"tail": 1}, "four x  y\n"), ({"tail": 3}, "two\n\nfour x  y\n"),
        ({"tail": 5}, "zero\none\ntwo\n\nfour x  y\n"), ({"tail": 99}, "zero\none\ntwo\n\nfour x  y\n"),
        ({"since": NOON + 2.2}, "\nfour x  y\n"), ({"since": NOON + 9}, ""), ({"since": NOON + 4.123456}, "four x  y\n"),
        ({"limit": 7}, "zero\non"), ({"limit": 0}, ""), ({"limit": 99}, "zero\none\ntwo\n\nfour x  y\n"),
        ({"stream": "Stderr"}, "one\n"), ({"stream": "Stdout", "tail": 2}, "\nfour x  y\n"),
        ({"timestamps": True, "tail": 1}, "2026-01-01T12:00:04.123456789Z four x  y\n"),
    ],
)
def test_a_log_is_cut_as_asked(log: Path, options: dict, want: str) -> None:
    assert shown(log, **options) == want


def test_partial_lines_are_put_together(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(line(0, "be", tag="P") + line(0, "gin", tag="F") + line(1, "next"))
    assert shown(path) == "begin\nnext\n"


def test_an_empty_log_is_empty(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    assert shown(tmp_path / "log") == shown(tmp_path / "log", tail=5) == ""


@pytest.mark.parametrize("lines", [1, 10, 999, 1000, 5000])
def test_the_tail_of_a_long_log_is_found_across_blocks(lines: int, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(line(i % 60, f"{i} " + "x" * 150) for i in range(1000)))
    found = [text.split()[0] for text in shown(path, tail=lines).splitlines()]
    assert found == [str(i) for i in range(max(1000 - lines, 0), 1000)]
    assert tail_start(str(path), 0) == path.stat().st_size


def test_following_shows_what_comes_and_ends_with_the_container(log: Path) -> None:
    async def go() -> None:
        over, found = False, []

        async def follow() -> None:
            async for chunk in read(str(log), 1, Shown(False, None, None), True, lambda: over):
                found.append(chunk)

        task = asyncio.ensure_future(follow())
        async with asyncio.timeout(10):
            for text in ("four x  y", "late", "later"):
                if found:
                    with open(log, "a") as f:
                        f.write(line(9, text))
                while not b"".join(found).endswith(f"{text}\n".encode()):
                    await asyncio.sleep(0.005)
            over = True
            await task
        assert b"".join(found) == b"four x  y\nlate\nlater\n"

    asyncio.run(go())


def test_a_time_stands_before_a_line_and_not_before_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(line(0, "be", tag="P") + line(1, "gin") + line(2, "next"))
    assert shown(path, timestamps=True).splitlines() == [
        "2026-01-01T12:00:00.123456789Z begin", "2026-01-01T12:00:02.123456789Z next",
    ]


RUNNING, EXITED = Container("running", "i", 2, 0.0), Container("exited", "i", 2, 0.0)


@pytest.mark.parametrize(
    ("state", "waiting", "previous", "want"),
    [
        (RUNNING, "", False, 2), (RUNNING, "", True, 1), (EXITED, "", False, 2), (EXITED, "", True, 1),
        (EXITED, "CrashLoopBackOff", False, 2), (EXITED, "CrashLoopBackOff", True, 2),
        (Container("running", "i", 0, 0.0), "", True, 'previous terminated container "c" in pod "p" not found'),
        (None, "", True, 'previous terminated container "c" in pod "p" not found'),
        (None, "ContainerCreating", False, 'container "c" in pod "p" is waiting to start: ContainerCreating'),
        (None, "PodInitializing", False, 'container "c" in pod "p" is waiting to start: PodInitializing'),
        (None, "ErrImagePull", False, 'container "c" in pod "p" is waiting to start: image can\'t be pulled'),
        (None, "ImagePullBackOff", False, 'container "c" in pod "p" is waiting to start: trying and failing to pull image'),
    ],
)
def test_which_attempt_a_log_is_of(state: Container | None, waiting: str, previous: bool, want: int | str) -> None:
    assert attempt("p", "c", state, waiting, previous) == want
