"""The fetcher: a small process on the host's side, since the cluster's own have no way to a network. It fetches the programs
that images stand for, by name and no others, when a node asks, and ends with the cluster's init.

One request a connection on `fetch.sock`: `{"program": NAME}`; the answer is `{"packages": [...]}` or `{"error": TEXT}`.
Standard library only, and little of it until it is asked: it waits beside every cluster.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys


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


def serve(listener: socket.socket, pid: int, folder: str) -> None:
    """Until the process `pid` ends; a child answers each request."""
    try:
        init = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    children: list[int] = []
    while True:
        ready, _, _ = select.select([listener.fileno(), init], [], [])
        if init in ready:
            for child in children:
                try:
                    os.killpg(child, signal.SIGTERM)  # its own group: apt-get is in it
                except OSError:
                    pass
            return
        connection = listener.accept()[0]
        child = os.fork()
        if child:
            children.append(child)
            connection.close()
            continue
        os.setpgid(0, 0)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        listener.close()
        try:
            connection.settimeout(10)
            request = json.loads(connection.makefile("rb").readline(4096) or b"{}")
            connection.sendall(json.dumps(answer(request, folder)).encode() + b"\n")
        finally:
            os._exit(0)


if __name__ == "__main__":
    sys.path[0:0] = [sys.argv[4]]
    serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), sys.argv[3])
