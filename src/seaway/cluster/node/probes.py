"""Probes: httpGet, tcpSocket, exec, grpc and their thresholds. `Thresholds` is pure; `attempt` makes the connection.

The agent lives in its node's network namespace and pods are routed: a probe is an ordinary connection to the pod.
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from seaway.cluster.node import grpcprobe

Tree = dict[str, Any]
EAGER, EAGER_STEP = 2.0, 0.05
REDIRECTS, MOST_REDIRECTS = (301, 302, 303, 307, 308), 10
Exec = Callable[[list[str], float], Awaitable[tuple[int, str]]]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Consecutive results, and the verdict they amount to (None: not settled yet)."""

    success: int
    failure: int
    run: int = 0
    last: bool | None = None
    verdict: bool | None = None

    def after(self, ok: bool) -> Thresholds:
        run = self.run + 1 if self.last == ok else 1
        settled = run >= (self.success if ok else self.failure)
        return Thresholds(self.success, self.failure, run, ok, ok if settled else self.verdict)


def port_of(container: Tree, port: int | str) -> int:
    """A port by number or by the container's name for it."""
    if isinstance(port, int):
        return port
    for entry in container.get("ports") or ():
        if entry.get("name") == port:
            return int(entry["containerPort"])
    if str(port).isdigit():
        return int(port)
    raise ValueError(f'couldn\'t find port: "{port}"')


def _refused(host: str, port: int, error: OSError) -> str:
    """A connection that failed, in the words of Go's net package."""
    shown = f"[{host}]" if ":" in host else host
    if not error.errno:
        return str(error)
    doing = "read" if error.errno == errno.ECONNRESET else "connect"
    return f"dial tcp {shown}:{port}: {doing}: {os.strerror(error.errno).lower()}"


