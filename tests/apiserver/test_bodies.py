"""Bodies and patches: the API server's dialects, as tables."""

from __future__ import annotations

import random

import pytest

from seaway.api import facts
from seaway.cluster.apiserver import bodies, patches, protobuf, schema, strategic
from seaway.cluster.apiserver.status import ApiError

LAUGHS = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    f"{n}: &{n} [{', '.join(['*' + p] * 9)}]\n".encode() for p, n in zip("abcdefgh", "bcdefghi", strict=True)
)
POD = "io.k8s.api.core.v1.Pod"


@pytest.mark.parametrize(
    ("target", "patch", "want"),
    [
        ({"a": 1}, {"a": None, "b": 2}, {"b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({}, {"a": {"b": None}}, {"a": {}}),
    ],
)
def test_merge_patch(target: dict, patch: dict, want: dict) -> None:
    assert patches.merge(target, patch) == want


@pytest.mark.parametrize(
    ("operations", "want"),
    [
        ([{"op": "add", "path": "/l/0", "value": 0}], {"a": 1, "l": [0, 1, 2]}),
        ([{"op": "add", "path": "/l/-", "value": 3}], {"a": 1, "l": [1, 2, 3]}),
        ([{"op": "replace", "path": "/new", "value": 1}], {"a": 1, "l": [1, 2], "new": 1}),
        ([{"op": "move", "from": "/a", "path": "/b"}], {"b": 1, "l": [1, 2]}),
        ([{"op": "copy", "from": "/l", "path": "/m"}], {"a": 1, "l": [1, 2], "m": [1, 2]}),
        ([{"op": "test", "path": "/a", "value": 1}, {"op": "remove", "path": "/a"}], {"l": [1, 2]}),
    ],
)
def test_json_patch(operations: list, want: dict) -> None:
    before = {"a": 1, "l": [1, 2]}
    assert patches.json_patch(before, operations) == want
    assert before == {"a": 1, "l": [1, 2]}, "the input is never changed"


@pytest.mark.parametrize(
    "operations",
    [[{"op": "remove", "path": "/none"}], [{"op": "test", "path": "/a", "value": 2}], [{"op": "add", "path": "/l/9", "value": 1}],
     [{"op": "explode", "path": "/a"}], [{"op": "add", "path": "a", "value": 1}], {"op": "add"}, [1]],
)
def test_a_json_patch_that_does_not_apply_is_refused(operations: object) -> None:
    with pytest.raises(patches.PatchError):
        patches.json_patch({"a": 1, "l": [1, 2]}, operations)


def containers(*names: str) -> dict:
    return {"spec": {"containers": [{"name": n, "image": n} for n in names]}}


@pytest.mark.parametrize(
    ("patch", "want"),
    [
        ({"spec": {"containers": [{"name": "b", "image": "new"}]}}, [("a", "a"), ("b", "new")]),
        ({"spec": {"containers": [{"name": "c", "image": "c"}]}}, [("c", "c"), ("a", "a"), ("b", "b")]),
        ({"spec": {"containers": [{"name": "a", "$patch": "delete"}]}}, [("b", "b")]),
        ({"spec": {"containers": [{"$patch": "replace"}, {"name": "z", "image": "z"}]}}, [("z", "z")]),
        ({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}, [("b", "b"), ("a", "a")]),
    ],
)
def test_strategic_merge_of_a_keyed_list(patch: dict, want: list) -> None:
    found = strategic.apply(containers("a", "b"), patch, {"$ref": POD})
    assert [(c["name"], c["image"]) for c in found["spec"]["containers"]] == want


def test_strategic_merge_of_plain_lists_and_maps() -> None:
    meta = {"metadata": {"finalizers": ["x/a"], "labels": {"k": "v"}}}
    found = strategic.apply(meta, {"metadata": {"finalizers": ["x/b"], "labels": {"k": None, "l": "w"}}}, {"$ref": POD})
    assert found["metadata"] == {"finalizers": ["x/b", "x/a"], "labels": {"l": "w"}}
    found = strategic.apply(meta, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/a"]}}, {"$ref": POD})
    assert found["metadata"]["finalizers"] == []


def test_tolerations_are_replaced_not_merged() -> None:
    before = {"spec": {"tolerations": [{"key": "a"}]}}
    assert strategic.apply(before, {"spec": {"tolerations": [{"key": "b"}]}}, {"$ref": POD}) == {"spec": {"tolerations": [{"key": "b"}]}}


def test_unknown_fields_are_dropped_and_told_with_their_path() -> None:
    tree, unknown = schema.read(POD, {"spec": {"containers": [{"name": "c", "imagge": "x"}], "nope": 1}}, None)
    assert tree == {"spec": {"containers": [{"name": "c"}]}}
    assert sorted(unknown) == ["spec.containers[0].imagge", "spec.nope"]


def test_a_field_that_is_stored_is_known() -> None:
    old = {"spec": {"nope": 1, "containers": [{"name": "c", "newer": True}]}}
    tree, unknown = schema.read(POD, {"spec": {"nope": 2, "containers": [{"name": "c", "newer": True}]}}, old)
    assert tree["spec"]["nope"] == 2 and tree["spec"]["containers"][0]["newer"] and unknown == []


@pytest.mark.parametrize(
    "tree",
    [{"spec": {"containers": "x"}}, {"spec": {"hostNetwork": "yes"}}, {"spec": {"terminationGracePeriodSeconds": 1.5}},
     {"spec": {"containers": [{"ports": [{"containerPort": 2**31}]}]}}, {"metadata": {"labels": {"a": 1}}}, {"spec": []},
     {"spec": {"containers": [{"resources": {"limits": {"cpu": "a lot"}}}]}}],
)
def test_a_wrong_type_is_a_mismatch(tree: dict) -> None:
    with pytest.raises(schema.TypeMismatch):
        schema.read(POD, tree, None)


def test_nulls_are_no_values() -> None:
    assert schema.read(POD, {"spec": {"nodeName": None, "containers": [None]}}, None)[0] == {"spec": {"containers": []}}


TREES = [
    {"kind": "CertificateSigningRequest", "apiVersion": "certificates.k8s.io/v1", "metadata": {"name": "c"},
     "spec": {"request": "AAE=", "signerName": "a/b", "usages": ["client auth"], "username": "u", "groups": ["g"], "extra": {"k/x": ["1", "2"]}}},
    {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a", "labels": {"k": "v"}}, "data": {"x": "ü"}, "binaryData": {"b": "AAE="}},
    {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "s", "creationTimestamp": "2026-01-02T03:04:05Z"},
     "spec": {"ports": [{"port": 80, "targetPort": "http", "protocol": "TCP"}, {"port": 81, "targetPort": 8081, "protocol": "UDP"}], "type": "NodePort"}},
    {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "d"},
     "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {
         "containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "100m"}}, "env": [{"name": "E", "value": "1"}]}],
         "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "configMap": {"name": "m", "optional": False}}]}}}},
]


@pytest.mark.parametrize("tree", TREES, ids=lambda t: t["kind"])
def test_protobuf_carries_an_object_both_ways(tree: dict) -> None:
    group, _, version = tree["apiVersion"].rpartition("/")
    name = protobuf.message_of(facts.definition_of(group, version, tree["kind"]) or "")
    assert protobuf.decode(protobuf.encode(tree, name), lambda a, k: name) == tree


def test_broken_protobuf_is_one_clear_error() -> None:
    name = protobuf.message_of("io.k8s.api.core.v1.ConfigMap")
    whole = protobuf.encode(TREES[0], name)
    chooser = random.Random(7)
    for _ in range(3000):
        broken = bytearray(whole)
        for _ in range(chooser.randrange(1, 6)):
            broken[chooser.randrange(len(broken))] = chooser.randrange(256)
        try:
            protobuf.decode(bytes(broken[: chooser.randrange(len(broken))]), lambda a, k: name)
        except protobuf.ProtobufError:
            continue


@pytest.mark.parametrize(
    ("body", "media", "code"),
    [(b"{", "application/json", 400), (b"\xff\xfe", "application/json", 400), (b"a: [", "application/yaml", 400), (b"x", "text/html", 415),
     (b"k8s\0\xff", "application/vnd.kubernetes.protobuf", 400), (LAUGHS, "application/yaml", 400), (b"[" * 100_000, "application/json", 400)],
)
def test_an_unreadable_body_is_refused(body: bytes, media: str, code: int) -> None:
    with pytest.raises(ApiError) as caught:
        bodies.decode(body, media)
    assert caught.value.code == code


def test_yaml_times_stay_text() -> None:
    assert bodies.decode(b"a: 2026-01-01T00:00:00Z", "application/yaml") == {"a": "2026-01-01T00:00:00Z"}
