"""What a newer version stored and we do not know stays, wherever it stands and whichever way the object is edited."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from server import Server

MERGE, JSON = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
CONTAINERS = [{"name": "c", "image": "i", "ports": [{"containerPort": 1}]}, {"name": "d", "image": "j"}]
LABELS = {"app": "web"}
CORE, APPS = "/api/v1/namespaces/default", "/apis/apps/v1/namespaces/default"
# resource in the database -> (collection, object)
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "deployments.apps": (
        f"{APPS}/deployments",
        {
            "replicas": 1,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": {"containers": CONTAINERS}},
        },
    ),
    "pods": (f"{CORE}/pods", {"containers": CONTAINERS}),
    "services": (
        f"{CORE}/services",
        {"selector": LABELS, "type": "NodePort", "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]},
    ),
}
# resource -> where a newer version put a field
PLACES: dict[str, tuple[tuple[str | int, ...], ...]] = {
    "deployments.apps": (
        (),
        ("metadata",),
        ("spec",),
        ("status",),
        ("spec", "template"),
        ("spec", "template", "metadata"),
        ("spec", "template", "spec"),
        ("spec", "template", "spec", "containers", 0),
        ("spec", "template", "spec", "containers", 1),
        ("spec", "template", "spec", "containers", 0, "ports", 0),
    ),
    "pods": (
        (),
        ("metadata",),
        ("spec",),
        ("status",),
        ("spec", "containers", 0),
        ("spec", "containers", 1),
        ("spec", "containers", 0, "ports", 0),
    ),
    "services": (
        (),
        ("metadata",),
        ("spec",),
        ("status",),
        ("status", "loadBalancer"),
        ("spec", "ports", 0),
        ("spec", "ports", 1),
    ),
}
NEWER = {"deeply": [{"nested": None}, 1, "x"]}


def at(tree: Any, place: tuple[str | int, ...]) -> Any:
    for key in place:
        tree = tree[key]
    return tree


def path(resource: str) -> str:
    return f"{KINDS[resource][0]}/x"


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over a data folder that a newer version has written to."""
    server = Server(tmp_path_factory.mktemp("aged")).start().wait()
    server.create(f"{CORE}/serviceaccounts", {"metadata": {"name": "default"}})
    for collection, spec in KINDS.values():
        server.create(
            collection, {"metadata": {"name": "x", "labels": {"l": "0"}, "annotations": {"n": "0"}}, "spec": spec}
        )
    server.kill()
    with sqlite3.connect(server.database) as db:
        for resource, places in PLACES.items():
            (raw,) = db.execute("SELECT data FROM objects WHERE resource=? AND key='default/x'", (resource,)).fetchone()
            tree = json.loads(raw)
            for place in places:
                at(tree, place)["fromTheFuture"] = NEWER
            values = (json.dumps(tree).encode(), resource)
            db.execute("UPDATE objects SET data=? WHERE resource=? AND key='default/x'", values)
    server.start().wait()
    yield server
    server.close()


def merge(server: Server, resource: str) -> int:
    patch = {"metadata": {"labels": {"l": "merge"}}}
    return server.request("PATCH", path(resource), patch, media=MERGE)[0]


def strategic(server: Server, resource: str) -> int:
    patch = {"metadata": {"labels": {"l": "strategic"}}}
    return server.request("PATCH", path(resource), patch, media=STRATEGIC)[0]


def strategic_element(server: Server, resource: str) -> int:
    """An edit of the very list element that holds an unknown field, found by its merge key."""
    if resource == "services":
        patch: dict = {"spec": {"ports": [{"port": 81, "targetPort": 9}]}}
    else:
        patch = {"spec": {"containers": [{"name": "d", "image": "k"}]}}
        patch = patch if resource == "pods" else {"spec": {"template": patch}}
    return server.request("PATCH", path(resource), patch, media=STRATEGIC)[0]


def json_patch(server: Server, resource: str) -> int:
    operations = [{"op": "replace", "path": "/metadata/labels/l", "value": "json"}]
    return server.request("PATCH", path(resource), operations, media=JSON)[0]


def put(server: Server, resource: str) -> int:
    _, tree = server.request("GET", path(resource))
    tree["metadata"]["annotations"]["n"] = "put"
    return server.request("PUT", path(resource), tree, query={"fieldValidation": "Strict"})[0]


def put_yaml(server: Server, resource: str) -> int:
    status, raw = server.request("GET", path(resource), accept="application/yaml")
    assert status == 200 and b"fromTheFuture" in raw
    return server.request("PUT", path(resource), raw.replace(b"n: put", b"n: yaml"), media="application/yaml")[0]


