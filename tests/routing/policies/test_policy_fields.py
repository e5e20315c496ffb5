"""Each field of the policies: what comes of it (fields/KIND.out.yaml; `GOLDEN=1 pytest -k golden` rewrites it, a person reads the
difference), and that what the API server refuses is refused here too, for the same field."""

from __future__ import annotations

import base64
import os
import re
from typing import Any

import policyfields
import pytest
import yaml
from routingtext import plain
from routingworld import AUTHORITY, World, read

from seaway.api.tree import copied
from seaway.routing.gateway.frontend import GATEWAY_API
from seaway.routing.ingress.frontend import INGRESS
from seaway.routing.policies import schemas
from seaway.routing.policies.frontend import POLICIES
from seaway.routing.policies.targets import KINDS

Tree = dict[str, Any]
RESOURCES = {kind: resource for resource, kind in KINDS.items()}
CA = AUTHORITY.pair.certificate
WORLD = [
    *read(policyfields.FOLDER / "world.yaml"),
    {"kind": "ConfigMap", "metadata": {"name": "clients"}, "data": {"ca.crt": CA.decode()}},
    {"kind": "Secret", "metadata": {"name": "clients"}, "data": {"ca.crt": base64.b64encode(CA).decode()}},
]


def world(*policies: Tree) -> World:
    return World([GATEWAY_API, POLICIES, INGRESS]).apply(*WORLD, *policies).settle()


def programmed(found: World) -> dict[str, Any]:
    """What stands where, as YAML can say it: rules by host and path, clusters, chains."""
    said: dict[str, Any] = {}
    for fleet, held in sorted(found.fleets.items()):
        where = "edge" if fleet.kind == "Gateway" else "ingress"
        for table, hosts in held.hosts.items():
            for host in hosts.values():
                for rule in host.rules:
                    said[f"{where} {table} {host.domain}{rule.match.path.value}"] = plain(rule)
        for socket in held.sockets.values():
            for chain in socket.chains:
                said[f"{where} {socket.name} {chain.name}"] = plain(chain)
        for cluster in held.clusters.values():
            said[f"{where} cluster {cluster.name}"] = plain(cluster)
    return said


