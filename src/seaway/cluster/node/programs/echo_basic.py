"""registry.k8s.io/gateway-api/echo-basic: each request as JSON, with the pod that answered, as the Gateway API's conformance
tests read it (conformance/echo-basic/echo-basic.go). HTTP/2 without TLS, WebSocket and gRPC are not built in.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from typing import Any

from seaway.cluster.node.programs import flags
from seaway.cluster.node.programs.http import Answer, Later, Request, canonical, serve, tls_context

KNOWN = ("HTTP_PORT", "HTTPS_PORT", "TLS_SERVER_CERT", "TLS_SERVER_PRIVKEY", "TLS_CLIENT_CACERTS")


def by_name(headers: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    """Headers as Go's http.Header; Host is not among them."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        if name.lower() != "host":
            found.setdefault(canonical(name), []).append(value)
    return found


def describe(request: Request, context: dict[str, str]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "path": request.target,
        "host": request.header("Host"),
        "method": request.method,
        "proto": request.version,
        "headers": by_name(request.headers),
        **context,
    }
    if request.tls is not None:
        cipher = request.tls.cipher()
        version = request.tls.version() or ""
        name = getattr(request.tls, "server_name_asked", "")
        told["tls"] = {"version": version, "serverName": name, "cipherSuite": cipher[0] if cipher else ""}
        told["sni"] = name
    return told


def asked_headers(request: Request) -> tuple[tuple[str, str], ...]:
    """What `X-Echo-Set-Header: a:b, c:d` wants on the answer."""
    found = []
    for name, value in request.headers:
        if name.lower() == "x-echo-set-header":
            for pair in value.split(","):
                key, colon, text = pair.strip().partition(":")
                if colon:
                    found.append((key.strip(), text.strip()))
    return tuple(found)


def main(argv: list[str]) -> int:
    env = os.environ
    if len(argv) > 1:
        raise flags.refuse("echo-basic", f"arguments are not known: {' '.join(argv[1:])}")
    if env.get("GRPC_ECHO_SERVER"):
        raise flags.refuse("echo-basic", "GRPC_ECHO_SERVER: the gRPC echo is not built in")
    context = {
        "namespace": env.get("NAMESPACE", ""),
        "ingress": env.get("INGRESS_NAME", ""),
        "service": env.get("SERVICE_NAME", ""),
        "pod": env.get("POD_NAME", ""),
    }

    def handle(request: Request) -> Answer | Later:
        if request.path == "/health":
            return Answer(200, b"OK")
        status = re.fullmatch(r"/status/(\d{3})", request.path)
        if status:
            return Answer(int(status[1]), b"")
        if request.path == "/ws":
            return Answer(501, b"WebSocket is not built in here\n")
        print(
            f"Echoing back request made to {request.target} to client ({request.peer[0]}:{request.peer[1]})", flush=True
        )
        body = json.dumps(describe(request, context), indent=1).encode()
        headers = (("X-Content-Type-Options", "nosniff"), *asked_headers(request))
        answer = Answer(200, body, "application/json", headers)
        delay = request.query("delay")
        if not delay:
            return answer
        try:
            seconds = flags.duration(delay)
        except ValueError as e:
            return Answer(400, f"{e}\n".encode())

        def later() -> Answer:
            time.sleep(seconds)
            return answer

        return Later(later)

    port = int(env.get("HTTP_PORT") or 3000)
    more: tuple[tuple[int, Any], ...] = ()
    if env.get("TLS_SERVER_CERT") and env.get("TLS_SERVER_PRIVKEY"):
        try:
            tls = tls_context(env["TLS_SERVER_CERT"], env["TLS_SERVER_PRIVKEY"], env.get("TLS_CLIENT_CACERTS", ""))
        except OSError as e:
            print(f"echo-basic: {e}", file=sys.stderr)
            return 1

        def remember(sock: Any, name: str | None, _: Any) -> None:
            sock.server_name_asked = name or ""

        tls.sni_callback = remember
        number = int(env.get("HTTPS_PORT") or 8443)
        print(f"Starting server, listening on port {number} (https)", flush=True)
        more = ((number, tls),)
    print(f"Starting server, listening on port {port} (http)", flush=True)
    return serve(handle, port, more=more)
