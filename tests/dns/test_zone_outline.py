"""What a worker knows by itself is what the zone would say: denials byte by byte, addresses, and nothing of what it must ask."""

from __future__ import annotations

import random

import pytest
import zonestates
from packets import ID, decoded, packet
from zonestates import content, event, put, questions, zone

from seaway.dns import wire
from seaway.dns.answer import image
from seaway.dns.settings import Kubernetes
from seaway.dns.wire import AD, CD, IN, NXDOMAIN, RD
from seaway.dns.zone.denials import Denials
from seaway.dns.zone.lookup import Zone
from seaway.dns.zone.outline import Outline
from seaway.dns.zone.store import Store

SETTINGS = Kubernetes(zones=(("cluster", "local"), ("other", "zone"), ("in-addr", "arpa"), ("ip6", "arpa")), pods="insecure")
NAMES = [wire.to_text(name) for name in questions()]
NAMES += ["x.cluster.local.", "www.example.com.other.zone.", "a.SVC.cluster.local.", "dns.cluster.local.", "x.dns-version.cluster.local."]
NAMES += ["Web.Red.svc.cluster.local.", "x.none.red.svc.other.zone.", "a.b.c.d.e.none.red.svc.cluster.local.", "none.red.svc.other.zone."]


def told(outline: Outline, made: Zone) -> None:
    """All names anew, as the control process tells them."""
    outline.replace([(key, made.plain_addresses(key)) for key in made.store.services], made.store.serial)


def service_of(name: bytes) -> tuple[bytes, ...]:
    """The Service that a denied name waits for; none where it is not below `svc`: no change can bring it."""
    labels = wire.labels_of(name)
    if b"svc" not in labels:
        return ()
    at = len(labels) - 1 - labels[::-1].index(b"svc")
    return (b"".join(bytes((len(one),)) + one for one in labels[at - 2 : at]),)


def agrees(outline: Outline, made: Zone) -> tuple[int, int, int]:
    """Holds everything that the outline says against the zone; how often it answered, was short, and asked."""
    answered = short = asked = 0
    denials = Denials(outline)
    for text in NAMES:
        name = wire.from_text(text)
        for kind in zonestates.TYPES:
            mine, whole = outline.answer(name, kind), made.answer(name, kind)
            if mine is None:
                asked += 1
            else:
                answered += 1
                assert content(mine, name) == content(whole, name), (text, kind)
                assert whole is not None
                # It ends with the same change; a denial with the Service's coming, whatever becomes of the namespace.
                assert mine.owners == (whole.owners if whole.rcode != NXDOMAIN else service_of(name))
            reply = denials.short(packet(text, kind, size=1232))
            if reply is not None:
                short += 1
                assert whole is not None
                assert whole.rcode == NXDOMAIN, text
    return answered, short, asked


@pytest.mark.parametrize("settings", [SETTINGS, Kubernetes(ignore_empty_service=True), Kubernetes(noendpoints=True)])
def test_the_outline_says_what_the_zone_says_after_any_change(settings: Kubernetes) -> None:
    chance = random.Random(3)
    store = Store()
    for _ in range(40):
        put(store, event(chance))
    made, outline = zone(store, settings), Outline(settings)
    told(outline, made)
    store.follow()
    for round in range(25):
        counted = agrees(outline, made)
        assert min(counted) > 0
        for _ in range(chance.randrange(1, 4)):
            put(store, event(chance))
        store.serial = round
        changes = store.take()
        outline.change([(key, made.plain_addresses(key)) for key in changes.come], changes.gone, store.serial)
        assert outline.services == {key: made.plain_addresses(key) for key in store.services}


def settled() -> tuple[Outline, Zone]:
    store = Store()
    put(store, ("namespace", ("red", True)))
    put(store, ("service", ("red", "web", {"clusterIP": "10.96.0.1"})))
    made, outline = zone(store, SETTINGS), Outline(SETTINGS)
    store.serial = 1700000000
    told(outline, made)
    return outline, made


DENIED = ["none.red.svc.cluster.local", "none.red.svcx.cluster.local", "x.cluster.local", "www.Example.org.red.svc.cluster.local", "a.svc.svc.cluster.local", "x.web.blue.svc.other.zone"]


