"""Logs, exec, attach and port-forward: the API server opens the same request at the pod's kubelet, with mutual TLS, and
copies bytes. What may be asked is decided here (pkg/registry/core/pod/rest); what streams say is between client and kubelet.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from aiohttp import web
from multidict import MultiDict

from seaway.api.kinds import Kind
from seaway.api.tree import get
from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.calls import Call
from seaway.cluster.apiserver.requests import RequestInfo
from seaway.cluster.apiserver.reviewing import CONNECT, GroupVersionKind
from seaway.cluster.apiserver.status import (
    ApiError,
    Cause,
    bad_request,
    invalid,
    not_allowed,
    not_found,
    not_permitted,
    unavailable,
    unsupported,
    wrong,
)
from seaway.cluster.apiserver.trace import TRACE
from seaway.cluster.takeover import Taken, take_over

if TYPE_CHECKING:
    from seaway.cluster.apiserver.door import Door

Tree = dict[str, Any]
KUBELET_PORT = 10250
CHUNK = 1 << 16
ANSWER_LIMIT = 10_000  # bytes of a kubelet's refusal that are told
WHERE = {"log": "containerLogs", "exec": "exec", "attach": "attach", "portforward": "portForward"}
LOG_STREAMS = ("All", "Stdout", "Stderr")
# The options of each subresource (PodLogOptions and its siblings); what else a query holds goes no further.
SWITCHES = {
    "log": ("follow", "previous", "timestamps"),
    "exec": ("stdin", "stdout", "stderr", "tty"),
    "attach": ("stdin", "stdout", "stderr", "tty"),
    "portforward": (),
}
CONNECTS = {
    "exec": GroupVersionKind("", "v1", "PodExecOptions"),
    "attach": GroupVersionKind("", "v1", "PodAttachOptions"),
    "portforward": GroupVersionKind("", "v1", "PodPortForwardOptions"),
}
_DIGITS = re.compile(r"[+-]?[0-9]+\Z")


def switch(query: Mapping[str, str], name: str) -> bool:
    """A boolean of a query: anything but absence, `false` and `0` is true (runtime.Convert_Slice_string_To_bool)."""
    return name in query and query[name].lower() not in ("false", "0")


def number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not _DIGITS.match(text):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if not -(2**63) <= int(text[:40]) < 2**63:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


def moment(query: Mapping[str, str], name: str) -> str | None:
    """A time of a query, as it came; refused where it is none."""
    text = query.get(name)
    if not text or text == "null":
        return None
    try:
        whole = text[:19] + re.sub(r"^\.[0-9]+", "", text[19:])  # nanoseconds are more than datetime reads
        if "T" not in text or not datetime.datetime.fromisoformat(whole).tzinfo:
            raise ValueError
    except ValueError:
        layout = "2006-01-02T15:04:05Z07:00"
        raise bad_request(f'parsing time "{text}" as "{layout}": cannot parse "{text}" as "2006"') from None
    return text


def log_options(query: Mapping[str, str], name: str) -> dict[str, str]:
    """PodLogOptions as the kubelet takes them; ApiError where they are no good (validation.ValidatePodLogOptions)."""
    tail, limit, seconds = (number(query, n) for n in ("tailLines", "limitBytes", "sinceSeconds"))
    since, stream = moment(query, "sinceTime"), query.get("stream", "All")
    causes: list[Cause] = []
    if tail is not None and tail < 0:
        causes.append(wrong("tailLines", tail, "must be greater than or equal to 0"))
    if limit is not None and limit < 1:
        causes.append(wrong("limitBytes", limit, "must be greater than 0"))
    if seconds is not None and since is not None:
        causes.append(not_permitted("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    elif seconds is not None and seconds < 1:
        causes.append(wrong("sinceSeconds", seconds, "must be greater than 0"))
    if stream not in LOG_STREAMS:
        causes.append(unsupported("stream", stream, LOG_STREAMS))
    elif stream != "All" and tail is not None:
        causes.append(not_permitted("", "`tailLines` and specific `stream` are mutually exclusive for now"))
    if causes:
        raise invalid("", "PodLogOptions", name, causes)
    found: dict[str, Any] = {"tailLines": tail, "limitBytes": limit, "sinceSeconds": seconds, "sinceTime": since}
    if stream != "All":
        found["stream"] = stream
    return {k: str(v) for k, v in found.items() if v is not None}


def choose_container(pod: Tree, asked: str) -> str:
    """The container a stream is for: the one asked for, or the only one (strategy.go validateContainer)."""
    spec = pod.get("spec") or {}
    names = [c["name"] for c in spec.get("containers") or ()]
    inits = [c["name"] for c in spec.get("initContainers") or ()]
    ephemeral = [c["name"] for c in spec.get("ephemeralContainers") or ()]
    name = pod["metadata"]["name"]
    if asked:
        if asked not in inits + names + ephemeral:
            raise bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(names) == 1:
        return str(names[0])
    raise bad_request(
        f"a container name must be specified for pod {name}, choose one of: [{' '.join(inits + names + ephemeral)}]"
    )


def kubelet_path(pod: Tree, info: RequestInfo, query: Any) -> str:
    """The same request at the pod's kubelet."""
    parts = [WHERE[info.subresource], info.namespace, info.name]
    if info.subresource != "portforward":
        parts.append(choose_container(pod, query.get("container", "")))
    options: list[tuple[str, str]] = [(n, "true") for n in SWITCHES[info.subresource] if switch(query, n)]
    if info.subresource == "log":
        options += list(log_options(query, info.name).items())
    elif info.subresource == "exec":
        options += [("command", c) for c in query.getall("command", [])]
    elif info.subresource == "portforward":
        options += [("ports", p) for p in query.getall("ports", [])]
    path = "/" + "/".join(quote(p, safe="") for p in parts)
    return path + (f"?{urlencode(options)}" if options else "")


