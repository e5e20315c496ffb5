"""What a worker asks of the scheduler."""

from __future__ import annotations

import ctypes
import os
import platform
from concurrent.futures import ThreadPoolExecutor

import pytest

from seaway.dns.serving import turns

SCHED_GETATTR = {"x86_64": 315, "aarch64": 275, "riscv64": 275}
RELEASE = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])


def slice_and_nice() -> tuple[int, int]:
    room = ctypes.create_string_buffer(turns.ATTRIBUTES.size)
    failed = ctypes.CDLL(None).syscall(SCHED_GETATTR[platform.machine()], 0, room, len(room), 0)
    assert not failed
    found = turns.ATTRIBUTES.unpack(room.raw)
    return found[5], found[3]


@pytest.mark.skipif(RELEASE < (6, 12) or platform.machine() not in SCHED_GETATTR, reason="needs Linux 6.12's slices")
def test_a_worker_s_turns_are_short_and_its_niceness_is_what_it_was() -> None:
    def nicer() -> tuple[tuple[int, int], tuple[int, int]]:
        os.nice(2)  # of this thread alone
        before = slice_and_nice()
        turns.answer_first()
        return before, slice_and_nice()

    with ThreadPoolExecutor(1) as pool:
        before, after = pool.submit(nicer).result()
    assert before[0] != turns.SLICE
    assert after == (turns.SLICE, before[1])
