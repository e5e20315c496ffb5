"""What policies say of themselves: statuses.yaml, a case each; in whatever order the objects come, and once only."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import policyfields
import pytest
import yaml
from routingworld import CLUSTER_SCOPED, NOW, RESOURCES, World
from test_policy_fields import WORLD

from seaway.api.tree import copied, stamp
from seaway.gateway.statuses import merged
from seaway.routing.gateway.frontend import GATEWAY_API
from seaway.routing.ingress.frontend import INGRESS
from seaway.routing.policies.frontend import POLICIES

Tree = dict[str, Any]
CASES: list[Tree] = yaml.safe_load((Path(__file__).parent / "statuses.yaml").read_text())
GROUPS = {"Service": "", "Ingress": "networking.k8s.io", "IngressClass": "networking.k8s.io"}
CONTROLLERS = ("seaway.dev/gateway-controller", "seaway.dev/ingress-controller")


def target(text: str) -> Tree:
    kind, name, *section = text.split("/")
    found = {"group": GROUPS.get(kind, "gateway.networking.k8s.io"), "kind": kind, "name": name}
    return {**found, "sectionName": section[0]} if section else found


def policies(case: Tree) -> list[Tree]:
    found = []
    for i, (title, spec) in enumerate(case["policies"].items()):
        kind, _, name = title.partition("/")
        spec = copied(spec)
        refs = [target(t) for t in spec.pop("to")]
        namespace, created = spec.pop("namespace", "default"), spec.pop("created", stamp(NOW + 1000 + i))
        tree = policyfields.policy(kind, {}, {**spec, "targetRefs": refs})
        found.append(tree | {"metadata": {"name": name, "namespace": namespace, "creationTimestamp": created, "generation": 7}})
    return found


def world(case: Tree, shuffled: random.Random | None = None) -> World:
    objects = [copied(t) for t in (*WORLD, *case.get("world", ()), *policies(case))]
    for i, tree in enumerate(objects):
        tree["metadata"].setdefault("creationTimestamp", stamp(NOW + i))
    found = World([GATEWAY_API, POLICIES, INGRESS])
    if shuffled is not None:
        shuffled.shuffle(objects)
        for tree in objects:
            found.apply(tree)
            if shuffled.random() < 0.3:
                found.settle()
    return found.apply(*(objects if shuffled is None else ())).settle()


def said(found: World, case: Tree) -> dict[str, Any]:
    """name -> ancestor -> conditions, of the case's policies."""
    statuses: dict[str, Any] = {}
    for tree in policies(case):
        status = found.status(RESOURCES[tree["kind"]], tree["metadata"]["namespace"], tree["metadata"]["name"])
        assert status is not None
        entries = statuses[tree["metadata"]["name"]] = {}
        for entry in status.tree["ancestors"]:
            ref = entry["ancestorRef"]
            assert entry["controllerName"] in CONTROLLERS and ("namespace" in ref) == (ref["kind"] not in CLUSTER_SCOPED)
            assert all(c["observedGeneration"] == 7 for c in entry["conditions"])
            entries[f"{ref['kind']}/{ref['name']}"] = {
                c["type"]: f"{c['status']} {c['reason']}: {c['message']}" for c in entry["conditions"]
            }
    return statuses


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["about"])
def test_statuses_of_policies(case: Tree) -> None:
    found = said(world(case), case)
    for name, ancestors in case["want"].items():
        assert list(found[name]) == sorted(ancestors), (name, found[name])
        for ancestor, wanted in ancestors.items():
            there = found[name][ancestor]
            for kind, want in wanted.items():
                if want is None:
                    assert kind not in there, (name, there[kind])
                else:
                    head, _, part = want.partition(": ")
                    assert kind in there and there[kind].startswith(f"{head}: ") and part in there[kind], (name, kind, there)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["about"])
