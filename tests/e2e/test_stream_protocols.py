"""Streams as other clients have them, spoken by hand: every WebSocket protocol, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import yaml
from clusters import Cluster

POD = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: busybox, command: [sleep, infinity]}
  - {name: w, image: traefik/whoami}
"""
Use = Callable[[aiohttp.ClientSession, str], Awaitable[Any]]


def as_admin(cluster: Cluster, use: Use) -> Any:
    """`use` with a session that has the kubeconfig's certificate, and the address of the pod `p`."""
    with open(cluster.env["KUBECONFIG"]) as f:
        config = yaml.safe_load(f)
    user, server = config["users"][0]["user"], config["clusters"][0]["cluster"]
    context = ssl.create_default_context(cadata=base64.b64decode(server["certificate-authority-data"]).decode())
    folder = cluster.folder / "client.pem"
    folder.write_bytes(b"".join(base64.b64decode(user[k]) for k in ("client-certificate-data", "client-key-data")))
    context.load_cert_chain(folder)

    async def go() -> Any:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
            async with asyncio.timeout(30):
                return await use(session, f"{server['server']}/api/v1/namespaces/{cluster.namespace}/pods/p")

    return asyncio.run(go())


@pytest.fixture
def pod(cluster: Cluster) -> Cluster:
    cluster.apply(POD)
    cluster.ready("p")
    return cluster


