"""Server-side apply over HTTPS: creating, conflicts, force, subresources, rights, and that kubectl's own record stays true."""

from __future__ import annotations

from typing import Any

import pytest
from server import Server

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


def apply(server: Server, path: str, body: Any, manager: str, **query: str) -> tuple[int, Any]:
    return server.request("PATCH", path, body, query={"fieldManager": manager, **query}, media=APPLY)


def config(name: str, data: dict[str, str] | None = None, **meta: Any) -> dict[str, Any]:
    tree: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **meta}}
    return tree if data is None else {**tree, "data": data}


def owners(tree: Any) -> dict[str, Any]:
    return {e["manager"]: e["fieldsV1"] for e in tree["metadata"].get("managedFields", ())}


def test_apply_creates_then_owns_and_gives_up(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps/a"
    status, made = apply(server, path, config("a", {"x": "1", "y": "2"}), "one")
    assert status == 201 and owners(made) == {"one": {"f:data": {"f:x": {}, "f:y": {}}}}
    status, again = apply(server, path, config("a", {"x": "1", "y": "2"}), "one")
    assert status == 200 and again == made, "the same again is no write"
    status, less = apply(server, path, config("a", {"x": "1"}), "one")
    assert less["data"] == {"x": "1"} and int(less["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


def test_another_value_is_a_conflict_until_it_is_forced(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps/a"
    server.create(f"/api/v1/namespaces/{ns}/configmaps?fieldManager=poster", config("a", {"x": "1"}))
    status, refused = apply(server, path, config("a", {"x": "2"}), "one")
    assert (status, refused["reason"]) == (409, "Conflict")
    assert refused["message"] == 'Apply failed with 1 conflict: conflict with "poster" using v1: .data.x'
    assert refused["details"]["causes"][0]["field"] == ".data.x"
    status, forced = apply(server, path, config("a", {"x": "2"}), "one", force="true")
    assert status == 200 and owners(forced) == {"one": {"f:data": {"f:x": {}}}, "poster": {"f:data": {}}}


@pytest.mark.parametrize(
    ("body", "query", "code", "message"),
    [
        (config("a"), {}, 422, "fieldManager: Required value: is required for apply patch"),
        ({"metadata": {"name": "a"}}, {"fieldManager": "m"}, 400, "invalid object type: /, Kind="),
        (config("b"), {"fieldManager": "m"}, 400, "the name of the object (b) does not match the name on the URL (a)"),
        (config("a", managedFields=[]), {"fieldManager": "m"}, 400, "metadata.managedFields must be nil"),
        ({**config("a"), "datum": {}}, {"fieldManager": "m"}, 400, ".datum: field not declared in schema"),
        (b"a: [", {"fieldManager": "m"}, 400, "error decoding YAML"),
        (b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: '1'\n  x: '2'\n", {"fieldManager": "m", "fieldValidation": "Strict"},
         400, 'line 6: key "x" already set in map'),
        ([], {"fieldManager": "m"}, 400, "error decoding YAML"),
    ],
)
def test_configurations_that_are_refused_say_why(server: Server, ns: str, body: Any, query: dict[str, str], code: int, message: str) -> None:
    status, answer = server.request("PATCH", f"/api/v1/namespaces/{ns}/configmaps/a", body, query=query, media=APPLY)
    assert status == code and message in answer["message"], answer
    assert server.request("GET", f"/api/v1/namespaces/{ns}/configmaps/a")[0] == 404, "nothing was made"


def test_status_and_scale_have_owners_of_their_own(server: Server, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments/d"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    tree = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    assert apply(server, path, {**tree, "spec": spec}, "owner")[0] == 201
    status, _ = server.request("PATCH", f"{path}/scale", {"spec": {"replicas": 3}}, query={"fieldManager": "scaler"}, media=MERGE)
    assert status == 200
    found = {e["manager"]: e for e in server.request("GET", path)[1]["metadata"]["managedFields"]}
    assert found["scaler"]["subresource"] == "scale" and found["scaler"]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in found["owner"]["fieldsV1"]["f:spec"]
    status, refused = apply(server, path, {**tree, "spec": spec}, "owner")
    assert status == 409 and 'conflict with "scaler" with subresource "scale" using apps/v1' in refused["message"]
    condition = {"type": "Available", "status": "True"}
    status, shown = apply(server, f"{path}/status", {**tree, "spec": {"replicas": 9}, "status": {"conditions": [condition]}}, "watcher")
    assert status == 200 and shown["spec"]["replicas"] == 3, "the spec is not the status's to change"
    mine = next(e for e in shown["metadata"]["managedFields"] if e["manager"] == "watcher")
    assert mine["subresource"] == "status" and list(mine["fieldsV1"]) == ["f:status"]


def test_a_client_that_knows_nothing_of_managed_fields_loses_none(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps/a"
    apply(server, path, config("a", {"x": "1"}), "one")
    status, kept = server.request("PUT", path, config("a", {"x": "1", "y": "2"}), headers={"User-Agent": "putter/1.0 (linux)"})
    assert status == 200 and owners(kept) == {"one": {"f:data": {"f:x": {}}}, "putter": {"f:data": {"f:y": {}}}}
    status, cleared = server.request("PUT", path, config("a", {"x": "1", "y": "2"}, managedFields=[{}]))
    assert status == 200 and owners(cleared) == {}
    status, refused = apply(server, path, config("a", {"x": "9"}), "one")
    assert status == 409 and 'conflict with "before-first-apply" using v1' in refused["message"]


def test_kubectl_applies_over_its_own_annotation_and_keeps_it_true(server: Server, ns: str) -> None:
    path, key = f"/api/v1/namespaces/{ns}/configmaps/a", "kubectl.kubernetes.io/last-applied-configuration"
    text = f'{{"apiVersion":"v1","data":{{"x":"1"}},"kind":"ConfigMap","metadata":{{"name":"a","namespace":"{ns}"}}}}\n'
    made = config("a", {"x": "1"}, annotations={key: text})
    server.create(f"/api/v1/namespaces/{ns}/configmaps?fieldManager=kubectl-client-side-apply", made)
    status, taken = apply(server, path, config("a", {"x": "2"}), "kubectl")
    assert status == 200 and taken["data"] == {"x": "2"}
    assert taken["metadata"]["annotations"][key] == '{"apiVersion":"v1","data":{"x":"2"},"kind":"ConfigMap","metadata":{"name":"a"}}\n'


def test_dry_run_of_an_apply_changes_nothing(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps/a"
    assert apply(server, path, config("a", {"x": "1"}), "one", dryRun="All")[0] == 201
    assert server.request("GET", path)[0] == 404


def test_hostile_records_and_patches_are_refused_or_ignored(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps/a"
    apply(server, path, config("a", {"x": "1"}), "one")
    for fields in ({"k:nonsense": {}}, {"k:[1]": {}}, {"i:x": {}}, {"nonsense": {}}, {"f:data": {"v:{": {}}}, {"f:data": 7}):
        entry = {"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields}
        status, kept = server.request("PATCH", path, {"metadata": {"managedFields": [entry]}}, media=MERGE)
        assert status == 200 and list(owners(kept)) == ["one"], "a record that cannot be read is as if it were not there"
    deep = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: " + b"[" * 5000 + b"]" * 5000
    assert server.request("PATCH", path, deep, query={"fieldManager": "m"}, media=APPLY)[0] == 400
    bomb = [{"op": "copy", "from": "", "path": f"/data/k{i}"} for i in range(60)]
    assert server.request("PATCH", path, bomb, media="application/json-patch+json")[0] == 422
    many = {"metadata": {"finalizers": [f"o.test/{i}" for i in range(20_000)]}}
    status, _ = server.request("PATCH", path, many, query={"dryRun": "All"}, media="application/strategic-merge-patch+json")
    assert status == 200
    assert server.request("GET", path)[1]["data"] == {"x": "1"}
