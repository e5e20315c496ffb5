"""The load of the labs about entry points, standard library only: clients outside, some that keep their connections, some new.

`entryload.py ADDRESS HOST KEPT RATE`: KEPT clients that keep a connection each and ask ten times a second on it, and RATE
requests a second on new connections. It says "ready" when each client that keeps its connection has had an answer. A line on
standard input asks whom those connections lead to now: a line of JSON, entry -> connections. At its end, one line of JSON:
`answers` [at, new, entry, pod], `lost` [began, new, why, entry], `cut` [at, entry]: connections that ended unannounced. Times
are CLOCK_MONOTONIC; `new` is 1 for the first request of a connection.
"""

import asyncio
import json
import os
import sys
import time

PATIENCE = 2.0
PAUSE = 0.1
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Refused(Exception):
    """An answer that is not 200."""


def header(head: str, name: str) -> str:
    return head.partition(f"\r\n{name}: ")[2].partition("\r\n")[0]


class Load:
    def __init__(self, address: str, host: str) -> None:
        self._address, self._host = address, host
        self.over = asyncio.Event()
        self.held: dict[int, str] = {}  # client -> the entry that its connection leads to
        self.answers: list[tuple[float, int, str, str]] = []
        self.lost: list[tuple[float, int, str, str]] = []
        self.cut: list[tuple[float, str]] = []

    async def ask(self, streams: Streams, last: bool, new: bool) -> tuple[str, bool]:
        """The entry, and whether the connection stays."""
        reader, writer = streams
        close = "Connection: close\r\n" if last else ""
        writer.write(f"GET / HTTP/1.1\r\nHost: {self._host}\r\n{close}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        await reader.readexactly(int(header(head, "content-length")))
        if head.split()[1] != "200":
            raise Refused(f"answered {head.split()[1]}")
        entry = header(head, "x-entry")
        self.answers.append((time.monotonic(), int(new), entry, header(head, "x-pod")))
        return entry, header(head, "connection") != "close"

    async def once(self) -> None:
        """A request on a connection of its own."""
        began, streams = time.monotonic(), None
        try:
            async with asyncio.timeout(PATIENCE):
                streams = await asyncio.open_connection(self._address, 80)
                await self.ask(streams, True, True)
        except (OSError, EOFError, ValueError, TimeoutError, Refused) as e:
            self.lost.append((began, 1, why(e), ""))
        if streams:
            streams[1].close()

    async def keep(self, number: int, first: asyncio.Event) -> None:
        """Requests on one connection; a new one when it has ended."""
        streams: Streams | None = None
        while not self.over.is_set():
            began, new = time.monotonic(), False
            try:
                if streams and (streams[0].at_eof() or streams[0].exception() or streams[1].is_closing()):
                    self.cut.append((began, self.held.pop(number)))
                    streams[1].close()
                    streams = None
                async with asyncio.timeout(PATIENCE):
                    if streams is None:
                        new = True
                        streams = await asyncio.open_connection(self._address, 80)
                    self.held[number], stays = await self.ask(streams, False, new)
                first.set()
                if not stays:
                    streams[1].close()
                    self.held.pop(number)
                    streams = None
            except (OSError, EOFError, ValueError, TimeoutError, Refused) as e:
                entry = self.held.pop(number, "")
                self.lost.append((began, int(new), why(e), entry))
                if not new:
                    self.cut.append((time.monotonic(), entry))
                if streams:
                    streams[1].close()
                    streams = None
            await asyncio.sleep(PAUSE)
        if streams:
            streams[1].close()

    async def anew(self, rate: float) -> None:
        began, number = time.monotonic(), 0
        running: set[asyncio.Task[None]] = set()
        while not self.over.is_set():
            number += 1
            task = asyncio.ensure_future(self.once())
            running.add(task)
            task.add_done_callback(running.discard)
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        if running:
            await asyncio.wait(set(running))


def why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error) if isinstance(error, Refused) else "cut off"


async def main(address: str, host: str, kept: int, rate: float) -> None:
    load, lines = Load(address, host), asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    firsts = [asyncio.Event() for _ in range(kept)]
    async with asyncio.TaskGroup() as group:
        for number, first in enumerate(firsts):
            group.create_task(load.keep(number, first))
        group.create_task(load.anew(rate))
        for first in firsts:
            await first.wait()
        print("ready", flush=True)
        while await lines.readline():
            entries = list(load.held.values())
            print(json.dumps({entry: entries.count(entry) for entry in entries}), flush=True)
        load.over.set()
    print(json.dumps({"answers": load.answers, "lost": load.lost, "cut": load.cut}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
