"""The application of the termination lab: an HTTP server, standard library only, run in pods from a ConfigMap.

`app.py SECONDS`: on SIGTERM it goes on serving for so many seconds, then ends; 0: it ends at once, as most programs do.
"""

import asyncio
import os
import signal
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"
WORK = 0.005  # seconds that a request takes


class Connection(asyncio.Protocol):
    """One request, one answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        asyncio.get_running_loop().call_later(WORK, self.answer)

    def answer(self) -> None:
        self.transport.write(ANSWER)
        self.transport.close()


async def serve(grace: float) -> None:
    loop = asyncio.get_running_loop()

    def ending() -> None:
        if not grace:
            os._exit(0)
        loop.call_later(grace, os._exit, 0)

    loop.add_signal_handler(signal.SIGTERM, ending)
    server = await loop.create_server(Connection, None, 8080, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
