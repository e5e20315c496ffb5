"""The verbs of the API over HTTPS, as Kubernetes defines them."""

from __future__ import annotations

import pytest
from server import Server

MERGE, JSON, STRATEGIC = "application/merge-patch+json", "application/json-patch+json", "application/strategic-merge-patch+json"
DEPLOYMENT = {
    "metadata": {"name": "web"},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    },
}


def maps(ns: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{ns}/configmaps" + (f"/{name}" if name else "")


def config(name: str = "a", **fields: object) -> dict:
    return {"metadata": {"name": name}, **fields}


def test_create_get_list_delete(server: Server, ns: str) -> None:
    made = server.create(maps(ns), config(data={"k": "v"}))
    assert made["metadata"]["uid"] and made["metadata"]["creationTimestamp"]
    assert server.request("GET", maps(ns, "a"))[1]["data"] == {"k": "v"}
    status, listed = server.request("GET", maps(ns))
    assert [i["metadata"]["name"] for i in listed["items"]] == ["a"] and "kind" not in listed["items"][0]
    status, gone = server.request("DELETE", maps(ns, "a"))
    assert (status, gone["status"], gone["details"]["uid"]) == (200, "Success", made["metadata"]["uid"])
    status, missing = server.request("GET", maps(ns, "a"))
    assert (status, missing["reason"]) == (404, "NotFound")


def test_a_second_create_is_already_exists(server: Server, ns: str) -> None:
    server.create(maps(ns), config())
    status, answer = server.request("POST", maps(ns), config())
    assert (status, answer["reason"], answer["message"]) == (409, "AlreadyExists", 'configmaps "a" already exists')


def test_generate_name_makes_a_name(server: Server, ns: str) -> None:
    made = server.create(maps(ns), {"metadata": {"generateName": "x-"}})
    assert made["metadata"]["name"].startswith("x-") and len(made["metadata"]["name"]) == 7


def test_a_stale_put_is_a_conflict(server: Server, ns: str) -> None:
    old = server.create(maps(ns), config())
    server.request("PATCH", maps(ns, "a"), {"data": {"k": "1"}}, media=MERGE)
    status, answer = server.request("PUT", maps(ns, "a"), {**old, "data": {"k": "2"}})
    assert (status, answer["reason"]) == (409, "Conflict")


def test_an_update_that_changes_nothing_keeps_its_version(server: Server, ns: str) -> None:
    made = server.create(maps(ns), config(data={"k": "v"}))
    _, again = server.request("PUT", maps(ns, "a"), made)
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("media", "patch", "want"),
    [
        (MERGE, {"data": {"a": None, "c": "3"}}, {"b": "2", "c": "3"}),
        (JSON, [{"op": "remove", "path": "/data/a"}, {"op": "add", "path": "/data/c", "value": "3"}], {"b": "2", "c": "3"}),
        (STRATEGIC, {"data": {"$patch": "replace", "c": "3"}}, {"c": "3"}),
    ],
)
def test_patches_of_each_type(server: Server, ns: str, media: str, patch: object, want: dict) -> None:
    server.create(maps(ns), config(data={"a": "1", "b": "2"}))
    status, answer = server.request("PATCH", maps(ns, "a"), patch, media=media)
    assert (status, answer["data"]) == (200, want)


