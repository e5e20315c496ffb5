"""The echo-basic image with TCP_ECHO_SERVER (lines TEST, IS_TLS and PING are answered) and with UDP_ECHO_SERVER (each datagram is
told back with the pod that got it)."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

from seaway.cluster.node.programs.http import Answer, Connection, Handler, Listener, listen

WELCOME = b"Gateway API Test TCP Server\n"


class Lines(Connection):
    """One client of the TCP echo: it is greeted first."""

    __slots__ = ("told",)

    def __init__(self, sock: socket.socket, peer: tuple[str, int], told: Callable[[Any], dict[str, Any]]) -> None:
        super().__init__(sock, peer)
        self.told, self.out = told, WELCOME

    def feed(self, handler: Handler) -> None:
        while b"\n" in self.data:
            line, _, self.data = self.data.partition(b"\n")
            told = self.told(self.sock if hasattr(self.sock, "cipher") else None)
            word = line.removesuffix(b"\r")
            if word == b"TEST":
                self.out += json.dumps(told).encode() + b"\n"
            elif word == b"IS_TLS":
                self.out += b"true\n" if told["isTLS"] else b"false\n"
            elif word == b"PING":
                self.out += b"PONG\n"
        self.close = len(self.data) > 1 << 16


def tcp(context: dict[str, str], secure: Listener | None, described: Callable[[Any], dict[str, Any] | None]) -> int:
    port = os.environ.get("TCP_PORT") or "3000"
    base = {**{k: context[k] for k in ("namespace", "ingress", "service", "pod")}, "tcpport": port}
    base["tlsport"] = os.environ.get("TLS_PORT") or "8443"

    def told(tls: Any) -> dict[str, Any]:
        found = described(tls)
        return {**base, "isTLS": found is not None, **({"tls": found} if found else {})}

    def speaks(sock: socket.socket, peer: tuple[str, int]) -> Connection:
        return Lines(sock, peer, told)

    listeners = [Listener(int(port), speaks=speaks)]
    if secure is not None:
        listeners.append(Listener(int(base["tlsport"]), secure.tls, speaks=speaks))
    print(f"Starting server (tcp) on {', '.join(str(item.port) for item in listeners)}", flush=True)
    return listen(lambda request: Answer(400, b""), tuple(listeners))


def udp(context: dict[str, str]) -> int:
    port = int(os.environ.get("UDP_PORT") or 8080)
    sock = socket.socket(socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET, socket.SOCK_DGRAM)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        sock.bind(("", port))
    except OSError as e:
        print(f"cannot listen on port {port}: {e}", flush=True)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    print(f"UDP server listening on :{port}", flush=True)
    where = {k: context[k] for k in ("namespace", "ingress", "service", "pod")}
    while True:
        data, peer = sock.recvfrom(1024)
        print(f"Received UDP {data!r} from {peer[0]}:{peer[1]}", flush=True)
        try:
            sock.sendto(json.dumps({"request": data.decode(errors="replace"), **where}).encode(), peer)
        except OSError as e:
            print(f"Error writing UDP: {e}", flush=True)
