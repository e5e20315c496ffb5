"""Answers that leave in pieces: large lists, and watches. A slow reader holds little, and not for ever."""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aiohttp import web

from seaway.api.kinds import Kind
from seaway.cluster.apiserver import watchlines
from seaway.cluster.apiserver.answers import Form
from seaway.cluster.apiserver.listing import Listing
from seaway.cluster.apiserver.requests import RequestInfo
from seaway.cluster.apiserver.seats import Visit, visit_of
from seaway.cluster.apiserver.trace import TRACE, Trace

if TYPE_CHECKING:
    from seaway.cluster.apiserver.door import Door

WARNINGS, WARNING = 4096, 256  # characters: of all warnings before each is cut, and of one then
HEADERS = 64  # warnings at most where they are cut: some clients read no more than a hundred headers
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
LIST_SECONDS = 60.0  # that a reader may take for a list: upstream's time for a request


def told(warnings: list[str]) -> list[str]:
    """The warnings that are sent: each once, none with control characters, and not much more than 4 KiB of them
    (apiserver/pkg/endpoints/filters/warning.go, apimachinery/pkg/util/net NewWarningHeader)."""
    found = [text for text in dict.fromkeys(warnings) if text and not CONTROL.search(text)]
    if sum(map(len, found)) <= WARNINGS:
        return found
    kept: list[str] = []
    size = 0
    for text in found:
        if size >= WARNINGS or len(kept) == HEADERS:
            break
        kept.append(text[:WARNING])
        size += len(kept[-1])
    return kept


def warn(response: web.StreamResponse, warnings: list[str]) -> None:
    """Warnings as headers (RFC 7234 5.5)."""
    for text in told(warnings):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{escaped}"')


async def listing(request: web.BaseRequest, found: Listing, visit: Visit, warnings: list[str]) -> web.StreamResponse:
    """A small list at once; a large one piece by piece, as its reader takes them."""
    if request.method == "HEAD":
        return web.Response(content_type=found.media)
    if found.small:
        return web.Response(body=b"".join(found.pieces()), content_type=found.media)
    response = web.StreamResponse(headers={"Content-Type": found.media})
    warn(response, warnings)
    trace: Trace = request[TRACE]
    response.headers["Audit-Id"] = trace.id
    response.enable_chunked_encoding()
    visit.stream()  # from here on its reader sets the pace: somebody else may have the seat
    transport = request.transport
    try:
        async with asyncio.timeout(LIST_SECONDS):
            for piece in found.pieces():
                if piece:
                    if not response.prepared:
                        await response.prepare(request)
                    await response.write(piece)
                await visit.turn()
            await response.write_eof()
    except TimeoutError:
        if transport is not None:
            transport.abort()
    except ConnectionError:
        pass
    except Exception:
        if not response.prepared:
            raise
        _broken(transport)
    return response


def _broken(transport: asyncio.Transport | None) -> None:
    """A fault in the middle of an answer: it ends there, so that nobody takes it for whole."""
    traceback.print_exc()
    if transport is not None:
        transport.abort()


def opened(door: Door, request: web.BaseRequest, response: web.StreamResponse) -> None:
    """A long answer is about to begin: the logs are told, and the client by which name to find it there."""
    trace: Trace = request[TRACE]
    response.headers["Audit-Id"] = trace.id
    door.recorder.opened(trace, response.status)


async def watch(
    door: Door, request: web.BaseRequest, kind: Kind, info: RequestInfo, form: Form, warnings: list[str]
) -> web.StreamResponse:
    """A watch's events, until its time is over, its reader goes, or its reader is too slow."""
    visit, transport = visit_of(request), request.transport

    def too_slow() -> None:
        if transport is not None:
            transport.abort()

    lines: AsyncIterator[bytes] = await door.reads.watch(
        kind, info.namespace, request.query, form, info.name, visit.turn, too_slow
    )
    visit.stream()
    response = web.StreamResponse(headers={"Content-Type": watchlines.media(kind, form)})
    response.enable_chunked_encoding()
    warn(response, warnings)
    opened(door, request, response)
    await response.prepare(request)
    try:
        async for chunk in lines:
            await response.write(chunk)
            door.metrics.sent(kind, chunk.count(b"\n"))
    except (ConnectionError, asyncio.CancelledError):
        return response
    except Exception:
        _broken(transport)
        return response
    finally:
        await lines.aclose()  # type: ignore[attr-defined]
    await response.write_eof()
    return response