def stream_options(subresource: str, query: Any) -> Tree:
    """What a stream is asked for, as the object that reviewers see (PodExecOptions and its siblings)."""
    of = CONNECTS[subresource]
    found: Tree = {"kind": of.kind, "apiVersion": of.api_version}
    found.update({n: True for n in SWITCHES[subresource] if switch(query, n)})
    if subresource == "portforward":
        ports = [int(p) for text in query.getall("ports", []) for p in text.split(",") if p.isdecimal() and len(p) < 6]
        return {**found, "ports": ports} if ports else found
    if query.get("container"):
        found["container"] = query["container"]
    command = query.getall("command", []) if subresource == "exec" else []
    return {**found, "command": command} if command else found


def as_query(tree: Tree) -> MultiDict[str]:
    """The query that asks for a stream with these options."""
    found: MultiDict[str] = MultiDict()
    for name, value in tree.items():
        if name in ("kind", "apiVersion") or value in (None, False):
            continue
        for item in value if isinstance(value, list) else [value]:
            found.add(name, "true" if item is True else str(item))
    return found


def created(info: RequestInfo) -> RequestInfo:
    """Opening a stream is a create, also by a WebSocket's GET (KEP-5533 AuthorizePodWebsocketUpgradeCreatePermission)."""
    return RequestInfo(
        "create",
        info.path,
        True,
        info.group,
        info.version,
        info.namespace,
        info.resource,
        info.subresource,
        info.name,
        info.rest,
    )


def is_upgrade(request: web.BaseRequest) -> bool:
    return "upgrade" in request.headers.get("Connection", "").lower()


def kubelet_address(door: Door, pod: Tree) -> str:
    """Where the kubelet of a scheduled pod answers."""
    name = pod["spec"]["nodeName"]
    node = door.verbs.storage.get("nodes", name)
    found = get(node.tree, "status", "addresses") if node else None
    address = next((a["address"] for a in found or () if a["type"] == "InternalIP"), None)
    if address is None:
        raise unavailable(f"node {name} has no address")
    return str(address)


