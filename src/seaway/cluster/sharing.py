"""What keeps the memory of a forked process shared with the one that it was forked from: a page that a child writes to is a
page of its own, in each of a hundred children.

CPython writes to objects that it only looks at (their reference counts): that cannot be helped. What can: where new objects go.
The allocator gives them the free blocks of pages that are mostly full, so each child would make such pages its own, one here
and one there. Filled up before the fork, they are left alone, and a child's objects lie together in pages that are new.
"""

from __future__ import annotations

import ctypes
import gc
import os
import re
import sys

ROW = re.compile(r"^ +\d+ +(\d+) +\d+ +\d+ +(\d+)$", re.MULTILINE)  # of sys._debugmallocstats: size, free blocks
HEADER = sys.getsizeof(b"")

_filled: list[object] = []


def free_blocks() -> dict[int, int]:
    """Free blocks in the allocator's pools, by their size in bytes; {} with another allocator than CPython's own."""
    if not hasattr(sys, "_debugmallocstats"):
        return {}
    sys.stderr.flush()
    told, stderr = os.memfd_create("stats", os.MFD_CLOEXEC), os.dup(2)
    try:
        os.dup2(told, 2)
        sys._debugmallocstats()
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
    with os.fdopen(told, "rb") as f:
        f.seek(0)
        text = f.read().decode("ascii", "replace")
    return {int(size): int(free) for size, free in ROW.findall(text)}


def _filler(size: int) -> object:
    """An object that takes one block of this size."""
    if size <= 16:
        return object()
    return float(size) if size <= 32 else bytes(size - HEADER)


def settle() -> None:
    """Before the first fork, when everything is imported."""
    gc.collect()
    for size, free in free_blocks().items():
        _filled.extend(_filler(size) for _ in range(free))
    gc.freeze()
    gc.disable()  # a collection here would only touch pages that all share
    ctypes.CDLL(None).malloc_trim(0)
