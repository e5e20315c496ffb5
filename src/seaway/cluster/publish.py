"""`--publish`: connections to a loopback port of the host reach a Service of the cluster.

The socket was opened on the host side and keeps that namespace; this process lives on a node, where ClusterIPs answer. It
copies bytes and decides nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import uvloop

from seaway.client import kubeconfig
from seaway.client.errors import ApiStatusError, Unavailable
from seaway.client.rest import Rest, kind_of

Tree = dict[str, Any]
CHUNK = 1 << 16


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def _relay(api: Rest, target: Tree, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    upstream = None
    try:
        service = await api.get(kind_of("services"), target["namespace"], target["service"])
        ports = service["spec"].get("ports") or []
        wanted = str(target["port"])
        port = next((p["port"] for p in ports if str(p["port"]) == wanted or p.get("name") == wanted), None)
        if port is None or service["spec"].get("clusterIP") in (None, "", "None"):
            print(f"publish: {target['namespace']}/{target['service']} has no port {wanted} to reach", flush=True)
            return
        to_reader, upstream = await asyncio.wait_for(asyncio.open_connection(service["spec"]["clusterIP"], port), 5)
        await asyncio.gather(_copy(reader, upstream), _copy(to_reader, writer))
    except (ApiStatusError, Unavailable, OSError, TimeoutError) as e:
        print(f"publish: {target['namespace']}/{target['service']}: {e}", flush=True)
    finally:
        writer.close()
        if upstream is not None:
            upstream.close()


async def _main(args: Tree, fds: dict[str, int]) -> None:
    async with Rest(kubeconfig.from_file(args["kubeconfig"]), "seaway-publish") as api:
        for name, target in args["targets"].items():
            sock = socket.socket(fileno=fds[name])
            sock.setblocking(False)
            await asyncio.start_server(lambda r, w, target=target: _relay(api, target, r, w), sock=sock)  # type: ignore[misc]
        await asyncio.Event().wait()


def main(args: Tree, fds: dict[str, int]) -> None:
    uvloop.run(_main(args, fds))
