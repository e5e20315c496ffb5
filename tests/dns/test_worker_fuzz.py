"""Whatever comes in, a worker goes on: nothing raises, no answer is answered, no reply is longer than what was allowed."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from packets import ID, packet
from workerbench import Bench
from zonestates import event

from seaway.dns import wire
from seaway.dns.settings import AccessRule, Autopath, Block, Cache, Forward, Hosts, Kubernetes, Rewrite, Upstream
from seaway.dns.wire import HEADER, RD

KUBERNETES = Kubernetes(pods="verified", fallthrough=(("in-addr", "arpa"), ("ip6", "arpa")))
PLAIN = Block(kubernetes=KUBERNETES, forwards=(Forward(upstreams=(Upstream("192.0.2.53"),)),), cache=Cache(prefetch=2), loadbalance=True)
BLOCKS = {
    "plain": PLAIN,
    "stale": replace(PLAIN, cache=Cache(serve_stale=60, prefetch=1), minimal=True, bufsize=512),
    "all plugins": replace(
        PLAIN,
        autopath=Autopath(),
        hosts=Hosts(file="", rows=("192.0.2.7 a.test *.b.test", "2001:db8::7 a.test"), fallthrough=((),)),
        rewrites=(
            Rewrite("name", "regex", r"(.*)\.x\.test\.", "{1}.red.svc.cluster.local.", answer_auto=True),
            Rewrite("name", "suffix", ".y.test.", ".z.test.", stop=False, answer_auto=True),
            Rewrite("ttl", "suffix", "test.", "7-9"),
        ),
        access=(AccessRule("block", types=("TXT",)), AccessRule("drop", networks=("10.6.0.0/16",))),
    ),
}
ASKED = (
    "web.red.svc.cluster.local", "db.blue.svc.cluster.local", "a.web.red.svc.cluster.local", "_http._tcp.web.red.svc.cluster.local",
    "1.0.96.10.in-addr.arpa", "9.9.9.9.in-addr.arpa", "www.test.red.svc.cluster.local", "cluster.local", "ns.dns.cluster.local",
    "dns-version.cluster.local", "10-244-0-1.red.pod.cluster.local", "www.test", "a.test", "q.b.test", "web.x.test", "w.y.test", ".",
)  # fmt: skip
TYPES = ("A", "AAAA", "SRV", "PTR", "TXT", "CNAME", "SOA", "NS", "ANY", "MX", "AXFR", 65280)
ANSWERS = (
    ("60 A 192.0.2.1", "60 A 192.0.2.2"), ("1 A 192.0.2.1",), ("NXDOMAIN", "SOA 60 9"), ("NOERROR",), ("SERVFAIL",), ("REFUSED",),
    ("nothing",), ("3600 MX 10 mx.www.test.", "3600 MX 20 other."), ("30 CNAME web.red.svc.cluster.local.",),
    tuple(f"60 A 198.51.100.{i}" for i in range(100)),
)  # fmt: skip


def mutated(chance: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(chance.choice((0, 0, 0, 1, 2, 5))):
        out[chance.randrange(len(out))] = chance.choice((0, 1, 0x29, 0x3F, 0x80, 0xC0, 0xFF, chance.randrange(256)))
    if chance.random() < 0.05:
        del out[chance.randrange(len(out) + 1) :]
    return bytes(out)


@pytest.mark.parametrize("kind", BLOCKS)
def test_a_worker_goes_on_whatever_comes_in(kind: str) -> None:
    chance = random.Random(kind)
    worker = Bench(BLOCKS[kind], events=tuple(event(chance) for _ in range(40)), limit=200)
    replies = asked = 0
    for _ in range(3000):
        match chance.randrange(20):
            case 0:
                worker.passed(chance.choice((0.01, 0.5, 1.0, 30.0)))
            case 1 | 2:
                worker.change(event(chance))
            case 3 | 4 | 5:
                if worker.waiting:
                    asked += 1
                    worker.tell(*chance.choice(ANSWERS), tc=chance.random() < 0.1)
            case _:
                data = packet(
                    chance.choice(ASKED), chance.choice(TYPES), flags=chance.choice((RD, 0, RD | wire.CD)),
                    size=chance.choice((0, 0, 512, 1232, 4096)), do=chance.random() < 0.3,
                )  # fmt: skip
                data = mutated(chance, data)
                worker.sock.inbox.append((data, (chance.choice(("10.0.0.1", "10.0.0.2", "10.6.0.1")), 4000)))
                worker.face.readable()
        for reply, _ in worker.sock.sent:
            replies += 1
            assert reply[2] & 0x80
            assert 12 <= len(reply) <= (512 if kind == "stale" else 1232)
            assert walked(reply) == len(reply), "counts and bytes agree"
        worker.sock.sent.clear()
    assert replies > 1000
    assert asked > 100
    assert worker.number("panics") == 0
    # Nothing that is asked is forgotten, and nothing stays.
    while worker.waiting:
        worker.tell("nothing")
    worker.passed(1)
    assert worker.engine.running == {}


def walked(reply: bytes) -> int:
    _, _, questions, an, ns, ar = HEADER.unpack_from(reply)
    at = 12
    for _ in range(questions):
        at = wire.skip_name(reply, at) + 4
    for _ in range(an + ns + ar):
        at = wire.skip_name(reply, at)
        at += 10 + wire.FIXED.unpack_from(reply, at)[3]
    return at


def test_an_answer_is_never_answered() -> None:
    worker = Bench(PLAIN)
    chance = random.Random(1)
    for _ in range(2000):
        data = bytearray(mutated(chance, packet(chance.choice(ASKED), chance.choice(TYPES), size=1232)))
        if len(data) > 2:
            data[2] |= 0x80
        worker.sock.inbox.append((bytes(data), ("10.0.0.1", 53)))
        worker.face.readable()
    assert worker.sock.sent == []
    assert worker.waiting == []
    assert worker.number("ignored") == 2000


def test_above_the_limit_nothing_is_said_to_answers_either() -> None:
    worker = Bench(PLAIN, limit=1)
    for data in (packet("www.test"), packet("www.test"), packet("www.test", flags=0x8000), ID):
        worker.sock.inbox.append((data, ("10.0.0.1", 53)))
    worker.face.readable()
    assert [reply[3] & 15 for reply, _ in worker.sock.sent] == [wire.REFUSED]
