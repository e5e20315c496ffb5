"""A program of ours as a container's: called, not exec'ed."""

from __future__ import annotations

import os
import socket

from seaway.cluster.fabric import linux
from seaway.cluster.node import container


def writes_to_what_has_ended(argv: list[str]) -> int:
    one, other = socket.socketpair()
    other.close()
    try:
        one.send(b"x")
    except BrokenPipeError:
        return 7
    return 1


def test_a_connection_that_has_ended_does_not_end_the_program() -> None:
    pid = os.fork()
    if not pid:
        try:
            linux.default_signals()  # as a container begins
            container.become({"target": f"{__name__}:writes_to_what_has_ended", "argv": ["a"], "env": {}})
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7, "-13 is SIGPIPE"
