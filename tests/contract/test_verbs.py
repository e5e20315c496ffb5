"""The verbs of the API over HTTPS, as Kubernetes defines them."""

from __future__ import annotations

import threading
from urllib.parse import quote

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


PODS = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def version(tree: dict) -> str:
    return tree["metadata"]["resourceVersion"]


def test_generated_names_differ_and_are_the_objects_names(server: Server, ns: str) -> None:
    made = [server.create(maps(ns), {"metadata": {"generateName": "x-"}})["metadata"] for _ in range(50)]
    assert len({m["name"] for m in made}) == 50 and all(m["generateName"] == "x-" for m in made)
    listed = server.request("GET", maps(ns))[1]["items"]
    assert {m["name"] for m in made} == {i["metadata"]["name"] for i in listed}
    long = server.create(maps(ns), {"metadata": {"generateName": "y" * 100}})["metadata"]["name"]
    assert len(long) == 63 and long.startswith("y" * 58)


@pytest.mark.parametrize(
    ("method", "name", "body", "status", "reason"),
    [
        ("GET", "none", None, 404, "NotFound"),
        ("PATCH", "none", {}, 404, "NotFound"),
        ("DELETE", "none", None, 404, "NotFound"),
        ("POST", "", {"metadata": {"name": "a"}}, 409, "AlreadyExists"),
        ("POST", "", {"metadata": {"name": "b", "resourceVersion": "1"}}, 400, "BadRequest"),
        ("POST", "", {"metadata": {"name": "b", "namespace": "elsewhere"}}, 400, "BadRequest"),
        ("POST", "", {"metadata": {}}, 422, "Invalid"),
        ("POST", "", {"metadata": {"name": "B"}}, 422, "Invalid"),
        ("PUT", "a", {"metadata": {"name": "b"}}, 400, "BadRequest"),
        ("PUT", "a", {"metadata": {"name": "a", "uid": "another"}}, 409, "Conflict"),
        ("PUT", "a", {"metadata": {"name": "a", "resourceVersion": "1"}}, 409, "Conflict"),
        ("PATCH", "a", {"metadata": {"resourceVersion": "1"}}, 409, "Conflict"),
        ("PATCH", "a", {"metadata": {"name": "b"}}, 400, "BadRequest"),
        ("POST", "a", {}, 405, "MethodNotAllowed"),
        ("PUT", "", {}, 405, "MethodNotAllowed"),
        ("PATCH", "", {}, 405, "MethodNotAllowed"),
    ],
)
def test_what_cannot_be_done_says_why(
    server: Server, ns: str, method: str, name: str, body: object, status: int, reason: str
) -> None:
    made = server.create(maps(ns), config(data={"k": "v"}))
    media = MERGE if method == "PATCH" else "application/json"
    found, answer = server.request(method, maps(ns, name), body, media=media)
    assert (found, answer["code"], answer["reason"], answer["status"]) == (status, status, reason, "Failure")
    assert server.request("GET", maps(ns, "a"))[1] == made


def test_a_put_without_a_version_overwrites_and_with_the_last_one_succeeds(server: Server, ns: str) -> None:
    made = server.create(maps(ns), config(data={"k": "1"}))
    status, after = server.request("PUT", maps(ns, "a"), config(data={"k": "2"}))
    assert (status, after["data"], after["metadata"]["uid"]) == (200, {"k": "2"}, made["metadata"]["uid"])
    after["data"]["k"] = "3"
    status, last = server.request("PUT", maps(ns, "a"), after)
    assert status == 200 and int(version(made)) < int(version(after)) < int(version(last))
    assert last["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]


def test_of_many_writers_on_one_version_one_wins(server: Server, ns: str) -> None:
    made = server.create(maps(ns), config())
    statuses: list[int] = []

    def write(i: int) -> None:
        statuses.append(server.request("PUT", maps(ns, "a"), {**made, "data": {"k": str(i)}})[0])

    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [409] * 7


@pytest.mark.parametrize("write", ["put", "merge", "strategic", "json"])
def test_a_write_that_changes_nothing_keeps_its_version_and_is_no_event(server: Server, ns: str, write: str) -> None:
    made = server.create(maps(ns), config(data={"k": "v"}))
    same = {"data": {"k": "v"}}
    method, body, media = {
        "put": ("PUT", {**config(), **same}, "application/json"),
        "merge": ("PATCH", same, MERGE),
        "strategic": ("PATCH", same, STRATEGIC),
        "json": ("PATCH", [{"op": "replace", "path": "/data/k", "value": "v"}], JSON),
    }[write]
    status, answer = server.request(method, maps(ns, "a"), body, media=media)
    assert (status, answer) == (200, made)
    server.create(maps(ns), config("b"))
    (event,) = server.events(maps(ns), {"resourceVersion": version(made)}, 1)
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "b")


