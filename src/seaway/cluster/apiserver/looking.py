"""The loop of a controller that lives inside the server: names to look at, each again after a while where that went wrong."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable

from seaway.cluster.apiserver.status import ApiError

AGAIN = 5.0  # seconds, after something went wrong
Look = Callable[[str], Awaitable[None]]


async def _nothing() -> None:
    """No work before a round."""


class Looking:
    """Level-triggered: `add` says that a name is to be looked at, however often before it is. Each round begins with `first`,
    which is for what concerns no single name."""

    def __init__(self, look: Look, first: Callable[[], Awaitable[None]] = _nothing) -> None:
        self._look, self._first = look, first
        self._waiting: dict[str, None] = {}
        self._wake = asyncio.Event()

    def add(self, name: str) -> None:
        self._waiting[name] = None
        self._wake.set()

    def again(self) -> None:
        """A round, though no name has changed."""
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            waiting, self._waiting = self._waiting, {}
            if not await self._tried(self._first()):
                self._later(self.again)
            for name in waiting:
                if not await self._tried(self._look(name), (404, 409)):  # who changed it has told us
                    self._later(self.add, name)

    async def _tried(self, work: Awaitable[None], harmless: tuple[int, ...] = ()) -> bool:
        try:
            await work
        except ApiError as e:
            return e.code in harmless
        except Exception:
            traceback.print_exc()
            return False
        return True

    def _later(self, what: Callable[..., None], *names: str) -> None:
        asyncio.get_running_loop().call_later(AGAIN, what, *names)
