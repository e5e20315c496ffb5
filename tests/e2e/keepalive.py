"""Constant load over connections that are kept, as a program: `keepalive.py HOST PORT SECONDS CONNECTIONS [NAME]`.

Each client asks every 20 ms on its connection until it is asked to go, and counts: answers by their status, and every answer
that did not come. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import collections
import json
import sys
import time


async def client(host: str, port: int, name: str, end: float, count: collections.Counter[str]) -> None:
    writer = None
    while time.monotonic() < end:
        try:
            if writer is None:
                reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 5)
                count["connections"] += 1
            writer.write(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            await asyncio.wait_for(reader.readexactly(length), 10)
            count[head.split()[1].decode()] += 1
            if b"connection: close" in head:
                count["asked to go"] += 1
                writer.close()
                writer = None
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError) as e:
            count[f"failed: {type(e).__name__}: {e}"] += 1
            if writer is not None:
                writer.close()
            writer = None
        await asyncio.sleep(0.02)
    if writer is not None:
        writer.close()


async def main(host: str, port: int, seconds: float, clients: int, name: str) -> None:
    count: collections.Counter[str] = collections.Counter()
    end = time.monotonic() + seconds
    await asyncio.gather(*(client(host, port, name, end, count) for _ in range(clients)))
    print(json.dumps(count))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), (sys.argv[5:] or ["test"])[0]))