@pytest.mark.parametrize(
    ("method", "name", "body", "media"),
    [
        ("POST", "", {"metadata": {"name": "new"}}, "application/json"),
        ("PUT", "a", {"metadata": {"name": "a"}, "data": {"k": "2"}}, "application/json"),
        ("PATCH", "a", {"data": {"k": "2"}}, MERGE),
        ("PATCH", "a", {"data": {"k": "2"}}, STRATEGIC),
        ("PATCH", "a", [{"op": "remove", "path": "/data"}], JSON),
        ("DELETE", "a", None, ""),
        ("DELETE", "a", {"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]}, "application/json"),
        ("DELETE", "held", None, ""),
        ("DELETE", "", None, ""),
    ],
)
def test_a_dry_run_answers_and_changes_nothing(
    server: Server, ns: str, method: str, name: str, body: object, media: str
) -> None:
    server.create(maps(ns), config(data={"k": "1"}))
    server.create(maps(ns), {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}})
    _, before = server.request("GET", maps(ns))
    in_body = isinstance(body, dict) and "dryRun" in body
    query = {} if in_body else {"dryRun": "All"}
    status, answer = server.request(method, maps(ns, name), body, query=query, media=media or "application/json")
    assert status in (200, 201), answer
    _, after = server.request("GET", maps(ns))
    assert after["items"] == before["items"]


def test_a_dry_run_is_refused_for_what_a_real_one_would_be(server: Server, ns: str) -> None:
    made = server.create(maps(ns), config())
    server.request("PATCH", maps(ns, "a"), {"data": {"k": "1"}}, media=MERGE)
    for method, name, body, status in (
        ("POST", "", config(), 409),
        ("POST", "", config("BAD"), 422),
        ("PUT", "a", {**made, "data": {"k": "2"}}, 409),
        ("DELETE", "none", None, 404),
    ):
        assert server.request(method, maps(ns, name), body, query={"dryRun": "All"})[0] == status, method


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize(
    ("mode", "refused", "warned"),
    [("Strict", True, False), ("Warn", False, True), ("Ignore", False, False), ("", False, True)],
)
def test_unknown_fields_are_refused_told_or_dropped_by_every_write(
    server: Server, ns: str, method: str, mode: str, refused: bool, warned: bool
) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    server.create(path, DEPLOYMENT)
    body = {**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], "nonsense": {"deep": 1}}}
    where = path if method == "POST" else path + "/web"
    body = {**body, "metadata": {"name": "other" if method == "POST" else "web"}}
    query = {"fieldValidation": mode} if mode else {}
    media = MERGE if method == "PATCH" else "application/json"
    status, answer = server.request(method, where, body, query=query, media=media)
    warnings = [w for w in server.headers.get_all("Warning") or [] if 'unknown field \\"spec.nonsense\\"' in w]
    assert (status == (422 if method == "PATCH" else 400)) is refused and bool(warnings) is warned
    if refused:
        assert 'strict decoding error: unknown field "spec.nonsense"' in answer["message"]
    else:
        assert status in (200, 201) and "nonsense" not in answer["spec"]