EXEC = "/exec?container=c&command=sh&command=-c&command=read+x%3B+echo+got+$x%3B+echo+bad+%3E%262%3B+exit+3&stdin=1&stdout=1&stderr=1"


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io", "", "v4.base64.channel.k8s.io", "base64.channel.k8s.io"])
def test_exec_speaks_every_websocket_protocol(pod: Cluster, protocol: str) -> None:
    async def use(session: aiohttp.ClientSession, url: str) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        async with session.ws_connect(url + EXEC, protocols=(protocol,) if protocol else ()) as socket:
            assert (socket.protocol or "") == protocol
            text = base64.b64encode(b"it\n").decode()
            await (socket.send_str(f"0{text}") if "base64" in protocol else socket.send_bytes(b"\0it\n"))
            async for message in socket:
                data = message.data
                if isinstance(data, str):
                    channel, data = int(data[0]), base64.b64decode(data[1:])
                else:
                    channel, data = data[0], data[1:]
                found[channel] = found.get(channel, b"") + data
        return found

    found = as_admin(pod, use)
    assert (found[1], found[2]) == (b"got it\n", b"bad\n")
    if protocol.startswith("v"):
        assert json.loads(found[3])["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    else:
        assert found[3].startswith(b"command terminated with non-zero exit code")


def test_the_fifth_protocol_ends_the_input(pod: Cluster) -> None:
    async def use(session: aiohttp.ClientSession, url: str) -> bytes:
        async with session.ws_connect(f"{url}/exec?container=c&command=wc&command=-c&stdin=1&stdout=1", protocols=("v5.channel.k8s.io",)) as socket:
            for _ in range(10):
                await socket.send_bytes(b"\0" + b"x" * 1000)
            await socket.send_bytes(b"\xff\0")
            return b"".join([m.data[1:] async for m in socket if m.data[0] == 1])

    assert as_admin(pod, use) == b"10000\n"


@pytest.mark.parametrize("protocol", ["v4.channel.k8s.io", "v4.base64.channel.k8s.io"])
def test_port_forward_over_channels(pod: Cluster, protocol: str) -> None:
    """As the Python client has it: two channels a port, each beginning with the port's number."""

    async def use(session: aiohttp.ClientSession, url: str) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        async with session.ws_connect(f"{url}/portforward?ports=80&ports=81", protocols=(protocol,)) as socket:
            request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            text = "0" + base64.b64encode(request).decode()
            await (socket.send_str(text) if "base64" in protocol else socket.send_bytes(b"\0" + request))
            async for message in socket:
                data = message.data
                channel, data = (int(data[0]), base64.b64decode(data[1:])) if isinstance(data, str) else (data[0], data[1:])
                found[channel] = found.get(channel, b"") + data
        return found

    found = as_admin(pod, use)
    assert [found[n][:2] for n in range(4)] == [struct.pack("<H", p) for p in (80, 80, 81, 81)]
    assert b"Hostname: p" in found[0] and found[1][2:] == b""
    assert b"connection refused" in found[3]


@pytest.mark.parametrize(
    ("path", "headers", "status", "said"),
    [
        ("/exec?command=ls&stdout=1&container=c", {}, 400, "Upgrade request required"),
        ("/exec?command=ls&stdout=1", {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}, 400, "a container name must be specified for pod p, choose one of: [c w]"),
        ("/exec?command=ls&container=c", {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}, 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("/exec?stdout=1&container=c", {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}, 400, "you must specify at least one command"),
        ("/exec?command=ls&stdout=1&container=c", {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v9.x"}, 403, "unable to negotiate protocol"),
        ("/exec?command=ls&stdout=1&container=c", {"Connection": "Upgrade", "Upgrade": "gopher"}, 400, "Upgrade request required"),
        ("/portforward?ports=x", {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "v4.channel.k8s.io"}, 400, "ports"),
        ("/attach?stdout=1&container=c", {}, 400, "Upgrade request required"),
        ("/log?container=c&tailLines=-1", {}, 422, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ("/log", {}, 400, "a container name must be specified"),
    ],
)
def test_what_is_no_stream_is_refused_clearly(pod: Cluster, path: str, headers: dict[str, str], status: int, said: str) -> None:
    async def use(session: aiohttp.ClientSession, url: str) -> tuple[int, str]:
        async with session.get(url + path, headers=headers) as answer:
            return answer.status, await answer.text()

    found = as_admin(pod, use)
    assert found[0] == status and said in found[1].replace('\\"', '"'), found


@pytest.mark.parametrize("frames", [b"GET / HTTP/1.1\r\n\r\n", b"\x80\x03\x00\x01\x00\xff\xff\xff" + b"x" * 100, b"\x80\x03\x00\x01\x00\x00\x00\x0c" + b"\0" * 12, b"\0\0\0\x63\0\0\0\4abcd"])
def test_a_client_that_speaks_no_spdy_is_hung_up_on(pod: Cluster, frames: bytes) -> None:
    """After the upgrade anything may come: the connection ends, the next one works."""

    async def use(session: aiohttp.ClientSession, url: str) -> bytes:
        host, _, port = url.split("/")[2].partition(":")
        connector = session.connector
        assert isinstance(connector, aiohttp.TCPConnector)
        reader, writer = await asyncio.open_connection(host, int(port), ssl=connector._ssl)
        path = "/" + url.split("/", 3)[3] + "/exec?container=c&command=cat&stdin=1&stdout=1"
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head and b"v4.channel.k8s.io" in head
        writer.write(frames)
        rest = await reader.read()
        writer.close()
        return rest

    rest = as_admin(pod, use)
    assert rest[:4] in (b"", b"\x80\x03\x00\x07"), rest  # nothing, or GOAWAY
    assert pod.kubectl("exec", "p", "-c", "c", "--", "echo", "well") == "well\n"


def test_streams_need_the_right_to_create_them(pod: Cluster) -> None:
    pod.kubectl("create", "role", "watcher", "--verb=get,list", "--resource=pods,pods/log,pods/exec,pods/portforward")
    pod.kubectl("create", "rolebinding", "watcher", "--role=watcher", "--user=ada")
    assert pod.kubectl("logs", "p", "-c", "c", "--as=ada") == ""
    said = pod.kubectl("exec", "p", "-c", "c", "--as=ada", "--", "ls", check=False)
    assert 'User "ada" cannot create resource "pods/exec" in API group "" in the namespace' in said
    assert 'cannot create resource "pods/attach"' in pod.kubectl("attach", "p", "-c", "c", "--as=ada", check=False)
