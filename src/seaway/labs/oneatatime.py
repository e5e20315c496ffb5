"""The application of the ingress-hop lab, standard library only, run in pods from a ConfigMap: it handles one request at a time.

`oneatatime.py SECONDS`: a request takes so long, and waits for those before it, as in a program with one worker. The answer's
header x-pod says which pod gave it. `/crash` ends the program at once, and so does SIGTERM.
"""

import asyncio
import os
import signal
import sys

NAME = os.uname().nodename.encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nx-pod: " + NAME + b"\r\n\r\nok\n"


class Worker:
    """When it is free again, on the loop's clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.free = seconds, 0.0

    def done(self, now: float) -> float:
        self.free = max(self.free, now) + self.seconds
        return self.free


class Connection(asyncio.Protocol):
    """Requests without bodies, one after the other."""

    def __init__(self, worker: Worker) -> None:
        self._worker, self._left = worker, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *heads, self._left = (self._left + data).split(b"\r\n\r\n")
        loop = asyncio.get_running_loop()
        for head in heads:
            if head.startswith(b"GET /crash "):
                os._exit(1)
            loop.call_at(self._worker.done(loop.time()), self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(ANSWER)


async def serve(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, os._exit, 0)
    worker = Worker(seconds)
    server = await loop.create_server(lambda: Connection(worker), None, 8080, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
