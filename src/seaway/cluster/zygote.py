"""The process that our Python processes are forked from: imports done, no key loaded, no socket of a component opened.

A request is one packet, `{name, target, args, netns, log, fds, bare}` with descriptors beside it: from init on the inherited
channel, from node agents on `zygote.sock` (one request a connection). The answer is `{"pid": N}`. The new process is
forked twice, so that it belongs to init, and calls `target` ("module:function") with (args, {name: descriptor}). `bare`: it
needs nothing of what Python does after a fork (`linux.fork`).
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from typing import Any

PRELOAD = (
    "aiohttp",
    "aiohttp.web",
    "msgspec",
    "yaml",
    "uvloop",
    "sqlite3",
    "ssl",
    "ipaddress",
    "email.utils",
    "encodings.idna",
    "stringprep",
    "cryptography.hazmat.backends.openssl.backend",
    "seaway.deploy",
    "seaway.cluster.apiserver.rules.table",
    "http.client",
    "seaway.client.informer",
    "seaway.cluster.apiserver.main",
    "seaway.cluster.node.agent",
    "seaway.cluster.node.shim",
    "seaway.cluster.control",
    "seaway.cluster.cloud.run",
    "seaway.cluster.publish",
    "seaway.proxy.run",
    "seaway.dns.serving.run",
    "seaway.cli.main",
    "argparse",
    "seaway.cluster.node.programs.agnhost",
    "seaway.cluster.node.programs.echo_basic",
    "seaway.cluster.node.programs.echo_server",
    "seaway.cluster.node.programs.http_echo",
    "seaway.cluster.node.programs.httpbin",
    "seaway.cluster.node.programs.pause",
    "seaway.cluster.node.programs.whoami",
)
LOG_LIMIT = 10 << 20


def become(request: dict[str, Any], fds: list[int], keep: set[int]) -> None:
    """The new process: own session, own log, only its own descriptors, its network namespace; then the target."""
    from seaway.cluster.fabric import linux

    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = request.get("log")
    if log:
        os.makedirs(os.path.dirname(log), exist_ok=True)
        if os.path.exists(log) and os.path.getsize(log) > LOG_LIMIT:
            os.truncate(log, 0)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.close(out)
    for fd in keep - {0, 1, 2} - set(fds):
        os.close(fd)
    linux.set_name(request["name"])
    if request.get("netns"):
        linux.enter(os.path.join(os.environ["SEAWAY_PRIVATE"], "ns", request["netns"]), linux.CLONE_NEWNET)
    gc.enable()
    module, function = request["target"].split(":")
    getattr(importlib.import_module(module), function)(
        request["args"] or {}, dict(zip(request["fds"], fds, strict=True))
    )


def fork(request: dict[str, Any], fds: list[int], reply: socket.socket, keep: set[int]) -> None:
    from seaway.cluster.fabric import linux

    middle = linux.fork()
    if middle:
        os.waitpid(middle, 0)
        return
    child = linux.fork() if request.get("bare") else os.fork()
    if child:
        try:
            reply.send(json.dumps({"pid": child}).encode())
        finally:
            os._exit(0)
    status = 1
    try:
        become(request, fds, keep)
        status = 0
    except SystemExit as e:
        status = e.code if isinstance(e.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def serve(channel: socket.socket, listener: socket.socket) -> None:
    keep = {channel.fileno(), listener.fileno()}
    while True:
        for ready in select.select([channel, listener], [], [])[0]:
            connection = channel if ready is channel else listener.accept()[0]
            connection.settimeout(5)
            try:
                data, fds, _, _ = socket.recv_fds(connection, 1 << 18, 16)
                if not data:
                    if ready is channel:
                        return  # init is gone, and with it all of us
                    continue
                fork(json.loads(data), list(fds), connection, keep | {connection.fileno()})
                for fd in fds:
                    os.close(fd)
            except (OSError, ValueError) as e:
                print(f"zygote: {e}", file=sys.stderr, flush=True)
            finally:
                if connection is not channel:
                    connection.close()


def main() -> None:
    from seaway.api import facts, kinds
    from seaway.cluster import rehearsal, sharing
    from seaway.cluster.fabric import linux

    linux.set_name("zygote")
    channel = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(channel.fileno(), False)
    path = os.path.join(os.environ["SEAWAY_PRIVATE"], "zygote.sock")
    if os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    with linux.socket_path(path) as short:
        listener.bind(short)
    os.chmod(path, 0o600)
    for name in PRELOAD:
        importlib.import_module(name)
    facts.definitions()
    kinds.by_resource()
    rehearsal.run(os.path.join(os.environ["SEAWAY_PRIVATE"], "rehearsal"))
    listener.listen(256)
    sharing.settle()
    serve(channel, listener)


if __name__ == "__main__":
    sys.path[0] = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
    main()