def test_a_strategic_patch_merges_containers_by_name(server: Server, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    server.create(path, DEPLOYMENT)
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": "1"}]}]}}}}
    _, answer = server.request("PATCH", path + "/web", patch, media=STRATEGIC)
    container = answer["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "i" and container["env"] == [{"name": "A", "value": "1"}]
    assert answer["metadata"]["generation"] == 2


def test_dry_run_changes_nothing(server: Server, ns: str) -> None:
    status, answer = server.request("POST", maps(ns), config(), query={"dryRun": "All"})
    assert status == 201 and answer["metadata"]["uid"]
    assert server.request("GET", maps(ns, "a"))[0] == 404
    server.create(maps(ns), config())
    server.request("DELETE", maps(ns, "a"), query={"dryRun": "All"})
    assert server.request("GET", maps(ns, "a"))[0] == 200


@pytest.mark.parametrize(("mode", "status"), [("Strict", 400), ("Warn", 201), ("Ignore", 201)])
def test_field_validation_has_three_modes(server: Server, ns: str, mode: str, status: int) -> None:
    found, answer = server.request("POST", maps(ns), config(nonsense=1), query={"fieldValidation": mode})
    assert found == status
    if mode == "Strict":
        assert 'strict decoding error: unknown field "nonsense"' in answer["message"]
    else:
        assert "nonsense" not in answer
        assert bool(server.headers.get("Warning")) == (mode == "Warn")


def test_a_finalizer_holds_an_object(server: Server, ns: str) -> None:
    server.create(maps(ns), {"metadata": {"name": "a", "finalizers": ["example.com/hold"]}})
    _, marked = server.request("DELETE", maps(ns, "a"))
    assert marked["metadata"]["deletionTimestamp"]
    assert server.request("GET", maps(ns, "a"))[0] == 200
    server.request("PATCH", maps(ns, "a"), {"metadata": {"finalizers": None}}, media=MERGE)
    assert server.request("GET", maps(ns, "a"))[0] == 404


def test_preconditions_guard_a_delete(server: Server, ns: str) -> None:
    made = server.create(maps(ns), config())
    status, answer = server.request("DELETE", maps(ns, "a"), {"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}})
    assert (status, answer["reason"]) == (409, "Conflict")
    status, _ = server.request("DELETE", maps(ns, "a"), {"preconditions": {"uid": made["metadata"]["uid"]}})
    assert status == 200


def test_a_pod_on_a_node_is_deleted_with_grace(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    server.create(path, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    assert server.request("POST", path + "/p/binding", binding)[0] == 201
    _, pod = server.request("DELETE", path + "/p")
    assert pod["metadata"]["deletionGracePeriodSeconds"] == 30
    assert server.request("GET", path + "/p")[1]["spec"]["nodeName"] == "n"
    server.request("DELETE", path + "/p", {"gracePeriodSeconds": 0})
    assert server.request("GET", path + "/p")[0] == 404


def test_status_and_spec_are_written_apart(server: Server, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    server.create(path, DEPLOYMENT)
    server.request("PATCH", path + "/web", {"spec": {"replicas": 5}, "status": {"replicas": 9}}, media=MERGE)
    assert "replicas" not in server.request("GET", path + "/web")[1]["status"]
    server.request("PATCH", path + "/web/status", {"spec": {"replicas": 7}, "status": {"replicas": 9}}, media=MERGE)
    _, tree = server.request("GET", path + "/web")
    assert (tree["spec"]["replicas"], tree["status"]["replicas"]) == (5, 9)


def test_scale_is_read_and_written(server: Server, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    server.create(path, DEPLOYMENT)
    status, scale = server.request("PATCH", path + "/web/scale", {"spec": {"replicas": 3}}, media=MERGE)
    assert (status, scale["kind"], scale["spec"]["replicas"], scale["status"]["selector"]) == (200, "Scale", 3, "app=web")


def test_a_collection_is_deleted_by_selector(server: Server, ns: str) -> None:
    for name, label in (("a", "x"), ("b", "x"), ("c", "y")):
        server.create(maps(ns), {"metadata": {"name": name, "labels": {"l": label}}})
    _, gone = server.request("DELETE", maps(ns), query={"labelSelector": "l=x"})
    assert len(gone["items"]) == 2
    assert [i["metadata"]["name"] for i in server.request("GET", maps(ns))[1]["items"]] == ["c"]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/apis/none.example.com/v1/things", 404), ("/api/v1/nothings", 404), ("/nowhere", 404), ("/api/v1/namespaces/default/configmaps/a/log", 404)],
)
def test_unknown_paths_are_not_found(server: Server, path: str, status: int) -> None:
    assert server.request("GET", path)[0] == status


def test_a_create_in_a_missing_namespace_says_so(server: Server) -> None:
    status, answer = server.request("POST", maps("no-such"), config())
    assert (status, answer["message"]) == (404, 'namespaces "no-such" not found')


def test_a_list_is_shown_as_a_table(server: Server, ns: str) -> None:
    server.create(maps(ns), config(data={"k": "v"}))
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    _, table = server.request("GET", maps(ns), accept=accept)
    assert [c["name"] for c in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"][0]["cells"][:2] == ["a", 1]


def test_discovery_and_openapi_describe_what_is_served(server: Server) -> None:
    _, core = server.request("GET", "/api/v1")
    assert {"services", "pods", "pods/log", "configmaps"} <= {r["name"] for r in core["resources"]}
    _, found = server.request("GET", "/apis", accept="application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
    assert found["kind"] == "APIGroupDiscoveryList"
    _, index = server.request("GET", "/openapi/v3")
    _, document = server.request("GET", index["paths"]["apis/apps/v1"]["serverRelativeURL"])
    assert "io.k8s.api.apps.v1.Deployment" in document["components"]["schemas"]


def test_a_change_of_a_selector_names_the_field(server: Server, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    server.create(path, DEPLOYMENT)
    patch = {"spec": {"selector": {"matchLabels": {"app": "other"}}, "template": {"metadata": {"labels": {"app": "other"}}}}}
    status, answer = server.request("PATCH", path + "/web", patch, media=MERGE)
    assert status == 422 and answer["details"]["causes"][0]["field"] == "spec.selector"
