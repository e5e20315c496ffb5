"""Kubernetes' protobuf encoding on the wire: what a typed client sends and asks for."""

from __future__ import annotations

from typing import Any

import pytest
from server import Server

from seaway.api import facts, kinds
from seaway.cluster.apiserver import protobuf
from seaway.cluster.apiserver.messages import fields_of

PROTOBUF = protobuf.CONTENT_TYPE
STATUS = "k8s.io.apimachinery.pkg.apis.meta.v1.Status"
META = {"name": "a", "labels": {"app": "web"}, "annotations": {"note": "é"}}
POD = {
    "containers": [
        {
            "name": "c",
            "image": "i",
            "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
            "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 3},
            "env": [{"name": "A", "value": "1"}],
        }
    ],
    "volumes": [{"name": "v", "configMap": {"name": "x"}}],
}
# kind -> (collection under a namespace, object, paths to parts that must come through)
CASES: dict[str, tuple[str, str, dict[str, Any], tuple[str, ...]]] = {
    "ConfigMap": ("/api/v1", "configmaps", {"data": {"k": "v"}, "binaryData": {"b": "AAEC/w=="}}, ()),
    "Secret": ("/api/v1", "secrets", {"type": "Opaque", "data": {"k": "c2VjcmV0"}}, ()),
    "Service": (
        "/api/v1",
        "services",
        {"spec": {"selector": {"app": "web"}, "ports": [{"name": "h", "port": 80, "targetPort": "http"}]}},
        ("selector",),
    ),
    "Deployment": (
        "/apis/apps/v1",
        "deployments",
        {
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": "web"}},
                "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": POD},
            }
        },
        ("replicas", "selector"),
    ),
    "Pod": ("/api/v1", "pods", {"spec": POD}, ()),
}