def status_patch(server: Server, resource: str) -> int:
    patch = {"status": {"conditions": [{"type": "X", "status": "True"}]}}
    return server.request("PATCH", path(resource) + "/status", patch, media=MERGE)[0]


def status_put(server: Server, resource: str) -> int:
    _, tree = server.request("GET", path(resource))
    tree["status"]["conditions"] = [{"type": "Y", "status": "False"}]
    return server.request("PUT", path(resource) + "/status", tree)[0]


def scale_patch(server: Server, resource: str) -> int:
    return server.request("PATCH", path(resource) + "/scale", {"spec": {"replicas": 2}}, media=MERGE)[0]


def scale_put(server: Server, resource: str) -> int:
    _, tree = server.request("GET", path(resource) + "/scale")
    tree["spec"]["replicas"] = 3
    return server.request("PUT", path(resource) + "/scale", tree)[0]


def binding(server: Server, resource: str) -> int:
    target = {"metadata": {"name": "x"}, "target": {"kind": "Node", "name": "n"}}
    return server.request("POST", path(resource) + "/binding", target)[0]


EVERYWHERE = (merge, strategic, strategic_element, json_patch, put, put_yaml, status_patch, status_put)
EDITS: list[tuple[str, Callable[[Server, str], int]]] = [(r, e) for r in KINDS for e in EVERYWHERE]
EDITS += [("deployments.apps", scale_patch), ("deployments.apps", scale_put), ("pods", binding)]


def lost(tree: dict, resource: str) -> list[str]:
    return [".".join(map(str, p)) for p in PLACES[resource] if at(tree, p).get("fromTheFuture") != NEWER]


@pytest.mark.parametrize(("resource", "edit"), EDITS, ids=[f"{r}-{e.__name__}" for r, e in EDITS])
def test_fields_of_a_newer_version_survive(aged: Server, resource: str, edit: Callable[[Server, str], int]) -> None:
    _, before = aged.request("GET", path(resource))
    assert lost(before, resource) == [], "they are shown"
    assert edit(aged, resource) in (200, 201)
    _, after = aged.request("GET", path(resource))
    assert lost(after, resource) == []
    assert after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"], "the edit did something"


def test_an_unknown_field_is_shown_in_lists_and_watches(aged: Server) -> None:
    for resource, (collection, _) in KINDS.items():
        _, listed = aged.request("GET", collection, query={"fieldSelector": "metadata.name=x"})
        assert lost(listed["items"][0], resource) == []
        (event,) = aged.events(collection, {"fieldSelector": "metadata.name=x"}, 1)
        assert lost(event["object"], resource) == []


def test_an_unknown_field_in_a_dry_run_answer_is_there_and_nothing_is_stored(aged: Server) -> None:
    for resource in KINDS:
        _, before = aged.request("GET", path(resource))
        patch = {"metadata": {"labels": {"l": "dry"}}}
        _, shown = aged.request("PATCH", path(resource), patch, query={"dryRun": "All"}, media=MERGE)
        assert lost(shown, resource) == [] and shown["metadata"]["labels"]["l"] == "dry"
        assert aged.request("GET", path(resource))[1] == before


def test_a_new_unknown_field_is_dropped_beside_one_that_stays(aged: Server) -> None:
    for resource in KINDS:
        patch = {"spec": {"nobodyKnows": 1}, "metadata": {"annotations": {"n": "drop"}}}
        status, answer = aged.request("PATCH", path(resource), patch, media=MERGE)
        assert status == 200 and "nobodyKnows" not in answer["spec"] and lost(answer, resource) == []


def test_an_unknown_field_can_be_removed_on_purpose(server: Server, make_server: Callable[..., Server]) -> None:
    own = make_server()
    own.create(f"{CORE}/configmaps", {"metadata": {"name": "x"}, "data": {"k": "v"}})
    own.kill()
    with sqlite3.connect(own.database) as db:
        (raw,) = db.execute("SELECT data FROM objects WHERE resource='configmaps' AND key='default/x'").fetchone()
        raw = json.dumps({**json.loads(raw), "fromTheFuture": NEWER}).encode()
        db.execute("UPDATE objects SET data=? WHERE resource='configmaps' AND key='default/x'", (raw,))
    own.start().wait()
    _, after = own.request("PATCH", f"{CORE}/configmaps/x", {"fromTheFuture": None}, media=MERGE)
    assert "fromTheFuture" not in after and after["data"] == {"k": "v"}


def test_unknown_fields_survive_edits_and_another_start(aged: Server) -> None:
    aged.kill()
    aged.start().wait()
    for resource in KINDS:
        assert merge(aged, resource) == 200
        assert lost(aged.request("GET", path(resource))[1], resource) == []
