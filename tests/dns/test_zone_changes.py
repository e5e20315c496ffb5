"""The cluster's names are never stale: what a change makes another answer of is named by it, whatever changes in whatever order."""

from __future__ import annotations

import random

import pytest
import zonestates
from zonestates import content, event, final, put, questions, zone

from seaway.dns.answer import Answer
from seaway.dns.settings import Kubernetes
from seaway.dns.wire import PTR, labels_of, reverse_name
from seaway.dns.zone.store import Changes, Store
from seaway.services.resolve import SERVICE_NAME

REVERSE = (("in-addr", "arpa"), ("ip6", "arpa"))
ZONES = (("cluster", "local"), *REVERSE)
OPTIONS = {
    "default": Kubernetes(zones=ZONES),
    "pods insecure": Kubernetes(zones=ZONES, pods="insecure"),
    "pods verified, pod names": Kubernetes(zones=ZONES, pods="verified", endpoint_pod_names=True),
    "no endpoints": Kubernetes(zones=ZONES, noendpoints=True),
    "empty Services ignored": Kubernetes(zones=ZONES, ignore_empty_service=True),
}
ASKED = [(name, kind) for name in questions() for kind in zonestates.TYPES]


def service_of(name: bytes) -> bytes | None:
    """The Service whose coming and going a worker itself holds against a name."""
    labels = labels_of(name)
    if labels[-3:] != [b"svc", b"cluster", b"local"] or len(labels) < 5:
        return None
    return b"".join(bytes((len(one),)) + one for one in labels[-5:-3])


def answers(store: Store, settings: Kubernetes) -> list[Answer | None]:
    made = zone(store, settings)
    return [made.answer(name, kind) for name, kind in ASKED]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_store_that_was_changed_answers_as_one_built_anew(options: str) -> None:
    settings, chance = OPTIONS[options], random.Random(options)
    for _ in range(3):
        events = [event(chance) for _ in range(chance.randrange(20, 60))]
        changed, anew = Store(), Store()
        for one in events:
            put(changed, one, settings.endpoint_pod_names)
        for one in final(events):
            put(anew, one, settings.endpoint_pod_names)
        for (name, kind), first, second in zip(ASKED, answers(changed, settings), answers(anew, settings), strict=True):
            assert content(first, name) == content(second, name), (name, kind)


@pytest.mark.parametrize("options", OPTIONS)
def test_no_answer_changes_without_its_owner_being_named(options: str) -> None:
    settings, chance = OPTIONS[options], random.Random(options)
    differed = 0
    for _ in range(2):
        store = Store()
        for _ in range(40):
            put(store, event(chance), settings.endpoint_pod_names)
        store.follow()
        before = answers(store, settings)
        for _ in range(30):
            for _ in range(chance.choice((1, 1, 1, 3))):
                put(store, event(chance), settings.endpoint_pod_names)
            changes, after = store.take(), answers(store, settings)
            for (name, kind), old, new in zip(ASKED, before, after, strict=True):
                if old != new and content(old, name) != content(new, name):
                    differed += 1
                    assert is_void(old, name, changes), (name, kind, old, new)
            before = after
    assert differed > 100


def is_void(old: Answer | None, name: bytes, changes: Changes) -> bool:
    assert old is not None
    return bool(changes.owners.intersection(old.owners)) or service_of(name) in changes.come | changes.gone


def test_what_changes_nothing_names_nothing() -> None:
    chance = random.Random(2)
    store = Store()
    events = [event(chance) for _ in range(60)]
    for one in events:
        put(store, one)
    store.follow()
    for one in final(events):
        put(store, one)
    assert not store.take()


def test_the_services_that_came_and_went_are_those_between_two_looks() -> None:
    chance = random.Random(9)
    store = Store()
    store.follow()
    known: set[bytes] = set()
    for _ in range(200):
        for _ in range(chance.randrange(1, 6)):
            put(store, event(chance))
        changes = store.take()
        known = (known - changes.gone) | changes.come
        assert known == set(store.services)
        assert changes.come | changes.gone <= changes.owners


def test_work_and_memory_follow_what_is_there() -> None:
    """Nothing of an object is left when it has gone."""
    chance = random.Random(4)
    store = Store()
    for _ in range(500):
        put(store, event(chance))
    for name in list(store.slices):
        store.put_slice(name, None)
    for key in list(store.services):
        store.put_service(key, None)
    for uid, pairs in list(store._of_pod.items()):
        store.put_pod(uid, pairs[0][0], ())
    for name in list(store.namespaces):
        store.put_namespace(name, False)
    for one in (store.services, store.slices, store.pods, store._of_pod, store._by_service, store._by_address, store._prefixes):
        assert not one


def test_a_pod_that_takes_anothers_address_takes_its_pointer() -> None:
    settings = OPTIONS["pods verified, pod names"]
    store, made = Store(), {"metadata": {"namespace": "red", "labels": {SERVICE_NAME: "web"}}, "addressType": "IPv4"}
    endpoint = {"addresses": ["10.244.0.1"], "targetRef": {"kind": "Pod", "name": "web-1"}}
    put(store, ("namespace", ("red", True)))
    put(store, ("service", ("red", "web", {"clusterIP": "None"})))
    put(store, ("slice", ("red/web-x", {**made, "endpoints": [endpoint]})))
    store.follow()
    name = reverse_name(b"\x0a\xf4\0\1")
    before = zone(store, settings).answer(name, PTR)
    put(store, ("slice", ("red/web-x", {**made, "endpoints": [{**endpoint, "targetRef": {"kind": "Pod", "name": "web-2"}}]})))
    after = zone(store, settings).answer(name, PTR)
    assert before is not None
    assert after is not None
    assert (b"\x05web-1" in before.body, b"\x05web-2" in after.body) == (True, True)
    assert is_void(before, name, store.take())
