"""Autopath gives a resolver the addresses that it would have found itself: glibc and musl as models, asked with it and without it.

What must hold for that:
- The search path is `<namespace>.svc.<zone>`, `svc.<zone>`, `<zone>`, then the domains of the server's own resolv.conf, and it is
  gone through from its first entry on (ndots above the dots of the name, as with a pod's ndots:5).
- A name is there for all types or for none (RFC 8020): A and AAAA are walked apart and must end at the same name.
- No namespace is called like the last label of an outside name that is not there (`com`), or the second entry of the path would
  look like the first of a pod of that namespace.
- For musl: no answer on the way fails, since it gives up then, where the walk goes on as glibc does."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable

import pytest
import zonestates
from zonestates import event, put, zone

from seaway.dns import wire
from seaway.dns.answer import Answer, failure, of_records, wire_records
from seaway.dns.resolving.blocks import Blocks, Plan
from seaway.dns.resolving.course import AskUpstream, AskZone, Question, course
from seaway.dns.settings import Autopath, Block, Forward, Kubernetes, Upstream
from seaway.dns.wire import AAAA, CNAME, FIXED, NOERROR, NXDOMAIN, SERVFAIL, TO_QUESTION, A
from seaway.dns.zone.lookup import Zone
from seaway.dns.zone.outline import Outline
from seaway.dns.zone.store import Store

SETTINGS = Kubernetes(zones=(("cluster", "local"), ("in-addr", "arpa"), ("ip6", "arpa")), pods="insecure")
CORP = "corp.test."
# What programs ask for: names of the cluster, short and long, names outside, and some that are both.
ASKED = (
    "web", "db", "none", "web.red", "db.blue", "web.red.svc", "none.blue", "web.red.svc.cluster.local", "red", "a.web",
    "10-244-0-1.red.pod", "www", "www.example.test", "gone.example.test", "www.red", "web.example", "a.b.c.example.test",
    "_http._tcp.web", "svc", "mail.svc", "www.example.test.svc",
)  # fmt: skip
Known = dict[bytes, Callable[[int], Answer]]


class World:
    """A cluster, what is outside it, and a server between them."""

    def __init__(self, store: Store, outside: Known, autopath: bool) -> None:
        self.zone: Zone = zone(store, SETTINGS)
        self.outside, self.asked = outside, 0
        outline = Outline(SETTINGS)
        outline.replace([(key, self.zone.plain_addresses(key)) for key in store.services], 1)
        block = Block(kubernetes=SETTINGS, autopath=Autopath() if autopath else None, forwards=(Forward(upstreams=(Upstream("192.0.2.53"),)),))
        self.plan = Plan(block, outline)
        self.plan.searches = (wire.from_text(CORP),)
        self.blocks = Blocks((self.plan,))

    def ask(self, text: str, kind: int) -> Answer:
        """One query of a client."""
        self.asked += 1
        way = course(self.blocks, self.plan, Question(wire.from_text(text), kind))
        told: Answer | None = None
        try:
            while True:
                need = way.send(told)
                if isinstance(need, AskZone):
                    told = self.zone.answer(need.name, need.kind)
                else:
                    assert isinstance(need, AskUpstream)
                    name = need.question.name
                    told = self.outside[name](need.question.kind) if name in self.outside else failure(NXDOMAIN)
        except StopIteration as done:
            answer = done.value
        assert isinstance(answer, Answer)
        return answer


def addresses(answer: Answer, text: str) -> set[str]:
    found = set()
    for record in wire_records(answer, wire.from_text(text)):
        at = wire.skip_name(record, 0)
        if FIXED.unpack_from(record, at)[0] in (A, AAAA):
            found.add(str(ipaddress.ip_address(record[at + 10 :])))
    return found


def searched(asked: str, namespace: str) -> list[str]:
    """ndots is above the dots of all names here: the path first, the name as it is last."""
    path = (f"{namespace}.svc.cluster.local.", "svc.cluster.local.", "cluster.local.", CORP)
    return [*(f"{asked}.{domain}" for domain in path), f"{asked}."]


def glibc(world: World, asked: str, namespace: str) -> set[str]:
    """res_search of glibc for getaddrinfo with AF_UNSPEC: both types of a name at once; what is not there, has no address or
    fails is passed by."""
    for text in searched(asked, namespace):
        answers = [world.ask(text, kind) for kind in (A, AAAA)]
        if any(a.rcode == NOERROR and a.counts[0] for a in answers):
            found = set().union(*(addresses(a, text) for a in answers if a.rcode == NOERROR))
            if found:
                return found
    return set()


def musl(world: World, asked: str, namespace: str) -> set[str] | str:
    """name_from_dns_search of musl: only a name that is not there leads on."""
    for text in searched(asked, namespace):
        answers = [world.ask(text, kind) for kind in (A, AAAA)]
        found = set().union(*(addresses(a, text) for a in answers))
        if found:
            return found
        if answers[0].rcode != NXDOMAIN:
            return "no data" if answers[0].rcode == NOERROR else "fails"
    return set()


def outside(chance: random.Random, failing: bool) -> Known:
    """Some of the names that could be asked for, each with its own addresses."""
    names = [f"{x}." for x in ASKED] + [f"{x}.{CORP}" for x in ASKED] + ["example.", "mail.", "b.c."]
    found: Known = {}
    for number, text in enumerate(names):
        kind = chance.choice(("gone", "gone", "v4", "v6", "both", "alias", "empty", *(("failing",) if failing else ())))
        if kind != "gone":
            found[wire.from_text(text)] = holder(kind, number)
    return found


def holder(kind: str, number: int) -> Callable[[int], Answer]:
    v4, v6 = bytes((198, 51, 100, number)), ipaddress.ip_address(f"2001:db8::{number:x}").packed

    def answer(asked: int) -> Answer:
        if kind == "failing":
            return failure(SERVFAIL)
        rows = [wire.address(v4, 60)] if asked == A and kind in ("v4", "both", "alias") else []
        rows += [wire.address(v6, 60)] if asked == AAAA and kind in ("v6", "both") else []
        if kind == "alias" and asked in (A, AAAA):
            end = b"\x03cdn\x04test\0"
            rows = [wire.record(TO_QUESTION, CNAME, 60, end), *(wire.address(v4, 60, end) for _ in rows)]
        return of_records(0, rows)._replace(until=90.0)

    return answer


def cluster(chance: random.Random) -> Store:
    store = Store()
    for namespace in (*zonestates.NAMESPACES, "green"):
        store.put_namespace(namespace, True)
    for _ in range(30):
        one = event(chance)
        if one[0] != "namespace":
            put(store, one)
    return store


@pytest.mark.parametrize("seed", range(6))
def test_glibc_finds_the_same_addresses_with_autopath(seed: int) -> None:
    chance = random.Random(seed)
    store, known = cluster(chance), outside(chance, failing=True)
    found = saved = 0
    for asked in ASKED:
        for namespace in ("red", "blue", "green"):
            without, walked = World(store, known, False), World(store, known, True)
            itself = glibc(without, asked, namespace)
            assert glibc(walked, asked, namespace) == itself, (asked, namespace)
            assert walked.asked <= without.asked
            found += bool(itself)
            saved += without.asked - walked.asked
    assert found > 20
    assert saved > 50


@pytest.mark.parametrize("seed", range(6, 10))
def test_musl_finds_the_same_addresses_with_autopath(seed: int) -> None:
    chance = random.Random(seed)
    store, known = cluster(chance), outside(chance, failing=False)
    found = 0
    for asked in ASKED:
        for namespace in ("red", "blue", "green"):
            itself = musl(World(store, known, False), asked, namespace)
            assert musl(World(store, known, True), asked, namespace) == itself, (asked, namespace)
            found += bool(itself)
    assert found > 20


def test_an_outside_name_takes_one_question_of_each_type() -> None:
    store = Store()
    store.put_namespace("red", True)
    world = World(store, {wire.from_text("www.example.test"): holder("both", 1)}, True)
    assert glibc(world, "www.example.test", "red") == {"198.51.100.1", "2001:db8::1"}
    assert world.asked == 2


def walks(asked: str, known: str) -> bool:
    store = Store()
    store.put_namespace("red", True)
    put(store, ("service", ("red", "web", {"clusterIP": "10.96.0.1"})))
    world = World(store, {wire.from_text(known): holder("both", 1)}, True)
    return world.ask(asked, A).rcode == NOERROR


@pytest.mark.parametrize(
    ("asked", "known", "walked"),
    [
        ("www.test.red.svc.cluster.local", "www.test", True),
        ("www.test.red.svc.cluster.local", "www.test.corp.test", True),
        # One label alone: `www.red` asked by a pod of another namespace looks just so at the second entry of its path.
        ("www.red.svc.cluster.local", "www", False),
        # No pod is in a namespace that is not there.
        ("www.test.none.svc.cluster.local", "www.test", False),
        # Below a Service that is there, ports, and names that no path has at its beginning.
        ("a.web.red.svc.cluster.local", "a.web", False),
        ("_http._tcp.none.red.svc.cluster.local", "_http._tcp.none", False),
        ("www.test.cluster.local", "www.test", False),
        ("www.test.red.pod.cluster.local", "www.test", False),
        ("www.test.svc.cluster.local", "www.test", False),
    ],
)
def test_what_is_walked_looks_like_the_first_question_of_a_pod(asked: str, known: str, walked: bool) -> None:
    assert walks(asked, known) is walked


def test_other_types_are_not_walked() -> None:
    store = Store()
    store.put_namespace("red", True)
    world = World(store, {wire.from_text("www.test"): holder("both", 1)}, True)
    assert world.ask("www.test.red.svc.cluster.local", wire.TXT).rcode == NXDOMAIN


def test_what_was_found_ends_with_the_service_that_would_have_been_found_first() -> None:
    store = Store()
    store.put_namespace("red", True)
    world = World(store, {wire.from_text("www.example.test"): holder("v4", 1)}, True)
    found = world.ask("www.example.test.red.svc.cluster.local", A)
    empty = world.ask("www.example.test.red.svc.cluster.local", AAAA)
    for answer in (found, empty):
        assert b"\x04test\x03red" in answer.owners, "test.red, whose name this one is below"
        assert b"\x07example\x04test" in answer.owners, "example.test.svc, the second of the path"
        assert b"/red" in answer.owners
        assert answer.until == 90.0
    assert (empty.rcode, empty.counts[0]) == (NOERROR, 0)
