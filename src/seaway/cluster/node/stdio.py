"""A container's standard streams from before its first process to when the shim holds its ends of them."""

from __future__ import annotations

import os
import socket

from seaway.cluster.node import container


class Born:
    """The ends of a container that is being started. `outputs` are (stream, descriptor), `stdin` its input or terminal."""

    def __init__(self, wants_input: bool, tty: bool) -> None:
        self.outputs: list[tuple[str, int]] = []
        self.stdin = -1
        self._theirs: list[int] = []
        self._console: tuple[socket.socket, socket.socket] | None = None
        if tty:
            self._console = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            return
        read = -1
        if wants_input:
            read, self.stdin = os.pipe2(os.O_CLOEXEC)
        self._theirs.append(read)
        for stream in ("stdout", "stderr"):
            ours, theirs = os.pipe2(os.O_CLOEXEC)
            self.outputs.append((stream, ours))
            self._theirs.append(theirs)

    def become_standard(self, owner: int) -> None:
        """In the container's first process: 0, 1 and 2."""
        if self._console:
            container.take_terminal(self._console[1].fileno(), owner)
            return
        if self._theirs[0] < 0:
            self._theirs[0] = os.open("/dev/null", os.O_RDWR)
        for target, fd in enumerate(self._theirs):
            os.dup2(fd, target)

    def leave(self) -> None:
        """In the shim: the container's ends are the container's alone."""
        for fd in self._theirs:
            if fd >= 0:
                os.close(fd)
        self._theirs = []
        if self._console:
            self._console[1].close()

    def receive(self) -> None:
        """In the shim, when the container runs: the master of its terminal."""
        if not self._console:
            return
        _, fds, _, _ = socket.recv_fds(self._console[0], 16, 1)
        self._console[0].close()
        for fd in fds:
            os.set_inheritable(fd, False)
            self.outputs, self.stdin = [("stdout", fd)], fd

    def close(self) -> None:
        """In the shim, when the container could not be started."""
        for fd in {self.stdin, *(fd for _, fd in self.outputs)} - {-1}:
            os.close(fd)
        if self._console:
            self._console[0].close()
