"""The kubelet's HTTPS server (:10250): logs, exec, attach, port-forward, for the API server alone, by mutual TLS.

Streams come upgraded to WebSocket or SPDY/3.1; what they say is `streaming`'s business, what a log shows is `crilogs`'.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from seaway.cluster.layout import KUBELET_PORT
from seaway.cluster.node import crilogs, lifecycle
from seaway.cluster.node.streaming import channels, commands, forward
from seaway.cluster.node.streaming.channels import Form, choose, internal
from seaway.cluster.node.streaming.peers import Peer, Raw
from seaway.cluster.node.streaming.sessions import Session, SpdySession, Wants, WebSocketSession
from seaway.cluster.takeover import Taken, take_over

if TYPE_CHECKING:
    from seaway.cluster.node.agent import Agent
    from seaway.cluster.node.pods import PodWorker

Tree = dict[str, Any]
TRUE = ("1", "true")
MESSAGE_LIMIT = 1 << 22
Run = Callable[[Session], Awaitable[Tree | None]]


class Refused(Exception):
    """An answer other than a stream."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def _offered(request: web.Request) -> tuple[str, list[str]]:
    """(websocket or spdy, the subprotocols offered); Refused where the request asks for neither."""
    upgrade = request.headers.get("Upgrade", "").lower()
    if upgrade == "websocket":
        lines = request.headers.getall("Sec-WebSocket-Protocol", [])
        return "websocket", [p.strip() for line in lines for p in line.split(",") if p.strip()]
    if upgrade == "spdy/3.1":
        lines = request.headers.getall("X-Stream-Protocol-Version", [])
        return "spdy", [p.strip() for line in lines for p in line.split(",") if p.strip()]
    raise Refused(400, "Upgrade request required")


def _agreed(offered: list[str], taken: list[str]) -> str:
    chosen = choose(offered, taken)
    if chosen is None:
        raise Refused(403, f"unable to negotiate protocol: client supports {offered}, server accepts {taken}")
    return chosen


async def _websocket(request: web.Request, protocol: str) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=(protocol,) if protocol else (), max_msg_size=MESSAGE_LIMIT)
    await socket.prepare(request)
    return socket


def _answer_spdy(request: web.Request, protocol: str) -> tuple[Peer, asyncio.StreamWriter]:
    """Answers 101; what follows on the connection are frames."""
    reader, writer = take_over(request)
    head = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: SPDY/3.1"]
    if protocol:
        head.append(f"X-Stream-Protocol-Version: {protocol}")
    writer.write(("\r\n".join(head) + "\r\n\r\n").encode())
    return Peer(Raw(reader, writer)), writer


async def _part(peer: Peer) -> None:
    """Says that no more streams are taken, and lets what was written leave."""
    peer.connection.go_away()
    with contextlib.suppress(ConnectionError):
        await peer.flush()


