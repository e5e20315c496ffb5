"""Whatever happens to objects, in whatever order: an engine that has followed it holds what a new one makes of the end.

`KINDS` has what changes: a kind a row. A front end's objects come in by a row of their own."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Sequence

import pytest
from ingressobjects import endpoints, ingress, ingress_class, secret, service
from routingworld import AUTHORITY, FleetWorld, World

from seaway.api.tree import Tree
from seaway.routing.engine import FrontEnd
from seaway.routing.ingress.annotations import PREFIX
from seaway.routing.ingress.frontend import INGRESS
from seaway.routing.ir import Forward

FRONT_ENDS: Sequence[FrontEnd] = (INGRESS,)
HOSTS = ["", "a.example.com", "b.example.com", "*.example.com", "x.a.example.com", "*.a.example.com"]
PATHS = ["/", "/x", "/x/y", "/x/"]
SPACES = ["one", "two"]
SERVICES = ["s", "t", "u"]
ANNOTATIONS = {
    "ssl-redirect": ["false", "true", "odd"],
    "rewrite-target": ["/x", "/$1"],
    "use-regex": ["true"],
    "canary": ["true"],
    "canary-weight": ["30"],
    "server-alias": ["b.example.com", "c.example.com,x.a.example.com"],
    "from-to-www-redirect": ["true"],
    "auth-tls-secret": ["ca", "one/ca", "none"],
    "ssl-passthrough": ["true", "true", "false"],
    "backend-protocol": ["GRPC", "HTTPS", "AUTO_HTTP"],
    "proxy-ssl-secret": ["ca", "c"],
    "proxy-ssl-verify": ["on"],
    "service-upstream": ["true"],
    "default-backend": ["u"],
    "auth-url": ["http://s.one.svc/x", "http://t.two.svc:81/x", "https://auth.example.org/"],
    "mirror-target": ["http://u.one.svc", "http://s.two.svc:81"],
    "load-balance": ["round_robin"],
    "app-root": ["/x"],
}


def an_ingress(chance: random.Random) -> Tree:
    hosts = chance.sample(HOSTS, chance.randrange(3))
    rules = [
        (
            h,
            chance.choice(PATHS),
            f"{chance.choice(SERVICES)}:{chance.choice(['80', 'web', '81'])}",
            chance.choice(KINDS_OF_PATHS),
        )
        for h in hosts
        for _ in range(chance.randrange(1, 3))
    ]
    more: Tree = {"cls": chance.choice(["seaway", "seaway", "beta", "other", None])}
    if not rules or chance.random() < 0.3:
        more["default"] = chance.choice(SERVICES)
    if chance.random() < 0.5:
        names = [h for h in HOSTS if h]
        entry = tuple(chance.sample(names, chance.randrange(3)))
        more["tls"] = [(entry, chance.choice(["c", "d", "none", ""]))]
    if chance.random() < 0.5:
        chosen = chance.sample(sorted(ANNOTATIONS), chance.randrange(1, 4))
        more["annotations"] = {PREFIX + name: chance.choice(ANNOTATIONS[name]) for name in chosen}
    created = f"2026-01-01T00:00:{chance.randrange(20):02}Z"  # some as old as others
    return ingress(f"i{chance.randrange(6)}", *rules, namespace=chance.choice(SPACES), created=created, **more)


def a_class(chance: random.Random) -> Tree:
    name = chance.choice(["seaway", "beta", "other"])
    controller = "example.com/other" if name == "other" else "seaway.dev/ingress-controller"
    where = {"kind": "ConfigMap", "name": "envoys", "namespace": "one"}
    more = {"parameters": where} if chance.random() < 0.5 else {}
    stamp = f"2026-01-01T00:00:0{chance.randrange(3)}Z"
    return ingress_class(name, controller, default=chance.random() < 0.4, creationTimestamp=stamp, **more)


def a_service(chance: random.Random) -> Tree:
    namespace, name = chance.choice(SPACES), chance.choice(SERVICES)
    if chance.random() < 0.2:
        return service(
            name, namespace=namespace, type="ExternalName", externalName=chance.choice(["a.org", "localhost"])
        )
    protocol = chance.choice([{}, {"appProtocol": "kubernetes.io/h2c"}, {"appProtocol": "https"}])
    return service(name, {"name": "web", "port": chance.choice([80, 81]), **protocol}, namespace=namespace)


def a_slice(chance: random.Random) -> Tree:
    addresses = [f"10.0.0.{i}" for i in chance.sample(range(5), chance.randrange(4))]
    return endpoints(chance.choice(SERVICES), *addresses, namespace=chance.choice(SPACES), name="web")


def a_secret(chance: random.Random) -> Tree:
    tree = secret(chance.choice("cd"), chance.choice(["a.example.com", "*.example.com"]), chance.choice(SPACES))
    if chance.random() < 0.2:
        tree["metadata"]["annotations"], tree["data"] = {}, {"tls.crt": "eA=="}
    return tree


def a_map(chance: random.Random) -> Tree:
    data = {"defaultCertificate": chance.choice(["one/c", "two/d", "odd"])}
    if chance.random() < 0.3:
        data["tcpServices"] = chance.choice(["one/streams", "two/streams"])
    return {"kind": "ConfigMap", "metadata": {"name": "envoys", "namespace": "one"}, "data": data}


def some_streams(chance: random.Random) -> Tree:
    ports = chance.sample(["9000", "9001", "80", "x"], chance.randrange(3))
    data = {p: f"{chance.choice(SPACES)}/{chance.choice(SERVICES)}:{chance.choice(['web', '80:PROXY'])}" for p in ports}
    name, namespace = chance.choice([("tcp-services", "seaway-system"), ("streams", "one"), ("streams", "two")])
    return {"kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def an_authority(chance: random.Random) -> Tree:
    data = {"ca.crt": base64.b64encode(chance.choice([AUTHORITY.pair.certificate, b"odd"])).decode()}
    return {"kind": "Secret", "metadata": {"name": "ca", "namespace": chance.choice(SPACES)}, "data": data}


KINDS_OF_PATHS = ["Prefix", "Prefix", "Exact", "ImplementationSpecific"]
KINDS: list[tuple[int, Callable[[random.Random], Tree]]] = [
    (8, an_ingress),
    (2, a_class),
    (3, a_service),
    (3, a_slice),
    (2, a_secret),
    (1, a_map),
    (1, some_streams),
    (1, an_authority),
]


def step(chance: random.Random, world: World) -> None:
    """One change: an object made or changed, or one that is there removed."""
    (make,) = chance.choices([k for _, k in KINDS], [w for w, _ in KINDS])
    if world.objects and chance.random() < 0.25:
        tree = world.objects[chance.choice(sorted(world.objects))]
        world.delete(tree["kind"], tree["metadata"].get("namespace", ""), tree["metadata"]["name"])
    else:
        world.apply(make(chance))


def again(world: World, chance: random.Random) -> World:
    """A new engine, told of the objects that are there, in any order."""
    fresh = World(FRONT_ENDS)
    trees = list(world.objects.values())
    chance.shuffle(trees)
    return fresh.apply(*trees).settle()


def sound(held: FleetWorld) -> None:
    """Nothing refers to what is not there, and no server name chooses two chains."""
    for socket in held.sockets.values():
        names = [n for chain in socket.chains for n in chain.names or ("",)]
        assert len(names) == len(set(names))
        for chain in socket.chains:
            assert chain.tls is None or set(chain.tls.certificates) <= held.certificates.keys()
            if chain.tls is not None and chain.tls.client is not None:
                assert chain.tls.client.trust in held.trusts
            if chain.stream is not None:
                assert {t.cluster for t in chain.stream.targets} <= held.clusters.keys()
    for host in (h for table in held.hosts.values() for h in table.values()):
        for rule in host.rules:
            if isinstance(rule.action, Forward):
                assert {t.cluster for t in rule.action.targets if t.cluster} <= held.clusters.keys()
                assert {m.cluster for m in rule.action.mirrors} <= held.clusters.keys()
    assert {n for n, c in held.clusters.items() if not c.external} == held.endpoints.keys()


@pytest.mark.parametrize("seed", range(12))
def test_what_was_followed_is_what_is_made_anew(seed: int) -> None:
    chance = random.Random(seed)
    world = World(FRONT_ENDS)
    for _ in range(40):
        for _ in range(chance.choice([1, 1, 2, 5])):
            step(chance, world)
        world.settle()
        fresh = again(world, chance)
        assert world.fleets.keys() == fresh.fleets.keys()
        for fleet, held in fresh.fleets.items():
            assert vars(world.fleets[fleet]) == vars(held), fleet
            sound(held)
        assert world.specs == fresh.specs
        assert world.statuses == fresh.statuses


@pytest.mark.parametrize("seed", range(3))
def test_when_all_is_gone_nothing_is_kept(seed: int) -> None:
    chance = random.Random(seed)
    world = World(FRONT_ENDS)
    for _ in range(100):
        step(chance, world)
        world.settle()
    for tree in list(world.objects.values()):
        world.delete(tree["kind"], tree["metadata"].get("namespace", ""), tree["metadata"]["name"])
    world.settle()
    assert not world.fleets and not world.specs and not world.engine.memo._nodes
    for held in (world.engine._fleets, world.engine._held, world.engine._users, world.engine._moved):
        assert not held
    assert not any(world.engine._listed.values())