def message(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    name = facts.definition_of(group, version, kind)
    assert name
    return protobuf.message_of(name)


def read(raw: bytes) -> dict:
    """A protobuf body of any kind as a tree."""

    def known(api_version: str, kind: str) -> str:
        if kind == "Status":
            return STATUS
        return f"{message(api_version, kind[:-4])}List" if kind.endswith("List") else message(api_version, kind)

    return protobuf.decode(raw, known)


def body(kind: str, **meta: Any) -> tuple[dict, bytes]:
    prefix, _, fields, _ = CASES[kind]
    version = prefix.removeprefix("/apis/").removeprefix("/api/")
    tree = {"apiVersion": version, "kind": kind, "metadata": {**META, **meta}, **fields}
    return tree, protobuf.encode(tree, message(version, kind))


def collection(kind: str, ns: str) -> str:
    prefix, resource, _, _ = CASES[kind]
    return f"{prefix}/namespaces/{ns}/{resource}"


def without_server_parts(tree: dict) -> dict:
    fields = ("uid", "resourceVersion", "creationTimestamp", "managedFields")
    return {**tree, "metadata": {k: v for k, v in tree["metadata"].items() if k not in fields}}


@pytest.mark.parametrize("kind", CASES)
def test_a_protobuf_create_makes_the_object_that_a_json_create_makes(server: Server, ns: str, kind: str) -> None:
    tree, raw = body(kind)
    status, made = server.request("POST", collection(kind, ns), raw, media=PROTOBUF, query={"dryRun": "All"})
    assert status == 201, made
    status, same = server.request("POST", collection(kind, ns), tree, query={"dryRun": "All"})
    assert status == 201, same

    def still(found: dict) -> dict:
        found = without_server_parts(found)
        spec = dict(found.get("spec") or {})
        for name in ("clusterIP", "clusterIPs", "volumes"):
            spec.pop(name, None)
        for container in spec.get("containers") or ():
            container.pop("volumeMounts", None)  # the token's volume has a random name
        return {**found, "spec": spec}

    assert still(made) == still(same)


@pytest.mark.parametrize("kind", CASES)
def test_a_client_that_accepts_only_protobuf_gets_it_and_can_send_it_back(server: Server, ns: str, kind: str) -> None:
    _, raw = body(kind)
    path = collection(kind, ns)
    status, answer = server.request("POST", path, raw, media=PROTOBUF, accept=PROTOBUF)
    assert status == 201 and server.headers["Content-Type"] == PROTOBUF and answer.startswith(b"k8s\0")
    status, answer = server.request("GET", f"{path}/a", accept=PROTOBUF)
    found = read(answer)
    _, plain = server.request("GET", f"{path}/a")
    assert found["metadata"]["uid"] == plain["metadata"]["uid"] and found["kind"] == kind
    for part in CASES[kind][3]:
        assert found["spec"][part] == plain["spec"][part]
    status, answer = server.request("PUT", f"{path}/a", answer, media=PROTOBUF, accept=PROTOBUF)
    assert status == 200
    _, after = server.request("GET", f"{path}/a")
    assert after == plain, "sending back what was read changes nothing"


def test_lists_errors_and_deletes_are_told_in_protobuf_too(server: Server, ns: str) -> None:
    path = collection("ConfigMap", ns)
    for name in "ab":
        server.create(path, {"metadata": {"name": name}, "data": {"k": name}})
    found = read(server.request("GET", path, accept=PROTOBUF)[1])
    assert [i["data"]["k"] for i in found["items"]] == ["a", "b"] and found["metadata"]["resourceVersion"]
    status, raw = server.request("DELETE", f"{path}/a", accept=PROTOBUF)
    assert status == 200 and read(raw)["status"] == "Success"


def test_delete_options_in_protobuf_are_obeyed(server: Server, ns: str) -> None:
    path = collection("ConfigMap", ns)
    server.create(path, {"metadata": {"name": "a"}})
    name = "k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions"
    other = "00000000-0000-0000-0000-000000000000"
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": other}}
    status, _ = server.request("DELETE", f"{path}/a", protobuf.encode(options, name), media=PROTOBUF)
    assert status == 409
    assert server.request("GET", f"{path}/a")[0] == 200


def test_an_update_in_protobuf_changes_what_it_says(server: Server, ns: str) -> None:
    path = collection("Deployment", ns)
    _, raw = body("Deployment")
    server.request("POST", path, raw, media=PROTOBUF)
    _, tree = server.request("GET", f"{path}/a")
    tree["spec"]["replicas"] = 4
    raw = protobuf.encode(tree, message("apps/v1", "Deployment"))
    status, answer = server.request("PUT", f"{path}/a", raw, media=PROTOBUF)
    assert (status, answer["spec"]["replicas"], answer["metadata"]["generation"]) == (200, 4, 2)


def test_broken_protobuf_is_a_bad_request(server: Server, ns: str) -> None:
    _, raw = body("Deployment")
    path = collection("Deployment", ns)
    broken = [b"", b"k8s\0", b"k8s", b"{}", b"\0" * 50, raw[:-40], raw[: len(raw) // 2], raw[4:], b"k8s\0\xff\xff\xff"]
    broken += [raw[:i] + b"\xff" * 8 + raw[i + 8 :] for i in range(5, 60, 5)]
    broken += [protobuf.encode({"apiVersion": "v9", "kind": "Nothing", "metadata": {}}, message("v1", "ConfigMap"))]
    for data in broken:
        status, answer = server.request("POST", path, data, media=PROTOBUF)
        assert (status, answer["reason"]) == (400, "BadRequest"), data[:60]


def test_another_kinds_protobuf_is_refused(server: Server, ns: str) -> None:
    _, raw = body("ConfigMap")
    status, answer = server.request("POST", collection("Deployment", ns), raw, media=PROTOBUF)
    assert (status, answer["reason"]) == (400, "BadRequest")


@pytest.mark.parametrize("media", ["text/plain", "application/xml", "application/octet-stream", "application/cbor"])
def test_a_body_of_an_unknown_type_is_unsupported(server: Server, ns: str, media: str) -> None:
    for method, path in (("POST", ""), ("PUT", "/a"), ("PATCH", "/a")):
        server.request("POST", collection("ConfigMap", ns), {"metadata": {"name": "a"}})
        status, answer = server.request(method, collection("ConfigMap", ns) + path, b"{}", media=media)
        assert (status, answer["reason"]) == (415, "UnsupportedMediaType"), method


def test_a_client_that_prefers_protobuf_but_takes_json_is_answered(server: Server, ns: str) -> None:
    server.create(collection("ConfigMap", ns), {"metadata": {"name": "a"}, "data": {"k": "v"}})
    accept = f"{PROTOBUF},application/json"
    _, answer = server.request("GET", collection("ConfigMap", ns) + "/a", accept=accept)
    found = read(answer) if isinstance(answer, bytes) else answer
    assert found["data"] == {"k": "v"}


def frames(server: Server, path: str) -> list[tuple[str, dict]]:
    """The events of a watch in protobuf: frames with a length, whose objects have envelopes of their own."""
    status, raw = server.request("GET", path, accept=PROTOBUF)
    assert status == 200 and server.headers["Content-Type"] == f"{PROTOBUF};stream=watch", raw
    found, at = [], 0
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 4], "big")
        event = {number: bytes(value) for number, _, value in protobuf._fields(memoryview(raw)[at + 4 : at + 4 + size])}
        wrapped = {number: bytes(value) for number, _, value in protobuf._fields(memoryview(event[2]))}
        found.append((event[1].decode(), read(wrapped[1])))
        at += 4 + size
    return found


def test_a_watch_in_protobuf_comes_in_frames(server: Server, ns: str) -> None:
    path = collection("ConfigMap", ns)
    made = server.create(path, {"metadata": {"name": "a", "labels": {"l": ""}}, "data": {"k": "v", "empty": ""}})
    begun = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    events = frames(server, f"{path}?watch=true&{begun}&timeoutSeconds=1")
    assert [kind for kind, _ in events][:2] == ["ADDED", "BOOKMARK"] and events[0][1] == made
    assert events[1][1]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    server.request("DELETE", f"{path}/a")
    since = made["metadata"]["resourceVersion"]
    events = frames(server, f"{path}?watch=true&resourceVersion={since}&timeoutSeconds=1")
    assert [(kind, tree["data"]) for kind, tree in events] == [("DELETED", made["data"])]
    [(kind, told)] = frames(server, f"{path}?watch=true&resourceVersion=99999999&timeoutSeconds=1")
    assert (kind, told["kind"], told["code"]) == ("ERROR", "Status", 504)


def test_metadata_alone_comes_in_protobuf_too(server: Server, ns: str) -> None:
    path, name = collection("ConfigMap", ns), "k8s.io.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata"
    made = server.create(path, {"metadata": {"name": "a"}, "data": {"k": "v"}})
    for suffix, kind in (("/a", "PartialObjectMetadata"), ("", "PartialObjectMetadataList")):
        accept = f"{PROTOBUF};as={kind};g=meta.k8s.io;v=v1"
        status, raw = server.request("GET", path + suffix, accept=accept)
        assert status == 200 and server.headers["Content-Type"] == PROTOBUF, raw
        found = protobuf.decode(raw, lambda _, kind: name + kind.removeprefix("PartialObjectMetadata"))
        assert found["kind"] == kind and found["apiVersion"] == "meta.k8s.io/v1"
        assert (found["items"][0] if "items" in found else found)["metadata"] == made["metadata"]


def test_errors_are_told_in_protobuf(server: Server, ns: str) -> None:
    status, raw = server.request("GET", f"{collection('ConfigMap', ns)}/nothing", accept=PROTOBUF)
    assert status == 404 and read(raw)["reason"] == "NotFound"
    status, raw = server.request("GET", f"{collection('ConfigMap', ns)}?limit=x", accept=f"{PROTOBUF},application/json")
    assert status == 400 and read(raw)["status"] == "Failure"


def test_empty_strings_in_maps_and_zeros_in_pointers_and_raw_json_come_through(server: Server, ns: str) -> None:
    tree = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"name": "a", "labels": {"empty": ""}, "annotations": {"none": ""}},
        "data": {"zero": 0, "empty": "", "no": False},
        "revision": 1,
    }
    path = f"/apis/apps/v1/namespaces/{ns}/controllerrevisions"
    status, made = server.request("POST", path, protobuf.encode(tree, message("apps/v1", "ControllerRevision")), media=PROTOBUF)
    assert status == 201, made
    assert made["data"] == tree["data"] and made["metadata"]["labels"] == {"empty": ""}
    assert made["metadata"]["annotations"] == {"none": ""}
    tree, _ = body("Pod")
    tree["spec"]["securityContext"] = {"runAsUser": 0, "runAsNonRoot": False, "fsGroup": 0}
    tree["spec"]["nodeSelector"] = {"only": ""}
    tree["spec"]["tolerations"] = [{"operator": "Exists", "tolerationSeconds": 0, "effect": "NoExecute"}]
    status, made = server.request("POST", collection("Pod", ns), protobuf.encode(tree, message("v1", "Pod")), media=PROTOBUF)
    assert status == 201, made
    assert made["spec"]["securityContext"] == tree["spec"]["securityContext"]
    assert made["spec"]["nodeSelector"] == {"only": ""} and made["spec"]["tolerations"][0] == tree["spec"]["tolerations"][0]