def test_an_object_in_deletion_may_be_edited_until_its_last_finalizer_goes(server: Server, ns: str) -> None:
    held = {"metadata": {"name": "a", "finalizers": ["example.com/x", "example.com/y"]}}
    made = server.create(maps(ns), held)
    server.request("DELETE", maps(ns, "a"))
    _, marked = server.request("GET", maps(ns, "a"))
    _, again = server.request("DELETE", maps(ns, "a"))
    assert again["metadata"] == marked["metadata"] and marked["metadata"]["deletionGracePeriodSeconds"] == 0
    status, edited = server.request("PATCH", maps(ns, "a"), {"data": {"k": "v"}}, media=MERGE)
    assert (status, edited["data"]) == (200, {"k": "v"})
    assert server.request("POST", maps(ns), held)[0] == 409
    for finalizer, status in (("example.com/z", 422), ("example.com/y", 200)):  # none may be added any more
        patch = {"metadata": {"finalizers": [finalizer]}}
        assert server.request("PATCH", maps(ns, "a"), patch, media=MERGE)[0] == status
    assert server.request("GET", maps(ns, "a"))[0] == 200
    server.request("PATCH", maps(ns, "a"), [{"op": "remove", "path": "/metadata/finalizers"}], media=JSON)
    assert server.request("GET", maps(ns, "a"))[0] == 404
    events = server.events(maps(ns), {"resourceVersion": version(made)}, 4)
    assert [e["type"] for e in events] == ["MODIFIED", "MODIFIED", "MODIFIED", "DELETED"]


def test_preconditions_of_a_delete_name_a_version_too(server: Server, ns: str) -> None:
    old = server.create(maps(ns), config())
    _, new = server.request("PATCH", maps(ns, "a"), {"data": {"k": "v"}}, media=MERGE)
    for tree, status in ((old, 409), (new, 200)):
        body = {"preconditions": {"resourceVersion": version(tree), "uid": old["metadata"]["uid"]}}
        assert server.request("DELETE", maps(ns, "a"), body)[0] == status


@pytest.mark.parametrize(
    ("bound", "how", "left"),
    [
        (False, {}, None),
        (True, {}, 30),
        (True, {"gracePeriodSeconds": 7}, 7),
        (True, {"gracePeriodSeconds": 0}, None),
    ],
)
def test_a_pod_gets_grace_only_where_it_may_run(
    server: Server, ns: str, bound: bool, how: dict, left: int | None
) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    server.create(path, PODS)
    if bound:
        target = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
        assert server.request("POST", path + "/p/binding", target)[0] == 201
    status, answer = server.request("DELETE", path + "/p", how or None)
    assert status == 200 and answer["kind"] == "Pod"
    status, pod = server.request("GET", path + "/p")
    if left is None:
        assert status == 404
    else:
        assert pod["metadata"]["deletionGracePeriodSeconds"] == left and pod["spec"]["nodeName"] == "n"


