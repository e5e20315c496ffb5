"""Constant load on routes, as a program: `routeload.py FILE`, until standard input ends.

FILE is JSON: {"address", "ca": a file, "clients": [{"name", "host", "path", "tls": bool, "kept": bool, "mark": [header, value]}]}. Each
client asks every 20 ms, on a connection that it keeps until it is asked to go, or on a new one each time. An answer is right with
status 200 and the mark; everything else, a connection that ends without an answer too, is counted with its words. Prints one JSON
object: of each name what it counted, and the serial numbers of certificates seen.
"""

from __future__ import annotations

import asyncio
import collections
import json
import ssl
import sys
import time
from pathlib import Path
from typing import Any

PACE = 0.02
PATIENCE = 10.0


class Client:
    def __init__(self, address: str, wanted: dict[str, Any], tls: ssl.SSLContext) -> None:
        self.wanted, self.count = wanted, collections.Counter[str]()
        self.serials: set[str] = set()
        self._to: dict[str, Any] = {"host": address, "port": 80}
        if wanted["tls"]:
            self._to = {"host": address, "port": 443, "ssl": tls, "server_hostname": wanted["host"]}
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._mark = "\r\n{}: {}\r\n".format(*wanted["mark"]).lower()

    async def _ask(self) -> str:
        """"" for a right answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(**self._to)
            self.count["connections"] += 1
            if self.wanted["tls"]:
                found = self._streams[1].get_extra_info("ssl_object").getpeercert()
                self.serials.add(found["serialNumber"])
        reader, writer = self._streams
        end = "" if self.wanted["kept"] else "Connection: close\r\n"
        writer.write(f"GET {self.wanted['path']} HTTP/1.1\r\nHost: {self.wanted['host']}\r\n{end}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        await reader.readexactly(int(head.partition("\r\ncontent-length:")[2].partition("\r\n")[0]))
        if not self.wanted["kept"] or "\r\nconnection: close" in head:
            self.count["asked to go"] += self.wanted["kept"]
            self._drop()
        status = head.split()[1]
        if status != "200":
            return f"status {status}"
        return "" if self._mark in head else "answered by another route"

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None

    async def run(self, over: asyncio.Event) -> None:
        while not over.is_set():
            began = time.monotonic()
            try:
                wrong = await asyncio.wait_for(self._ask(), PATIENCE)
            except (OSError, ValueError, TimeoutError, EOFError, ssl.SSLError) as e:
                wrong = f"{type(e).__name__}: {e}"
                self._drop()
            self.count[wrong or "right"] += 1
            if wrong:
                print(f"{time.strftime('%X')} {self.wanted['name']}: {wrong}", file=sys.stderr, flush=True)
            await asyncio.sleep(max(0.0, PACE - (time.monotonic() - began)))
        self._drop()


async def main(file: str) -> None:
    wanted = json.loads(Path(file).read_text())
    tls = ssl.create_default_context(cafile=wanted["ca"])
    clients = [Client(wanted["address"], one, tls) for one in wanted["clients"]]
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, over.set)
    print("ready", flush=True)
    await asyncio.gather(*(client.run(over) for client in clients))
    print(json.dumps({c.wanted["name"]: {"counts": c.count, "serials": sorted(c.serials)} for c in clients}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
