"""A cgroup (version 2) for the pods and the node of a run, for programs at sockets; it goes with the run, however that ends.

As a program it is the broom: it waits until its standard input ends, which is when every process of the run has, and removes it.
"""

from __future__ import annotations

import os
import sys
import time

from seaway.proxy.ebpf import cgroup

VARIABLE = "FLOWS_CGROUP"  # the run's own name for it, where somebody else waits to remove it
MEMBERS = ("a", "b", "c", "node")  # places whose sockets are the node's; whoever is elsewhere has a kernel of its own
PATIENCE = 15.0


def name() -> str:
    return os.environ.get(VARIABLE) or f"flows-{os.getpid()}"


def possible() -> bool:
    """Whether one can be made: by root, where the machine has the hierarchy of version 2."""
    with open("/proc/mounts") as f:
        root = cgroup.mounted(f.read())
    return bool(root) and os.geteuid() == 0 and os.access(root, os.W_OK)


def make() -> str:
    """Makes it; its folder."""
    folder = cgroup.folder(f"/{name()}")
    os.makedirs(folder, exist_ok=True)
    return folder


def join(folder: str) -> None:
    """This process and its children."""
    with open(f"{folder}/cgroup.procs", "w") as f:
        f.write("0")


def remove(folder: str) -> None:
    """Once nobody is left in it."""
    deadline = time.monotonic() + PATIENCE
    while os.path.isdir(folder):
        try:
            os.rmdir(folder)
        except OSError:
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)


if __name__ == "__main__":
    sys.stdin.read()
    remove(cgroup.folder(f"/{name()}"))
