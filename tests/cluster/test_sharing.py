"""What the zygote does before the fork: its allocator's pages are full, the rehearsal leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FULL = """
import sys
from seaway.cluster import sharing
before = sharing.free_blocks()
if not before:
    sys.exit(9)
sharing.settle()
after = sharing.free_blocks()
large = [s for s in before if s > 256]
assert len(large) > 10 and sum(after[s] for s in large) <= sum(before[s] for s in large) / 4, (before, after)
"""
NOTHING = """
import os, signal, sys
from seaway.cluster import rehearsal
fds, environment, signals = sorted(os.listdir('/proc/self/fd')), dict(os.environ), [signal.getsignal(s) for s in signal.valid_signals()]
rehearsal.run(sys.argv[1])
assert not os.path.exists(sys.argv[1])
assert sorted(os.listdir('/proc/self/fd')) == fds
assert dict(os.environ) == environment
assert [signal.getsignal(s) for s in signal.valid_signals()] == signals
assert signal.set_wakeup_fd(-1) == -1
try:
    os.waitpid(-1, os.WNOHANG)
    raise AssertionError("a child is left")
except ChildProcessError:
    pass
"""


def run(text: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", text, *words], capture_output=True, text=True, timeout=60)


def test_new_objects_of_a_child_do_not_fill_its_parents_pages() -> None:
    ended = run(FULL)
    if ended.returncode == 9:
        pytest.skip("this Python has another allocator")
    assert ended.returncode == 0, ended.stderr


def test_a_rehearsal_leaves_no_descriptor_no_child_no_signal_and_no_variable(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "shim.sock").touch()  # of one that was killed
    ended = run(NOTHING, str(tmp_path / "r"))
    assert ended.returncode == 0, ended.stderr