class Kubelet:
    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    def _worker(self, request: web.Request) -> PodWorker:
        namespace, name = request.match_info["namespace"], request.match_info["pod"]
        worker = self.agent.find(namespace, name)
        if worker is None:
            raise Refused(404, f'pod "{name}_{namespace}" not found')
        return worker

    # logs

    async def logs(self, request: web.Request) -> web.StreamResponse:
        worker, name, query = self._worker(request), request.match_info["container"], request.query
        attempt = crilogs.attempt(
            worker.key.name, name, worker.states.get(name), _waits(worker, name), query.get("previous") in TRUE
        )
        if isinstance(attempt, str):
            raise Refused(400, attempt)
        path = worker.log_path(name, attempt)
        if not os.path.exists(path):
            raise Refused(400, f"unable to retrieve container logs for seaway://{worker.uid}/{name}: the log is gone")
        shown, tail = crilogs.options(query, time.time())
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)

        def over() -> bool:
            now = worker.states.get(name)
            return now is None or now.attempt != attempt or now.status == "exited" or worker.shim is None

        with contextlib.suppress(ConnectionError):
            async for chunk in crilogs.read(path, tail, shown, query.get("follow") in TRUE, over):
                await response.write(chunk)
            await response.write_eof()
        return response

    # exec and attach

    async def execute(self, request: web.Request) -> web.StreamResponse:
        worker, name = self._worker(request), request.match_info["container"]
        command = request.query.getall("command", [])
        if not command:
            raise Refused(400, "you must specify at least one command for the container")

        async def run(session: Session) -> Tree | None:
            return await commands.execute(worker, name, command, wants, session)

        wants = self._wants(request, request.query.get("tty") in TRUE)
        return await self._session(request, worker, name, wants, run)

    async def attach(self, request: web.Request) -> web.StreamResponse:
        worker, name = self._worker(request), request.match_info["container"]
        # The container's own terminal decides: what has none cannot be given one afterwards (kubelet GetAttach).
        wants = self._wants(request, bool(worker.container(name).get("tty")))

        async def run(session: Session) -> Tree | None:
            return await commands.attach(worker, name, wants, session)

        return await self._session(request, worker, name, wants, run)

    @staticmethod
    def _wants(request: web.Request, tty: bool) -> Wants:
        asked = {name: request.query.get(name) in TRUE for name in ("stdin", "stdout", "stderr")}
        if not any(asked.values()):
            raise Refused(400, "you must specify at least 1 of stdin, stdout, stderr")
        return Wants(asked["stdin"], asked["stdout"], asked["stderr"] and not tty, tty)

    async def _session(
        self, request: web.Request, worker: PodWorker, name: str, wants: Wants, run: Run
    ) -> web.StreamResponse:
        """The client's session, and `run` in it. A container that does not run is told in the form of the protocol: over
        WebSocket as the last word, over SPDY before the upgrade."""
        carrier, offered = _offered(request)
        state = worker.states.get(name)
        running = worker.shim is not None and state is not None and state.status == "running"
        missing = f'container not found ("{name}")'
        if carrier == "websocket":
            form = Form(_agreed(offered, list(channels.WEBSOCKET)))
            socket = await _websocket(request, form.protocol)
            session = WebSocketSession(socket, form, wants)
            with contextlib.suppress(ConnectionError):
                await session.greet()
                status = await run(session) if running else internal(f"unable to upgrade connection: {missing}")
                if status is not None:
                    await session.end(status)
            return socket
        form = Form(_agreed(offered, list(channels.SPDY)))
        if not running:
            raise Refused(500, missing)
        peer, writer = _answer_spdy(request, form.protocol)
        reading = asyncio.ensure_future(peer.run())
        try:
            spdy = await SpdySession.open(peer, wants, form)
            status = await run(spdy) if spdy else None
            if spdy and status is not None:
                await spdy.end(status)
                await _part(peer)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            writer.close()
        return Taken(request)

    # port-forward

    async def forward(self, request: web.Request) -> web.StreamResponse:
        worker = self._worker(request)
        carrier, offered = _offered(request)
        if carrier == "websocket" and channels.TUNNEL in offered:
            socket = await _websocket(request, channels.TUNNEL)
            await forward.over_spdy(worker, Peer(forward.Tunnel(socket)))
            with contextlib.suppress(ConnectionError, RuntimeError):
                await socket.close()
            return socket
        if carrier == "websocket":
            form = Form(_agreed(offered, list(channels.PORT_FORWARD)))
            ports = [p for text in request.query.getall("ports", []) for p in text.split(",")]
            if not ports or any(not p.isdigit() or not 0 < int(p) < 65536 for p in ports):
                raise Refused(400, f'query parameter "ports" must hold ports, not {",".join(ports)!r}')
            socket = await _websocket(request, form.protocol)
            with contextlib.suppress(ConnectionError):
                await forward.over_channels(worker, socket, form, [int(p) for p in ports])
            return socket
        protocol = _agreed(offered, [channels.FORWARD_SPDY, ""])
        peer, writer = _answer_spdy(request, protocol)
        try:
            await forward.over_spdy(worker, peer)
        finally:
            writer.close()
        return Taken(request)


def _waits(worker: PodWorker, name: str) -> str:
    """Why a container does not run yet, as its status says; empty where it does, or has ended for good."""
    reason = worker.waiting.get(name, ("", ""))[0]
    if reason or name in worker.states:
        return reason
    inits = [c["name"] for c in worker.pod["spec"].get("initContainers") or ()]
    ready = lifecycle.initialized(worker.pod, worker.states, worker.started)
    return "PodInitializing" if inits and (name in inits or not ready) else "ContainerCreating"


def _refusal(refused: Refused) -> web.Response:
    return web.Response(status=refused.code, text=str(refused))


async def serve(agent: Agent, pki: str) -> None:
    """Serves until cancelled."""
    kubelet = Kubelet(agent)
    app = web.Application(client_max_size=1 << 20)
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", kubelet.logs)
    app.router.add_route("*", "/exec/{namespace}/{pod}/{container}", kubelet.execute)
    app.router.add_route("*", "/attach/{namespace}/{pod}/{container}", kubelet.attach)
    app.router.add_route("*", "/portForward/{namespace}/{pod}", kubelet.forward)
    app.router.add_get("/healthz", lambda request: _ok())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{pki}/kubelet-{agent.name}.crt", f"{pki}/kubelet-{agent.name}.key")
    context.load_verify_locations(f"{pki}/ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED

    @web.middleware
    async def only_api_server(request: web.Request, handler: Any) -> web.StreamResponse:
        certificate = request.transport.get_extra_info("peercert") if request.transport else None
        names = [v for part in (certificate or {}).get("subject", ()) for k, v in part if k == "commonName"]
        if names != ["kube-apiserver"]:
            return web.Response(status=403, text="only the API server may ask\n")
        try:
            response: web.StreamResponse = await handler(request)
        except Refused as e:
            return _refusal(e)
        return response

    app.middlewares.append(only_api_server)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, None, KUBELET_PORT, ssl_context=context, reuse_address=True)
    await site.start()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def _ok() -> web.Response:
    return web.Response(text="ok")
