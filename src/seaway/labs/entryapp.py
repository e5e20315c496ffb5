"""The application of the labs about entry points, standard library only, run in pods from a ConfigMap.

Answers say which pod gave them (x-pod) and from which address it was asked, which is an Envoy's (x-entry). `/ready` is 503
between `/leave` and `/enter`; everything else is answered all the while. SIGTERM ends it at once.
"""

import asyncio
import os
import signal

NAME = os.uname().nodename
READY = [True]


def answer(path: str, peer: str) -> bytes:
    if path == "/leave":
        READY[0] = False
    elif path == "/enter":
        READY[0] = True
    status = "503 Service Unavailable" if path == "/ready" and not READY[0] else "200 OK"
    return f"HTTP/1.1 {status}\r\nContent-Length: 3\r\nx-pod: {NAME}\r\nx-entry: {peer}\r\n\r\nok\n".encode()


class Connection(asyncio.Protocol):
    """Requests without bodies, one after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._left = transport, b""
        self._peer = str(transport.get_extra_info("peername")[0])

    def data_received(self, data: bytes) -> None:
        *heads, self._left = (self._left + data).split(b"\r\n\r\n")
        for head in heads:
            self._transport.write(answer(head.split(b" ", 2)[1].decode("latin-1"), self._peer))


async def serve() -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, os._exit, 0)
    server = await loop.create_server(Connection, None, 8080, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