def test_fields_that_protobuf_calls_otherwise_have_their_json_names(server: Server, ns: str) -> None:
    hook = {
        "name": "a.example.com",
        "clientConfig": {"url": "https://a.example.com/"},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"], "scope": "*"}],
        "namespaceSelector": {"matchLabels": {"no": "such"}},
    }
    tree = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": f"{ns}-hooks"},
        "webhooks": [hook],
    }
    raw = protobuf.encode(tree, message(tree["apiVersion"], tree["kind"]))
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    status, made = server.request("POST", path, raw, media=PROTOBUF, query={"dryRun": "All"})
    assert status == 201, made
    assert {**made["webhooks"][0], **hook} == made["webhooks"][0]


def test_a_custom_resource_definition_goes_and_comes_whole_in_protobuf(server: Server, ns: str) -> None:
    kept = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    of_text = {"type": "object", "additionalProperties": {"type": "string"}}
    spec = {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "minimum": 0, "maximum": 9, "default": 0},
            "part": {"type": "number", "maximum": 2.5},
            "of": {"type": "array", "items": {"type": "string", "enum": ["a", ""]}, "x-kubernetes-list-type": "set"},
            "any": kept,
            "map": of_text,
            "either": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        },
        "x-kubernetes-validations": [{"rule": "self.size > 0", "message": "too small"}],
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
    }
    plural = ns.replace("-", "") + "s"
    tree = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": plural[:-1], "kind": "Thing" + plural, "listKind": f"Thing{plural}List"},
            "versions": [version],
        },
    }
    path, name = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", message(tree["apiVersion"], tree["kind"])
    status, raw = server.request("POST", path, protobuf.encode(tree, name), media=PROTOBUF, accept=PROTOBUF, query={"dryRun": "All"})
    assert status == 201 and server.headers["Content-Type"] == PROTOBUF, raw
    status, plain = server.request("POST", path, tree, query={"dryRun": "All"})
    assert status == 201 and plain["spec"]["versions"] == [version]
    assert read(raw)["spec"] == plain["spec"]


@pytest.mark.parametrize("kind", [k for k in kinds.builtin() if k.definition], ids=lambda k: f"{k.api_version}-{k.resource}")
def test_every_kind_can_be_written_though_it_holds_messages_that_the_table_lacks(kind: kinds.Kind) -> None:
    """A JobSpec names messages of an alpha group that nothing here serves."""
    message = protobuf.message_of(kind.definition)
    tree = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "x"}, "spec": {}, "status": {}}
    known = {f.name for f in fields_of(message)}
    body = protobuf.encode({k: v for k, v in tree.items() if k in known or k in ("apiVersion", "kind")}, message)
    assert protobuf.decode(body, lambda *_: message).get("metadata", {"name": "x"}) == {"name": "x"}
