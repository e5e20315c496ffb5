"""A command inside a running container: a process between it and the shim joins the container's namespaces and waits for it."""

from __future__ import annotations

import os
import signal
from typing import Any

from seaway.cluster.fabric import linux
from seaway.cluster.node import container
from seaway.cluster.node.spawning import join_groups

Plan = dict[str, Any]
JOINED = (("ipc", linux.CLONE_NEWIPC), ("pid", linux.CLONE_NEWPID), ("mnt", linux.CLONE_NEWNS))


def execute(plan: Plan, fds: list[int], inside: int) -> tuple[int, int]:
    """Starts a command beside the process `inside`, with the descriptors given, which are closed here. A pid, whose end is the
    command's with its exit code, and a descriptor that gives the problem where it could not be started."""
    problem_read, problem_write = os.pipe2(os.O_CLOEXEC)
    pid = linux.fork()
    if pid == 0:
        code = 126
        try:
            signal.set_wakeup_fd(-1)
            namespaces = [(os.open(f"/proc/{inside}/ns/{n}", os.O_RDONLY | os.O_CLOEXEC), kind) for n, kind in JOINED]
            # Nothing of ours may stay open here for as long as the command runs: a container's input would not end.
            container.close_all_but({*fds, problem_write, *(fd for fd, _ in namespaces)})
            join_groups(plan)
            for fd, kind in namespaces:
                linux.setns(fd, kind)
            child = linux.fork()
            if child == 0:
                container.execute(plan, fds, problem_write)
            container.close_all_but(set())
            _, status = os.waitpid(child, 0)
            code = os.waitstatus_to_exitcode(status)
            code = 128 - code if code < 0 else code
        except BaseException as e:
            try:
                os.write(problem_write, str(e).encode())
            except OSError:
                pass
        finally:
            os._exit(code)
    for fd in [*fds, problem_write]:
        os.close(fd)
    return pid, problem_read
