"""The load of the termination lab, standard library only, run in a pod from a ConfigMap.

`load.py HOST PORT RATE`: so many requests a second, each on a new connection, whatever becomes of the others, until standard
input says something or ends; then one line of JSON: how many were sent, how many failed, and how.
"""

import asyncio
import collections
import json
import os
import sys

TIMEOUT = 5.0
REQUEST = b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"


async def request(host: str, port: int) -> str:
    """'' for an answer of 200, else what went wrong."""
    writer = None
    try:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(REQUEST)
            answer = await reader.read()
        return "" if answer.startswith(b"HTTP/1.1 200") else "answer cut off"
    except ConnectionRefusedError:
        return "refused"
    except ConnectionResetError:
        return "reset"
    except TimeoutError:
        return "timed out"
    except OSError as e:
        return os.strerror(e.errno).lower() if e.errno else type(e).__name__
    finally:
        if writer:
            writer.close()


async def main(host: str, port: int, rate: float) -> None:
    loop = asyncio.get_running_loop()
    found: collections.Counter[str] = collections.Counter()
    running: set[asyncio.Task[str]] = set()
    told = asyncio.Event()
    loop.add_reader(sys.stdin, told.set)

    def done(task: asyncio.Task[str]) -> None:
        running.discard(task)
        found[task.result()] += 1

    print("ready", flush=True)
    began, number = loop.time(), 0
    while not told.is_set():
        number += 1
        task = asyncio.ensure_future(request(host, port))
        running.add(task)
        task.add_done_callback(done)
        await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
    seconds = loop.time() - began
    if running:
        await asyncio.wait(set(running))
    failed = {why: count for why, count in found.items() if why}
    print(json.dumps({"sent": number, "failed": failed, "rate": round(number / seconds, 1)}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