def test_a_pods_grace_can_be_shortened_and_not_lengthened(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    server.create(path, PODS)
    server.request("POST", path + "/p/binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}})
    for asked, left in ((20, 20), (25, 20), (5, 5)):
        server.request("DELETE", path + "/p", query={"gracePeriodSeconds": str(asked)})
        assert server.request("GET", path + "/p")[1]["metadata"]["deletionGracePeriodSeconds"] == left


def test_a_pod_is_bound_once(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    server.create(path, PODS)
    for node, status in (("n1", 201), ("n2", 409)):
        body = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": node}}
        assert server.request("POST", path + "/p/binding", body)[0] == status
    _, pod = server.request("GET", path + "/p")
    assert pod["spec"]["nodeName"] == "n1"
    assert [c["status"] for c in pod["status"]["conditions"] if c["type"] == "PodScheduled"] == ["True"]
    body = {"metadata": {"name": "q"}, "target": {"kind": "Node", "name": "n"}}
    assert server.request("POST", path + "/q/binding", body)[0] == 404


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ({}, []),
        ({"labelSelector": "l in (x)"}, ["c"]),
        ({"labelSelector": "l!=x"}, ["a", "b"]),
        ({"fieldSelector": "metadata.name=b"}, ["a", "c"]),
        ({"labelSelector": "none"}, ["a", "b", "c"]),
    ],
)
def test_a_collection_is_deleted_by_what_selects_it(server: Server, ns: str, query: dict, left: list) -> None:
    for name, label in (("a", "x"), ("b", "x"), ("c", "y")):
        server.create(maps(ns), {"metadata": {"name": name, "labels": {"l": label}}})
    status, gone = server.request("DELETE", maps(ns), query=query)
    assert (status, gone["kind"], len(gone["items"])) == (200, "ConfigMapList", 3 - len(left))
    assert [i["metadata"]["name"] for i in server.request("GET", maps(ns))[1]["items"]] == left


def test_a_collection_is_deleted_in_its_own_namespace_only(server: Server, ns: str) -> None:
    other = f"{ns}-other"
    server.create("/api/v1/namespaces", {"metadata": {"name": other}})
    for name in (ns, other):
        server.create(maps(name), config())
    server.request("DELETE", maps(ns))
    assert server.request("GET", maps(ns, "a"))[0] == 404 and server.request("GET", maps(other, "a"))[0] == 200


def test_generation_counts_changes_of_the_spec_only(server: Server, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    assert server.create(path, DEPLOYMENT)["metadata"]["generation"] == 1
    for where, patch, want in (
        ("", {"metadata": {"labels": {"a": "b"}}}, 1),
        ("/status", {"status": {"replicas": 2}}, 1),
        ("", {"spec": {"replicas": 4}}, 2),
        ("", {"spec": {"replicas": 4}}, 2),
        ("/scale", {"spec": {"replicas": 5}}, 3),
    ):
        server.request("PATCH", f"{path}/web{where}", patch, media=MERGE)
        assert server.request("GET", f"{path}/web")[1]["metadata"]["generation"] == want, (where, patch)


def test_what_the_server_sets_nobody_else_does(server: Server, ns: str) -> None:
    mine = {"uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 7, "selfLink": "/x"}
    made = server.create(maps(ns), {"metadata": {"name": "a", **mine}})
    assert made["metadata"]["uid"] != "mine" and made["metadata"]["creationTimestamp"] > "2020"
    patch = {"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z", "generation": 9}, "data": {"k": "v"}}
    _, after = server.request("PATCH", maps(ns, "a"), patch, media=MERGE)
    assert after["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    assert "generation" not in after["metadata"]


@pytest.mark.parametrize(
    "path", ["/nowhere", "/apis/none.example.com/v1/things", "/apis/none.example.com", "/openapi/v9"]
)
def test_a_path_that_nobody_serves_is_plain_text(server: Server, path: str) -> None:
    status, answer = server.request("GET", path)
    assert (status, answer) == (404, b"404 page not found\n")
    assert server.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    "path", ["/api/v1/nothings", "/apis/apps/v1/namespaces/x/nothings/y", "/api/v1/namespaces/x/pods/p/none"]
)
def test_a_resource_that_a_known_group_has_not_is_a_status(server: Server, path: str) -> None:
    status, answer = server.request("GET", path)
    assert (status, answer["reason"], answer["details"]) == (404, "NotFound", {})
    assert answer["message"] == "the server could not find the requested resource"


def test_each_kind_is_selected_by_its_own_fields(server: Server, ns: str) -> None:
    core, new = f"/api/v1/namespaces/{ns}/events", f"/apis/events.k8s.io/v1/namespaces/{ns}/events"
    about = {"kind": "Pod", "namespace": ns, "name": "p"}
    server.create(core, {"metadata": {"name": "e"}, "involvedObject": about, "reason": "Seen", "type": "Normal"})
    for path, selector, want in (
        (core, "involvedObject.name=p", ["e"]),
        (core, "involvedObject.name!=p", []),
        (core, "regarding.name=p", "field label not supported: regarding.name"),
        (new, "regarding.name=p,reason=Seen", ["e"]),
        (new, "involvedObject.name=p", "field label not supported: involvedObject.name"),
        ("/api/v1/nodes", "metadata.namespace=x", "field label not supported: metadata.namespace"),
        ("/apis/batch/v1/jobs", "spec.x=1", 'field label "spec.x" not supported for Job'),
        (
            "/apis/storage.k8s.io/v1/storageclasses",
            "provisioner=x",
            '"provisioner" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
    ):
        status, answer = server.request("GET", f"{path}?fieldSelector={quote(selector)}")
        if status == 200:
            assert [i["metadata"]["name"] for i in answer["items"]] == want, selector
        else:
            assert (status, answer["message"]) == (400, want), selector
