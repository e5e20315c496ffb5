"""Constant load on a gateway, as a program that runs outside a cluster: `gateway_load.py HOST`, with a list of targets as the first line of stdin:
{"address", "port", "protocol": "h1" | "h1-new" | "h2" | "h2-new", "clients", "tls", "path"}.

It says "loading" when every client has had an answer, and counts until stdin ends; then prints one JSON object: `ok`, `connections`,
`asked to go` (the server wants the connection to end, after an answer), `certificates` (that handshakes showed), and
`failed`: every request that had no 200 and every connection that was cut, with the time since the start. Each client asks every 20 ms.
"""

from __future__ import annotations

import asyncio
import collections
import json
import ssl
import sys
import time
from typing import Any

PAUSE = 0.02
PATIENCE = 10.0


class Cut(Exception):
    """The connection ended where it should not."""


class H1:
    """HTTP/1.1 over one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self.reader, self.writer, self.host = reader, writer, host
        self.leaving = False

    async def ask(self, path: str, last: bool) -> int:
        close = "Connection: close\r\n" if last else ""
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\n{close}\r\n".encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        await self.reader.readexactly(length)
        self.leaving = b"connection: close" in head
        return int(head.split()[1])


class H2:
    """HTTP/2 over one connection, a request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        import h2.config
        import h2.connection

        self.reader, self.writer, self.host = reader, writer, host
        self.leaving = False
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.connection.initiate_connection()

    async def ask(self, path: str, last: bool) -> int:
        import h2.events

        stream = self.connection.get_next_available_stream_id()
        headers = [(":method", "GET"), (":scheme", "http"), (":authority", self.host), (":path", path)]
        self.connection.send_headers(stream, headers, end_stream=True)
        self.writer.write(self.connection.data_to_send())
        status = 0
        while True:
            data = await self.reader.read(65536)
            if not data:
                raise Cut("closed in a request")
            # GOAWAY ends the state machine of h2, while streams that are open go on (RFC 9113, 6.8): it is told by hand.
            for event in self._received(data):
                if isinstance(event, h2.events.ResponseReceived):
                    status = int(dict(event.headers)[":status"])
                elif isinstance(event, h2.events.DataReceived):
                    self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamReset):
                    raise Cut(f"reset {event.error_code}")
                elif isinstance(event, h2.events.StreamEnded) and event.stream_id == stream:
                    self.writer.write(self.connection.data_to_send())
                    return status

    def _received(self, data: bytes) -> list[Any]:
        self.rest = getattr(self, "rest", b"") + data
        kept = b""
        while len(self.rest) >= 9:
            size = 9 + int.from_bytes(self.rest[:3])
            if len(self.rest) < size:
                break
            frame, self.rest = self.rest[:size], self.rest[size:]
            if frame[3] == 7:
                self.leaving = True
                if int.from_bytes(frame[13:17]):
                    raise Cut(f"GOAWAY {int.from_bytes(frame[13:17])}")
            else:
                kept += frame
        return list(self.connection.receive_data(kept)) if kept else []


class Load:
    def __init__(self, host: str) -> None:
        self.host = host
        self.began = time.monotonic()
        self.ending = asyncio.Event()
        self.count: collections.Counter[str] = collections.Counter()
        self.failed: list[str] = []
        self.certificates: dict[str, None] = {}

    async def client(self, target: dict[str, Any], first: asyncio.Event) -> None:
        connection: H1 | H2 | None = None
        protocol, always_new = target["protocol"].partition("-")[::2]
        while not self.ending.is_set():
            try:
                async with asyncio.timeout(PATIENCE):
                    if connection is None:
                        connection = await self.connect(target, protocol)
                    status = await connection.ask(target.get("path", "/"), bool(always_new))
                if status != 200:
                    raise Cut(f"status {status}")
                self.count["ok"] += 1
                first.set()
                if connection.leaving and not always_new:
                    self.count["asked to go"] += 1
                if connection.leaving or always_new:
                    connection.writer.close()
                    connection = None
            except (OSError, ValueError, Cut, TimeoutError, asyncio.IncompleteReadError) as e:
                at = time.monotonic() - self.began
                self.failed.append(f"{at:.2f} s: {target['protocol']} {target['port']}: {type(e).__name__}: {e}")
                if connection is not None:
                    connection.writer.close()
                connection = None
            await asyncio.sleep(PAUSE)
        if connection is not None:
            connection.writer.close()

    async def connect(self, target: dict[str, Any], protocol: str) -> H1 | H2:
        context = None
        if target.get("tls"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols(["h2" if protocol == "h2" else "http/1.1"])
        name = self.host if context else None
        reader, writer = await asyncio.open_connection(target["address"], target["port"], ssl=context, server_hostname=name)
        self.count["connections"] += 1
        if context:
            self.certificates[ssl.DER_cert_to_PEM_cert(writer.get_extra_info("ssl_object").getpeercert(True))] = None
        return H2(reader, writer, self.host) if protocol == "h2" else H1(reader, writer, self.host)

    async def run(self, targets: list[dict[str, Any]], lines: asyncio.StreamReader) -> None:
        firsts: list[asyncio.Event] = []
        async with asyncio.TaskGroup() as group:
            for target in targets:
                for _ in range(target.get("clients", 2)):
                    firsts.append(asyncio.Event())
                    group.create_task(self.client(target, firsts[-1]))
            for first in firsts:
                await first.wait()
            print("loading", flush=True)
            while await lines.readline():
                pass
            self.ending.set()
        told = {**self.count, "certificates": list(self.certificates), "failed": self.failed}
        print(json.dumps({"ok": 0, "connections": 0, "asked to go": 0, **told}), flush=True)


async def main(host: str) -> None:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    targets = json.loads(await lines.readline())
    await Load(host).run(targets, lines)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