def _location(url: str, head: bytes) -> str:
    """Where a redirect leads; empty where it stays unfollowed: the kubelet follows it on the same host only."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"location":
            target = urljoin(url, value.strip().decode("latin-1"))
            return target if urlsplit(target).hostname == urlsplit(url).hostname else ""
    return ""


async def _get(url: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """(status, header lines) of one GET."""
    parts = urlsplit(url)
    tls = None
    if parts.scheme == "https":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the kubelet does not check certificates either
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    writer = None
    try:
        port = parts.port or (443 if tls else 80)
        reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = f"GET {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        writer.write(head.encode("latin-1", "replace") + b"\r\n")
        answer = await reader.readuntil(b"\r\n")
        status = int(answer.split(b" ", 2)[1])
        rest = await reader.readuntil(b"\r\n\r\n") if status in REDIRECTS else b""
        return status, rest
    finally:
        if writer is not None:
            writer.close()


async def _http(address: str, container: Tree, action: Tree, timeout: float) -> tuple[bool, str]:
    host = action.get("host") or address
    port = port_of(container, action["port"])
    scheme = action.get("scheme", "HTTP").lower()
    path = action.get("path") or "/"
    if any(c in path for c in "\r\n \0"):
        return False, f"parse {path!r}: invalid character in the path"
    shown = f"[{host}]" if ":" in host else host
    headers = {"Host": f"{shown}:{port}", "User-Agent": "kube-probe/1.36", "Accept": "*/*", "Connection": "close"}
    for entry in action.get("httpHeaders") or ():
        if not any(c in entry["name"] + entry.get("value", "") for c in "\r\n\0"):
            name = next((k for k in headers if k.lower() == entry["name"].lower()), entry["name"])
            headers[name] = entry.get("value", "")
    url = first = f"{scheme}://{shown}:{port}{path if path.startswith('/') else '/' + path}"
    try:
        async with asyncio.timeout(timeout):
            for _ in range(MOST_REDIRECTS):
                status, head = await _get(url, headers)
                target = _location(url, head) if status in REDIRECTS else ""
                if not target:
                    break
                url = target
            else:
                return False, f'Get "{url}": stopped after {MOST_REDIRECTS} redirects'
    except TimeoutError:
        return False, f'Get "{first}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
    except OSError as e:
        return False, f'Get "{url}": {_refused(host, port, e)}'
    except (ValueError, IndexError, EOFError, asyncio.LimitOverrunError) as e:
        return False, f'Get "{url}": {"EOF" if isinstance(e, EOFError) else e}'
    if 200 <= status < 400:
        return True, ""
    return False, f"HTTP probe failed with statuscode: {status}"


async def _grpc(address: str, container: Tree, action: Tree, timeout: float) -> tuple[bool, str]:
    port, service = port_of(container, action["port"]), str(action.get("service") or "")
    shown = f"[{address}]" if ":" in address else address
    writer, answer = None, grpcprobe.Answer()
    late = f'timeout: failed to connect service "{shown}:{port}" within {timeout:g}s: context deadline exceeded'
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(address, port)
            late = f"timeout: health rpc did not complete within {timeout:g}s"
            writer.write(grpcprobe.request(f"{shown}:{port}", service))
            while not answer.done:
                data = await reader.read(65536)
                if not data:
                    break
                writer.write(answer.feed(data))
    except TimeoutError:
        return False, late
    except OSError as e:
        return False, f'error: failed to connect service at "{shown}:{port}": {_refused(address, port, e)}'
    finally:
        if writer is not None:
            writer.close()
    if not answer.done:
        return False, "error: health rpc probe failed: the connection ended before the answer"
    return answer.verdict(service)


async def _tcp(address: str, container: Tree, action: Tree, timeout: float) -> tuple[bool, str]:
    host, port = action.get("host") or address, port_of(container, action["port"])
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
        return True, ""
    except TimeoutError:
        return False, f"dial tcp {host}:{port}: i/o timeout"
    except OSError as e:
        return False, _refused(host, port, e)


async def attempt(probe: Tree, container: Tree, address: str, execute: Exec) -> tuple[bool, str]:
    """One try: (passed, what went wrong)."""
    timeout = float(probe.get("timeoutSeconds") or 1)
    try:
        if "httpGet" in probe:
            return await _http(address, container, probe["httpGet"], timeout)
        if "tcpSocket" in probe:
            return await _tcp(address, container, probe["tcpSocket"], timeout)
        if "grpc" in probe:
            return await _grpc(address, container, probe["grpc"], timeout)
        if "exec" in probe:
            code, output = await execute(list(probe["exec"].get("command") or ()), timeout)
            return code == 0, output.strip()
    except ValueError as e:
        return False, str(e)
    return False, "no handler"


async def run(
    probe: Tree,
    container: Tree,
    address: str,
    execute: Exec,
    tell: Callable[[bool, str], None],
    attempted: Callable[[bool, str], None],
    initial: bool | None,
    eager: bool,
) -> None:
    """Probes until cancelled: `tell` gets each verdict, `attempted` each try. `initial` is a verdict from before.

    `eager` (readiness): a program that is not listening yet is asked again soon, for its first two seconds, without
    counting, so that it is listed moments after it listens and not a whole period later.
    """
    state = Thresholds(probe.get("successThreshold", 1), probe.get("failureThreshold", 3), verdict=initial)
    period = float(probe.get("periodSeconds") or 10)
    loop = asyncio.get_running_loop()
    delay = float(probe.get("initialDelaySeconds") or 0)
    if delay and initial is None:
        await asyncio.sleep(delay)
    start = loop.time()
    while True:
        began = loop.time()
        ok, why = await attempt(probe, container, address, execute)
        if not ok and eager and state.verdict is None and began - start < EAGER:
            await asyncio.sleep(EAGER_STEP)
            continue
        attempted(ok, why)
        before = state.verdict
        state = state.after(ok)
        if state.verdict is not None and (state.verdict != before or not state.verdict):
            tell(state.verdict, why)
        await asyncio.sleep(max(period - (loop.time() - began), 0.01))
