"""Some 20,000 packets that nobody should send, in a network namespace of its own: `python tests/dns/wire/wirefuzz.py [PACKETS]`.

A finding is a line of JSON. What must hold: the program and its processes live, its log has no traceback, an answer is never
answered, a packet has one reply at most, which is no larger than the limits, and memory stays as it is."""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
from wirecases import HERE, manifest
from wirenet import Program, api_server, inside, sibling
from wireupstream import Upstream

PACKETS = 20_000
BATCH = 100
WARM = 0.5  # the part of the packets after which memory is taken for the first time: caches have filled
GROWTH = 3072  # KiB that it may grow by from then on
NAMES = (
    "web.fuzz.svc.cluster.local.", "big.fuzz.svc.cluster.local.", "_http._tcp.big.fuzz.svc.cluster.local.", "none.fuzz.svc.cluster.local.",
    "10-245-0-1.big.fuzz.svc.cluster.local.", "1.0.245.10.in-addr.arpa.", "cluster.local.", "dns-version.cluster.local.", "www.example.org.",
    "ext.fuzz.svc.cluster.local.", "1-2-3-4.fuzz.pod.cluster.local.", "web.fuzz.svc.cluster.local.fuzz.svc.cluster.local.",
)
TYPES = ("A", "AAAA", "SRV", "PTR", "TXT", "CNAME", "ANY", "SOA", "NS", "AXFR", "TYPE65280")
WEB = manifest({"service": "web", "ips": ["10.96.5.1"], "ports": ["http:80"]}, "fuzz")
OBJECTS = (
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fuzz"}},
    WEB,
    manifest({"service": "ext", "external": "www.example.org"}, "fuzz"),
    manifest({"service": "big", "ips": "None", "ports": ["http:80"]}, "fuzz"),
    manifest({"slice": "big-1", "of": "big", "many": {"first": "10.245.0.1", "count": 250}}, "fuzz"),
)


def _valid(chooser: random.Random) -> bytearray:
    edns = {"use_edns": 0, "payload": chooser.choice((0, 512, 1232, 4096, 65535)), "want_dnssec": chooser.random() < 0.3} if chooser.random() < 0.6 else {}
    return bytearray(dns.message.make_query(chooser.choice(NAMES), chooser.choice(TYPES), **edns).to_wire())


def _mutated(chooser: random.Random) -> bytearray:
    found = _valid(chooser)
    for _ in range(chooser.randrange(1, 8)):
        found[chooser.randrange(2, len(found))] = chooser.randrange(256)
    if chooser.random() < 0.3:
        del found[chooser.randrange(2, len(found)) :]
    if chooser.random() < 0.2:
        found += chooser.randbytes(chooser.randrange(1, 300))
    return found


def _answer(chooser: random.Random) -> bytearray:
    """A query turned answer, or an answer indeed, with anything else changed."""
    if chooser.random() < 0.5:
        found = _mutated(chooser)
    else:
        query = dns.message.make_query(chooser.choice(NAMES), "A", use_edns=0)
        found = bytearray(dns.message.make_response(query).to_wire())
    found += b"\0" * max(0, 3 - len(found))
    found[2] |= 0x80
    return found


def _head(chooser: random.Random, counts: tuple[int, int, int, int], flags: int = 0x0100) -> bytes:
    return struct.pack("!6H", chooser.randrange(65536), flags, *counts)


def _loop(chooser: random.Random) -> bytearray:
    names = (b"\xc0\x0c", b"\x03web\xc0\x0c", b"\xc0\x0e\xc0\x0c", b"\x03web\xc0\x10", b"\xff\xff", b"\xc0\x00", b"\xc0", b"\x01a" * 127 + b"\0", b"\x01a" * 200 + b"\0", b"\x3f" + b"a" * 63 + b"\x40a\0")
    return bytearray(_head(chooser, (1, 0, 0, 0)) + chooser.choice(names) + b"\0\x01\0\x01")


def _counts(chooser: random.Random) -> bytearray:
    rest = bytes(_valid(chooser)[12:])
    counts = [chooser.choice((0, 1, 2, 255, 65535)) for _ in range(4)]
    return bytearray(_head(chooser, (counts[0], counts[1], counts[2], counts[3]), chooser.choice((0x0100, 0x0000, 0x0900, 0x7900, 0x0310))) + rest * chooser.choice((1, 1, 3)))