async def to_kubelet(
    door: Door, request: web.BaseRequest, info: RequestInfo, kind: Kind, user: User, warnings: list[str]
) -> web.StreamResponse:
    """Finds the pod's kubelet and hands the stream over."""
    if request.method not in (("GET", "HEAD") if info.subresource == "log" else ("GET", "POST")):
        raise not_allowed()
    if info.subresource != "log" and not door.rbac.allowed(user, created(info)):
        raise door.refused(user, created(info))
    query: Any = request.query
    if info.subresource in CONNECTS:
        call = Call(kind, info.namespace, info.name, user, info.subresource, warnings=warnings, options={})
        call.annotations = request[TRACE].annotations
        review = door.verbs.reviewers.review(call, CONNECT, CONNECTS[info.subresource])
        if review is not None:
            query = as_query(await review.whole(stream_options(info.subresource, query)))
    entry = door.verbs.storage.get("pods", f"{info.namespace}/{info.name}")
    if entry is None:
        raise not_found(kind, info.name)
    pod = entry.tree
    path = kubelet_path(pod, info, query)
    if not pod["spec"].get("nodeName"):
        if info.subresource == "log":
            return web.Response(status=204)
        raise bad_request(f"pod {info.name} does not have a host assigned")
    upgrade = is_upgrade(request)
    if info.subresource != "log" and not upgrade:
        raise bad_request("Upgrade request required")
    address = kubelet_address(door, pod)
    try:
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(address, KUBELET_PORT, ssl=door.kubelets, server_hostname=""), 5
        )
    except (OSError, TimeoutError, ssl.SSLError) as e:
        raise unavailable(f"the node of pod {info.name} does not answer: {e}") from None
    try:
        head = [f"{request.method} {path} HTTP/1.1", f"Host: {address}"]
        for name, value in request.headers.items():
            if name.lower() not in ("host", "authorization", "content-length", "transfer-encoding") and (
                upgrade or name.lower() not in ("connection", "accept-encoding")
            ):
                head.append(f"{name}: {value}")
        if not upgrade:
            head.append("Connection: close")
        writer.write(("\r\n".join(head) + "\r\n\r\n").encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        status = int(answer.split(b" ", 2)[1])
        if upgrade and status == 101:
            door.recorder.opened(request[TRACE], status)
            return await splice(request, reader, writer, answer)
        body = body_of(reader, answer)
        if upgrade:  # a refusal of the kubelet goes through as it is: clients show its text
            return web.Response(status=status, body=await _text(body), content_type="text/plain")
        if status >= 400:
            raise await _refusal(kind, info, status, body)
        door.recorder.opened(request[TRACE], status)
        return await _copy(request, status, answer, body)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError) as e:
        raise unavailable(f"the stream to the node broke: {e}") from None
    finally:
        writer.close()


def _headers(head: bytes) -> dict[str, str]:
    found = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        found[name.strip().lower()] = value.strip()
    return found


async def body_of(reader: asyncio.StreamReader, head: bytes) -> AsyncIterator[bytes]:
    """The body of an ordinary answer, whatever its framing."""
    headers = _headers(head)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readline()).split(b";")[0] or b"0", 16):
            yield await reader.readexactly(size)
            await reader.readexactly(2)
        return
    left = int(headers["content-length"]) if "content-length" in headers else -1
    while left:
        data = await reader.read(CHUNK if left < 0 else min(left, CHUNK))
        if not data:
            return
        left -= len(data) if left > 0 else 0
        yield data


async def _refusal(kind: Kind, info: RequestInfo, status: int, body: AsyncIterator[bytes]) -> ApiError:
    """What the kubelet said about a log, as a Status (registry/generic/rest/response_checker.go)."""
    told = (await _text(body)).decode("utf-8", "replace")
    if status == 400:
        return bad_request(told)
    if status == 404:
        what = f"the server could not find the requested resource ({info.verb} {kind.resource} {info.name})"
        cause = {"reason": "UnexpectedServerResponse", "message": told}
        return ApiError(404, "NotFound", what, {"name": info.name, "kind": kind.resource, "causes": [cause]})
    return ApiError(500, "InternalError", f"Internal error occurred: {told}", {"causes": [{"message": told}]})


async def _text(body: AsyncIterator[bytes]) -> bytes:
    text = b""
    async for data in body:
        text += data
        if len(text) > ANSWER_LIMIT:
            break
    return text[:ANSWER_LIMIT]


async def _copy(request: web.BaseRequest, status: int, head: bytes, body: AsyncIterator[bytes]) -> web.StreamResponse:
    """An ordinary answer: body until the end, chunked anew."""
    kind = _headers(head).get("content-type", "text/plain")
    response = web.StreamResponse(status=status, headers={"Content-Type": kind})
    await response.prepare(request)
    try:
        async for data in body:
            await response.write(data)
        await response.write_eof()
    except (asyncio.IncompleteReadError, OSError):
        # The node has gone in the middle: an answer that ends as if it were whole would be a lie.
        if request.transport is not None:
            request.transport.close()
    return response


async def splice(
    request: web.BaseRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
) -> web.StreamResponse:
    """Takes the client's transport over and copies both ways until either side ends."""
    try:
        near_reader, near_writer = take_over(request)
    except ConnectionError:
        raise ApiError(400, "BadRequest", "the connection is gone") from None
    near_writer.write(head)

    async def copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(CHUNK):
                to.write(data)
                await to.drain()

    both = [asyncio.ensure_future(copy(near_reader, writer)), asyncio.ensure_future(copy(reader, near_writer))]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        near_writer.close()
    return Taken(request)
