"""Cases without a cluster: objects as an API server stores them go into the pure engine, and what statuses it wants are judged."""

from __future__ import annotations

import base64
import itertools
import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import casefile
import casestatuses
import yaml
from casefile import Played, Step, Tree
from caseobjects import filled
from routingworld import resource_of

from seaway.api.tree import Key, copied, stamp
from seaway.cluster.apiserver import structural
from seaway.routing.engine import Engine
from seaway.routing.fleets import Addresses, InForce
from seaway.routing.gateway.classes import CONTROLLER
from seaway.routing.gateway.frontend import GATEWAY_API
from seaway.routing.ingress.frontend import INGRESS
from seaway.routing.policies.frontend import POLICIES

INGRESS_CONTROLLER = "seaway.dev/ingress-controller"
CONTROLLERS = (CONTROLLER, "istio.io/gateway-controller")
WORDS = {
    "controller": CONTROLLER, "ingress-controller": INGRESS_CONTROLLER, "free": "203.0.113.9", "outside": "192.0.2.1",
    **{f"pod:{name}": f"10.1.0.{i}" for i, name in enumerate(("red", "blue", "green", "nobody", "keys"), 1)},
    **{f"pod6:{name}": f"fd00:10:1::{i}" for i, name in enumerate(("red", "blue", "green", "nobody", "keys"), 1)},
}
CLASS: Tree = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "seaway"},
               "spec": {"controllerName": CONTROLLER}}
INGRESS_CLASS: Tree = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "seaway"},
                       "spec": {"controller": INGRESS_CONTROLLER}}
BEGIN = 1_767_225_600.0
FLEETS = {"Gateway": "Gateway", "IngressClass": "IngressClass"}


@cache
def schemas() -> dict[str, structural.Structural]:
    """The schema of each kind of Gateway API, as the embedded cluster has it."""
    found = {}
    for file in sorted(Path(str(resources.files("seaway.deploy").joinpath("gatewayapi"))).glob("*.yaml")):
        tree = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
        stored = next(v for v in tree["spec"]["versions"] if v["storage"])
        found[tree["spec"]["names"]["kind"]] = structural.compiled(stored["schema"]["openAPIV3Schema"])
    return found


class Store:
    """What is stored, and an engine that is told of it. Time passes by a second with every object."""

    def __init__(self) -> None:
        self.engine = Engine((GATEWAY_API, POLICIES, INGRESS))
        self.engine.fact("controllers", value=CONTROLLERS)
        self.objects: dict[tuple[str, Key], Tree] = {}
        self._seconds = itertools.count(1)
        for namespace in ("default", "gateway-backends"):
            self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        self.apply(CLASS)
        self.apply(INGRESS_CLASS)

    def _key(self, tree: Tree) -> tuple[str, Key]:
        meta = tree["metadata"]
        return resource_of(tree["kind"]), Key(meta.get("namespace", "") if casefile.KINDS[tree["kind"]][2] else "", meta["name"])

    def apply(self, tree: Tree) -> None:
        tree = copied(tree)
        key = self._key(tree)
        old = self.objects.get(key)
        meta = tree["metadata"]
        meta["creationTimestamp"] = old["metadata"]["creationTimestamp"] if old else stamp(BEGIN + next(self._seconds))
        meta["uid"] = old["metadata"]["uid"] if old else f"uid-{len(self.objects)}"
        if tree["kind"] == "Namespace":
            meta["labels"] = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": meta["name"]}
        if "stringData" in tree:
            text = {k: base64.b64encode(v.encode()).decode() for k, v in tree.pop("stringData").items()}
            tree["data"] = {**tree.get("data", {}), **text}
        schema = schemas().get(tree["kind"])
        if schema is not None:
            schema.default(tree)
            wrong = schema.validate({k: v for k, v in tree.items() if k != "status"})
            assert not wrong, f"{tree['kind']} {meta['name']} would be refused: {[c.message for c in wrong]}"
        if old is not None:
            tree["status"] = old.get("status", tree.get("status", {}))
        changed = old is None or tree.get("spec") != old.get("spec")
        meta["generation"] = (old["metadata"]["generation"] if old else 0) + changed
        self._put(key, tree)

    def _put(self, key: tuple[str, Key], tree: Tree) -> None:
        self.objects[key] = tree
        self.engine.change(*key, tree)
        if tree["kind"] in FLEETS:
            fleet = (FLEETS[tree["kind"]], key[1].namespace, key[1].name)
            self.engine.fact("in force", *fleet, value=InForce(1))
            self.engine.fact("addresses", *fleet, value=Addresses((("IPAddress", "203.0.113.1"),)))

    def patch(self, what: str, namespace: str, patch: Tree) -> None:
        what, _, part = what.partition("#")
        key = self.named(what, namespace)
        tree = merged(self.objects[key], patch)
        if part:
            self._put(key, tree)
        else:
            self.apply(tree)

    def delete(self, what: str, namespace: str) -> None:
        key = self.named(what, namespace)
        del self.objects[key]
        self.engine.change(*key, None)

    def named(self, what: str, namespace: str) -> tuple[str, Key]:
        kind, _, name = what.partition("/")
        space, _, name = name.rpartition("/")
        return resource_of(kind), Key((space or namespace) if casefile.KINDS[kind][2] else "", name)

    def settle(self) -> None:
        """Statuses that are wanted become statuses that are stored."""
        changes = self.engine.settle()
        for failure in changes.failures.values():
            raise failure
        for resource, space, name in changes.released:  # as the process does: our entries of a list go, and an Ingress's address
            key = (resource, Key(space, name))
            if key in self.objects and resource == "ingresses":
                self.objects[key] = {**self.objects[key], "status": {}}
        for status in changes.statuses:
            key = (status.resource, Key(status.namespace, status.name))
            if key in self.objects:
                self.objects[key] = {**self.objects[key], "status": {**self.objects[key].get("status", {}), **status.tree}}


def merged(tree: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    found = dict(tree) if isinstance(tree, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value)
    return found


def play(played: Played) -> list[str]:
    """What is not as the case's statuses say, of every step."""
    store = Store()
    name, case = played.name, played.case
    world = casefile.world()
    words = casefile.wording(case, WORDS)
    for space in (name, "gateways"):
        store.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    for tree in (*casefile.made(world.case, "gateways", WORDS), *world.objects):
        store.apply(tree)
    for tree in casefile.placed([*casefile.made(case, name, words), *filled(list(played.objects), words)], name):
        store.apply(tree)
    found = _judge(store, name, case, words)
    for step in case.then:
        for what in step.delete:
            store.delete(what, name)
        for tree in casefile.placed([*casefile.made(step, name, words), *filled(step.apply, words)], name):
            store.apply(tree)
        for what, patch in step.patch.items():
            store.patch(what, name, filled(patch, words))
        found += [f"{step.about or 'then'}: {problem}" for problem in _judge(store, name, step, words)]
    return found


def _judge(store: Store, namespace: str, step: Any, words: dict[str, str]) -> list[str]:
    assert isinstance(step, (casefile.Case, Step))
    store.settle()
    found: list[str] = []
    for status in step.statuses:
        wanted = casestatuses.judged(filled(status, words), namespace)
        stored = store.objects.get(store.named(status["of"], namespace))
        found += casestatuses.problems(wanted, json.loads(json.dumps(stored)), CONTROLLERS)
    return found