def _options(chooser: random.Random) -> bytearray:
    question = dns.name.from_text(chooser.choice(NAMES)).to_wire() + b"\0\x01\0\x01"

    def one() -> bytes:
        data = b"".join(struct.pack("!HH", chooser.choice((3, 8, 10, 12, 15, 65001)), chooser.choice((0, 4, 300))) + chooser.randbytes(chooser.choice((0, 4, 8))) for _ in range(chooser.randrange(4)))
        length = chooser.choice((len(data), len(data), 0, len(data) + 1, 65535))
        owner = chooser.choice((b"\0", b"\0", b"\x01x\0", b"\xc0\x0c"))
        return owner + struct.pack("!HHIH", 41, chooser.choice((0, 100, 512, 1232, 65535)), chooser.choice((0, 0x8000, 0x10000, 0xFF0000, chooser.randrange(1 << 32))), length) + data

    several = chooser.choice((1, 1, 1, 2, 5))
    return bytearray(_head(chooser, (1, 0, 0, chooser.choice((several, several, 1)))) + question + b"".join(one() for _ in range(several)))


def _noise(chooser: random.Random) -> bytearray:
    return bytearray(chooser.randbytes(chooser.choice((0, 1, 2, 11, 12, 13, 20, 40, 512, 4000, 60000) if chooser.random() < 0.2 else (12, 20, 40, 100))))


KINDS = (_mutated, _mutated, _mutated, _answer, _loop, _counts, _options, _options, _noise, _valid)


def packets(count: int, seed: int) -> Iterator[bytes]:
    chooser = random.Random(seed)
    for _ in range(count):
        yield bytes(chooser.choice(KINDS)(chooser))


def judge(packet: bytes, reply: bytes) -> str:
    """What is wrong with a reply to a packet."""
    if len(packet) < 12:
        return f"{len(packet)} bytes were answered"
    if packet[2] & 0x80:
        return "an answer was answered"
    if len(reply) < 12 or not reply[2] & 0x80:
        return "the reply is not an answer"
    limit = 1232
    try:
        query = dns.message.from_wire(packet, ignore_trailing=True)
        limit = min(max(query.payload, 512), 1232) if query.edns >= 0 else 512
    except dns.exception.DNSException:
        pass
    if len(reply) > limit:
        return f"{len(reply)} bytes, the limit is {limit}"
    try:
        answer = dns.message.from_wire(reply)
    except dns.exception.DNSException as e:
        return f"the reply cannot be read: {type(e).__name__}"
    # RFC 1035 4.1: an error repeats the question at most; OPT adds 11 bytes, an extended error some more.
    if answer.rcode() in (dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.REFUSED, dns.rcode.SERVFAIL, dns.rcode.BADVERS) and len(reply) > len(packet) + 60:
        return f"{dns.rcode.to_text(answer.rcode())} of {len(reply)} bytes for {len(packet)}"
    return ""


class Prober:
    """Asks what is known, and whether the answer comes."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(2)
        self.socket.connect(("127.0.0.1", port))

    def udp(self) -> str:
        query = dns.message.make_query(NAMES[0], "A")
        try:
            self.socket.send(query.to_wire())
            answer = dns.message.from_wire(self.socket.recv(65535))
        except OSError as e:
            return f"a good query by UDP: {e or type(e).__name__}"
        return "" if query.id == answer.id and "10.96.5.1" in str(answer) else f"a good query by UDP is answered {answer}"

    def tcp(self) -> str:
        query = dns.message.make_query(NAMES[0], "A").to_wire()
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as made:
                made.sendall(struct.pack("!H", len(query)) + query)
                found = b""
                while len(found) < 2 or len(found) < 2 + struct.unpack_from("!H", found)[0]:
                    more = made.recv(65535)
                    if not more:
                        return "a good query by TCP: the connection was closed"
                    found += more
        except OSError as e:
            return f"a good query by TCP: {e or type(e).__name__}"
        return ""


def datagrams(port: int, count: int, seed: int, halfway: Iterator[None]) -> Iterator[str]:
    """Sends packets with ids of their own, and after each batch a good query; what is wrong with the replies."""
    sockets = {f: socket.socket(f, socket.SOCK_DGRAM) for f in (socket.AF_INET, socket.AF_INET6)}
    for family, used in sockets.items():
        used.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        used.connect(("127.0.0.1" if family == socket.AF_INET else "::1", port))
        used.settimeout(5)
    sent: dict[int, bytes] = {}
    answered: set[int] = set()
    marker = dns.message.make_query(NAMES[0], "A").to_wire()[2:]

    def settle(used: socket.socket, ident: int) -> Iterator[str]:
        """Reads until the good query is answered: what came before it is done with, but for what the upstream is asked."""
        sent[ident] = struct.pack("!H", ident) + marker
        used.send(sent[ident])
        seen = -1
        while seen != ident:
            try:
                reply = used.recv(65535)
            except TimeoutError:
                yield f"a good query after {ident} packets is not answered"
                return
            seen = struct.unpack_from("!H", reply)[0] if len(reply) > 1 else -1
            if seen not in sent:
                yield f"a reply of {len(reply)} bytes to nothing that was sent"
            elif seen in answered:
                yield f"two replies to {sent[seen].hex()[:200]}"
            elif wrong := judge(sent[seen], reply):
                yield f"{wrong}: {sent[seen].hex()[:300]}"
            answered.add(seen)

    for ident, packet in enumerate(packets(count, seed), 1):
        used = sockets[(socket.AF_INET, socket.AF_INET6)[ident // BATCH % 2]]
        if ident % BATCH == 0:
            yield from settle(used, ident)
            continue
        sent[ident] = struct.pack("!H", ident) + packet[2:] if len(packet) > 1 else packet
        try:
            used.send(sent[ident])
        except OSError:
            pass
        if ident == int(count * WARM) + 1:
            next(halfway)
    if len(answered) < count * 0.3:
        yield f"{len(answered)} replies only to {count} packets"


def ports_of_nobody(port: int, chooser: random.Random) -> None:
    """Queries whose source port is 0, or that seem to come from the server itself: replies have nowhere to go."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    for source in (0, 0, 0, port, 7, 19) * 20:
        data = bytes(_valid(chooser))
        raw.sendto(struct.pack("!4H", source, port, 8 + len(data), 0) + data, ("127.0.0.1", 0))
    raw.close()


