"""What runs in a container and is copied to and from a client: an exec's command, or an attached container.

A client that goes away takes its pipes and terminal with it, no more: the command sees the end of its input, SIGPIPE or
SIGHUP, and one that cares for none of these runs on, as with the kubelet (kubernetes/kubernetes#89031).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import struct
import termios
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seaway.cluster.node import plans
from seaway.cluster.node.shims import ShimError
from seaway.cluster.node.streaming.channels import (
    CLOSE,
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    exited,
    internal,
    success,
    terminal_size,
)
from seaway.cluster.node.streaming.sessions import Session, Wants

if TYPE_CHECKING:
    from seaway.cluster.node.pods import PodWorker

Tree = dict[str, Any]
CHUNK = 1 << 15
LAST_WORDS = 0.2  # seconds of silence that end an ended command's output, though a child of it holds the pipe


@dataclass(slots=True)
class Ends:
    """Our ends of a command: -1 where there is none. `terminal` takes sizes and is closed with stdin or stdout."""

    stdin: int
    outputs: Mapping[int, int]
    terminal: int = -1
    on_end: Callable[[], Awaitable[None]] | None = None  # the client's input has ended: the container's may end too

    def close(self) -> None:
        for fd in {self.stdin, self.terminal, *self.outputs.values()} - {-1}:
            os.close(fd)
        self.stdin, self.outputs, self.terminal = -1, {}, -1


async def _ready(fd: int, writing: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def settle() -> None:
        if not ready.done():
            ready.set_result(None)

    (loop.add_writer if writing else loop.add_reader)(fd, settle)
    try:
        await ready
    finally:
        (loop.remove_writer if writing else loop.remove_reader)(fd)


async def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            await _ready(fd, True)


async def _pump(fd: int, channel: int, session: Session, ended: asyncio.Event) -> None:
    """What the command writes, to the client: all of it, also what it wrote last."""
    os.set_blocking(fd, False)
    while True:
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            waiting: list[asyncio.Future[Any]] = [asyncio.ensure_future(_ready(fd, False))]
            if not ended.is_set():
                waiting.append(asyncio.ensure_future(ended.wait()))
            try:
                done, _ = await asyncio.wait(
                    waiting,
                    timeout=LAST_WORDS if ended.is_set() else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            finally:
                for task in waiting:
                    task.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)
            if not done:
                return
            continue
        except OSError:
            return  # a terminal whose other side has closed
        if not data:
            return
        await session.send(channel, data)


async def _feed(session: Session, ends: Ends) -> None:
    """What the client sends, to the command, until the client has gone."""
    async for channel, data in session.events():
        if channel == STDIN and ends.stdin >= 0:
            try:
                await _write(ends.stdin, data)
            except OSError:
                pass  # nobody reads it any more
        elif channel == CLOSE and data[:1] == bytes((STDIN,)) and ends.stdin >= 0 and ends.terminal < 0:
            os.close(ends.stdin)
            ends.stdin = -1
            if ends.on_end:
                await ends.on_end()
        elif channel == RESIZE and ends.terminal >= 0:
            size = terminal_size(data)
            if size:
                with contextlib.suppress(OSError):
                    fcntl.ioctl(ends.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))


async def _carry(session: Session, ends: Ends, done: asyncio.Future[Any] | None) -> bool:
    """Copies both ways until the command has ended and all that it wrote is with the client; False: the client has gone.
    `done` None: the end of the outputs is the end."""
    ended = asyncio.Event()
    if ends.stdin >= 0:
        os.set_blocking(ends.stdin, False)
    feeding = asyncio.ensure_future(_feed(session, ends))
    pumps = [asyncio.ensure_future(_pump(fd, channel, session, ended)) for channel, fd in ends.outputs.items()]
    tasks: list[asyncio.Future[Any]] = [feeding, *pumps]
    try:
        if done is not None:
            first: set[asyncio.Future[Any]] = {done, feeding}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                return False
            ended.set()
        copied = asyncio.gather(*pumps, return_exceptions=True)
        both: set[asyncio.Future[Any]] = {copied, feeding}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        return copied.done() and not any(copied.result())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def execute(worker: PodWorker, container: str, command: list[str], wants: Wants, session: Session) -> Tree | None:
    """Runs a command; the Status of its end, None where the client went before."""
    ends, theirs, console = _exec_ends(wants)
    assert worker.shim
    try:
        try:
            done = await worker.shim.execute(container, plans.exec_plan(worker, container, command, wants.tty), theirs)
        finally:
            for fd in theirs:
                os.close(fd)
        if console is not None:
            master = await _receive(console)
            if master >= 0:
                ends = Ends(os.dup(master) if wants.stdin else -1, {STDOUT: master}, master)
        stays = await _carry(session, ends, done)
        if not stays:
            return None
        ended = await done
    except ShimError as e:
        return internal(f"error executing command in container: {e}")
    finally:
        ends.close()
        if console is not None:
            console.close()
    if ended.problem:
        why = "failed to exec in container: OCI runtime exec failed: exec failed: unable to start container process"
        return internal(f"error executing command in container: {why}: {ended.problem}: unknown")
    return exited(command, ended.code)


def _exec_ends(wants: Wants) -> tuple[Ends, list[int], socket.socket | None]:
    """Our ends of a new command, its own ends, and for a terminal the socket that brings us its master."""
    if wants.tty:
        ours, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        return Ends(-1, {}), [other.detach()], ours
    in_read, in_write = os.pipe2(os.O_CLOEXEC)
    outputs, theirs = {}, [in_read]
    for channel, wanted in ((STDOUT, wants.stdout), (STDERR, wants.stderr)):
        if wanted:
            outputs[channel], written = os.pipe2(os.O_CLOEXEC)
        else:  # an output that nobody wants is no broken pipe for the command
            written = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        theirs.append(written)
    if not wants.stdin:
        os.close(in_write)
    return Ends(in_write if wants.stdin else -1, outputs), theirs, None


async def _receive(console: socket.socket) -> int:
    """The master of a new terminal; -1 where the command could not be started."""
    await _ready(console.fileno(), False)
    try:
        _, fds, _, _ = socket.recv_fds(console, 16, 1)
    except OSError:
        return -1
    for fd in fds:
        os.set_inheritable(fd, False)
    return fds[0] if fds else -1


async def attach(worker: PodWorker, name: str, wants: Wants, session: Session) -> Tree | None:
    """Joins a running container's own streams until it ends, or the client has gone (None)."""
    assert worker.shim
    shim, container = worker.shim, worker.container(name)
    tty, attempt = bool(container.get("tty")), worker.states[name].attempt
    # stdinOnce: the first client that attaches has the container's input, and its end is the input's end.
    once = bool(container.get("stdinOnce")) and wants.stdin and not tty
    out_read, out_write = os.pipe2(os.O_CLOEXEC)
    err_read, err_write = os.pipe2(os.O_CLOEXEC)
    ends = Ends(-1, {STDOUT: out_read, STDERR: err_read})

    async def input_ended() -> None:
        if once:
            with contextlib.suppress(ShimError):
                await shim.ask("close-stdin", container=name, attempt=attempt)

    try:
        try:
            stdin = await shim.attach(name, once, [out_write, err_write])
        finally:
            os.close(out_write)
            os.close(err_write)
        ends.on_end = input_ended
        if tty:
            ends.terminal = stdin
            ends.stdin = os.dup(stdin) if wants.stdin and container.get("stdin") else -1
        elif wants.stdin:
            ends.stdin = stdin
        elif stdin >= 0:
            os.close(stdin)
        stays = await _carry(session, ends, None)
    except ShimError as e:
        return internal(f"error attaching to container: {e}")
    finally:
        ends.close()
        await input_ended()
    return success() if stays else None
