"""Requests to `/proxy` of pods, Services and nodes: sent on as they are, and answered with what comes back.

Any method may be asked; a connection that is upgraded is copied both ways. The identity of the client stays here.
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from typing import TYPE_CHECKING, Any

from aiohttp import web

from seaway.api.kinds import Kind
from seaway.cluster.apiserver import proxied, streams
from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.calls import Call
from seaway.cluster.apiserver.proxied import Target
from seaway.cluster.apiserver.requests import RequestInfo
from seaway.cluster.apiserver.reviewing import CONNECT, GroupVersionKind
from seaway.cluster.apiserver.status import not_allowed, not_found
from seaway.cluster.apiserver.trace import TRACE

if TYPE_CHECKING:
    from seaway.cluster.apiserver.door import Door

Tree = dict[str, Any]
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
WITHIN = 10.0  # seconds for a connection
# What is between two ends of one connection (RFC 9110 7.6.1), and what says who the client is.
OWN = frozenset(
    """
    connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade host content-length
    authorization x-remote-user x-remote-group x-remote-uid
    """.split()
)


async def answer(
    door: Door, request: web.BaseRequest, info: RequestInfo, kind: Kind, user: User, warnings: list[str]
) -> web.StreamResponse:
    if request.method not in METHODS:
        raise not_allowed()
    prefix, rest, query = path = proxied.parted(request.raw_path, kind.namespaced)
    targets = _targets(door, info, kind)
    call = Call(kind, info.namespace, info.name, user, info.subresource, warnings=warnings, options={})
    call.annotations = request[TRACE].annotations
    of = GroupVersionKind("", "v1", f"{kind.kind}ProxyOptions")
    review = door.verbs.reviewers.review(call, CONNECT, of)
    if review is not None:
        await review.whole({"kind": of.kind, "apiVersion": of.api_version, "path": rest})
    if not rest and request.method in ("GET", "HEAD") and not streams.is_upgrade(request):
        return web.Response(status=301, headers={"Location": f"{prefix}/{query}"})  # relative links work from there
    target = random.choice(targets)
    body = await request.read()
    try:
        reader, writer = await asyncio.wait_for(_connect(door, target), WITHIN)
    except (OSError, TimeoutError, ssl.SSLError) as e:
        why = os.strerror(e.errno).lower() if isinstance(e, OSError) and e.errno else str(e) or "i/o timeout"
        raise proxied.unreachable(f"dial tcp {_host(target)}:{target.port}: connect: {why}") from None
    try:
        return await _exchange(door, request, target, path, body, reader, writer)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError) as e:
        raise proxied.unreachable(e or "EOF") from None
    finally:
        writer.close()


def _targets(door: Door, info: RequestInfo, kind: Kind) -> list[Target]:
    storage = door.verbs.storage
    _, name, _ = proxied.split(info.name, kind.singular)
    entry = storage.get(kind.group_resource, f"{info.namespace}/{name}" if kind.namespaced else name)
    if entry is None:
        raise not_found(kind, name)
    if kind.resource == "pods":
        return [proxied.to_pod(info.name, entry.tree)]
    if kind.resource == "nodes":
        return [proxied.to_node(info.name, entry.tree)]
    slices = storage.entries("endpointslices.discovery.k8s.io", f"{info.namespace}/")
    return proxied.to_service(info.name, entry.tree, (e.tree for e in slices))


def _host(target: Target) -> str:
    return f"[{target.address}]" if ":" in target.address else target.address


async def _connect(door: Door, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if target.kubelet:
        return await asyncio.open_connection(target.address, target.port, ssl=door.kubelets, server_hostname="")
    if target.scheme == "https":  # nobody says whose certificate it should be: as upstream, it is not looked at
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return await asyncio.open_connection(target.address, target.port, ssl=context, server_hostname="")
    return await asyncio.open_connection(target.address, target.port)


async def _exchange(
    door: Door,
    request: web.BaseRequest,
    target: Target,
    path: tuple[str, str, str],
    body: bytes,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> web.StreamResponse:
    prefix, rest, query = path
    upgrade = streams.is_upgrade(request)
    host = _host(target) if target.port == proxied.PORTS[target.scheme] else f"{_host(target)}:{target.port}"
    writer.write(_head(request, f"{rest or '/'}{query}", host, prefix, len(body), upgrade) + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    status = int(answer.split(b" ", 2)[1])
    while 100 <= status < 200 and status != 101:
        answer = await reader.readuntil(b"\r\n\r\n")
        status = int(answer.split(b" ", 2)[1])
    door.recorder.opened(request[TRACE], status)
    if status == 101 and upgrade:
        return await streams.splice(request, reader, writer, answer)
    response = web.StreamResponse(status=status)
    for line in answer.decode("latin-1").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        value = value.strip()
        if name.lower() == "location":
            value = proxied.moved(value, prefix, host)
        if colon and name.lower() not in OWN - {"content-length"}:
            response.headers.add(name.strip(), value)
    await response.prepare(request)
    if request.method == "HEAD" or status in (204, 304):
        await response.write_eof()
        return response
    try:
        async for data in streams.body_of(reader, answer):
            await response.write(data)
        await response.write_eof()
    except (asyncio.IncompleteReadError, OSError, ValueError):
        # An answer that ends as if it were whole would be a lie.
        if request.transport is not None:
            request.transport.close()
    return response


def _head(request: web.BaseRequest, path: str, host: str, prefix: str, size: int, upgrade: bool) -> bytes:
    """The request line and headers that are sent on."""
    lines = [f"{request.method} {path} HTTP/1.1", f"Host: {host}"]
    for name, value in request.headers.items():
        if name.lower() not in OWN and not name.lower().startswith(("impersonate-", "x-forwarded-")):
            lines.append(f"{name}: {value}")
    forwarded = [request.headers.get("X-Forwarded-For", ""), request.remote or ""]
    lines += [
        f"X-Forwarded-For: {', '.join(filter(None, forwarded))}",
        f"X-Forwarded-Host: {request.host}",
        f"X-Forwarded-Proto: {request.scheme}",
        f"X-Forwarded-Uri: {prefix}{path.partition('?')[0]}",
    ]
    if upgrade:
        lines += ["Connection: Upgrade", f"Upgrade: {request.headers.get('Upgrade', '')}"]
    else:
        lines.append("Connection: close")
    if size or request.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {size}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
