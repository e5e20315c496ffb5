"""What every shim and every program of ours does, done before the fork.

The first times that Python runs a piece of code it writes to it (it counts, then specializes the instructions, gives versions to
the dictionaries that it looks into), and each page that it writes to after the fork is memory of one process, a hundred times
over. Rehearsed in the zygote, these pages stay shared. Nothing else of it stays: what is opened is closed, what is made removed.
"""

from __future__ import annotations

import json
import marshal
import os
import shutil
import signal
import socket

from seaway.cluster.fabric import linux
from seaway.cluster.node.programs import http, whoami
from seaway.cluster.node.shim import Shim
from seaway.cluster.node.stdio import Born

TIMES = 12  # more often than the interpreter waits before it specializes
SHIM = {"uid": "u", "namespace": "n", "name": "rehearsal", "hostNetwork": True}
REQUEST = b"GET /path?query=1 HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\nAccept: */*\r\n\r\n"


def run(folder: str) -> None:
    """`folder` is made, and removed: the cluster's own, since whoever rehearses may be killed."""
    os.makedirs(folder, exist_ok=True)
    for turn in range(TIMES):
        _pod(folder, turn)
        _web()
        _process(folder)
    shutil.rmtree(folder)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _pod(folder: str, turn: int) -> None:
    """A shim is asked, and a container of it writes and ends."""
    shim = Shim({**SHIM, "folder": folder})
    log = os.path.join(folder, f"{turn}.log")
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    with client, linux.socket_path(os.path.join(folder, "shim.sock")) as short:
        client.connect(short)
        shim.turn()
        for number in range(3):
            client.send(json.dumps({"id": number, "op": "state"}).encode())
            shim.turn()
            json.loads(client.recv(1 << 16))
        born = Born(False, False)
        shim.streams.add("c", born, log)
        pid = linux.fork()
        if pid == 0:
            born.become_standard(0)
            os.write(1, b"a line\n")
            os._exit(0)
        born.leave()
        shim.pids[pid] = ("container", "c")
        shim.state["containers"]["c"] = {"status": "running", "pid": pid, "log": log, "started": 1.5}
        while shim.state["containers"]["c"]["status"] == "running":
            shim.turn()
        client.send(json.dumps({"id": 9, "op": "stop"}).encode())
        shim.turn()
    shim.close()


def _web() -> None:
    """A request to one of the built-in programs."""

    def handle(request: http.Request) -> http.Answer:
        return http.Answer(200, whoami.describe(request, "", "h", ["10.0.0.1"]).encode())

    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = http.Connection(theirs, ("10.0.0.1", 1))
        connection.data = REQUEST
        connection.feed(handle)


def _process(folder: str) -> None:
    """What becoming a process takes: a name, an environment, a plan, a file."""
    linux.set_name("zygote")
    os.environ["SEAWAY_REHEARSAL"] = "1"
    del os.environ["SEAWAY_REHEARSAL"]
    path = os.path.join(folder, "cgroup.procs")
    with open(path, "w") as f:
        f.write("0")
    with open(path) as f:
        f.read()
    os.path.exists(path)
    os.makedirs(folder, exist_ok=True)
    marshal.loads(marshal.dumps({"argv": ["a"], "env": {"b": "c"}, "uid": 0}))
