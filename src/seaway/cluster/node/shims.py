"""The agent's side of a shim: requests and answers matched by id, events handed on. One connection a pod."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from seaway.cluster.fabric import linux

Plan = dict[str, Any]
ANSWER_WITHIN = 20.0


class ShimError(Exception):
    """The shim refused, or could not."""


class ShimGone(ShimError):
    """The shim is dead: the pod's sandbox is lost."""


class Ended(NamedTuple):
    """How a command ended: its exit code, or why it could not be started."""

    code: int
    problem: str = ""


class Shim:
    """A connected shim. `on_event` gets its events, `on_end` its death."""

    def __init__(self, sock: socket.socket, on_event: Callable[[Plan], None], on_end: Callable[[], None]) -> None:
        self._sock, self._on_event, self._on_end = sock, on_event, on_end
        self._next = 0
        self._waiting: dict[int, asyncio.Future[Plan]] = {}
        self._execs: dict[str, asyncio.Future[Ended]] = {}
        self._fds: dict[int, list[int]] = {}  # descriptors that came beside an answer
        self.alive = True
        asyncio.get_running_loop().add_reader(sock.fileno(), self._readable)

    @classmethod
    async def connect(
        cls, path: str, on_event: Callable[[Plan], None], on_end: Callable[[], None], within: float = 5.0
    ) -> Shim:
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while True:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            try:
                with linux.socket_path(path) as short:
                    sock.connect(short)
                return cls(sock, on_event, on_end)
            except OSError as e:
                sock.close()
                if loop.time() > end:
                    raise ShimGone(f"shim at {path}: {e}") from e
            await asyncio.sleep(0.005)

    @property
    def pid(self) -> int:
        """The shim's pid, as the kernel vouches for it."""
        size = struct.calcsize("3i")
        return int(struct.unpack("3i", self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[0])

    def _readable(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._sock, 1 << 18, 4)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        if not data:
            self.close(lost=True)
            return
        message = json.loads(data)
        if "event" in message:
            if message["event"] == "exec":
                future = self._execs.pop(message["exec"], None)
                if future and not future.done():
                    future.set_result(Ended(message["code"], message.get("problem", "")))
            else:
                self._on_event(message)
            return
        waiting = self._waiting.pop(message.get("id", -1), None)
        if waiting and not waiting.done():
            if fds:
                for fd in fds:
                    os.set_inheritable(fd, False)
                self._fds[message["id"]] = list(fds)
            waiting.set_result(message)
        else:
            for fd in fds:
                os.close(fd)

    async def ask(self, op: str, fds: list[int] | None = None, **fields: Any) -> Plan:
        if not self.alive:
            raise ShimGone("the shim is gone")
        self._next += 1
        number = self._next
        future: asyncio.Future[Plan] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            socket.send_fds(self._sock, [json.dumps({"id": number, "op": op, **fields}).encode()], fds or [])
        except OSError as e:
            self.close(lost=True)
            raise ShimGone(str(e)) from e
        try:
            answer = await asyncio.wait_for(future, ANSWER_WITHIN)
        except TimeoutError as e:
            self._waiting.pop(number, None)
            raise ShimError(f"the shim has not answered within {ANSWER_WITHIN:.0f} s") from e
        if answer.get("error"):
            raise ShimError(answer["error"])
        return answer

    def _taken(self, answer: Plan) -> int:
        """The descriptor that came with an answer; -1 where none did."""
        fds = self._fds.pop(answer["id"], [])
        for extra in fds[1:]:
            os.close(extra)
        return fds[0] if fds else -1

    async def attach(self, container: str, once: bool, fds: list[int]) -> int:
        """Copies what a container writes to `fds` (stdout, stderr) as well, from now to its end. The answer is its input or
        terminal, -1 where it has neither; `once`: the input ends with this agent, should it die."""
        return self._taken(await self.ask("attach", fds, container=container, once=once))

    async def tcp(self, family: int) -> int:
        """A new TCP socket inside the pod's network."""
        return self._taken(await self.ask("tcp", family=family))

    async def execute(self, container: str, plan: Plan, fds: list[int]) -> asyncio.Future[Ended]:
        """Starts a command; the future gives its end. The caller closes its own descriptors. `fds`: stdin, stdout, stderr,
        or with a terminal a socket over which the master comes."""
        name = f"{os.getpid()}-{self._next}"
        future: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._execs[name] = future
        try:
            await self.ask("exec", fds, container=container, plan=plan, exec=name)
        except ShimError:
            self._execs.pop(name, None)
            raise
        return future

    def close(self, lost: bool = False) -> None:
        if not self.alive:
            return
        self.alive = False
        asyncio.get_running_loop().remove_reader(self._sock.fileno())
        self._sock.close()
        pending: list[asyncio.Future[Any]] = [*self._waiting.values(), *self._execs.values()]
        for future in pending:
            if not future.done():
                future.set_exception(ShimGone("the shim is gone"))
                future.exception()
        if lost:
            self._on_end()


async def spawn(zygote: str, request: Plan) -> int:
    """Asks the zygote for a process; waits out a zygote that is being restarted."""
    loop = asyncio.get_running_loop()
    end = loop.time() + 10
    while True:
        try:
            return await loop.run_in_executor(None, _spawn, zygote, request)
        except OSError as e:
            if loop.time() > end:
                raise ShimError(f"the zygote does not answer: {e}") from e
            await asyncio.sleep(0.05)


def _spawn(zygote: str, request: Plan) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(5)
        with linux.socket_path(zygote) as short:
            sock.connect(short)
        sock.send(json.dumps(request).encode())
        answer = sock.recv(4096)
        if not answer:
            raise ConnectionError("no answer")
        return int(json.loads(answer)["pid"])
