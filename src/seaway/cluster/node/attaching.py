"""What the shim holds of its containers' streams: outputs go to logs and to whoever is attached, inputs wait for clients."""

from __future__ import annotations

import os
import select
import socket

from seaway.cluster.node.outputs import LogFile, Output, Sink
from seaway.cluster.node.stdio import Born

TURNS = 16  # a container that never stops writing must not have the shim for itself


class Streams:
    """The streams of all containers of a pod, watched by the shim's own `poll`."""

    def __init__(self, poll: select.poll) -> None:
        self._poll = poll
        self._outputs: dict[int, Output] = {}
        self._sinks: dict[int, tuple[Sink, Output]] = {}
        self._stdins: dict[str, int] = {}  # container -> its input, or its terminal
        self._borrowed: dict[str, socket.socket] = {}  # container -> the agent whose client has its only input

    def add(self, name: str, born: Born, log: str) -> None:
        """The streams of a container that has begun."""
        file = LogFile(log)
        for stream, fd in born.outputs:
            os.set_blocking(fd, False)
            self._outputs[fd] = Output(fd, stream, file)
            self._poll.register(fd, select.POLLIN)
        if born.stdin >= 0:
            self._stdins[name] = born.stdin

    def attach(self, name: str, log: str, fds: list[int], lender: socket.socket | None) -> list[int] | None:
        """Copies what a container writes from now on to `fds` (stdout, stderr) too; its input or terminal is the answer, None
        where it has no outputs. `lender`: the agent with which its input ends."""
        outputs = [o for o in self._outputs.values() if o.file.path == log]
        if not outputs:
            return None
        for fd, stream in zip(fds, ("stdout", "stderr"), strict=False):
            output = next((o for o in outputs if o.stream == stream), None)
            if output is None:
                os.close(fd)  # a terminal has no stderr
                continue
            sink = Sink(fd)
            output.sinks.append(sink)
            self._sinks[fd] = (sink, output)
            self._poll.register(fd, 0)  # its end is told all the same
        if lender:
            self._borrowed[name] = lender
        return [self._stdins[name]] if name in self._stdins else []

    def close_stdin(self, name: str) -> None:
        self._borrowed.pop(name, None)
        fd = self._stdins.get(name, -1)
        if fd >= 0 and fd not in self._outputs:  # a terminal has no end of input
            os.close(self._stdins.pop(name))

    def gone(self, client: socket.socket) -> None:
        """An agent has gone: inputs that its clients had alone end."""
        for name in [n for n, c in self._borrowed.items() if c is client]:
            self.close_stdin(name)

    def end(self, name: str, log: str) -> None:
        """A container has ended: what it wrote before goes to the log before its end is told."""
        for output in [o for o in self._outputs.values() if o.file.path == log]:
            self._read(output, to_the_end=True)
        if name in self._stdins:
            fd = self._stdins.pop(name)
            if fd not in self._outputs:
                os.close(fd)
        self._borrowed.pop(name, None)

    def ready(self, fd: int, events: int) -> None:
        """Does what a descriptor is ready for."""
        if fd in self._outputs:
            self._read(self._outputs[fd], to_the_end=bool(events & select.POLLHUP and not events & select.POLLIN))
        elif fd in self._sinks:
            self._flush(*self._sinks[fd], events)

    def _read(self, output: Output, to_the_end: bool = False) -> None:
        """Passes on what a container has written. An attached client that is slow holds it up, but not its end."""
        turns = TURNS
        while to_the_end or (turns and not output.blocked):
            turns -= 1
            try:
                data = os.read(output.fd, 65536)
            except BlockingIOError:
                break
            except OSError:
                data = b""  # a terminal whose other side has closed
            if not data:
                self._end_output(output)
                return
            for dead in output.feed(data):
                self._unsink(dead, output)
        self._regulate(output)

    def _end_output(self, output: Output) -> None:
        output.end()
        self._poll.unregister(output.fd)
        del self._outputs[output.fd]
        if output.fd not in self._stdins.values():
            os.close(output.fd)
        for sink in list(output.sinks):
            sink.closing = True
            if not sink.pending:
                self._unsink(sink, output)
            else:
                self._poll.modify(sink.fd, select.POLLOUT)

    def _unsink(self, sink: Sink, output: Output) -> None:
        """A client of an attach has gone, or has had everything."""
        if self._sinks.pop(sink.fd, None) is None:
            return
        self._poll.unregister(sink.fd)
        os.close(sink.fd)
        sink.pending = b""
        if sink in output.sinks:
            output.sinks.remove(sink)
        self._regulate(output)

    def _regulate(self, output: Output) -> None:
        """A container is read while its clients take what they get."""
        for sink in output.sinks:
            self._poll.modify(sink.fd, select.POLLOUT if sink.pending else 0)
        if output.fd in self._outputs:
            self._poll.modify(output.fd, 0 if output.blocked else select.POLLIN)

    def _flush(self, sink: Sink, output: Output, events: int) -> None:
        if events & (select.POLLERR | select.POLLNVAL) or not sink.put(b"") or (sink.closing and not sink.pending):
            self._unsink(sink, output)
        else:
            self._regulate(output)