def test_statuses_and_what_is_done_do_not_hang_on_the_order(case: Tree) -> None:
    wanted = world(case)
    other = world(case, random.Random(case["about"]))
    assert said(other, case) == said(wanted, case)
    assert other.fleets == wanted.fleets


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["about"])
def test_statuses_settle_and_who_begins_anew_writes_nothing(case: Tree) -> None:
    """What was written is read back, and makes no other status; a second process finds all as it would say it."""
    found, objects = world(case), policies(case)
    for tree in objects:
        place = (RESOURCES[tree["kind"]], tree["metadata"]["namespace"], tree["metadata"]["name"])
        status = found.status(*place)
        assert status is not None
        patch = merged(status, tree, CONTROLLERS, "2026-01-01T00:00:00Z") or {}
        tree["status"] = patch
        assert merged(status, tree, CONTROLLERS, "2026-02-02T00:00:00Z") is None
    before = dict(found.statuses)
    found.statuses.clear()
    found.apply(*objects).settle()
    assert not found.statuses, "a status that was written is wanted anew"
    again = world(case)
    for tree in objects:
        place = (RESOURCES[tree["kind"]], tree["metadata"]["namespace"], tree["metadata"]["name"])
        assert again.statuses[place] == before[place]
        assert merged(again.statuses[place], tree, CONTROLLERS, "2026-03-03T00:00:00Z") is None


def test_no_more_ancestors_are_told_than_a_status_holds() -> None:
    gateways = [
        {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": f"g{i:02}"},
         "spec": {"gatewayClassName": "seaway", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}}
        for i in range(20)
    ]  # fmt: skip
    route = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "wide"},
             "spec": {"parentRefs": [{"name": f"g{i:02}"} for i in range(20)], "rules": [{}]}}  # fmt: skip
    case = {"world": [*gateways, route], "policies": {"BackendTrafficPolicy/a": {"to": ["HTTPRoute/wide"], "retry": {}}}}
    assert list(said(world(case), case)["a"]) == [f"Gateway/g{i:02}" for i in range(16)]


def test_a_message_names_the_first_policies_and_counts_the_others() -> None:
    routes = [
        {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": f"r{i:02}"},
         "spec": {"parentRefs": [{"name": "edge"}], "rules": [{}]}}
        for i in range(12)
    ]  # fmt: skip
    told = {f"BackendTrafficPolicy/p{i:02}": {"to": [f"HTTPRoute/r{i:02}"], "retry": {}} for i in range(12)}
    case = {"world": routes, "policies": {"BackendTrafficPolicy/a": {"to": ["Gateway/edge"], "retry": {}}, **told}}
    message = said(world(case), case)["a"]["Gateway/edge"]["Overridden"]
    assert message.count("retry is that of") == 8 and message.endswith("; and 4 more")


@pytest.mark.parametrize("seed", range(4))
def test_after_any_changes_all_is_as_if_it_had_begun_so(seed: int) -> None:
    """Policies of all cases, the objects that they are attached to and what they name come, go and change, some at a time."""
    chance = random.Random(seed)
    pool: dict[tuple[str, str, str], list[Tree]] = {}
    objects = [*WORLD, *(t for case in CASES for t in case.get("world", ())), *(p for case in CASES for p in policies(case))]
    for i, tree in enumerate(copied(t) for t in objects):
        meta = tree["metadata"]
        meta.setdefault("creationTimestamp", stamp(NOW + i % 40))
        pool.setdefault((tree["kind"], meta.get("namespace", "default"), meta["name"]), []).append(tree)
    there: dict[tuple[str, str, str], Tree] = {}
    found = World([GATEWAY_API, POLICIES, INGRESS])
    for step in range(400):
        place = chance.choice(list(pool))
        if place in there and chance.random() < 0.4:
            del there[place]
            found.delete(place[0], "" if place[0] in CLUSTER_SCOPED else place[1], place[2])
        else:
            there[place] = chance.choice(pool[place])
            found.apply(there[place])
        if chance.random() < 0.2:
            found.settle()
        if step % 100 == 99:
            found.settle()
            fresh = World([GATEWAY_API, POLICIES, INGRESS]).apply(*there.values()).settle()
            assert fresh.statuses == found.statuses
            assert fresh.fleets == found.fleets
