"""Custom resources over HTTPS: definitions that come, change and go; versions, subresources, selectors, Tables, restarts."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hookserver import HookServer, patched
from server import Server

Tree = dict[str, Any]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
NUMBERS = itertools.count(1)
MERGE, APPLY, JSON = "application/merge-patch+json", "application/apply-patch+yaml", "application/json-patch+json"


def schema(**spec: Tree) -> Tree:
    status = {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}}}
    properties = {"spec": {"type": "object", "properties": spec}, "status": status}
    return {"openAPIV3Schema": {"type": "object", "properties": properties}}


def version(name: str = "v1", storage: bool = True, **more: Any) -> Tree:
    fields = {"a": {"type": "string"}, "n": {"type": "integer"}}
    return {"name": name, "served": True, "storage": storage, "schema": schema(**fields), **more}


def definition(group: str, *versions: Tree, plural: str = "things", kind: str = "Thing", **spec: Any) -> Tree:
    return {
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": list(versions) or [version()],
            **spec,
        },
    }


def eventually(check: Callable[[], bool], what: str, within: float = 10) -> None:
    end = time.monotonic() + within
    while not check():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def install(server: Server, tree: Tree) -> Tree:
    found = server.create(DEFINITIONS, tree)
    path = f"{DEFINITIONS}/{tree['metadata']['name']}"
    eventually(lambda: condition(server.request("GET", path)[1], "Established") == "True", "it is not established")
    return dict(found)


def condition(tree: Tree, kind: str) -> str:
    found = (tree.get("status") or {}).get("conditions") or ()
    return str(next((c["status"] for c in found if c["type"] == kind), ""))


@pytest.fixture
def group() -> str:
    return f"c{next(NUMBERS)}.example.com"


def path(group: str, ns: str, name: str = "", version_name: str = "v1") -> str:
    return f"/apis/{group}/{version_name}/namespaces/{ns}/things" + (f"/{name}" if name else "")


def thing(group: str, name: str, version_name: str = "v1", **spec: Any) -> Tree:
    return {"apiVersion": f"{group}/{version_name}", "kind": "Thing", "metadata": {"name": name}, "spec": spec}


def test_an_object_is_the_same_in_every_served_version(server: Server, ns: str, group: str) -> None:
    old = version("v1beta1", False, schema=schema(a={"type": "string"}))
    install(server, definition(group, version(), old, version("v0", False, served=False)))
    server.create(path(group, ns), thing(group, "x", a="1", n=2))
    status, seen = server.request("GET", path(group, ns, "x", "v1beta1"))
    assert (status, seen["apiVersion"], seen["spec"]) == (200, f"{group}/v1beta1", {"a": "1"})
    listed = server.request("GET", path(group, ns, version_name="v1beta1"))[1]
    assert [(i["apiVersion"], i["kind"]) for i in listed["items"]] == [(f"{group}/v1beta1", "Thing")]
    assert (listed["kind"], listed["apiVersion"], listed["metadata"]["continue"]) == ("ThingList", f"{group}/v1beta1", "")
    # A write in another version is judged there, and stored in the storage version.
    code, changed = server.request("PATCH", path(group, ns, "x", "v1beta1"), {"spec": {"a": "2"}}, media=MERGE)
    assert (code, changed["apiVersion"], changed["spec"]) == (200, f"{group}/v1beta1", {"a": "2"})
    assert server.request("GET", path(group, ns, "x"))[1]["apiVersion"] == f"{group}/v1"
    owners = server.request("GET", f"{DEFINITIONS}/things.{group}")[1]["metadata"]["managedFields"]
    assert ("kube-apiserver", "status") in [(m["manager"], m.get("subresource")) for m in owners]
    events = server.events(path(group, ns, version_name="v1beta1"), {"resourceVersion": "0"}, 1)
    assert events[0]["object"]["apiVersion"] == f"{group}/v1beta1"
    assert server.request("GET", path(group, ns, "x", "v0"))[0] == 404
    assert server.request("GET", path(group, ns, "x", "v9")) == (404, b"404 page not found\n")


def test_managed_fields_tell_the_version_of_each_write(server: Server, ns: str, group: str) -> None:
    install(server, definition(group, version(), version("v2", False)))
    query = {"fieldManager": "one"}
    body = thing(group, "x", a="1")
    assert server.request("PATCH", path(group, ns, "x"), body, query, APPLY)[0] == 201
    other = thing(group, "x", "v2", n=1)
    status, found = server.request("PATCH", path(group, ns, "x", "v2"), other, {"fieldManager": "two"}, APPLY)
    assert status == 200
    told = [(m["manager"], m["apiVersion"], m["fieldsV1"]) for m in found["metadata"]["managedFields"]]
    assert told == [
        ("one", f"{group}/v1", {"f:spec": {"f:a": {}}}),
        ("two", f"{group}/v2", {"f:spec": {"f:n": {}}}),
    ]
    status, told = server.request("PATCH", path(group, ns, "x", "v2"), thing(group, "x", "v2", a="2"), {"fieldManager": "two"}, APPLY)
    assert (status, told["reason"]) == (409, "Conflict")


def test_owners_of_a_version_that_is_gone_are_forgotten(server: Server, ns: str, group: str) -> None:
    install(server, definition(group, version(), version("v0", False)))
    for name, body in (("v0", thing(group, "x", "v0", a="1")), ("v1", thing(group, "x", n=1))):
        query = {"fieldManager": f"by-{name}"}
        assert server.request("PATCH", path(group, ns, "x", name), body, query, APPLY)[0] in (200, 201)
    gone = [{"op": "remove", "path": "/spec/versions/1"}]
    assert server.request("PATCH", f"{DEFINITIONS}/things.{group}", gone, media=JSON)[0] == 200
    query = {"fieldManager": "by-v1"}
    status, found = server.request("PATCH", path(group, ns, "x"), thing(group, "x", n=2, a="2"), query, APPLY)
    assert (status, found["spec"]) == (200, {"a": "2", "n": 2})
    assert [m["manager"] for m in found["metadata"]["managedFields"]] == ["by-v1"]


def test_a_watch_ends_when_the_schema_changes_and_old_objects_are_read_by_the_new_one(
    server: Server, ns: str, group: str
) -> None:
    install(server, definition(group))
    made = server.create(path(group, ns), thing(group, "x", a="1"))
    connection = server.connect(timeout=10)
    connection.request("GET", path(group, ns) + f"?watch=true&resourceVersion={made['metadata']['resourceVersion']}")
    answer = connection.getresponse()
    assert answer.status == 200
    place = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/b"
    change = [{"op": "add", "path": place, "value": {"type": "string", "default": "new"}}]
    assert server.request("PATCH", f"{DEFINITIONS}/things.{group}", change, media=JSON)[0] == 200
    assert answer.readline() == b""  # the end of the watch
    connection.close()
    assert server.request("GET", path(group, ns, "x"))[1]["spec"] == {"a": "1", "b": "new"}
    table = server.request("GET", path(group, ns), accept=TABLE)[1]
    assert [r["cells"][0] for r in table["rows"]] == ["x"]
    assert server.request("GET", path(group, ns))[1]["items"][0]["spec"]["b"] == "new"
    # What is only read is not written.
    assert server.request("GET", path(group, ns, "x"))[1]["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_columns_of_a_definition_make_the_table(server: Server, ns: str, group: str) -> None:
    columns = [
        {"name": "A", "type": "string", "jsonPath": ".spec.a"},
        {"name": "N", "type": "integer", "jsonPath": ".spec.n", "priority": 1},
    ]
    install(server, definition(group, version(additionalPrinterColumns=columns)))
    empty = server.request("GET", path(group, ns), accept=TABLE)[1]
    assert empty["rows"] == []
    server.create(path(group, ns), thing(group, "x", a="1", n=2))
    found = server.request("GET", path(group, ns), accept=TABLE)[1]
    assert [(c["name"], c["type"], c["priority"]) for c in found["columnDefinitions"]] == [
        ("Name", "string", 0),
        ("A", "string", 0),
        ("N", "integer", 1),
    ]
    assert found["rows"][0]["cells"] == ["x", "1", 2]
    one = server.request("GET", path(group, ns, "x"), accept=TABLE)[1]
    assert one["rows"][0]["cells"] == ["x", "1", 2]


def test_fields_that_may_be_selected_select(server: Server, ns: str, group: str) -> None:
    install(server, definition(group, version(selectableFields=[{"jsonPath": ".spec.n"}])))
    for name, n in (("x", 1), ("y", 2)):
        server.create(path(group, ns), thing(group, name, n=n))

    def names(selector: str) -> list[str]:
        found = server.request("GET", path(group, ns), query={"fieldSelector": selector})[1]
        return [i["metadata"]["name"] for i in found["items"]]

    assert names("spec.n=1") == ["x"]
    assert names("spec.n!=1,metadata.name=y") == ["y"]
    status, told = server.request("GET", path(group, ns), query={"fieldSelector": "spec.a=1"})
    assert (status, told["message"]) == (400, "field label not supported: spec.a")
    # Objects are looked at anew when the definition lets other fields be selected.
    change = [{"op": "add", "path": "/spec/versions/0/selectableFields/-", "value": {"jsonPath": ".spec.a"}}]
    assert server.request("PATCH", f"{DEFINITIONS}/things.{group}", change, media=JSON)[0] == 200
    eventually(lambda: server.request("GET", path(group, ns), query={"fieldSelector": "spec.a=1"})[0] == 200, "no new field")
    assert names("spec.a=") == ["x", "y"]


def owners(server: Server, at: str) -> list[Tree]:
    found: list[Tree] = server.request("GET", at)[1]["metadata"]["managedFields"]
    return found


def test_scale_follows_the_paths_of_the_definition(server: Server, ns: str, group: str) -> None:
    scale = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}
    install(server, definition(group, version(subresources={"status": {}, "scale": scale})))
    server.create(path(group, ns), thing(group, "x", a="1"))
    at = path(group, ns, "x/scale")
    status, told = server.request("GET", at)
    assert (status, told["message"]) == (400, 'the spec replicas field ".spec.n" does not exist')
    found = server.request("PUT", at, {"metadata": {"name": "x"}, "spec": {"replicas": 3}})
    assert (found[0], found[1]["spec"], found[1]["status"]) == (200, {"replicas": 3}, {"replicas": 0})
    whole = server.request("GET", path(group, ns, "x"))[1]
    assert (whole["spec"], whole["metadata"]["generation"]) == ({"a": "1", "n": 3}, 2)
    status = {"status": {"replicas": 2, "selector": "a=b"}, "spec": {"n": 9}}
    assert server.request("PATCH", path(group, ns, "x/status"), status, media=MERGE)[0] == 200
    found = server.request("GET", at)
    assert (found[1]["spec"], found[1]["status"]) == ({"replicas": 3}, {"replicas": 2, "selector": "a=b"})
    # Nobody owned replicas that were not there, so no record begins; an update makes their owner, then a scale takes them.
    assert not [m for m in owners(server, path(group, ns, "x")) if m.get("subresource") == "scale"]
    assert server.request("PATCH", path(group, ns, "x"), {"spec": {"n": 1}}, media=MERGE)[0] == 200
    assert server.request("PATCH", at, {"spec": {"replicas": 3}}, media=MERGE)[0] == 200
    scaled = [m for m in owners(server, path(group, ns, "x")) if m.get("subresource") == "scale"]
    assert [(m["fieldsV1"], "time" in m) for m in scaled] == [({"f:spec": {"f:n": {}}}, False)]
    table = server.request("GET", at, accept=TABLE)[1]
    assert [c["name"] for c in table["columnDefinitions"]] == ["Name", "Desired", "Available", "Age"]
    assert table["rows"][0]["cells"][:3] == ["x", 3, 2]
    stale = {"metadata": {"name": "x", "resourceVersion": "1"}, "spec": {"replicas": 4}}
    assert server.request("PUT", at, stale)[0] == 409


def test_what_a_definition_does_not_have_is_not_found(server: Server, ns: str, group: str) -> None:
    install(server, definition(group))
    server.create(path(group, ns), thing(group, "x", a="1"))
    status, told = server.request("GET", path(group, ns, "x/status"))
    assert (status, told["message"]) == (404, f'things.{group} "x" not found')
    assert server.request("GET", f"/apis/{group}/v1/things/x") == (404, b"404 page not found\n")
    assert server.request("GET", f"/apis/{group}/v1/others") == (404, b"404 page not found\n")
    assert [i["metadata"]["name"] for i in server.request("GET", f"/apis/{group}/v1/things")[1]["items"]] == ["x"]
    status, told = server.request("PATCH", path(group, ns, "x"), {}, media="application/strategic-merge-patch+json")
    assert (status, told["reason"]) == (415, "UnsupportedMediaType")
    status, told = server.request("PUT", path(group, ns), thing(group, "x"))
    assert (status, told["message"]) == (405, f'update is not supported on resources of kind "things.{group}"')


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"apiVersion": "other.example.com/v1"}, 400, "the API version in the data (other.example.com/v1) does not match"),
        ({"apiVersion": None}, 400, "the API version in the data () does not match"),
        ({"kind": "Other"}, 422, 'kind: Invalid value: "Other": must be Thing'),
        ({"kind": None}, 400, "Object 'Kind' is missing"),
        ({"metadata": {"name": "x", "labels": {"a": 1}}}, 400, "cannot unmarshal number into Go struct field ObjectMeta.labels"),
        ({"metadata": {"name": "X_Y"}}, 422, "a lowercase RFC 1123 subdomain must consist of"),
        ({"spec": {"n": "one"}}, 422, "spec.n in body must be of type integer"),
    ],
)
def test_a_bad_body_is_refused_in_kubernetes_words(
    server: Server, ns: str, group: str, change: Tree, code: int, message: str
) -> None:
    install(server, definition(group))
    status, told = server.request("POST", path(group, ns), {**thing(group, "x", a="1"), **change})
    assert status == code, told
    assert message in told["message"]


def test_finalizers_without_a_domain_are_worth_a_warning(server: Server, ns: str, group: str) -> None:
    install(server, definition(group))
    tree = thing(group, "x")
    tree["metadata"]["finalizers"] = ["mine"]
    server.create(path(group, ns), tree)
    assert 'metadata.finalizers: \\"mine\\": prefer a domain-qualified finalizer name' in str(server.headers["Warning"])
    server.request("PATCH", path(group, ns, "x"), {"metadata": {"finalizers": None}}, media=MERGE)


def test_a_deprecated_version_warns_and_names_the_better_one(server: Server, ns: str, group: str) -> None:
    install(server, definition(group, version("v2"), version("v1", False, deprecated=True)))
    server.request("GET", path(group, ns))
    assert server.headers["Warning"] == f'299 - "{group}/v1 Thing is deprecated; use {group}/v2 Thing"'
    server.request("GET", path(group, ns, version_name="v2"))
    assert server.headers["Warning"] is None


def test_discovery_and_documents_follow_the_definitions(server: Server, group: str) -> None:
    assert server.request("GET", f"/apis/{group}")[0] == 404
    tree = definition(group, version("v1beta1", False), version("v2"), version("v1", False, served=False))
    tree["spec"]["names"]["shortNames"] = ["th"]
    install(server, tree)
    found = server.request("GET", f"/apis/{group}")[1]
    assert [v["version"] for v in found["versions"]] == ["v2", "v1beta1"]
    assert found["preferredVersion"]["version"] == "v2"
    listed = server.request("GET", f"/apis/{group}/v2")[1]["resources"]
    assert [(r["name"], r["shortNames"]) for r in listed] == [("things", ["th"])]
    groups = [g["name"] for g in server.request("GET", "/apis")[1]["groups"]]
    assert groups.index(group) > groups.index("discovery.k8s.io")
    index = server.request("GET", "/openapi/v3")[1]["paths"]
    document = server.request("GET", index[f"apis/{group}/v2"]["serverRelativeURL"])[1]
    name = ".".join([*reversed(group.split(".")), "v2", "Thing"])
    assert set(document["components"]["schemas"][name]["properties"]) == {"apiVersion", "kind", "metadata", "spec", "status"}
    patch = document["paths"][f"/apis/{group}/v2/namespaces/{{namespace}}/things/{{name}}"]["patch"]
    assert "fieldValidation" in [p["name"] for p in patch["parameters"]]
    assert server.request("DELETE", f"{DEFINITIONS}/things.{group}")[0] == 200
    eventually(lambda: server.request("GET", f"/apis/{group}")[0] == 404, "the group is still told of")


def test_a_definition_ends_with_its_objects_and_can_come_again(server: Server, ns: str, group: str) -> None:
    install(server, definition(group))
    held = thing(group, "held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    server.create(path(group, ns), held)
    server.create(path(group, ns), thing(group, "free"))
    at = f"{DEFINITIONS}/things.{group}"
    dry = server.request("DELETE", at, {"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]})
    assert dry[0] == 200
    assert "deletionTimestamp" not in server.request("GET", at)[1]["metadata"]
    assert server.request("DELETE", at)[0] == 200
    eventually(lambda: server.request("GET", path(group, ns, "free"))[0] == 404, "an object is left")
    status, told = server.request("POST", path(group, ns), thing(group, "late"))
    why = f'things.{group} "late" is forbidden: create not allowed while custom resource definition is terminating'
    assert (status, told["message"]) == (403, why)
    verbs = server.request("GET", f"/apis/{group}/v1")[1]["resources"][0]["verbs"]
    assert verbs == ["delete", "deletecollection", "get", "list", "watch"]
    patch = {"metadata": {"finalizers": None}}
    assert server.request("PATCH", path(group, ns, "held"), patch, media=MERGE)[0] == 200
    eventually(lambda: server.request("GET", at)[0] == 404, "the definition is still there")
    install(server, definition(group))
    assert server.request("GET", path(group, ns))[1]["items"] == []


def test_names_in_conflict_are_given_when_they_are_free(server: Server, ns: str, group: str) -> None:
    install(server, definition(group))
    other = definition(group, plural="others")
    other["spec"]["names"]["listKind"] = "OtherList"
    other["spec"]["names"]["singular"] = "other"
    server.create(DEFINITIONS, other)
    at = f"{DEFINITIONS}/others.{group}"
    eventually(lambda: condition(server.request("GET", at)[1], "NamesAccepted") == "False", "its kind is in use")
    assert server.request("GET", f"/apis/{group}/v1/namespaces/{ns}/others") == (404, b"404 page not found\n")
    server.request("DELETE", f"{DEFINITIONS}/things.{group}")
    eventually(lambda: condition(server.request("GET", at)[1], "Established") == "True", "its kind is free")
    assert server.request("GET", f"/apis/{group}/v1/namespaces/{ns}/others")[1]["kind"] == "OtherList"


def test_custom_resources_are_served_again_after_a_kill(make_server: Callable[..., Server]) -> None:
    server = make_server()
    server.create("/api/v1/namespaces", {"metadata": {"name": "n"}})
    install(server, definition("keep.example.com", version(additionalPrinterColumns=[])))
    server.create(path("keep.example.com", "n"), thing("keep.example.com", "x", a="1"))
    held = thing("end.example.com", "held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    install(server, definition("end.example.com"))
    server.create(path("end.example.com", "n"), held)
    server.request("DELETE", f"{DEFINITIONS}/things.end.example.com")
    server.kill()
    server.start().wait()
    assert server.request("GET", path("keep.example.com", "n", "x"))[1]["spec"] == {"a": "1"}
    assert server.request("GET", path("keep.example.com", "n"))[1]["items"][0]["kind"] == "Thing"
    # The end of a definition goes on where it was.
    patch = {"metadata": {"finalizers": None}}
    assert server.request("PATCH", path("end.example.com", "n", "held"), patch, media=MERGE)[0] == 200
    eventually(lambda: server.request("GET", f"{DEFINITIONS}/things.end.example.com")[0] == 404, "it did not end")


def test_an_object_keeps_its_form_when_the_storage_version_changes(server: Server, ns: str, group: str) -> None:
    tree = definition(group, version(), version("v2", False))
    install(server, tree)
    server.create(path(group, ns), thing(group, "x", a="1"))
    change = [
        {"op": "replace", "path": "/spec/versions/0/storage", "value": False},
        {"op": "replace", "path": "/spec/versions/1/storage", "value": True},
    ]
    status, found = server.request("PATCH", f"{DEFINITIONS}/things.{group}", change, media=JSON)
    assert (status, found["status"]["storedVersions"]) == (200, ["v1", "v2"])
    for name in ("v1", "v2"):
        assert server.request("GET", path(group, ns, "x", name))[1]["apiVersion"] == f"{group}/{name}"
    assert server.request("PATCH", path(group, ns, "x"), {"spec": {"n": 1}}, media=MERGE)[1]["apiVersion"] == f"{group}/v1"
    assert server.request("GET", path(group, ns, "x", "v2"))[1]["spec"] == {"a": "1", "n": 1}
    assert server.request("DELETE", path(group, ns, "x"))[1]["status"] == "Success"


def test_a_definition_of_a_built_in_kind_changes_nothing(server: Server, ns: str) -> None:
    schema_of = {"openAPIV3Schema": {"type": "object"}}
    tree = {
        "metadata": {
            "name": "leases.coordination.k8s.io",
            "annotations": {"api-approved.kubernetes.io": "unapproved, a test"},
        },
        "spec": {
            "group": "coordination.k8s.io",
            "scope": "Namespaced",
            "names": {"plural": "leases", "kind": "Lease"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema_of}],
        },
    }
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"
    server.create(lease, {"metadata": {"name": "kept"}, "spec": {"holderIdentity": "me"}})
    install(server, tree)
    server.create(lease, {"metadata": {"name": "also"}, "spec": {"holderIdentity": "me"}})
    at = f"{DEFINITIONS}/leases.coordination.k8s.io"
    server.request("DELETE", at)
    eventually(lambda: server.request("GET", at)[0] == 404, "the definition is still there")
    found = [i["metadata"]["name"] for i in server.request("GET", lease)[1]["items"]]
    assert found == ["also", "kept"], json.dumps(found)


def test_what_a_webhook_adds_has_to_be_known_to_the_schema(server: Server, ns: str, group: str, tmp_path: Path) -> None:
    install(server, definition(group))
    hooks = HookServer(tmp_path / "hooks")
    configurations = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    try:
        hooks.on("/add", patched({"op": "add", "path": "/spec/n", "value": 7}, {"op": "add", "path": "/spec/zz", "value": 1}))
        rules = [{"operations": ["*"], "apiGroups": [group], "apiVersions": ["*"], "resources": ["things"]}]
        server.create(configurations, {"metadata": {"name": group}, "webhooks": [hooks.hook("/add", ns, rules=rules)]})
        eventually(
            lambda: server.request("POST", path(group, ns), thing(group, "x"), {"dryRun": "All"})[1].get("spec") == {"n": 7},
            "the webhook is not asked",
        )
        assert server.create(path(group, ns), thing(group, "x", a="1"))["spec"] == {"a": "1", "n": 7}
        status, found = server.request("PATCH", path(group, ns, "x"), {"spec": {"a": "2"}}, media=MERGE)
        assert (status, found["spec"]) == (200, {"a": "2", "n": 7})
    finally:
        server.request("DELETE", f"{configurations}/{group}")
        hooks.close()


def test_a_write_that_was_held_up_does_not_outlive_its_definition(server: Server, ns: str, group: str, tmp_path: Path) -> None:
    install(server, definition(group))
    hooks = HookServer(tmp_path / "hooks")
    configurations = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    arrived, go_on = threading.Event(), threading.Event()

    def hold(request: Tree) -> Tree:
        arrived.set()
        go_on.wait(10)
        return {"allowed": True}

    try:
        hooks.on("/hold", hold)
        rules = [{"operations": ["CREATE"], "apiGroups": [group], "apiVersions": ["*"], "resources": ["things"]}]
        server.create(configurations, {"metadata": {"name": group}, "webhooks": [hooks.hook("/hold", ns, rules=rules)]})
        answers: list[tuple[int, Any]] = []
        writing = threading.Thread(target=lambda: answers.append(server.request("POST", path(group, ns), thing(group, "x"))))
        writing.start()
        assert arrived.wait(10)
        server.request("DELETE", f"{DEFINITIONS}/things.{group}")
        eventually(lambda: server.request("GET", f"{DEFINITIONS}/things.{group}")[0] == 404, "the definition is left")
        go_on.set()
        writing.join(10)
        assert answers[0][0] == 404, answers
        install(server, definition(group))
        assert server.request("GET", path(group, ns))[1]["items"] == []
    finally:
        go_on.set()
        server.request("DELETE", f"{configurations}/{group}")
        hooks.close()


def converting(request: Tree) -> Tree:
    """v1 has `spec.a`, v2 `spec.b`."""
    found = []
    for tree in request["objects"]:
        spec = tree.get("spec") or {}
        old, new = ("b", "a") if request["desiredAPIVersion"].endswith("/v1") else ("a", "b")
        renamed = {new if name == old else name: value for name, value in spec.items()}
        found.append({**tree, "apiVersion": request["desiredAPIVersion"], "spec": renamed})
    return {"result": {"status": "Success"}, "convertedObjects": found}


def test_a_webhook_converts_between_versions(server: Server, ns: str, group: str, tmp_path: Path) -> None:
    hooks = HookServer(tmp_path / "hooks")
    try:
        hooks.on("/convert", converting)
        webhook = {"clientConfig": hooks.client("/convert"), "conversionReviewVersions": ["v1"]}
        new = version("v2", False, schema=schema(b={"type": "string"}), selectableFields=[{"jsonPath": ".spec.b"}])
        tree = definition(group, version(), new, conversion={"strategy": "Webhook", "webhook": webhook})
        install(server, tree)
        server.create(path(group, ns), thing(group, "x", a="1"))
        made = server.create(path(group, ns, version_name="v2"), thing(group, "y", "v2", b="2"))
        assert (made["apiVersion"], made["spec"]) == (f"{group}/v2", {"b": "2"})
        assert server.request("GET", path(group, ns, "x", "v2"))[1]["spec"] == {"b": "1"}
        assert server.request("GET", path(group, ns, "y"))[1]["spec"] == {"a": "2"}
        listed = server.request("GET", path(group, ns, version_name="v2"))[1]["items"]
        assert [(i["apiVersion"], i["spec"]) for i in listed] == [(f"{group}/v2", {"b": "1"}), (f"{group}/v2", {"b": "2"})]
        query = {"fieldSelector": "spec.b=2"}
        chosen = server.request("GET", path(group, ns, version_name="v2"), query=query)[1]["items"]
        assert [i["metadata"]["name"] for i in chosen] == ["y"]
        status, changed = server.request("PATCH", path(group, ns, "x", "v2"), {"spec": {"b": "3"}}, media=MERGE)
        assert (status, changed["spec"], changed["metadata"]["generation"]) == (200, {"b": "3"}, 2)
        seen = server.request("GET", path(group, ns, "x"))[1]
        assert (seen["spec"], seen["metadata"]["resourceVersion"]) == ({"a": "3"}, changed["metadata"]["resourceVersion"])
        events = server.events(path(group, ns, version_name="v2"), {"resourceVersion": "0"}, 2)
        assert [e["object"]["spec"] for e in events] == [{"b": "3"}, {"b": "2"}]
        body = thing(group, "x", "v2", b="4")
        status, applied = server.request("PATCH", path(group, ns, "x", "v2"), body, {"fieldManager": "m", "force": "true"}, APPLY)
        assert (status, applied["spec"]) == (200, {"b": "4"})
        # What the webhook does not answer is an error, and nothing is stored.
        hooks.on("/convert", lambda request: {"result": {"status": "Failed", "message": "out of order"}})
        server.create(path(group, ns), thing(group, "w", a="6"))
        (event,) = server.events(path(group, ns, version_name="v2"), {"resourceVersion": made["metadata"]["resourceVersion"]}, 1)
        assert (event["type"], "out of order" in event["object"]["message"]) == ("ERROR", True)
        status, told = server.request("POST", path(group, ns, version_name="v2"), thing(group, "z", "v2", b="5"))
        assert (status, "out of order" in told["message"]) == (500, True)
        assert server.request("GET", path(group, ns, "z"))[0] == 404
        assert server.request("DELETE", path(group, ns, "x"))[0] == 200
    finally:
        hooks.close()


def test_each_group_version_has_an_api_service_while_it_is_served(server: Server, group: str) -> None:
    install(server, definition(group, version(), version("v2", False)))
    services = "/apis/apiregistration.k8s.io/v1/apiservices"
    for name in ("v1", "v2"):
        at = f"{services}/{name}.{group}"
        eventually(lambda at=at: server.request("GET", at)[0] == 200, "there is no APIService")  # type: ignore[misc]
    found = server.request("GET", f"{services}/v1.{group}")[1]
    assert (found["spec"]["groupPriorityMinimum"], found["spec"]["versionPriority"]) == (1000, 100)
    assert condition(found, "Available") == "True"
    server.request("DELETE", f"{DEFINITIONS}/things.{group}")
    eventually(lambda: server.request("GET", f"{services}/v1.{group}")[0] == 404, "the APIService is left")


def test_a_scale_that_says_nothing_is_zero_unless_it_was_patched_where_nothing_is(server: Server, ns: str, group: str) -> None:
    scale = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.replicas"}
    install(server, definition(group, version(subresources={"status": {}, "scale": scale})))
    server.create(path(group, ns), thing(group, "x", a="1"))
    at = path(group, ns, "x/scale")
    status, told = server.request("PATCH", at, {}, media=MERGE)
    assert (status, told["message"]) == (400, 'the spec replicas field ".spec.n" cannot be empty')
    assert server.request("PUT", at, {"metadata": {"name": "x"}})[1]["spec"] == {}
    assert server.request("GET", path(group, ns, "x"))[1]["spec"] == {"a": "1", "n": 0}
    assert server.request("GET", at)[1]["spec"] == {}
    other = {"apiVersion": "apps/v1", "kind": "Scale", "metadata": {"name": "x"}, "spec": {"replicas": 1}}
    assert server.request("PUT", at, other)[0] == 400


def test_what_the_stored_version_does_not_know_is_not_kept(server: Server, ns: str, group: str) -> None:
    extra = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}}}
    newer = {"name": "v2", "served": True, "storage": False, "schema": {"openAPIV3Schema": extra}}
    install(server, definition(group, version(), newer))
    made = server.request("POST", path(group, ns).replace("/v1/", "/v2/"), {**thing(group, "x", a="1", b="2"), "apiVersion": f"{group}/v2"})
    assert (made[0], made[1]["spec"]) == (201, {"a": "1"})


def test_applied_nulls_are_told_of_and_others_go(server: Server, ns: str, group: str) -> None:
    install(server, definition(group))
    config = {**thing(group, "x"), "spec": {"a": None}}
    status, told = server.request("PATCH", path(group, ns, "x"), config, media="application/apply-patch+yaml", query={"fieldManager": "m"})
    assert (status, told["details"]["causes"][0]["message"]) == (
        422,
        'Invalid value: "null": spec.a in body must be of type string: "null"',
    )
    made = server.request("POST", path(group, ns), config)
    assert (made[0], made[1]["spec"]) == (201, {})
