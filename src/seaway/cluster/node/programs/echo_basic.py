"""registry.k8s.io/gateway-api/conformance/echo-basic (and its older names): each request as JSON, with the pod that
answered, as the Gateway API's conformance tests read it (gateway-api-conformance-images).

HTTP on HTTP_PORT, HTTP/2 without TLS on H2C_PORT, HTTPS on HTTPS_PORT; `/ws` is a WebSocket, `/retry/` fails as often as
it is asked to. GRPC_ECHO_SERVER, TCP_ECHO_SERVER and UDP_ECHO_SERVER make it another server (echo_grpc, echo_lines).
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from typing import Any

from seaway.cluster.node.programs import flags
from seaway.cluster.node.programs.http import (
    Answer,
    Connection,
    Handler,
    Later,
    Listener,
    Request,
    canonical,
    listen,
    tls_context,
)

TLS_KEYS = ("TLS_SERVER_PRIVKEY", "TLS_SERVER_PRIV_KEY")  # HTTP's name, and the other servers'


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
    tls = secured(request.tls)
    if tls is not None:
        told["tls"] = tls
        told["sni"] = tls["serverName"]
    return told


def secured(sock: Any) -> dict[str, Any] | None:
    """What there is to say of a connection's TLS. Of the client's certificates only its own: OpenSSL's door shows no chain."""
    if sock is None:
        return None
    import ssl

    cipher = sock.cipher()
    told = {"version": sock.version() or "", "serverName": getattr(sock, "server_name_asked", "")}
    told["cipherSuite"] = cipher[0] if cipher else ""
    if sock.selected_alpn_protocol():
        told["negotiatedProtocol"] = sock.selected_alpn_protocol()
    certificate = sock.getpeercert(binary_form=True)
    return {**told, "peerCertificates": [ssl.DER_cert_to_PEM_cert(certificate)]} if certificate else told


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


def delayed(request: Request, name: str, answer: Answer) -> Answer | Later:
    """`answer`, after the time that the query's `name` says."""
    wanted = request.query(name)
    if not wanted:
        return answer
    try:
        seconds = flags.duration(wanted)
    except ValueError as e:
        return Answer(500, json.dumps({"message": str(e)}).encode(), "application/json")

    def later() -> Answer:
        time.sleep(seconds)
        return answer

    return Later(later)


class Failing:
    """`/retry/...?uuid=U&succeedAfter=N`: the first N requests of a uuid fail, by a reset or by `responseCode`."""

    def __init__(self) -> None:
        self._tries: dict[str, int] = {}

    def fail(self, request: Request) -> Answer | Later | None:
        """None: this one succeeds."""
        uuid, wanted = request.query("uuid"), request.query("succeedAfter")
        if not uuid:
            return Answer(400, b"uuid is required")
        if not re.fullmatch("[+-]?[0-9]+", wanted):
            return Answer(400, b"succeedAfter is required")
        tries = self._tries.get(uuid, 0)
        if tries >= int(wanted):
            return None
        self._tries[uuid] = tries + 1
        code = request.query("responseCode")
        return delayed(
            request, "delayRetry", Answer(int(code), b"") if code.isdecimal() else Answer(0, b"", reset=True)
        )


class OnlyH2(Connection):
    """A client of the port for HTTP/2 that has not begun with its preface."""

    def feed(self, handler: Handler) -> None:
        super().feed(lambda request: Answer(400, b"Expected h2c request"))


def handler(context: dict[str, str]) -> Callable[[Request], Answer | Later]:
    """What HTTP requests are answered."""
    failing = Failing()

    def handle(request: Request) -> Answer | Later:
        if request.path == "/health":
            return Answer(200, b"OK")
        if request.path.startswith("/status/"):
            status = re.fullmatch(r"/status/(\d{3})", request.target)
            return Answer(int(status[1]) if status else 400, b"")
        if request.path == "/ws":
            from seaway.cluster.node.programs import websocket

            return websocket.answer(request)
        if request.path.startswith("/retry/"):
            failed = failing.fail(request)
            if failed is not None:
                return failed
        print(
            f"Echoing back request made to {request.target} to client ({request.peer[0]}:{request.peer[1]})", flush=True
        )
        body = json.dumps(describe(request, context), indent=1).encode()
        headers = (("X-Content-Type-Options", "nosniff"), *asked_headers(request))
        return delayed(request, "delay", Answer(200, body, "application/json", headers))

    return handle


def secure(env: dict[str, str]) -> Listener | None:
    """The port with TLS, where a certificate and a key are given."""
    key = next((env[name] for name in TLS_KEYS if env.get(name)), "")
    if not env.get("TLS_SERVER_CERT") or not key:
        return None
    tls = tls_context(env["TLS_SERVER_CERT"], key, env.get("TLS_CLIENT_CACERTS", ""), ("h2", "http/1.1"))

    def remember(sock: Any, name: str | None, _: Any) -> None:
        sock.server_name_asked = name or ""

    tls.sni_callback = remember
    return Listener(int(env.get("HTTPS_PORT") or 8443), tls, h2=True)


def main(argv: list[str]) -> int:
    env = dict(os.environ)
    if len(argv) > 1:
        raise flags.refuse("echo-basic", f"arguments are not known: {' '.join(argv[1:])}")
    names = {"namespace": "NAMESPACE", "ingress": "INGRESS_NAME", "service": "SERVICE_NAME", "pod": "POD_NAME"}
    context = {key: env.get(name, "") for key, name in names.items()}
    try:
        tls = secure(env)
        port, h2c = int(env.get("HTTP_PORT") or 3000), int(env.get("H2C_PORT") or 3001)
    except (OSError, ValueError) as e:
        print(f"echo-basic: {e}", file=sys.stderr)
        return 1
    if env.get("GRPC_ECHO_SERVER"):
        from seaway.cluster.node.programs import echo_grpc

        return echo_grpc.run(context, tls, lambda request: secured(request.tls))
    if env.get("TCP_ECHO_SERVER") or env.get("UDP_ECHO_SERVER"):
        from seaway.cluster.node.programs import echo_lines

        return echo_lines.tcp(context, tls, secured) if env.get("TCP_ECHO_SERVER") else echo_lines.udp(context)
    context["httpPort"] = str(port)
    listeners = [Listener(port), Listener(h2c, h2=True, speaks=OnlyH2)]
    print(f"Starting server, listening on port {port} (http)", flush=True)
    print(f"Starting server, listening on port {h2c} (h2c)", flush=True)
    if tls is not None:
        print(f"Starting server, listening on port {tls.port} (https)", flush=True)
        listeners.append(tls)
    return listen(handler(context), tuple(listeners))
