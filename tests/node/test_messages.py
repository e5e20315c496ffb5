"""Termination messages: from the file, or from the end of the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from seaway.cluster.node.messages import choose, prepare, read

LOG = b"2026-01-01T00:00:00.0Z stdout F first\n2026-01-01T00:00:01.0Z stderr P half \n2026-01-01T00:00:01.0Z stderr F line\n"
FALL = "FallbackToLogsOnError"


@pytest.mark.parametrize(
    ("policy", "code", "written", "want"),
    [
        ("File", 0, b"done", "done"),
        ("File", 1, b"", ""),
        (FALL, 1, b"written", "written"),
        (FALL, 1, b"", "first\nhalf line\n"),
        (FALL, 0, b"", ""),  # only where it has failed
        ("File", 1, b"x" * 5000, "x" * 4096),
        ("File", 1, b"\xff!", "\ufffd!"),
    ],
)
def test_what_a_container_leaves_behind(policy: str, code: int, written: bytes, want: str) -> None:
    assert choose(policy, code, written, LOG) == want


def test_a_log_gives_its_last_eighty_lines_and_two_kilobytes() -> None:
    many = b"".join(b"t stdout F %d\n" % n for n in range(200))
    assert choose(FALL, 1, b"", many).split()[0] == "120"
    assert len(choose(FALL, 1, b"", b"t stdout F " + b"y" * 9000 + b"\n")) == 2048


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    path = prepare(str(tmp_path / "m" / "0"))
    assert Path(path).stat().st_mode & 0o777 == 0o666
    Path(path).write_text("said")
    assert read("File", 0, path, "none") == "said"
    Path(path).unlink()
    Path(path).symlink_to("/etc/passwd")
    assert read("File", 0, path, "none") == ""