def streams(port: int, count: int, seed: int) -> None:
    """Broken framing: lengths that lie, halves of messages, noise, resets, and good queries between."""
    chooser = random.Random(seed)
    kept = []
    for _ in range(count):
        made = socket.create_connection(("127.0.0.1", port), timeout=2)
        good = bytes(_valid(chooser))
        framed = struct.pack("!H", len(good)) + good
        data = chooser.choice((
            b"\0", b"\0\0", b"\0\0" + framed, framed[:-3], struct.pack("!H", 65535) + good, struct.pack("!H", 3) + good, chooser.randbytes(chooser.randrange(1, 3000)),
            framed * 20 + b"\0\x05abcde", struct.pack("!H", 12) + bytes(_answer(chooser)[:12]), framed + struct.pack("!H", 20),
        ))
        try:
            if chooser.random() < 0.3:
                for at in range(len(data[:60])):
                    made.send(data[at : at + 1])
                made.sendall(data[60:])
            else:
                made.sendall(data)
            end = chooser.randrange(4)
            if end == 0:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif end == 1:
                made.shutdown(socket.SHUT_WR)
                made.settimeout(0.05)
                try:
                    made.recv(65535)
                except TimeoutError:
                    pass
            elif end == 2:
                kept.append(made)
                continue
        except OSError:
            pass
        made.close()
    for made in kept:
        made.close()


def main(folder: Path, count: int) -> None:
    api = api_server(folder)
    upstream = Upstream(("127.0.0.1", 5353), {"www.example.org.": {"A": ["192.0.2.1"]}}, "example.org.")
    corefile = (HERE / "default.corefile").read_text().replace("    kubernetes", "    forward . 127.0.0.1:5353\n    kubernetes")
    for tree in OBJECTS:
        api.put(tree)
    program = Program(folder / "program", folder / "kubeconfig", corefile, {}, {}, 53, iter(range(5400, 5500)))
    bad: list[str] = []
    try:
        bad += [w for w in (program.wait(),) if w]
        prober = Prober(program.port)
        end = time.monotonic() + 5
        while (wrong := prober.udp()) and time.monotonic() < end:
            time.sleep(0.05)
        bad += [w for w in (wrong, prober.tcp()) if w]
        before_pids = set(program.pids())
        memory: list[int] = []

        def measured() -> Iterator[None]:
            memory.append(program.memory())
            yield

        begun = time.monotonic()
        streams(program.port, 40, 6)
        bad += list(datagrams(program.port, count, 5, measured()))
        ports_of_nobody(program.port, random.Random(9))
        streams(program.port, 300, 7)
        took = time.monotonic() - begun
        bad += [w for w in (prober.udp(), prober.tcp()) if w]
        if not program.alive or set(program.pids()) != before_pids:
            bad.append(f"processes {sorted(before_pids)} became {sorted(program.pids())}")
        memory.append(program.memory())
        if memory[-1] > memory[0] + GROWTH:
            bad.append(f"memory grew from {memory[0]} to {memory[-1]} KiB")
        size = program.log.stat().st_size
        if size > 1 << 20:
            bad.append(f"the log grew to {size} bytes")
        if program.trouble():
            bad.insert(0, program.trouble())
        print(json.dumps({"bad": bad[:20], "count": len(bad), "seconds": round(took, 1), "memory": memory, "log": size, "upstream": sum(upstream.asked.values())}))
    finally:
        program.close()
        api.close()


if __name__ == "__main__":
    words = sys.argv[1:] or [str(PACKETS)]
    if os.environ.get("SEAWAY_WIRE") == "inside":
        inside()
        main(Path(os.environ["SEAWAY_WIRE_FOLDER"]), int(words[0]))
    else:
        print("".join(sibling(__file__, words)), end="")
