"""The fetcher: programs that images stand for, fetched on the host's side, by name and no others, when a node asks.

One request a connection on `fetch.sock`: `{"program": NAME}`; the answer is `{"packages": [...]}` or `{"error": TEXT}`.
"""

from __future__ import annotations

import os
import select
import socket


def answer(request: object, folder: str) -> dict[str, object]:
    from seaway.cluster.node.debian import Fetched, FetchError
    from seaway.cluster.node.packages import PROGRAMS

    name = request.get("program") if isinstance(request, dict) else None
    program = next((p for p in PROGRAMS.values() if p.program == name), None)
    if program is None:
        return {"error": f"no image stands for the program {name!r}"}
    try:
        return {"packages": Fetched(folder).fetch(program)}
    except FetchError as e:
        return {"error": str(e)}
    except Exception as e:
        return {"error": f"{type(e).__name__}: {e}"}


class Fetcher:
    """The requests on `listener`; a child answers each. `poll` is the loop's."""

    def __init__(self, poll: select.epoll, listener: socket.socket, folder: str) -> None:
        self._poll, self._listener, self._folder = poll, listener, folder
        self._children: dict[int, int] = {}  # pidfd -> pid
        poll.register(listener.fileno(), select.EPOLLIN)

    def ready(self, fd: int) -> bool:
        """Whether the descriptor is ours; if so, what it is ready for is done."""
        if fd == self._listener.fileno():
            self._begin(self._listener.accept()[0])
        elif fd in self._children:
            self._poll.unregister(fd)
            os.close(fd)
            os.waitpid(self._children.pop(fd), 0)
        else:
            return False
        return True

    def end(self) -> None:
        for child in self._children.values():
            try:
                os.killpg(child, 15)  # SIGTERM to its own group: apt-get is in it
            except OSError:
                pass

    def _begin(self, connection: socket.socket) -> None:
        child = os.fork()
        if child:
            connection.close()
            fd = os.pidfd_open(child)
            self._children[fd] = child
            self._poll.register(fd, select.EPOLLIN)
            return
        os.setpgid(0, 0)
        try:
            import json

            os.closerange(3, connection.fileno())  # sockets of the relay, that they end when it ends
            os.closerange(connection.fileno() + 1, 65536)
            connection.settimeout(10)
            request = json.loads(connection.makefile("rb").readline(4096) or b"{}")
            connection.sendall(json.dumps(answer(request, self._folder)).encode() + b"\n")
        finally:
            os._exit(0)
