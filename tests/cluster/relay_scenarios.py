"""What the relay does with real sockets: run as a program, in a network namespace of its own. `python relay_scenarios.py NAME`."""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable

from seaway.cluster.fabric import build
from seaway.cluster.relay import datagrams, inside, serve, streams, upstreams

PORT = 5300  # of the upstreams; the relay has 53
Handler = Callable[[bytes], list[bytes]]


def query(name: str, number: int = 7) -> bytes:
    labels = b"".join(bytes((len(p),)) + p.encode() for p in name.split("."))
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def answer(packet: bytes, rcode: int = 0, extra: bytes = b"", truncated: bool = False) -> bytes:
    return packet[:2] + bytes((0x81 | (2 if truncated else 0), 0x80 | rcode)) + packet[4:] + extra


class Stub:
    """A name server: UDP, and TCP where it is given a handler for it. It keeps what it was asked, and from where."""

    def __init__(self, host: str, handler: Handler, over_tcp: Handler | None = None) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.handler, self.over_tcp = handler, over_tcp
        self.asked: list[tuple[bytes, tuple]] = []
        self.udp = socket.socket(family, socket.SOCK_DGRAM)
        self.udp.bind((host, PORT))
        threading.Thread(target=self._datagrams, daemon=True).start()
        if over_tcp:
            self.tcp = socket.create_server((host, PORT), family=family)
            threading.Thread(target=self._streams, daemon=True).start()

    def _datagrams(self) -> None:
        while True:
            packet, client = self.udp.recvfrom(65535)
            self.asked.append((packet, client))
            for reply in self.handler(packet):
                self.udp.sendto(reply, client)

    def _streams(self) -> None:
        while True:
            threading.Thread(target=self._stream, args=(self.tcp.accept()[0],), daemon=True).start()

    def _stream(self, sock: socket.socket) -> None:
        assert self.over_tcp
        with sock, sock.makefile("rb") as f:
            while head := f.read(2):
                packet = f.read(struct.unpack("!H", head)[0])
                for reply in self.over_tcp(packet):
                    sock.sendall(struct.pack("!H", len(reply)) + reply)


class World:
    """The relay on 127.0.0.1 and ::1, and its resolv.conf."""

    def __init__(self, *servers: str) -> None:
        self.path = tempfile.mkstemp()[1]
        self.servers(*servers)
        self.poll = select.epoll()
        self.listeners = inside.open_sockets(["127.0.0.1", "::1"])
        self.relay = serve.Relay(self.poll, self.listeners, self.path, PORT)
        threading.Thread(target=self._loop, daemon=True).start()

    def _loop(self) -> None:
        while True:
            wait = self.relay.expire(time.monotonic())
            for fd, events in self.poll.poll(0.02 if wait is None else min(wait, 0.02)):
                self.relay.ready(fd, events, time.monotonic())

    def servers(self, *servers: str) -> None:
        with open(self.path + ".new", "w") as f:
            f.write("".join(f"nameserver {s}\n" for s in servers))
        os.replace(self.path + ".new", self.path)

    def ask(self, packet: bytes, within: float = 3.0, host: str = "127.0.0.1") -> bytes:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(within)
            sock.connect((host, 53))
            sock.send(packet)
            return sock.recv(65535)


def silent(packet: bytes) -> list[bytes]:
    return []


def well(packet: bytes) -> list[bytes]:
    return [answer(packet, extra=b"well")]


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def passes_questions_on() -> None:
    four, six = Stub("127.0.0.2", well), Stub("::1", well)
    world = World("127.0.0.2")
    before = open_files()
    for number in range(50):
        sent = query(f"n{number}.Example", number)
        assert world.ask(sent) == answer(sent, extra=b"well")
    assert len({packet[:2] for packet, _ in four.asked}) > 40, "ids are the relay's own, and random"
    assert len({client[1] for _, client in four.asked}) > 40, "so are ports"
    assert all(packet[2:] == query(f"n{i}.Example")[2:] for i, (packet, _) in enumerate(four.asked))
    assert open_files() == before
    world.servers("::1")
    sent = query("six.example")
    time.sleep(upstreams.LOOK_EVERY)
    assert world.ask(sent, host="::1") == answer(sent, extra=b"well")
    assert len(six.asked) == 1, "the file is read anew"


def takes_no_forged_answer() -> None:
    def forged(packet: bytes) -> list[bytes]:
        other = bytes((packet[0] ^ 1,)) + packet[1:]
        wrong = packet.replace(b"\x04true", b"\x04fake")
        return [answer(other, extra=b"id"), answer(wrong, extra=b"name"), packet, b"", packet[:11], answer(packet, extra=b"right")]

    stub = Stub("127.0.0.2", forged)
    world = World("127.0.0.2")
    sent = query("true.example")
    assert world.ask(sent) == answer(sent, extra=b"right")
    raw = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    raw.connect(("127.0.0.1", 53))
    for bad in (answer(sent), b"", b"x" * 11, sent[:-2], sent[:2] + b"\x28\0" + sent[4:], sent[:4] + b"\0\2" + sent[6:]):
        raw.send(bad)
    raw.send(query("true.again"))
    assert raw.recv(4096).endswith(b"right"), "the first thing that is answered is a question"
    assert len(stub.asked) == 2


