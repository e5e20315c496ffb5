"""The reconcile loop: keys in, one call a key at a time, errors repeated with back-off. Level-triggered: a key says
where to look, never what happened."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from seaway.client.errors import Conflict, NotFound, Unavailable, is_namespace_ending

log = logging.getLogger("seaway.client")
K = TypeVar("K", bound=Hashable)
FIRST, LONGEST = 0.01, 30.0


class Reconciler(Generic[K]):
    """`reconcile(key)` may return seconds after which it wants the key again."""

    def __init__(self, name: str, reconcile: Callable[[K], Awaitable[float | None]], workers: int = 4) -> None:
        self.name, self._reconcile, self._workers = name, reconcile, workers
        self._queue: asyncio.Queue[K] = asyncio.Queue()
        self._waiting: set[K] = set()
        self._running: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}

    def add(self, key: K) -> None:
        """Asks for a key; while it is being worked on, once more afterwards."""
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._queue.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Asks for a key later; the sooner of two wins."""
        loop = asyncio.get_running_loop()
        when = loop.time() + seconds
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= when:
                return
            timer.cancel()

        def fire() -> None:
            self._timers.pop(key, None)
            self.add(key)

        self._timers[key] = loop.call_at(when, fire)

    @property
    def idle(self) -> bool:
        """Nothing queued, running or waiting for a retry."""
        return not (self._waiting or self._running or self._again or self._failures)

    async def run(self) -> None:
        """Works until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            self._waiting.discard(key)
            self._running.add(key)
            try:
                later = await self._reconcile(key)
                self._failures.pop(key, None)
                if later is not None:
                    self.add_after(key, later)
            except asyncio.CancelledError:
                raise
            except Exception as e:
                if is_namespace_ending(e):
                    self._failures.pop(key, None)
                    continue
                failures = self._failures[key] = self._failures.get(key, 0) + 1
                wait = min(FIRST * 2 ** (failures - 1), LONGEST)
                if not isinstance(e, (Conflict, NotFound, Unavailable)):
                    log.warning(
                        "%s %s: %s: %s (again in %.2f s)",
                        self.name,
                        key,
                        type(e).__name__,
                        e,
                        wait,
                        exc_info=failures == 1,
                    )
                self.add_after(key, wait)
            finally:
                self._running.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)
