"""Where the cgroup hierarchy of version 2 is to be found: mounted already, or for this process alone."""

from __future__ import annotations

import ctypes
import os

from seaway.proxy.kernel import KernelError

FSOPEN, FSCONFIG, FSMOUNT = 430, 431, 432  # of every architecture that eBPF mode knows; since Linux 5.2
CREATE, CLOSE_ON_EXEC = 6, 1  # FSCONFIG_CMD_CREATE; FSOPEN_CLOEXEC and FSMOUNT_CLOEXEC
_libc = ctypes.CDLL(None, use_errno=True)


def mounted(mounts: str) -> str:
    """The first mount of it in the text of /proc/mounts, "" where there is none."""
    for line in mounts.splitlines():
        words = line.split(" ")
        if len(words) > 2 and words[2] == "cgroup2":
            return words[1]
    return ""


def folder(path: str) -> str:
    """The folder of a cgroup, `path` as in /proc/PID/cgroup. In a container, whose mounts do not show the hierarchy, it is
    mounted nowhere, for as long as this process lives."""
    with open("/proc/mounts") as f:
        root = mounted(f.read())
    return os.path.join(root or f"/proc/{os.getpid()}/fd/{detached()}", path.lstrip("/"))


def detached() -> int:
    """A file descriptor of a mount of its own, which is in no tree: it has no folder, nobody else sees it, it ends with us."""

    def call(number: int, *arguments: object) -> int:
        found = int(_libc.syscall(number, *arguments))
        if found < 0:
            raise KernelError(
                f"eBPF mode needs the cgroup hierarchy of version 2; mounting it: {os.strerror(ctypes.get_errno())}"
            )
        return found

    filesystem = call(FSOPEN, b"cgroup2", CLOSE_ON_EXEC)
    try:
        call(FSCONFIG, filesystem, CREATE, None, None, 0)
        return call(FSMOUNT, filesystem, CLOSE_ON_EXEC, 0)
    finally:
        os.close(filesystem)
