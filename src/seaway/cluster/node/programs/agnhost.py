"""registry.k8s.io/e2e-test-images/agnhost, in the subcommands that networking tests use: netexec, serve-hostname, pause."""

from __future__ import annotations

import os
import socket
import sys
import time

from seaway.cluster.node.programs import flags, pause
from seaway.cluster.node.programs.http import Answer, Request, serve

COMMANDS = ("netexec", "pause", "serve-hostname")


def netexec(arguments: list[str]) -> int:
    defaults = {"http-port": 8080, "udp-port": 8081, "http-override": ""}
    args = flags.parse("agnhost netexec", arguments, defaults)
    hostname, start = socket.gethostname(), time.time()

    def handle(request: Request) -> Answer:
        path = args["http-override"] or request.path
        if path == "/hostname":
            return Answer(200, hostname.encode())
        if path == "/clientip":
            peer = request.peer[0].removeprefix("::ffff:")
            return Answer(200, f"{f'[{peer}]' if ':' in peer else peer}:{request.peer[1]}".encode())
        if path == "/echo":
            return Answer(int(request.query("code", "200") or 200), request.query("msg").encode())
        if path == "/healthz":
            return Answer(200, b"")
        if path == "/exit":
            os._exit(int(request.query("code", "0") or 0))
        if path == "/":
            return Answer(200, f"NOW: {time.strftime('%Y-%m-%d %H:%M:%S')} up {time.time() - start:.0f}s".encode())
        return Answer(501, f"{path} is not built in here\n".encode())

    def echo(data: bytes, peer: tuple[str, int]) -> bytes:
        command, _, rest = data.strip().partition(b" ")
        if command == b"hostname":
            return hostname.encode()
        if command == b"clientip":
            return f"{peer[0].removeprefix('::ffff:')}:{peer[1]}".encode()
        return rest if command == b"echo" else b""

    return serve(handle, args["http-port"], udp=(args["udp-port"], echo) if args["udp-port"] > 0 else None)


def serve_hostname(arguments: list[str]) -> int:
    args = flags.parse("agnhost serve-hostname", arguments, {"port": 9376, "http": True})
    if not args["http"]:
        print("agnhost serve-hostname --http=false is not built in here", file=sys.stderr)
        return 2
    hostname = socket.gethostname().encode()
    return serve(lambda request: Answer(200, hostname), args["port"])


def main(argv: list[str]) -> int:
    command, arguments = (argv[1], argv[2:]) if len(argv) > 1 else ("pause", [])
    if command == "netexec":
        return netexec(arguments)
    if command == "serve-hostname":
        return serve_hostname(arguments)
    if command == "pause":
        return pause.main(argv)
    print(f"agnhost {command} is not built in here (there are: {', '.join(COMMANDS)})", file=sys.stderr)
    return 2