def differences(before: Any, after: Any) -> Any:
    """What is there now and was not, of trees."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    found = {k: differences(before.get(k), v) for k, v in after.items() if before.get(k) != v}
    return found | {k: "gone" for k in before if k not in after}


PLAIN = programmed(world())
DIGEST = re.compile(r"/[0-9a-f]{8}\b")


def shown(changed: dict[str, Any]) -> list[Any]:
    """Differences for a reader: each once, with all places where it is. A cluster's digest says no more than that it has one, and
    that a cluster is used no more nothing."""
    found: dict[str, tuple[Any, list[str]]] = {}
    for place, what in changed.items():
        if what == "gone":
            continue
        if isinstance(what, dict):
            what = {k: v for k, v in what.items() if (k, place.split()[1]) not in (("name", "cluster"), ("port", "cluster"))}
            for name in ("forward", "respond"):  # where it goes has the place's own names in it
                if isinstance(what.get(name), dict):
                    what[name] = {k: v for k, v in what[name].items() if k != "targets"}
            what = {k: v for k, v in what.items() if v not in ({}, None)}
        if what:
            found.setdefault(str(what), (what, []))[1].append(DIGEST.sub("/*", place))
    return [{"at": places, "is": what} for what, places in found.values()]


def outcome(policy: Tree) -> tuple[Any, Any]:
    """What a policy changes, and what its status says."""
    found = world(policy)
    status = found.status(RESOURCES[policy["kind"]], "default", "one")
    assert status is not None
    return differences(PLAIN, programmed(found)), [
        [f"{c['type']} {c['status']} {c['reason']}" for c in a["conditions"]] for a in status.tree["ancestors"]
    ]


@pytest.mark.parametrize("name", policyfields.ALL)
def test_golden_fields(name: str) -> None:
    fields = policyfields.ALL[name]
    found = {}
    for leaf, policy in fields.good.items():
        changed, statuses = outcome(policy)
        assert statuses and all(s[0] == "Accepted True Accepted" for s in statuses), (leaf, statuses)
        assert changed, f"{leaf} changes nothing"
        found[leaf] = shown(changed)
    text = yaml.safe_dump(found, sort_keys=False, width=1000, default_flow_style=None)
    out = policyfields.FOLDER / f"{name}.out.yaml"
    if os.environ.get("GOLDEN"):
        out.write_text(text)
    assert text == out.read_text()


@pytest.mark.parametrize("name", policyfields.ALL)
def test_every_field_has_a_case_and_a_value_that_is_refused(name: str) -> None:
    fields = policyfields.ALL[name]
    leaves = set(policyfields.leaves(policyfields.schemas()[fields.kind]))
    assert leaves == set(fields.good) == set(fields.bad)
    for leaf, policy in fields.good.items():  # a case says its field: what comes of it is not another's
        assert policyfields.placed(policy, leaf, "other") != policy


@pytest.mark.parametrize("name", policyfields.ALL)
def test_every_rule_is_broken_by_a_case(name: str) -> None:
    fields = policyfields.ALL[name]
    told = [b.told for b in (*fields.bad.values(), *fields.rules)]
    for message in policyfields.rules(policyfields.schemas()[fields.kind]):
        assert any(t in message for t in told), message


@pytest.mark.parametrize("name", policyfields.ALL)
def test_what_the_schema_refuses_is_refused_here_for_the_same_field(name: str) -> None:
    fields = policyfields.ALL[name]
    for bad in (*fields.bad.values(), *fields.rules):
        spec, problem = schemas.judged(RESOURCES[fields.kind], bad.policy["spec"])
        assert not spec and problem.startswith(f"{bad.at}: ") and bad.told in problem, (bad.at, bad.told, problem)
    for leaf, policy in fields.good.items():
        spec, problem = schemas.judged(RESOURCES[fields.kind], policy["spec"])
        assert not problem, (leaf, problem)


def test_every_rule_of_the_schemas_is_kept_here() -> None:
    messages = {m for schema in policyfields.schemas().values() for m in policyfields.rules(schema)}
    assert messages == schemas.RULES.keys()


def test_a_refused_value_that_is_there_nevertheless_is_told_and_closes_what_it_was_to_protect() -> None:
    """As it was stored before the schema knew better."""
    for fields in policyfields.ALL.values():
        for bad in (*fields.bad.values(), *fields.rules):
            changed, statuses = outcome(bad.policy)
            assert statuses and all(s == ["Accepted False Invalid"] for s in statuses), (bad, statuses)
            kinds = {t.get("kind") for t in bad.policy["spec"]["targetRefs"]} if bad.policy["spec"]["targetRefs"] else set()
            readable = "targetRefs" not in bad.at
            if fields.kind == "SecurityPolicy" and readable and "HTTPRoute" in kinds:
                for where in ("edge http-80 app.example.com/", "edge https-443-https app.example.com/files"):
                    assert changed[where]["respond"]["code"] == 500, (bad, changed)
            elif "clientCertificates" in bad.at:
                assert changed["edge tcp-443 https"] == "gone", (bad, changed)
            elif fields.kind != "SecurityPolicy":
                assert changed == {}, (bad, changed)


WRONG: list[Any] = ["text", 7, [], [7], None, True, {"a": 1}, -1, 1.5, [None], [[]], {"x": None}]


@pytest.mark.parametrize("name", policyfields.ALL)
def test_nothing_that_skipped_the_schema_stops_anything(name: str) -> None:
    """Each field with a value of every other type: the policy is judged, and the route of nobody else hurt."""
    fields = policyfields.ALL[name]
    resource = RESOURCES[fields.kind]
    found = world()
    paths = {leaf[:end] for leaf in fields.good for end in _ends(leaf)}
    for leaf, policy in fields.good.items():
        for path in (leaf[:end] for end in _ends(leaf)):
            if path not in paths:
                continue
            paths.discard(path)
            for value in WRONG:
                found.apply(policyfields.placed(policy, path, value)).settle()
                status = found.status(resource, "default", "one")
                assert status is not None and len(status.tree["ancestors"]) < 5
                accepted = {c["status"] for a in status.tree["ancestors"] for c in a["conditions"] if c["type"] == "Accepted"}
                problem = schemas.judged(resource, policyfields.placed(policy, path, value)["spec"])[1]
                assert (accepted <= {"False"} and accepted) or not problem, (path, value)
    for spec in (*WRONG, "gone"):
        whole = copied(policyfields.policy(fields.kind, {}, {})) | {"spec": spec}
        if spec == "gone":
            del whole["spec"]
        found.apply(whole).settle()
        status = found.status(resource, "default", "one")
        assert status is not None and status.tree["ancestors"][0]["conditions"][0]["reason"] == "Invalid", spec
    found.delete(fields.kind, "default", "one").settle()
    assert programmed(found) == PLAIN


def _ends(leaf: str) -> list[int]:
    """Where the steps of a path end, but for `spec` itself."""
    return [i for i, c in enumerate(leaf) if c in ".[" and i > len("spec")] + [len(leaf)]
