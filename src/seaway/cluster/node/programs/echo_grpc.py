"""The echo-basic image with GRPC_ECHO_SERVER: the service GrpcEcho, whose answers tell the request.

Its messages are few and flat, so that they are written by hand. Server reflection is not built in: it answers Unimplemented, as a
server without it does."""

from __future__ import annotations

import os
from typing import Any

from seaway.cluster.node.programs.http import Answer, Listener, Request, listen
from seaway.protowire import sized

SERVICE = "gateway_api_conformance.echo_basic.grpcecho.GrpcEcho"
UNIMPLEMENTED, INTERNAL = 12, 13
KIND = "application/grpc"


def text(number: int, value: str | bytes) -> bytes:
    """A field of protobuf that has a length; an empty one is left out."""
    return sized(number, value) if value else b""


def assertions(request: Request, context: dict[str, str], tls: dict[str, Any] | None) -> bytes:
    """An EchoResponse that tells the request."""
    authority = request.header("Host")
    told = text(1, request.path)
    for name, value in ((":authority", authority), *request.headers):
        if name != "Host" and name not in ("te", "grpc-encoding", "grpc-timeout"):
            told += text(2, text(1, name.lower()) + text(2, value))
    told += text(3, authority)
    names = ("namespace", "ingress", "service", "pod")
    told += text(4, b"".join(text(i, context[name]) for i, name in enumerate(names, 1)))
    if tls is not None:
        fields = ("version", "negotiatedProtocol", "serverName", "cipherSuite")
        inner = b"".join(text(i, str(tls.get(name, ""))) for i, name in enumerate(fields, 1))
        told += text(5, inner + b"".join(text(5, pem) for pem in tls.get("peerCertificates", ())))
    return text(1, told) + b"\x12\0"


def failed(code: int, message: str) -> Answer:
    return Answer(200, b"", KIND, trailers=(("grpc-status", str(code)), ("grpc-message", message)))


def reply(request: Request, context: dict[str, str], tls: dict[str, Any] | None) -> Answer:
    if not request.version.startswith("HTTP/2") or not request.header("content-type").startswith(KIND):
        return Answer(415, b"")
    service, _, method = request.path[1:].rpartition("/")
    if service != SERVICE:
        return failed(UNIMPLEMENTED, f"unknown service {service}")
    if method == "EchoThree":
        return failed(UNIMPLEMENTED, "method EchoThree not implemented")
    if method not in ("Echo", "EchoTwo"):
        return failed(UNIMPLEMENTED, f"unknown method {method} for service {service}")
    if len(request.body) < 5:
        return failed(INTERNAL, "the request's message is missing")
    message = assertions(request, context, tls)
    framed = b"\0" + len(message).to_bytes(4, "big") + message
    return Answer(200, framed, KIND, trailers=(("grpc-status", "0"), ("grpc-message", "")))


def run(context: dict[str, str], secure: Listener | None, described: Any) -> int:
    """Serves; `described` tells a request's TLS."""

    def handle(request: Request) -> Answer:
        print(f"Received over {'TLS' if request.tls else 'plaintext'}: {request.path}", flush=True)
        return reply(request, context, described(request))

    port = int(os.environ.get("HTTP_PORT") or 3000)
    print(f"plaintext server listening at [::]:{port}", flush=True)
    return listen(handle, (Listener(port, h2=True), *((secure,) if secure else ())))
