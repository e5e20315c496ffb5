"""The kubelet's HTTPS server (:10250): logs and exec, for the API server alone, by mutual TLS."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import ssl
import struct
import termios
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from seaway.api.tree import seconds
from seaway.cluster.layout import KUBELET_PORT
from seaway.cluster.node import crilogs, plans
from seaway.cluster.node.shims import ShimError

if TYPE_CHECKING:
    from seaway.cluster.node.agent import Agent
    from seaway.cluster.node.pods import PodWorker

Tree = dict[str, Any]
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
TRUE = ("1", "true")


def _worker(agent: Agent, request: web.Request) -> PodWorker:
    namespace, name = request.match_info["namespace"], request.match_info["pod"]
    worker = agent.find(namespace, name)
    if worker is None:
        raise web.HTTPNotFound(text=f'pod "{namespace}/{name}" is not on this node')
    return worker


def _refusal(code: int, message: str) -> web.Response:
    reason = {400: "BadRequest", 404: "NotFound"}.get(code, "InternalError")
    tree = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return web.json_response(tree, status=code)


class Kubelet:
    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    # logs

    async def logs(self, request: web.Request) -> web.StreamResponse:
        worker, container, query = _worker(self.agent, request), request.match_info["container"], request.query
        state = worker.states.get(container)
        previous = query.get("previous") in TRUE
        if state is None:
            reason = worker.waiting.get(container, ("ContainerCreating", ""))[0]
            return _refusal(400, f'container "{container}" in pod "{worker.key.name}" is waiting to start: {reason}')
        attempt = state.attempt - 1 if previous else state.attempt
        path = worker.log_path(container, attempt)
        if attempt < 0 or not os.path.exists(path):
            return _refusal(400, f'previous terminated container "{container}" in pod "{worker.key.name}" not found')
        since = seconds(query["sinceTime"]) if query.get("sinceTime") else None
        if query.get("sinceSeconds"):
            since = asyncio.get_running_loop().time() and _now() - float(query["sinceSeconds"])
        tail = int(query["tailLines"]) if query.get("tailLines") else None
        limit = int(query["limitBytes"]) if query.get("limitBytes") else None
        shown = crilogs.Shown(query.get("timestamps") in TRUE, since, limit, query.get("stream", "All"))
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        follow = query.get("follow") in TRUE

        def over() -> bool:
            now = worker.states.get(container)
            return now is None or now.attempt != attempt or now.status == "exited" or worker.shim is None

        try:
            async for chunk in crilogs.read(path, tail, shown, follow, over):
                await response.write(chunk)
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            pass
        return response

    # exec

    async def execute(self, request: web.Request) -> web.StreamResponse:
        worker, container, query = _worker(self.agent, request), request.match_info["container"], request.query
        command = query.getall("command", [])
        if "websocket" not in request.headers.get("Upgrade", "").lower():
            return _refusal(400, "only WebSocket streams are served here (kubectl 1.31 or newer uses them)")
        socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=1 << 22)
        await socket.prepare(request)
        wants = {name: query.get(name) in TRUE for name in ("stdin", "stdout", "stderr", "tty")}
        status = await self._run(worker, container, command, wants, socket)
        with contextlib.suppress(ConnectionError, RuntimeError):
            await socket.send_bytes(bytes([ERROR]) + json.dumps(status).encode())
            await socket.close()
        return socket

    async def _run(
        self,
        worker: PodWorker,
        container: str,
        command: list[str],
        wants: dict[str, bool],
        socket: web.WebSocketResponse,
    ) -> Tree:
        if not worker.shim or not command:
            return _failure(
                "container is not running" if command else "you must specify at least one command for the container", 0
            )
        ours: dict[int, int] = {}
        if wants["tty"]:
            master, slave = pty.openpty()
            theirs = [slave, slave, slave]
            ours = {STDOUT: master}
            stdin = os.dup(master) if wants["stdin"] else -1
        else:
            in_read, in_write = os.pipe2(os.O_CLOEXEC)
            out_read, out_write = os.pipe2(os.O_CLOEXEC)
            err_read, err_write = os.pipe2(os.O_CLOEXEC)
            theirs, ours = [in_read, out_write, err_write], {STDOUT: out_read, STDERR: err_read}
            stdin = in_write
            if not wants["stdin"]:
                os.close(in_write)
                stdin = -1
        try:
            done = await worker.shim.execute(
                container, plans.exec_plan(worker, container, command, wants["tty"]), theirs
            )
        except ShimError as e:
            for fd in [*ours.values(), stdin]:
                if fd >= 0:
                    os.close(fd)
            return _failure(str(e), 0)
        finally:
            for fd in set(theirs):
                os.close(fd)
        copying = [asyncio.ensure_future(_pump(fd, channel, socket)) for channel, fd in ours.items()]
        feeding = asyncio.ensure_future(_feed(socket, stdin, ours[STDOUT] if wants["tty"] else -1))
        try:
            code = await done
        except ShimError as e:
            return _failure(str(e), 0)
        finally:
            await asyncio.wait(copying, timeout=2)
            for task in [*copying, feeding]:
                task.cancel()
        return (
            {"metadata": {}, "status": "Success"}
            if code == 0
            else _failure(f"command terminated with non-zero exit code: {code}", code)
        )


def _failure(message: str, code: int) -> Tree:
    status: Tree = {"metadata": {}, "status": "Failure", "message": message, "reason": "InternalError", "code": 500}
    if code:
        status.update(reason="NonZeroExitCode", details={"causes": [{"reason": "ExitCode", "message": str(code)}]})
        del status["code"]
    return status


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _pump(fd: int, channel: int, socket: web.WebSocketResponse) -> None:
    """What the command writes, to the client."""
    loop = asyncio.get_running_loop()
    os.set_blocking(fd, False)
    try:
        while True:
            try:
                data = os.read(fd, 32768)
            except BlockingIOError:
                ready = loop.create_future()
                loop.add_reader(fd, _settle, ready)
                try:
                    await ready
                finally:
                    loop.remove_reader(fd)
                continue
            except OSError:
                return  # a terminal whose other side has closed
            if not data:
                return
            await socket.send_bytes(bytes([channel]) + data)
    except (ConnectionError, RuntimeError):
        return
    finally:
        os.close(fd)


async def _feed(socket: web.WebSocketResponse, stdin: int, terminal: int) -> None:
    """What the client sends, to the command: bytes, the end of them, the size of its terminal."""
    loop = asyncio.get_running_loop()
    open_fd = stdin
    try:
        async for message in socket:
            if message.type != WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel == STDIN and open_fd >= 0:
                try:
                    await loop.run_in_executor(None, _write_all, open_fd, data)
                except OSError:
                    pass
            elif channel == CLOSE and data[:1] == b"\0" and open_fd >= 0:
                os.close(open_fd)
                open_fd = -1
            elif channel == RESIZE and terminal >= 0:
                size = json.loads(data)
                with contextlib.suppress(OSError):
                    fcntl.ioctl(
                        terminal,
                        termios.TIOCSWINSZ,
                        struct.pack("HHHH", size.get("Height", 24), size.get("Width", 80), 0, 0),
                    )
    finally:
        if open_fd >= 0:
            os.close(open_fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _now() -> float:
    import time

    return time.time()


async def serve(agent: Agent, pki: str) -> None:
    """Serves until cancelled."""
    kubelet = Kubelet(agent)
    app = web.Application(client_max_size=1 << 20)
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", kubelet.logs)
    app.router.add_route("*", "/exec/{namespace}/{pod}/{container}", kubelet.execute)
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
        response: web.StreamResponse = await handler(request)
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
