"""Which nodes are healthy: an HTTP GET of each node's health port, as a load balancer's health check does it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

PERIOD, TIMEOUT = 0.5, 1.0
FAILURES = 2  # in a row make a node unhealthy; one good answer makes it healthy
Target = tuple[str, int]  # a node's address, port


async def ask(address: str, port: int) -> bool:
    """Whether the port answers 200."""
    try:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                host = f"[{address}]" if ":" in address else address
                writer.write(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                line = await reader.readline()
                return line.split(b" ", 2)[1:2] == [b"200"]
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):  # ValueError: a line without end
        return False


class Probes:
    """Asks every target again and again; `changed` is called when one turns."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._tasks: dict[Target, asyncio.Task[None]] = {}
        self._healthy: dict[Target, bool] = {}

    def healthy(self, address: str, port: int) -> bool:
        return self._healthy.get((address, port), False)

    @property
    def settled(self) -> bool:
        """Whether every target has been asked once."""
        return all(target in self._healthy for target in self._tasks)

    def set(self, targets: set[Target]) -> None:
        for target in self._tasks.keys() - targets:
            self._tasks.pop(target).cancel()
            self._healthy.pop(target, None)
        for target in targets - self._tasks.keys():
            self._tasks[target] = asyncio.ensure_future(self._run(target))

    async def _run(self, target: Target) -> None:
        failures = 0
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                ok = await ask(*target)
                failures = 0 if ok else failures + 1
                before = self._healthy.get(target, False)
                now = ok or (before and failures < FAILURES)
                self._healthy[target] = now
                if now != before:
                    self._changed()
                await asyncio.sleep(PERIOD)
