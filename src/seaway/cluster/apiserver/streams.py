"""Logs and exec: the API server opens the same request at the pod's kubelet, with mutual TLS, and copies bytes."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, Any

from aiohttp import web

from seaway.api.kinds import Kind
from seaway.api.tree import get
from seaway.cluster.apiserver.requests import RequestInfo
from seaway.cluster.apiserver.status import ApiError, bad_request, not_found, unavailable

if TYPE_CHECKING:
    from seaway.cluster.apiserver.door import Door

Tree = dict[str, Any]
KUBELET_PORT = 10250
NOT_YET = {
    "attach": "use kubectl exec, or kubectl logs -f",
    "portforward": "use `seaway up --publish`, or `seaway outside`",
}
CHUNK = 1 << 16


def choose_container(pod: Tree, asked: str) -> str:
    """The container a stream is for: the one asked for, the annotated default, or the only one."""
    spec = pod.get("spec") or {}
    names = [c["name"] for c in spec.get("containers") or ()]
    inits = [c["name"] for c in spec.get("initContainers") or ()]
    name = pod["metadata"]["name"]
    if asked:
        if asked not in names + inits + [c["name"] for c in spec.get("ephemeralContainers") or ()]:
            raise bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    default = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    if default in names:
        return str(default)
    if len(names) == 1:
        return str(names[0])
    choices = " ".join(names)
    text = f"a container name must be specified for pod {name}, choose one of: [{choices}]"
    if inits:
        text += f" or one of the init containers: [{' '.join(inits)}]"
    raise bad_request(text)


def target(door: Door, info: RequestInfo, kind: Kind) -> tuple[Tree, str]:
    """(pod, kubelet address)."""
    entry = door.verbs.storage.get("pods", f"{info.namespace}/{info.name}")
    if entry is None:
        raise not_found(kind, info.name)
    pod = entry.tree
    node_name = pod["spec"].get("nodeName")
    if not node_name:
        raise bad_request(f"pod {info.name} does not have a host assigned")
    node = door.verbs.storage.get("nodes", node_name)
    address = (
        next((a["address"] for a in get(node.tree, "status", "addresses") or () if a["type"] == "InternalIP"), None)
        if node
        else None
    )
    if address is None:
        raise unavailable(f"node {node_name} has no address")
    return pod, address


async def to_kubelet(door: Door, request: web.BaseRequest, info: RequestInfo, kind: Kind) -> web.StreamResponse:
    """Finds the pod's kubelet and hands the stream over."""
    if info.subresource in NOT_YET:
        raise bad_request(f"{info.subresource} is not supported yet: {NOT_YET[info.subresource]}")
    if info.subresource == "log":
        entry = door.verbs.storage.get("pods", f"{info.namespace}/{info.name}")
        if entry is not None and not entry.tree["spec"].get("nodeName"):
            choose_container(entry.tree, request.query.get("container", ""))
            return web.Response(status=204)
    pod, address = target(door, info, kind)
    container = choose_container(pod, request.query.get("container", ""))
    query = "&".join(p for p in request.rel_url.raw_query_string.split("&") if p and not p.startswith("container="))
    where = {"log": "containerLogs"}.get(info.subresource, info.subresource)
    path = "/".join(filter(None, ("", where, info.namespace, info.name, container)))
    path = "/" + path.strip("/") + (f"?{query}" if query else "")
    try:
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(address, KUBELET_PORT, ssl=door.kubelets, server_hostname=""), 5
        )
    except (OSError, TimeoutError, ssl.SSLError) as e:
        raise unavailable(f"the node of pod {info.name} does not answer: {e}") from None
    try:
        head = [f"{request.method} {path} HTTP/1.1", f"Host: {address}"]
        upgrade = "upgrade" in request.headers.get("Connection", "").lower()
        for name, value in request.headers.items():
            if name.lower() not in ("host", "authorization", "content-length") and (
                upgrade or name.lower() not in ("connection", "accept-encoding")
            ):
                head.append(f"{name}: {value}")
        if not upgrade:
            head.append("Connection: close")
        writer.write(("\r\n".join(head) + "\r\n\r\n").encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        status = int(answer.split(b" ", 2)[1])
        if upgrade and status == 101:
            return await _splice(request, reader, writer, answer)
        return await _copy(request, reader, status, answer)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError) as e:
        raise unavailable(f"the stream to the node broke: {e}") from None
    finally:
        writer.close()


async def _copy(request: web.BaseRequest, reader: asyncio.StreamReader, status: int, head: bytes) -> web.StreamResponse:
    """An ordinary answer: body until the end, chunked anew."""
    headers = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    response = web.StreamResponse(status=status, headers={"Content-Type": headers.get("content-type", "text/plain")})
    await response.prepare(request)
    chunked = headers.get("transfer-encoding", "").lower() == "chunked"
    left = int(headers["content-length"]) if "content-length" in headers else None
    try:
        while True:
            if chunked:
                size = int((await reader.readline()).split(b";")[0] or b"0", 16)
                if size == 0:
                    break
                await response.write(await reader.readexactly(size))
                await reader.readexactly(2)
            elif left is not None:
                data = await reader.read(min(left, CHUNK)) if left else b""
                if not data:
                    break
                left -= len(data)
                await response.write(data)
            else:
                data = await reader.read(CHUNK)
                if not data:
                    break
                await response.write(data)
        await response.write_eof()
    except (asyncio.IncompleteReadError, OSError, ConnectionError):
        pass  # the client or the node has gone: the stream ends here
    return response


class _Raw(asyncio.Protocol):
    """The client's side of an upgraded connection."""

    def __init__(self, to: asyncio.StreamWriter) -> None:
        self.to = to
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.room = asyncio.Event()
        self.room.set()

    def data_received(self, data: bytes) -> None:
        self.to.write(data)

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self.room.clear()

    def resume_writing(self) -> None:
        self.room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.room.set()
        if not self.done.done():
            self.done.set_result(None)


async def _splice(
    request: web.BaseRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
) -> web.StreamResponse:
    """Takes the client's transport over and copies both ways until either side ends."""
    transport = request.transport
    if transport is None:
        raise ApiError(400, "BadRequest", "the connection is gone")
    raw = _Raw(writer)
    transport.set_protocol(raw)
    transport.write(head)

    async def down() -> None:
        while data := await reader.read(CHUNK):
            await raw.room.wait()
            transport.write(data)

    copying = asyncio.ensure_future(down())
    try:
        await asyncio.wait((copying, raw.done), return_when=asyncio.FIRST_COMPLETED)
    finally:
        copying.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await copying
        transport.close()
    return _Taken()


class _Taken(web.Response):
    """An answer that has been given on the raw transport already."""

    @property
    def prepared(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> Any:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None
