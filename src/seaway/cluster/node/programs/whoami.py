"""traefik/whoami: says which pod answered, from where, and with which headers."""

from __future__ import annotations

import json
import os
import socket

from seaway.cluster.node.programs import flags
from seaway.cluster.node.programs.http import Answer, Request, canonical, serve

UNITS = {"": 1, "KB": 1024, "MB": 1 << 20, "GB": 1 << 30}
DATA_LIMIT = 16 << 20


def own_addresses() -> list[str]:
    """The addresses of this network namespace, as the kernel lists them."""
    found = []
    with open("/proc/net/fib_trie") as f:
        lines = f.read().split("\n")
    for i, line in enumerate(lines):
        if "/32 host LOCAL" in line:
            address = lines[i - 1].split("-- ")[-1].strip()
            if address not in found:
                found.append(address)
    try:
        with open("/proc/net/if_inet6") as f:
            for line in f:
                raw = line.split()[0]
                packed = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(raw))
                found.append(packed)
    except OSError:
        pass
    return found


def describe(request: Request, name: str, hostname: str, addresses: list[str]) -> str:
    lines = [f"Name: {name}"] if name else []
    lines.append(f"Hostname: {hostname}")
    lines += [f"IP: {a}" for a in addresses]
    peer, port = request.peer
    lines.append(f"RemoteAddr: {f'[{peer}]' if ':' in peer else peer}:{port}")
    lines.append(f"{request.method} {request.target} {request.version}")
    named = [(canonical(k), v) for k, v in request.headers]
    lines += [f"{k}: {v}" for k, v in sorted(named, key=lambda h: (h[0] != "Host", h[0]))]
    return "\n".join(lines) + "\n\n"


def main(argv: list[str]) -> int:
    defaults = {
        "port": int(os.environ.get("WHOAMI_PORT_NUMBER") or 80),
        "name": os.environ.get("WHOAMI_NAME", ""),
        "verbose": False,
    }
    args = flags.parse("whoami", argv[1:], defaults)
    name: str = args["name"]
    hostname, addresses = socket.gethostname(), own_addresses()
    health = {"status": 200}

    def handle(request: Request) -> Answer:
        if args["verbose"]:
            print(f"{request.peer[0]}:{request.peer[1]} - {request.method} {request.target}", flush=True)
        path = request.path
        if path == "/health":
            if request.method == "POST":
                text = request.body.decode("ascii", "replace").strip()
                if not text.isdigit():
                    return Answer(400, f"cannot read the status {text!r}\n".encode())
                health["status"] = int(text)
                return Answer(200, b"")
            return Answer(health["status"], b"")
        if path == "/bench":
            return Answer(200, b"1")
        if path == "/data":
            size = int(request.query("size", "1") or 1) * UNITS.get(request.query("unit").upper(), 1)
            return Answer(200, b"|" + b"ABCDEFGHIJKLMNOPQRSTUVWXYZ-"[:1] * (min(size, DATA_LIMIT) - 2) + b"|")
        if path == "/api":
            told = {
                "hostname": hostname,
                "ip": addresses,
                "headers": {canonical(k): [v] for k, v in request.headers if k.lower() != "host"},
                "url": request.target,
                "host": request.header("Host"),
                "method": request.method,
                "name": name or None,
                "remoteAddr": f"{request.peer[0]}:{request.peer[1]}",
            }
            return Answer(
                200, json.dumps({k: v for k, v in told.items() if v is not None}).encode() + b"\n", "application/json"
            )
        if path == "/echo":
            return Answer(501, b"WebSocket echo is not built in here\n")
        return Answer(200, describe(request, name, hostname, addresses).encode())

    return serve(handle, args["port"])
