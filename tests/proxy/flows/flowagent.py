"""One process in each network namespace: it serves (endpoints that say their name and whom they saw) and it probes.

It takes one JSON line a request on a socket and answers with one. Names: `name port peer` is what every server says.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import random
import socket
import struct
import time
from typing import Any

import flowsctp
from flowload import Load

Tree = dict[str, Any]
AT_ONCE = 40
TALK = 7000  # a port where a connection may be kept: every message is answered
REFUSED = {errno.ECONNREFUSED, errno.ECONNRESET}
PKTINFO = {4: (socket.IPPROTO_IP, 8), 6: (socket.IPPROTO_IPV6, 50)}  # IP_PKTINFO, IPV6_PKTINFO
RECVERR = {4: (socket.IPPROTO_IP, 11), 6: (socket.IPPROTO_IPV6, 25)}  # IP_RECVERR, IPV6_RECVERR
RECVPKTINFO = {4: (socket.IPPROTO_IP, 8), 6: (socket.IPPROTO_IPV6, 49)}


def _family(number: int) -> int:
    return socket.AF_INET if number == 4 else socket.AF_INET6


def _socket(family: int, kind: int, protocol: int = 0) -> socket.socket:
    made = socket.socket(_family(family), kind | socket.SOCK_NONBLOCK, protocol)
    if family == 6 and kind != socket.SOCK_RAW:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made


class Servers:
    """What listens here. `say` writes what a server says to a client."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    @staticmethod
    def say(name: str, port: int, peer: str) -> bytes:
        return f"{name} {port} {peer}".encode()

    def open(self, name: str, family: int, address: str, ports: list[int]) -> None:
        """TCP, UDP and SCTP; the empty address is all of them."""
        for port in ports:
            tcp = _socket(family, socket.SOCK_STREAM)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind((address, port))
            tcp.listen(512)
            self._loop.add_reader(tcp, self._accept, tcp, name, port)
            udp = _socket(family, socket.SOCK_DGRAM)
            udp.setsockopt(*RECVPKTINFO[family], 1)
            udp.bind((address, port))
            self._loop.add_reader(udp, self._datagram, udp, name, port, family)
        sctp = _socket(family, socket.SOCK_RAW, flowsctp.PROTOCOL)
        sctp.setsockopt(*RECVPKTINFO[family], 1)
        if address:
            sctp.bind((address, 0))
        self._loop.add_reader(sctp, self._chunk, sctp, name, set(ports), family)

    def talk(self, name: str, family: int, address: str) -> None:
        """A TCP server that answers every message, until the client goes."""
        tcp = _socket(family, socket.SOCK_STREAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((address, TALK))
        tcp.listen(512)
        self._loop.add_reader(tcp, self._accept_talk, tcp, name)

    def _accept_talk(self, listener: socket.socket, name: str) -> None:
        try:
            client, peer = listener.accept()
        except OSError:
            return
        client.setblocking(False)
        self._loop.add_reader(client, self._reply, client, self.say(name, TALK, peer[0]))

    def _reply(self, client: socket.socket, answer: bytes) -> None:
        try:
            if client.recv(2048):
                client.send(answer)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._loop.remove_reader(client)
        client.close()

    def _accept(self, listener: socket.socket, name: str, port: int) -> None:
        for _ in range(64):
            try:
                client, peer = listener.accept()
            except OSError:
                return
            try:
                client.send(self.say(name, port, peer[0]))
            except OSError:
                pass
            client.close()

    def _datagram(self, udp: socket.socket, name: str, port: int, family: int) -> None:
        for _ in range(64):
            try:
                _, ancillary, _, peer = udp.recvmsg(2048, 256)
            except OSError:
                return
            try:
                udp.sendmsg([self.say(name, port, peer[0])], self._from_there(ancillary, family), 0, peer)
            except OSError:
                continue

    @staticmethod
    def _from_there(ancillary: list[Any], family: int) -> list[Any]:
        """Control data that makes the answer leave with the address that was asked."""
        for level, kind, data in ancillary:
            if (level, kind) != PKTINFO[family]:
                continue
            if family == 4:
                return [(level, kind, struct.pack("=I4s4s", 0, data[8:12], b"\0" * 4))]
            return [(level, kind, data[:16] + struct.pack("=I", 0))]
        return []

    def _chunk(self, raw: socket.socket, name: str, ports: set[int], family: int) -> None:
        for _ in range(64):
            try:
                data, ancillary, _, peer = raw.recvmsg(4096, 256)
            except OSError:
                return
            if family == 4:
                data = data[(data[0] & 15) * 4 :]
            init = flowsctp.read_init(data)
            if init is None or init.to not in ports:
                continue
            answer = flowsctp.init_ack(init, self.say(name, init.to, peer[0]))
            try:
                raw.sendmsg([answer], self._from_there(ancillary, family), 0, (peer[0], 0))
            except OSError:
                continue


class Prober:
    """Tries connections until a probe's question is answered."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._room = asyncio.Semaphore(AT_ONCE)
        self._sctp: dict[str, asyncio.Lock] = {}  # a raw socket sees all that comes from an address: one at a time

    async def run(self, probes: list[Tree]) -> list[Tree]:
        return list(await asyncio.gather(*(self._probe(p) for p in probes)))

    async def _probe(self, probe: Tree) -> Tree:
        found: Tree = {"key": probe["key"], "answers": {}, "refused": 0, "silent": 0, "oddities": []}
        members = {tuple(m) for m in probe["members"]}
        began = time.monotonic()
        for source in probe["sources"]:
            rows: list[list[Any]] = []
            for attempt in range(probe["most"]):
                to = probe["to"][attempt % len(probe["to"])]
                async with self._room:
                    said = await self._once(probe, source, (to[0], to[1]), attempt, found["oddities"])
                if said is None:
                    break
                if isinstance(said, str):
                    found[said] += 1
                    if said == "silent" or found[said] >= probe["least"]:
                        break
                    continue
                rows.append(said)
                if attempt + 1 >= probe["least"] and members and members <= {(r[0], r[1]) for r in rows}:
                    break
            if rows:
                found["answers"][source] = rows
        found["seconds"] = round(time.monotonic() - began, 3)
        return found

    async def _once(self, probe: Tree, source: str, to: tuple[str, int], attempt: int, oddities: list[str]) -> Any:
        """[name, port, peer, own], or `refused` or `silent`."""
        how = {"tcp": self._tcp, "udp": self._udp, "sctp": self._chunk}[probe["protocol"]]
        try:
            answer, own = await how(probe["family"], source, to, attempt, probe["timeout"])
        except TimeoutError:
            return "silent"
        except OSError as e:
            if e.errno in REFUSED:
                return "refused"
            oddities.append(f"{os.strerror(e.errno or 0)} ({to[0]} port {to[1]})")
            return None
        name, port, peer = answer.decode().split(" ")
        return [name, int(port), peer, own]

    async def _tcp(self, family: int, source: str, to: tuple[str, int], _: int, timeout: float) -> tuple[bytes, str]:
        with _socket(family, socket.SOCK_STREAM) as client:
            if source:
                client.bind((source, 0))
            async with asyncio.timeout(timeout):
                await self._loop.sock_connect(client, to)
                own = client.getsockname()[0]
                answer = await self._loop.sock_recv(client, 2048)
            if not answer:
                raise OSError(errno.ECONNRESET, "closed without an answer")
            return answer, own

    async def _udp(self, family: int, source: str, to: tuple[str, int], attempt: int, timeout: float) -> tuple[bytes, str]:
        """Every other socket is connected; the rest see the address that the answer comes from."""
        with _socket(family, socket.SOCK_DGRAM) as client:
            client.setsockopt(*RECVERR[family], 1)
            if source:
                client.bind((source, 0))
            async with asyncio.timeout(timeout):
                if attempt % 2 == 0:
                    client.connect(to)
                    self._send(lambda: client.send(b"?"))
                    own = client.getsockname()[0]
                    return await self._loop.sock_recv(client, 2048), own
                self._send(lambda: client.sendto(b"?", to))
                answer, peer = await self._loop.sock_recvfrom(client, 2048)
                if (peer[0], peer[1]) != to:
                    raise OSError(errno.EPROTO, f"the answer came from {peer[0]}")
                return answer, source or self._own(family, to)

    @staticmethod
    def _own(family: int, to: tuple[str, int]) -> str:
        """The address that the kernel gives a client of `to`."""
        with _socket(family, socket.SOCK_DGRAM) as other:
            other.connect(to)
            return str(other.getsockname()[0])

    @staticmethod
    def _send(send: Any) -> None:
        """A packet that the own node's rules stop is EPERM at once: what matters is whether a refusal follows."""
        try:
            send()
        except PermissionError:
            pass

    async def _chunk(self, family: int, source: str, to: tuple[str, int], _: int, timeout: float) -> tuple[bytes, str]:
        lock = self._sctp.setdefault(to[0], asyncio.Lock())
        async with lock:
            with _socket(family, socket.SOCK_RAW, flowsctp.PROTOCOL) as client:
                if source:
                    client.bind((source, 0))
                client.connect((to[0], 0))
                port, tag = random.randrange(20000, 60000), random.randrange(1, 1 << 32)
                own = client.getsockname()[0]
                async with asyncio.timeout(timeout):
                    self._send(lambda: client.send(flowsctp.init(port, to[1], tag)))
                    while True:
                        data = await self._loop.sock_recv(client, 4096)
                        if family == 4:
                            data = data[(data[0] & 15) * 4 :]
                        cookie = flowsctp.read_init_ack(data, to[1], port, tag)
                        if cookie is not None:
                            return cookie, own


async def _serve(channel: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    servers, prober, load = Servers(loop), Prober(loop), Load(loop)
    channel.setblocking(True)
    reader, writer = await asyncio.open_connection(sock=channel, limit=1 << 26)
    while line := await reader.readline():
        request = json.loads(line)
        answer: Tree = {}
        if request["do"] == "serve":
            for row in request["servers"]:
                servers.open(*row)
            for row in request.get("talkers", ()):
                servers.talk(*row)
        elif request["do"] == "probe":
            answer["results"] = await prober.run(request["probes"])
        elif request["do"] == "go":
            load.go(request["streams"])
        elif request["do"] in ("peek", "halt"):
            answer["streams"] = load.peek() if request["do"] == "peek" else await load.halt()
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()


def main(channel: socket.socket) -> None:
    """Until the other end is closed."""
    asyncio.run(_serve(channel))
