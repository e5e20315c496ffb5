"""Requests that ask for the impossible: queries, paths, names, patches of each type, applies."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from bad import APPLY, CORE, DEPLOYMENTS, JSON, JSON_PATCH, MAPS, MERGE, SERVICES, STRATEGIC, Bad


def token(tree: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(tree).encode()).decode()


def queries() -> Iterator[Bad]:
    version = {"v": "meta.k8s.io/v1"}
    for name, values in {
        "labelSelector": ("!", "a in (b", "a in", "a in b", "a notin b)", "=,=", "a b", "-=x", "a=b=c", "a>x", "\0", "a=b,", ",", "a!", "a in ()x",
                          "(a)", "a=(b)", "a in (b,,c", "é=x", "a=é", "a/b/c=d", "/a=b", "a/=b", "x" * 64 + "=a", "a=" + "x" * 64, "(" * 5000, "a<1.5",
                          "a in (b) c", "!!a", "a=b;c=d", "a in (" + "b," * 500),
        "fieldSelector": ("x", "=", "metadata.name", "spec.none=1", "a=b,", "\\", "metadata.name=a=b", "metadata.name=\\", "metadata.name>a",
                          "metadata.labels.a=b", "data.k=v", "metadata.name=a\\q", "status=x", "!metadata.name", "metadata.name in (a)"),
        "continue": ("x", "%", "é", token([]), token({}), token(5), token("x"), token(None), token({"v": 1}), token(version), "A" * 5000,
                     token({**version, "rv": 0, "start": "a"}), token({**version, "rv": -1, "start": "a"}), token({**version, "rv": "1", "start": "a"}),
                     token({**version, "rv": 1}), token({**version, "rv": 1, "start": ""}), token({**version, "rv": 1, "start": 5}),
                     token({**version, "rv": 1.5, "start": "a"}), token({"v": "meta.k8s.io/v9", "rv": 1, "start": "a"}), "e30", "====", token({**version, "rv": 1, "start": "a"})[:-9]),
        "limit": ("many", "1.5", "0x1", "1e3", "9" * 30, "--1", "1 ", "é"),
        "timeoutSeconds": ("long", "1.5", "9" * 30, "1s"),
        "resourceVersion": ("x", "-1", "1.5", "1e3", "0x1", "é", "9" * 30, "1 2", "latest"),
        "resourceVersionMatch": ("Exact", "Never", "NotOlderThan", "exact"),
        "sendInitialEvents": ("true", "false", "x"),
    }.items():  # fmt: skip
        for value in values:
            yield Bad(f"{name}={value[:30]!r}", "GET", MAPS, query=((name, value),))
    for query in (
        {"resourceVersion": "x"}, {"sendInitialEvents": "true"}, {"resourceVersionMatch": "NotOlderThan"}, {"timeoutSeconds": "long"},
        {"fieldSelector": "spec.none=1"}, {"labelSelector": "a in"}, {"resourceVersion": "-1"}, {"sendInitialEvents": "true", "resourceVersionMatch": "Exact"},
        {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "continue": "x"}, {"resourceVersionMatch": "Exact", "resourceVersion": "1"},
    ):  # fmt: skip
        yield Bad(f"watch {query}", "GET", MAPS, query=(("watch", "true"), *query.items()))
    for both in ({"resourceVersionMatch": "Exact", "resourceVersion": "0"}, {"continue": token({**version, "rv": 1, "start": "a"}), "resourceVersion": "5"}):
        yield Bad(f"list {both}", "GET", MAPS, query=tuple(both.items()))
    for name, values in {"dryRun": ("Some", "all", "true"), "fieldValidation": ("Hard", "strict", "0"), "fieldManager": ("m" * 129, "a\x01b", "\n")}.items():
        for value in values:
            yield Bad(f"write {name}={value[:9]!r}", "POST", MAPS, {"metadata": {"name": "q"}}, query=((name, value),), names=(name,))
            yield Bad(f"patch {name}={value[:9]!r}", "PATCH", f"{MAPS}/x", {}, MERGE, ((name, value),), (name,))
    yield Bad("force without apply", "PATCH", f"{MAPS}/x", {}, MERGE, (("force", "true"),), ("force",))
    yield Bad("apply without a manager", "PATCH", f"{MAPS}/x", {}, APPLY, (), ("fieldManager",))
    for query in ({"gracePeriodSeconds": "x"}, {"gracePeriodSeconds": "1.5"}, {"propagationPolicy": "Random"}, {"dryRun": "Never"}, {"gracePeriodSeconds": "9" * 30},
                  {"propagationPolicy": "Orphan", "orphanDependents": "true"}):  # fmt: skip
        yield Bad(f"delete {query}", "DELETE", f"{MAPS}/x", query=tuple(query.items()))
        yield Bad(f"delete all {query}", "DELETE", MAPS, query=tuple(query.items()))
    for selector in ("labelSelector", "fieldSelector"):
        yield Bad(f"delete by a bad {selector}", "DELETE", MAPS, query=((selector, "a in ("),))


def paths() -> Iterator[Bad]:
    for path in ("/%00", "/%ff%fe", "/api/v1/%ff", f"{MAPS}/%00", f"{MAPS}/..%2f..%2f", "/api//v9//x", "/api/v1/" + "a/" * 500, f"{MAPS}/{'n' * 3000}",
                 "/openapi/v3/%2e%2e/etc", "/apis/./x/y", "/api/v9/pods", "/api/v1/none", "/apis/none.example.com/v1/x", "/apis/apps/v9/deployments", "/none",
                 "/api/v1/namespaces/default/none/x", f"{MAPS}/x/none", f"{MAPS}/x/status", f"{MAPS}/x/status/y", f"{DEPLOYMENTS}/x/scale/y",
                 f"{CORE}/nodes", "/api/v1/pods/x", "/api/v1/configmaps/x", f"{MAPS}/%F0%9F%98%80", f"{MAPS}/none", f"{MAPS}/X", "/api/v1/watch", "/apis/apps",
                 "/livez/none", "/readyz/none", "/openapi/v3/none", "/openapi/v9", "/version/x", "/metricsx", "/logs", "/swagger.json", "/%2e%2e/%2e%2e/etc/passwd"):  # fmt: skip
        yield Bad(f"GET {path[:50]}", "GET", path, sure=path != "/apis/apps")
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "BREW", "CONNECTX"):
        for path in ("/version", "/api", "/apis/apps/v1", "/openapi/v3"):
            yield Bad(f"{method} {path}", method, path)
    for method, path, media in (
        ("PUT", MAPS, JSON), ("PATCH", MAPS, MERGE), ("POST", f"{MAPS}/x", JSON), ("BREW", MAPS, JSON), ("BREW", f"{MAPS}/x", JSON), ("OPTIONS", MAPS, JSON),
        ("POST", f"{DEPLOYMENTS}/x/scale", JSON), ("DELETE", f"{DEPLOYMENTS}/x/scale", JSON), ("DELETE", f"{DEPLOYMENTS}/x/status", JSON),
        ("POST", f"{DEPLOYMENTS}/x/status", JSON), ("GET", f"{CORE}/bindings", JSON), ("GET", f"{CORE}/pods/x/binding", JSON), ("PUT", f"{CORE}/pods/x/eviction", JSON),
        ("PUT", "/api/v1/configmaps", JSON), ("DELETE", "/api/v1/configmaps", JSON), ("POST", "/api/v1/configmaps", JSON), ("GET", "/apis/authentication.k8s.io/v1/tokenreviews", JSON),
    ):  # fmt: skip
        yield Bad(f"{method} {path}", method, path, None if method in ("GET", "BREW", "OPTIONS", "DELETE") else {}, media)
    for name in ("A", "a_b", "-a", "a-", "a b", "a/b", "é", "a" * 254, "a..b", ".", "..", "a%b", "\0", " ", "a\nb"):
        tree = {"metadata": {"name": name}}
        yield Bad(f"a ConfigMap named {name[:9]!r}", "POST", MAPS, tree, names=("metadata.name", "namespace"))
        yield Bad(f"a namespace named {name[:9]!r}", "POST", "/api/v1/namespaces", tree, names=("metadata.name",))
        yield Bad(f"generated from {name[:9]!r}", "POST", MAPS, {"metadata": {"generateName": name}}, names=("generateName", "metadata.name"), sure=len(name) < 200,
                  query=(("dryRun", "All"),)) if name not in ("a-", "a..b") else Bad("no name", "POST", MAPS, {"metadata": {}}, names=("name",))  # fmt: skip
    for tree in ({"metadata": {"name": "y", "namespace": "other"}}, {"metadata": {"name": "y", "uid": 5}}, {"metadata": {"name": "y", "resourceVersion": "5"}}):
        yield Bad(f"POST {tree}", "POST", MAPS, tree)
    for tree in ({"metadata": {"name": "other"}}, {}, {"metadata": {}}, {"metadata": {"name": "x", "resourceVersion": "x"}}, {"metadata": {"name": "x", "uid": "other"}},
                 {"metadata": {"name": "x", "resourceVersion": "1"}}, {"metadata": {"name": "x", "namespace": "other"}}):  # fmt: skip
        yield Bad(f"PUT {tree}", "PUT", f"{MAPS}/x", tree)


def patches() -> Iterator[Bad]:
    target = f"{MAPS}/x"
    for patch in (
        {}, [1], "x", 5, True, [{}], [[]], [{"op": 5}], [{"op": "add"}], [{"op": "grow", "path": "/data"}], [{"op": "add", "path": "data", "value": 1}],
        [{"op": "add", "path": "/data/k"}], [{"op": "add", "path": "/data", "value": 5}], [{"op": "add", "path": "/none/here", "value": 5}],
        [{"op": "remove", "path": "/data/none"}], [{"op": "remove", "path": ""}], [{"op": "remove", "path": "/metadata"}], [{"op": "move", "from": "/none", "path": "/data"}],
        [{"op": "copy", "path": "/data/k"}], [{"op": "copy", "from": "/none", "path": "/data/k"}], [{"op": "test", "path": "/data/k", "value": "other"}], [{"op": "replace", "path": "", "value": []}],
        [{"op": "replace", "path": "", "value": "x"}], [{"op": "replace", "path": "/metadata/name", "value": "y"}], [{"op": "add", "path": "/data/k", "value": "v"}] * 10_001,
        [{"op": "add", "path": "/metadata/labels/~2", "value": {}}], [{"op": "add", "path": "/metadata/finalizers/-1", "value": "a/b"}], [{"op": "add", "path": 5, "value": 5}],
        [{"op": "move", "from": "/metadata", "path": "/metadata/labels"}], [{"op": "replace", "path": "/metadata", "value": None}], [{"op": "replace", "path": "/kind", "value": "Secret"}],
        [{"op": "add", "path": "/metadata/labels", "value": {"a b": "c"}}], [{"op": "add", "path": "/metadata/labels", "value": [1]}], [{"op": "remove", "path": "/metadata/finalizers/0"}],
        [{"op": "replace", "path": "/metadata/uid", "value": "other"}], [{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}], [None], [{"op": None, "path": None}],
    ):  # fmt: skip
        yield Bad(f"JSON patch {str(patch)[:60]}", "PATCH", target, patch, JSON_PATCH)
    for text in (b"", b"[", b"{", b"nul", b"\xff", b"[{]"):
        for media in (JSON_PATCH, MERGE, STRATEGIC):
            yield Bad(f"{media} {text!r}", "PATCH", target, text, media)
    for merge in (
        [], [1], "x", 5, True, {"metadata": 5}, {"metadata": {"name": "y"}}, {"metadata": {"labels": 5}}, {"metadata": {"labels": {"a": 5}}}, {"data": "x"},
        {"data": {"a": {"b": "c"}}}, {"metadata": {"namespace": "other"}}, {"metadata": {"labels": {"a b": "c"}}}, {"metadata": {"resourceVersion": "1"}}, {"kind": "Secret"},
        {"apiVersion": "v9"}, {"metadata": {"finalizers": ["a b"]}}, {"metadata": {"ownerReferences": [{"a": "b"}]}}, {"binaryData": {"a": "%"}}, {"data": {"a/b": "c"}}, {"metadata": {"uid": "x"}},
    ):  # fmt: skip
        for media in (MERGE, STRATEGIC):
            # a strategic patch ignores what it says of its kind
            ignored = media == STRATEGIC and ("kind" in merge or "apiVersion" in merge) if isinstance(merge, dict) else False
            yield Bad(f"{media.split('/')[1][:9]} {str(merge)[:60]}", "PATCH", target, merge, media, sure=not ignored)
    for patch in (
        {"spec": {"ports": 5}}, {"spec": {"ports": [1]}}, {"spec": {"ports": [{"$patch": "grow"}]}}, {"spec": {"ports": [{"name": "no-port"}]}}, {"spec": {"$retainKeys": 5}},
        {"spec": {"$setElementOrder/ports": 5}}, {"spec": {"$deleteFromPrimitiveList/externalIPs": 5}}, {"$patch": "grow"}, {"$patch": 5},
        {"spec": {"ports": [{"port": "x"}]}}, {"spec": {"ports": [{"port": 99999}]}}, {"spec": {"type": "Moon"}}, {"spec": {"selector": [1]}},
        {"spec": {"$setElementOrder/ports": [{"port": 80}], "ports": [{"port": 81}]}},
    ):  # fmt: skip
        yield Bad(f"strategic {patch}", "PATCH", f"{SERVICES}/x", patch, STRATEGIC)


def applies() -> Iterator[Bad]:
    manager = (("fieldManager", "m"),)
    whole = {"apiVersion": "v1", "kind": "ConfigMap"}
    for tree in (
        [], "x", 5, {"kind": "ConfigMap"}, {"apiVersion": "v1"}, {**whole, "kind": "Secret"}, {**whole, "apiVersion": "v9"}, {**whole, "metadata": 5},
        {**whole, "metadata": {"name": "y"}}, {**whole, "metadata": {"managedFields": [{"manager": "m"}]}}, {**whole, "data": 5}, {**whole, "data": {"a": 5}},
        {**whole, "metadata": {"labels": {"a b": "c"}}}, {**whole, "metadata": {"namespace": "other"}}, {**whole, "data": {"k": "other"}}, {**whole, "none": 1},
        {**whole, "metadata": {"finalizers": ["a", "a"]}}, {**whole, "metadata": {"ownerReferences": [{"uid": "a"}, {"uid": "a"}]}}, {**whole, "metadata": {"uid": "x"}},
        {**whole, "metadata": {"resourceVersion": "1"}}, {**whole, "metadata": {"generateName": 5}},
    ):  # fmt: skip
        yield Bad(f"apply {str(tree)[:80]}", "PATCH", f"{MAPS}/x", tree, APPLY, (*manager, ("fieldValidation", "Strict")))
    ports: list[Any]
    for ports in ([{"port": 80}, {"port": 80}], [{"protocol": "TCP"}], [5], [{"port": "x"}], [[]], [None], [{"port": 80, "protocol": "TCP", "none": 1}]):
        tree = {"apiVersion": "v1", "kind": "Service", "spec": {"ports": ports}}
        yield Bad(f"apply ports {ports}", "PATCH", f"{SERVICES}/x", tree, APPLY, (*manager, ("fieldValidation", "Strict"), ("force", "true")))
    for text in (b"", b"a: b: c", b"{", b"\xff", b"- x", b"a: *b", b"\0"):
        yield Bad(f"apply {text!r}", "PATCH", f"{MAPS}/x", text, APPLY, manager)
