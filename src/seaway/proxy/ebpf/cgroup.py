"""Where the cgroup hierarchy of version 2 is to be found: mounted already, or for this process alone."""

from __future__ import annotations

import ctypes
import os
import tempfile

from seaway.proxy.kernel import KernelError

NEWNS = 0x20000
REC_PRIVATE = 0x44000  # MS_REC | MS_PRIVATE


def mounted(mounts: str) -> str:
    """The first mount of it in the text of /proc/mounts, "" where there is none."""
    for line in mounts.splitlines():
        words = line.split(" ")
        if len(words) > 2 and words[2] == "cgroup2":
            return words[1]
    return ""


def folder(path: str) -> str:
    """The folder of a cgroup, `path` as in /proc/PID/cgroup. In a container, whose mounts do not show the hierarchy, it
    is mounted in a mount namespace of this thread and of those that it starts."""
    with open("/proc/mounts") as f:
        root = mounted(f.read())
    return os.path.join(root or _mount(), path.lstrip("/"))


def _mount() -> str:
    libc = ctypes.CDLL(None, use_errno=True)

    def check(result: int, what: str) -> None:
        if result != 0:
            raise KernelError(f"{what}: {os.strerror(ctypes.get_errno())}")

    check(libc.unshare(NEWNS), "eBPF mode needs the cgroup hierarchy, and a mount namespace to see it in")
    check(libc.mount(b"none", b"/", None, REC_PRIVATE, None), "making mounts private")
    place = tempfile.mkdtemp(prefix="seaway-cgroup-")
    check(libc.mount(b"none", place.encode(), b"cgroup2", 0, None), "mounting the cgroup hierarchy of version 2")
    return place
