"""The API server's process of `bench/dns.py`, with a second door: patches on a unix socket, which go straight into its storage.

    python bench/dnsapi.py LAYOUT FOLDER FD

A thousand requests a second would need the CPU that the load comes from. What watchers see is the same: each patch is a write
of its own, durable before its event leaves. In: one JSON object a line, {"id", "resource", "key", "patch"}; out: its id, once it
is written.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from seaway.api.merge import merge
from seaway.cluster.apiserver import main as server
from seaway.cluster.apiserver.journal import MODIFIED
from seaway.cluster.apiserver.storage import Storage


def door(folder: Path) -> str:
    """The socket's path."""
    return str(folder / "changes.sock")


async def changes(storage: Storage, path: str) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pending = []
        while line := await reader.readline():
            asked = json.loads(line)
            found = storage.newest(asked["resource"], asked["key"])
            if found is None:
                writer.write(b"0\n")
                continue
            done = storage.write(asked["resource"], asked["key"], MODIFIED, merge(found.tree, asked["patch"]))
            pending.append(done)
            done.add_done_callback(lambda _, said=asked["id"]: writer.write(b"%d\n" % said))
        await asyncio.gather(*pending)
        writer.close()

    listening = await asyncio.start_unix_server(connected, path)
    await listening.serve_forever()


def run(layout: str, folder: Path, fd: int) -> None:
    assemble = server.assemble

    def with_door(storage: Storage, *rest: Any) -> Any:
        tasks.append(asyncio.get_running_loop().create_task(changes(storage, door(folder))))
        return assemble(storage, *rest)

    tasks: list[asyncio.Task[None]] = []
    server.assemble = with_door
    server.main({"layout": layout, "data": str(folder / "data"), "pki": str(folder / "pki")}, {"api-host": fd})


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
