"""Every write of a client passes the reviewers, at upstream's places; the server's own writes pass none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from typing import Any

import pytest
from multidict import MultiDict

from seaway.api.kinds import by_kind
from seaway.cluster.apiserver import eviction, streams, subresources
from seaway.cluster.apiserver.admission import Admission
from seaway.cluster.apiserver.allocation import Allocator
from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.calls import Call
from seaway.cluster.apiserver.journal import Journal
from seaway.cluster.apiserver.reviewing import Attributes
from seaway.cluster.apiserver.status import ApiError
from seaway.cluster.apiserver.storage import Storage
from seaway.cluster.apiserver.verbs import Edges, Verbs

Tree = dict[str, Any]
ADA = User("ada")


class Recorder:
    """Notes what it is asked about, and does what the test wants."""

    def __init__(self, change: Callable[[Tree], Tree] = lambda t: t, refuse: str = "", meanwhile: Callable[[], Awaitable[Any]] | None = None) -> None:
        self.change, self.refuse, self.meanwhile = change, refuse, meanwhile
        self.seen: list[tuple[str, Attributes, Tree | None, Tree | None]] = []

    def concerns(self, attributes: Attributes) -> bool:
        return attributes.user is ADA

    async def mutate(self, attributes: Attributes, tree: Tree | None, old: Tree | None) -> Tree | None:
        self.seen.append(("mutate", attributes, json.loads(json.dumps(tree)), old))
        return None if tree is None else self.change(json.loads(json.dumps(tree)))

    async def validate(self, attributes: Attributes, tree: Tree | None, old: Tree | None) -> None:
        self.seen.append(("validate", attributes, json.loads(json.dumps(tree)), old))
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        if self.refuse:
            raise ApiError(403, "Forbidden", self.refuse)


def call(kind: tuple[str, str], name: str = "", body: Tree | None = None, **more: Any) -> Call:
    found = by_kind()[kind]
    return Call(found, "n" if found.namespaced else "", name, ADA, body=json.dumps(body or {}).encode(), content_type="application/json",
                **{"options": {}, "manager": "m", **more})


def scene(act: Callable[[Verbs], Awaitable[Any]], reviewer: Recorder) -> Any:
    async def run() -> Any:
        storage = Storage(Journal(":memory:"))
        names = iter(f"{i:05}" for i in range(99))
        verbs = Verbs(storage, Admission(storage, Allocator((ip_network("10.96.0.0/29"),))), Edges(lambda: 1.8e9, lambda: "uid", lambda n: next(names)))
        await verbs.create_tree(Call(by_kind()["v1", "Namespace"], "", "n", User("x")), {"metadata": {"name": "n"}})
        await verbs.create_tree(Call(by_kind()["v1", "ServiceAccount"], "n", "default", User("x")), {"metadata": {"name": "default"}})
        verbs.reviewers.chain.append(reviewer)
        try:
            return await act(verbs)
        finally:
            storage.close()

    return asyncio.run(run())


def labelled(tree: Tree) -> Tree:
    tree["metadata"]["labels"] = {**(tree["metadata"].get("labels") or {}), "seen": "yes"}
    return tree


POD = {"metadata": {"generateName": "p-"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def test_a_created_object_is_shown_before_it_has_a_name_and_then_as_it_will_be() -> None:
    reviewer = Recorder(labelled)
    made = scene(lambda v: v.create(call(("v1", "Pod"), body=POD)), reviewer)
    (first, _, shown, old), (second, at_last, judged, _) = reviewer.seen
    assert (first, second, old) == ("mutate", "validate", None)
    assert shown is not None and "name" not in shown["metadata"] and "uid" not in shown["metadata"]
    # Defaults and the server's own admission come before, managedFields too.
    assert shown["spec"]["serviceAccountName"] == "default" and shown["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    assert shown["metadata"]["managedFields"][0]["manager"] == "m"
    assert judged is not None and judged["metadata"]["name"] == made["metadata"]["name"] == at_last.name
    assert judged["metadata"]["uid"] == "uid" and made["metadata"]["labels"] == {"seen": "yes"}
    # What reviewers add is nobody's.
    assert "seen" not in json.dumps(made["metadata"]["managedFields"])


def test_what_reviewers_make_of_an_object_is_defaulted_and_judged() -> None:
    def break_it(tree: Tree) -> Tree:
        tree["spec"]["containers"].append({"name": "BAD", "image": "i"})
        return tree

    with pytest.raises(ApiError) as refused:
        scene(lambda v: v.create(call(("v1", "Pod"), body=POD)), Recorder(break_it))
    assert "spec.containers[1].name" in str(refused.value) and "imagePullPolicy" not in str(refused.value)


def test_a_refused_service_gives_its_address_back() -> None:
    reviewer = Recorder(refuse="no")

    async def act(verbs: Verbs) -> list[str]:
        body = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
        told = []
        for _ in range(20):  # many more than the range has
            try:
                await verbs.create(call(("v1", "Service"), "s", body))
            except ApiError as e:
                told.append(str(e))
        return told

    assert scene(act, reviewer) == ["no"] * 20
    shown = reviewer.seen[1][2]
    assert shown is not None and shown["spec"]["clusterIP"].startswith("10.96.0.")


MAP = {"metadata": {"name": "c"}, "data": {"a": "1"}}


def test_a_change_is_made_again_when_the_object_changed_while_it_was_reviewed() -> None:
    async def act(verbs: Verbs) -> Tree:
        await verbs.create_tree(Call(by_kind()["v1", "ConfigMap"], "n", "c", User("x")), dict(MAP))

        async def meanwhile() -> None:
            other = Call(by_kind()["v1", "ConfigMap"], "n", "c", User("x"), body=b'{"data":{"b":"2"}}', content_type="application/merge-patch+json")
            await verbs.patch(other)

        reviewer.meanwhile = meanwhile
        _, tree = await verbs.patch(_patch({"data": {"c": "3"}}))
        return tree

    reviewer = Recorder(labelled)
    tree = scene(act, reviewer)
    assert tree["data"] == {"a": "1", "b": "2", "c": "3"} and tree["metadata"]["labels"] == {"seen": "yes"}
    assert [(step, (old or {}).get("data")) for step, _, _, old in reviewer.seen] == [
        ("mutate", {"a": "1"}), ("validate", {"a": "1"}), ("mutate", {"a": "1", "b": "2"}), ("validate", {"a": "1", "b": "2"})]


def _patch(change: Tree) -> Call:
    found = call(("v1", "ConfigMap"), "c", change)
    found.content_type = "application/merge-patch+json"
    return found


@pytest.mark.parametrize("version", [False, True])
def test_a_put_is_made_again_unless_it_names_a_version(version: bool) -> None:
    async def act(verbs: Verbs) -> Tree:
        made = await verbs.create_tree(Call(by_kind()["v1", "ConfigMap"], "n", "c", User("x")), {**MAP, "metadata": {"name": "c"}})

        async def meanwhile() -> None:
            other = Call(by_kind()["v1", "ConfigMap"], "n", "c", User("x"), body=b'{"data":{"b":"2"}}', content_type="application/merge-patch+json")
            await verbs.patch(other)

        reviewer.meanwhile = meanwhile
        meta = {"name": "c", **({"resourceVersion": made["metadata"]["resourceVersion"]} if version else {})}
        _, tree = await verbs.update(call(("v1", "ConfigMap"), "c", {"metadata": meta, "data": {"c": "3"}}))
        return tree

    reviewer = Recorder(labelled)
    if version:
        with pytest.raises(ApiError, match="the object has been modified"):
            scene(act, reviewer)
    else:
        tree = scene(act, reviewer)
        assert tree["data"] == {"c": "3"} and tree["metadata"]["labels"] == {"seen": "yes"}


def test_a_deletion_shows_the_object_as_it_was_and_is_refused_whole() -> None:
    reviewer = Recorder(refuse="stays")

    async def act(verbs: Verbs) -> tuple[str, bool]:
        await verbs.create_tree(Call(by_kind()["v1", "ConfigMap"], "n", "c", User("x")), {**MAP, "metadata": {"name": "c"}})
        try:
            await verbs.delete(call(("v1", "ConfigMap"), "c"), {})
        except ApiError as e:
            return str(e), verbs.storage.get("configmaps", "n/c") is not None
        return "", False

    assert scene(act, reviewer) == ("stays", True)
    assert [(step, a.operation, tree, (old or {}).get("data")) for step, a, tree, old in reviewer.seen] == [
        ("mutate", "DELETE", None, {"a": "1"}), ("validate", "DELETE", None, {"a": "1"})]


def test_subresources_are_reviewed_as_what_they_are() -> None:
    reviewer = Recorder()

    async def act(verbs: Verbs) -> None:
        pod = await verbs.create_tree(Call(by_kind()["v1", "Pod"], "n", "p", User("x")), {**POD, "metadata": {"name": "p"}})
        assert pod["metadata"]["name"] == "p"
        deployment = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD["spec"]}}}
        await verbs.create_tree(Call(by_kind()["apps/v1", "Deployment"], "n", "d", User("x")), deployment)
        scale = call(("apps/v1", "Deployment"), "d", {"spec": {"replicas": 3}}, subresource="scale")
        scale.content_type = "application/merge-patch+json"
        await subresources.scale(verbs, scale, "PATCH")
        await subresources.bind(verbs, call(("v1", "Pod"), "p", subresource="binding"), {"metadata": {"name": "p"}, "target": {"name": "node"}})
        await eviction.evict(verbs, call(("v1", "Pod"), "p", subresource="eviction"), {"metadata": {"name": "p"}})

    scene(act, reviewer)
    told = [(a.operation, a.object_kind.kind, a.kind.resource, a.subresource, (tree or {}).get("kind"), (old or {}).get("kind"))
            for step, a, tree, old in reviewer.seen if step == "validate"]
    assert told == [
        ("UPDATE", "Scale", "deployments", "scale", "Scale", "Scale"),
        ("CREATE", "Binding", "pods", "binding", "Binding", None),
        ("CREATE", "Eviction", "pods", "eviction", "Eviction", None),  # and no deletion of its own
    ]


def test_another_form_is_reviewed_as_it_was_asked_for() -> None:
    reviewer = Recorder(labelled)
    event = {"metadata": {"name": "e"}, "regarding": {"kind": "Pod", "namespace": "n", "name": "p"}, "reason": "Because", "type": "Normal", "action": "a",
             "reportingController": "example.com/c", "reportingInstance": "i", "eventTime": "2026-01-01T00:00:00.000000Z"}
    made = scene(lambda v: v.create(call(("events.k8s.io/v1", "Event"), "e", event)), reviewer)
    shown = reviewer.seen[0][2]
    assert shown is not None and shown["apiVersion"] == "events.k8s.io/v1" and shown["regarding"]["name"] == "p"
    assert made["involvedObject"]["name"] == "p" and made["metadata"]["labels"] == {"seen": "yes"}


def test_the_servers_own_writes_are_not_reviewed() -> None:
    reviewer = Recorder(refuse="no")
    scene(lambda v: v.create_tree(Call(by_kind()["v1", "ConfigMap"], "n", "c", ADA), {**MAP, "metadata": {"name": "c"}}), reviewer)
    assert reviewer.seen == []


@pytest.mark.parametrize(("subresource", "query", "want"), [
    ("exec", [("command", "sh"), ("command", "-c"), ("stdin", "true"), ("tty", "0"), ("container", "c")],
     {"kind": "PodExecOptions", "apiVersion": "v1", "stdin": True, "container": "c", "command": ["sh", "-c"]}),
    ("attach", [("stdout", "1")], {"kind": "PodAttachOptions", "apiVersion": "v1", "stdout": True}),
    ("portforward", [("ports", "80,81"), ("ports", "82")], {"kind": "PodPortForwardOptions", "apiVersion": "v1", "ports": [80, 81, 82]}),
])
def test_a_stream_is_reviewed_as_its_options(subresource: str, query: list[tuple[str, str]], want: Tree) -> None:
    found = streams.stream_options(subresource, MultiDict(query))
    assert found == want
    assert streams.stream_options(subresource, streams.as_query(found)) == want
