"""The load of the ingress-hop lab, standard library only: a client outside that keeps its connections.

`keptload.py ADDRESS HOST RATE CONNECTIONS`: so many requests a second, on connections that are free, or, with RATE 0, one after
the other on each connection; until standard input says something or ends. Then one line of JSON: how many were sent, in how many
seconds, what failed and how, milliseconds of each answer, answers of each pod, and when each answered last (CLOCK_MONOTONIC).
"""

import asyncio
import collections
import json
import sys
import time

TIMEOUT = 5.0


class Load:
    def __init__(self, address: str, host: str) -> None:
        self._address = address
        self._request = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.sent = 0
        self.failed: collections.Counter[str] = collections.Counter()
        self.pods: collections.Counter[str] = collections.Counter()
        self.last: dict[str, float] = {}
        self.times: list[float] = []

    async def ask(self) -> None:
        self.sent += 1
        began = time.monotonic()
        streams = None
        try:
            async with asyncio.timeout(TIMEOUT):
                streams = self._idle.pop() if self._idle else await asyncio.open_connection(self._address, 80)
                reader, writer = streams
                writer.write(self._request)
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                await reader.readexactly(int(head.partition("\r\ncontent-length: ")[2].partition("\r\n")[0]))
            status = head.split()[1]
            if status == "200":
                pod = head.partition("\r\nx-pod: ")[2].partition("\r\n")[0]
                self.pods[pod] += 1
                self.last[pod] = time.monotonic()
                self.times.append(round((self.last[pod] - began) * 1000, 3))
            else:
                self.failed[f"answered {status}"] += 1
            if "\r\nconnection: close" in head:
                writer.close()
            else:
                self._idle.append(streams)
        except TimeoutError:
            self.failed["timed out"] += 1
            if streams:
                streams[1].close()
        except (OSError, EOFError, ValueError) as e:
            self.failed[type(e).__name__] += 1
            if streams:
                streams[1].close()


async def main(address: str, host: str, rate: float, connections: int) -> None:
    loop = asyncio.get_running_loop()
    load, over = Load(address, host), asyncio.Event()
    loop.add_reader(sys.stdin, over.set)
    print("ready", flush=True)
    began = loop.time()
    running: set[asyncio.Task[None]] = set()
    if rate:
        while not over.is_set():
            task = asyncio.ensure_future(load.ask())
            running.add(task)
            task.add_done_callback(running.discard)
            await asyncio.sleep(max(0.0, began + load.sent / rate - loop.time()))
    else:

        async def again() -> None:
            while not over.is_set():
                await load.ask()

        running = {asyncio.ensure_future(again()) for _ in range(connections)}
    if running:
        await asyncio.wait(running)
    found = {"sent": load.sent, "seconds": loop.time() - began, "failed": load.failed, "milliseconds": load.times}
    print(json.dumps({**found, "pods": load.pods, "last": load.last}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])))