@pytest.mark.parametrize("asked", DENIED)
@pytest.mark.parametrize("flags", [0, RD, RD | AD, RD | CD, RD | CD | AD])
@pytest.mark.parametrize(("size", "do"), [(0, False), (512, False), (1232, True), (65535, False)])
def test_a_short_denial_is_the_zones_letter_by_letter(asked: str, flags: int, size: int, do: bool) -> None:
    outline, made = settled()
    denials = Denials(outline)
    for kind in ("A", "AAAA", "SRV", "TXT", "HTTPS", 65280):
        data = packet(asked, kind, flags=flags, size=size, do=do)
        short = denials.short(data)
        query = wire.read(data)
        answer = made.answer(query.name, query.kind)
        assert short is not None
        assert answer is not None
        said, whole = decoded(ID + short), decoded(ID + image(query, answer, 512))
        assert said.to_text() == whole.to_text()
        assert denials.take() == {(data[-4 - (11 if size else 0) :][:2], len(data), len(short) + 2): 1}
        assert len(short) + 2 <= 512


def plain(asked: str, **more: object) -> bytes:
    return packet(asked, **more)  # type: ignore[arg-type]


LONG = [
    plain("web.red.svc.cluster.local"),
    plain("x.web.red.svc.cluster.local"),
    plain("WEB.RED.svc.cluster.local"),  # it is there, in whatever letters
    plain("red.svc.cluster.local"),
    plain("svc.cluster.local"),
    plain("none.red.svc.cluster.test"),
    plain("none.red.svc.cluster.local", kind="AXFR"),
    plain("none.red.svc.cluster.local", kind="IXFR"),
    plain("none.red.svc.cluster.local", cls=3),
    plain("none.red.svc.cluster.local", size=1232, options=b"\0\x0a\0\0"),
    plain("none.red.svc.cluster.local", flags=0x8000),
    plain("none.red.svc.cluster.local", flags=0x0900),
    plain("none.red.svc.cluster.local") + b"\0",
    plain("none.red.svc.cluster.local")[:-1],
    plain("none.red.svc.cluster.local", size=1232)[:-1],
    b"",
    ID,
    ID + wire.HEADER.pack(0, RD, 1, 0, 0, 0)[2:],
    # A label that holds what looks like the end of a name, and a name that is not at an end.
    ID + wire.HEADER.pack(0, RD, 1, 0, 0, 0)[2:] + b"\x17red\x03svc\x07cluster\x05local\0\x01a\0" + b"\0\1\0\1",
    ID + wire.HEADER.pack(0, RD, 1, 0, 0, 0)[2:] + b"\xc0\x0c\x03red\x03svc\x07cluster\x05local\0" + b"\0\1\0\1",
    # An unknown version of EDNS must be told so.
    ID + wire.HEADER.pack(0, RD, 1, 0, 0, 1)[2:] + b"\x04none\x03red\x03svc\x07cluster\x05local\0\0\1\0\1" + b"\0\0\x29\x04\xd0\0\1\0\0\0\0",
]


@pytest.mark.parametrize("data", LONG)
def test_all_else_takes_the_long_way(data: bytes) -> None:
    assert Denials(settled()[0]).short(data) is None


def test_nothing_is_denied_before_the_first_sync() -> None:
    outline = Outline(SETTINGS)
    assert Denials(outline).short(packet(DENIED[0])) is None
    assert outline.answer(wire.from_text(DENIED[0]), wire.A) is None


def test_denials_are_counted_by_type_and_size() -> None:
    outline, _ = settled()
    denials, another = Denials(outline), Denials(outline)
    data = packet(DENIED[0], "AAAA")
    for _ in range(3):
        denials.short(data)
    denials.short(packet("web.red.svc.cluster.local"))
    outline.change([], [], 7)  # what is forgotten has been counted
    denials.short(data)
    (told,) = denials.take().items()
    assert told[0][:2] == (b"\0\x1c", len(data))
    assert told[1] == 4
    assert not denials.take()
    assert not another.take(), "of another socket"


def test_no_bytes_are_denied_that_are_not_a_query_for_what_is_not_there() -> None:
    outline, made = settled()
    denials = Denials(outline)
    chance = random.Random(6)
    models = [packet(DENIED[0]), packet(DENIED[1], size=1232), packet("web.red.svc.cluster.local", size=4096, do=True)]
    denied = 0
    for _ in range(20_000):
        data = bytearray(chance.choice(models))
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(2, len(data))] = chance.choice((0, 1, 3, 4, 0x17, 0x3F, 0xC0, chance.randrange(256)))
        if chance.random() < 0.1:
            del data[chance.randrange(len(data)) :]
        short = denials.short(bytes(data))
        if short is None:
            continue
        denied += 1
        query = wire.read(bytes(data))  # raises where it is none
        assert query.cls == IN
        answer = made.answer(query.name, query.kind)
        assert answer is not None
        assert answer.rcode == NXDOMAIN
        if denied % 20 == 0:
            assert decoded(query.id + short).to_text() == decoded(query.id + image(query, answer, 1232)).to_text()
    assert denied > 1000