def goes_on_to_the_next_server() -> None:
    Stub("127.0.0.2", silent)
    Stub("127.0.0.3", lambda packet: [answer(packet, 2)])
    last = Stub("127.0.0.4", well)
    world = World("127.0.0.2", "127.0.0.9", "127.0.0.3", "127.0.0.4")  # silent, nobody there, SERVFAIL, well
    began = time.monotonic()
    sent = query("a.example")
    assert world.ask(sent) == answer(sent, extra=b"well")
    assert 0.9 < time.monotonic() - began < 3
    began = time.monotonic()
    assert world.ask(query("b.example")).endswith(b"well"), "who was silent is asked last now"
    assert time.monotonic() - began < 0.9 and len(last.asked) == 2
    time.sleep(upstreams.LOOK_EVERY)
    world.servers("127.0.0.3")
    time.sleep(upstreams.LOOK_EVERY)
    assert world.ask(sent) == answer(sent, 2), "the only one's error is the answer"


def fails_in_time_and_in_bounds() -> None:
    stub = Stub("127.0.0.2", silent)
    world = World("127.0.0.2")
    datagrams.TRY, datagrams.PENDING = 0.4, 20
    before = open_files()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(5)
    sock.connect(("127.0.0.1", 53))
    for number in range(30):
        sock.send(query("a.example", number))
        sock.send(query("a.example", number))  # again, while it is on its way
    began, got = time.monotonic(), []
    for _ in range(20):  # each of the second ten twice: it was never on its way
        got.append(sock.recv(4096))
    assert time.monotonic() - began < 1.4, "what is too much fails at once"
    assert open_files() <= before + 2 + 2 * 20 * datagrams.TRIES
    for _ in range(20):
        got.append(sock.recv(4096))
    assert 1.4 < time.monotonic() - began < 4
    assert all(p[2:4] == b"\x81\x82" and p[12:] == query("a.example")[12:] for p in got)
    assert len(stub.asked) == 20 * datagrams.TRIES
    assert open_files() <= before + 1
    world.servers("127.0.0.9")
    time.sleep(upstreams.LOOK_EVERY)
    began = time.monotonic()
    assert world.ask(query("b.example"))[3] & 15 == 2
    assert time.monotonic() - began < 1.2, "nobody there: no wait"


def joins_streams() -> None:
    large = b"x" * 60_000
    Stub("127.0.0.2", lambda packet: [answer(packet, truncated=True)], lambda packet: [answer(packet, extra=large)])
    world = World("127.0.0.9", "127.0.0.2")
    before = open_files()
    sent = query("large.example")
    assert world.ask(sent) == answer(sent, truncated=True)
    with socket.create_connection(("127.0.0.1", 53), timeout=3) as sock, sock.makefile("rb") as f:
        for number in (1, 2, 3):
            sent = query("large.example", number)
            sock.sendall(struct.pack("!H", len(sent)) + sent)
            assert f.read(2 + len(sent) + len(large))[2:] == answer(sent, extra=large)
        sock.sendall((struct.pack("!H", len(sent)) + sent) * 2)
        sock.shutdown(socket.SHUT_WR)  # nothing more to ask
        assert f.read() == (struct.pack("!H", len(sent) + len(large)) + answer(sent, extra=large)) * 2
    slow = [socket.create_connection(("::1", 53), timeout=3) for _ in range(10)]
    for sock in slow:  # asks a lot and reads nothing
        sock.settimeout(0.2)
        try:
            while True:
                sock.sendall((struct.pack("!H", len(sent)) + sent) * 50)
        except TimeoutError:
            pass
    began = time.monotonic()
    assert world.ask(sent) == answer(sent, truncated=True)
    assert time.monotonic() - began < 0.9
    assert max(len(j.to_client) + len(j.to_server) for j in world.relay._streams._joined) <= 4 * streams.BUFFER
    for sock in slow:
        sock.close()
    streams.CONNECTIONS, streams.IDLE = 4, 0.3
    many = [socket.create_connection(("127.0.0.1", 53), timeout=3) for _ in range(8)]
    ended = [not m.recv(1) for m in many]  # four at once, the others when they have been silent
    assert all(ended)
    end = time.monotonic() + 3
    while world.relay._streams._joined:
        assert time.monotonic() < end
        time.sleep(0.05)
    for sock in many:
        sock.close()
    time.sleep(0.2)
    assert open_files() <= before + 2
    world.servers("127.0.0.9")
    time.sleep(upstreams.LOOK_EVERY)
    with socket.create_connection(("127.0.0.1", 53), timeout=3) as sock:
        assert sock.recv(1) == b"", "nobody there"


if __name__ == "__main__":
    build.configure_namespace({})
    globals()[sys.argv[1]]()
    print("well")
