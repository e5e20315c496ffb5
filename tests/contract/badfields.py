"""Objects with something wrong at a field: types, numbers, values, digits without end."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from bad import (
    APPLY,
    APPS,
    CONTAINER,
    CORE,
    DEPLOYMENTS,
    JSON_PATCH,
    LABELS,
    MAPS,
    MERGE,
    SEED,
    SERVICES,
    TEMPLATE,
    YAML,
    Bad,
    Tree,
)
from badcalls import token

from seaway.api import facts, kinds
from seaway.api.kinds import Kind

UNTYPED = ("RawExtension", "FieldsV1", "JSON", "JSONSchemaProps", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool")


def leaf(schema: Tree, rng: random.Random) -> tuple[list[Any], Tree, str]:
    """A random way down a schema: (keys, the schema there, its definition's name)."""
    keys: list[Any] = []
    name = ""
    while True:
        ref = schema.get("$ref", "")
        if ref:
            name = ref.rpartition("/")[2]
            schema = facts.definitions()[name]
        properties = {k: v for k, v in (schema.get("properties") or {}).items() if k not in ("kind", "apiVersion")}
        if properties and (not keys or rng.random() < 0.9):
            key = rng.choice(sorted(properties))
            keys.append(key)
            schema, name = properties[key], ""
        elif schema.get("type") == "array" and rng.random() < 0.8:
            keys.append(0)
            schema, name = schema["items"], ""
        elif isinstance(schema.get("additionalProperties"), dict) and rng.random() < 0.6:
            keys.append("k")
            schema, name = schema["additionalProperties"], ""
        else:
            return keys, schema, name


def around(keys: list[Any], value: Any) -> Any:
    for key in reversed(keys):
        value = [value] if key == 0 else {key: value}
    return value


def wrong_for(schema: Tree, name: str) -> list[Any]:
    kind, form, last = schema.get("type"), schema.get("format"), name.rpartition(".")[2]
    if last in UNTYPED or (kind is None and "properties" not in schema):
        return []
    if last == "Quantity":
        return [True, [1], "1 potato", "--1", {"a": 1}]
    if form == "int-or-string" or last == "IntOrString":
        return [True, [], {"a": 1}]
    if form == "date-time":
        return ["yesterday", 5, "2026-13-01T00:00:00Z", "2026-01-01", []]
    if form == "byte":
        return ["%%%", 5, []]
    if kind == "string":
        return [5, True, ["x"], {"a": "b"}]
    if kind == "boolean":
        return ["true", 1, [], {}]
    if kind in ("integer", "number"):
        return ["5", True, [5], {"a": 5}]
    if kind == "array":
        return ["x", 5, True, {"a": 1}]
    return ["x", 5, True, ["x"]]


def collection(kind: Kind) -> str:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    return f"{root}/namespaces/default/{kind.resource}" if kind.namespaced else f"{root}/{kind.resource}"


def field_requests(count: int, wrongs: Callable[[Tree, str], list[Any]], seed: int) -> Iterator[Bad]:
    rng = random.Random(seed)
    known = [k for k in kinds.builtin() if k.definition and "create" in (k.verbs or ("create",))]
    made = 0
    while made < count:
        kind = rng.choice(known)
        keys, schema, name = leaf(facts.definitions()[kind.definition], rng)
        found = wrongs(schema, name)
        if not found:
            continue
        value = rng.choice(found)
        tree = around(keys, value)
        tree.setdefault("metadata", {})
        if isinstance(tree["metadata"], dict):
            tree["metadata"].setdefault("name", "bad")
        fields = tuple(str(k) for k in keys if k not in (0, "k"))
        told = {bool: "bool", int: "number", float: "number", list: "array", dict: "object", str: "string"}[type(value)]
        body: Any = tree
        if isinstance(value, str) and value.startswith("\0number "):
            told = value.removeprefix("\0number ")
            body = json.dumps(tree).replace(json.dumps(value), told).encode()
        made += 1
        yield Bad(f"{kind.resource} {'.'.join(map(str, keys))}={str(value)[:20]}", "POST", collection(kind), body, names=(*fields[-1:], told, *((value, "quantities", "base64") if isinstance(value, str) else ())))


def wrong_types() -> Iterator[Bad]:
    yield from field_requests(260, wrong_for, SEED)


def numbers_out_of_range() -> Iterator[Bad]:
    def wrongs(schema: Tree, name: str) -> list[Any]:
        if schema.get("type") != "integer":
            return []
        if schema.get("format") == "int32":
            return [2**31, -(2**31) - 1, 2**63, 1.5, 10**30, "\0number 1e400", "\0number 1e10"]
        return [2**63, -(2**63) - 1, 1.5, 10**30, "\0number 1e400"]

    yield from field_requests(80, wrongs, SEED + 1)


def values() -> Iterator[Bad]:
    long = "a" * 300
    for text, tree, name in (
        ("label", {"metadata": {"name": "y", "labels": {"a b": "c"}}}, "metadata.labels"),
        ("label value", {"metadata": {"name": "y", "labels": {"a": long}}}, "metadata.labels"),
        ("label key", {"metadata": {"name": "y", "labels": {f"{long}/a": "x"}}}, "metadata.labels"),
        ("annotation", {"metadata": {"name": "y", "annotations": {"a b": "x"}}}, "metadata.annotations"),
        ("many annotations", {"metadata": {"name": "y", "annotations": {"a": "x" * (1 << 19)}}}, "metadata.annotations"),
        ("finalizer", {"metadata": {"name": "y", "finalizers": ["a b"]}}, "metadata.finalizers"),
        ("owner", {"metadata": {"name": "y", "ownerReferences": [{}]}}, "metadata.ownerReferences"),
        ("two controllers", {"metadata": {"name": "y", "ownerReferences": [
            {"apiVersion": "v1", "kind": "Pod", "name": n, "uid": n, "controller": True} for n in "ab"]}}, "ownerReferences"),
        ("key", {"metadata": {"name": "y"}, "data": {"a/b": "c"}}, "data[a/b]"),
        ("long key", {"metadata": {"name": "y"}, "data": {long: "c"}}, "data["),
        ("key twice", {"metadata": {"name": "y"}, "data": {"k": "c"}, "binaryData": {"k": "dg=="}}, "k"),
        ("base64", {"metadata": {"name": "y"}, "binaryData": {"a": "%"}}, "base64"),
        ("size", {"metadata": {"name": "y"}, "data": {"k": "v" * (1 << 20 | 1)}}, "1048576"),
    ):  # fmt: skip
        yield Bad(f"a ConfigMap with a bad {text}", "POST", MAPS, tree, names=(name,))
    for text, body in (("kind", {"kind": "Pod"}), ("list", []), ("text", "x"), ("policy", {"propagationPolicy": 5}), ("grace", {"gracePeriodSeconds": "x"}),
                       ("preconditions", {"preconditions": []}), ("uid", {"preconditions": {"uid": "other"}}), ("version", {"preconditions": {"resourceVersion": "1"}}),
                       ("dry run", {"dryRun": ["Some"]}), ("dry run type", {"dryRun": "All"})):  # fmt: skip
        yield Bad(f"delete options with a bad {text}", "DELETE", f"{MAPS}/x", body)
    for body in ({"spec": {"replicas": "x"}}, {"spec": {"replicas": -1}}, {"spec": []}, [], {"metadata": {"name": "y"}}, {"spec": {"replicas": 2**31}}, {"spec": {"replicas": 1.5}}, 5):
        yield Bad(f"scale {body}", "PUT", f"{DEPLOYMENTS}/x/scale", body)
    for size in (3 << 20, (3 << 20) - 40, 8 << 20):
        tree = {"metadata": {"name": "y"}, "data": {"k": "v" * size}}
        yield Bad(f"{size} bytes", "POST", MAPS, tree, names=("limit is 3145728", "1048576"))
        yield Bad(f"{size} bytes by patch", "PATCH", f"{MAPS}/x", tree, MERGE, names=("limit is 3145728", "1048576", "metadata.name"))
    for path, tree, name in (
        (f"{CORE}/pods", {"spec": {"containers": []}}, "spec.containers"),
        (f"{CORE}/pods", {"spec": {"containers": [{"name": "c"}, {"name": "c"}]}}, "spec.containers[1].name"),
        (f"{CORE}/pods", {"spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 99999}]}]}}, "containerPort"),
        (f"{CORE}/pods", {"spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "-1"}}}]}}, "resources.limits"),
        (f"{CORE}/pods", {"spec": {"containers": [CONTAINER], "restartPolicy": "Maybe"}}, "spec.restartPolicy"),
        (f"{CORE}/pods", {"spec": {"containers": [CONTAINER], "terminationGracePeriodSeconds": 2**62}}, "x"),
        (SERVICES, {"spec": {"ports": [{"port": 0}]}}, "spec.ports[0].port"),
        (SERVICES, {"spec": {"ports": [{"port": 80, "nodePort": 1}], "type": "NodePort"}}, "nodePort"),
        (SERVICES, {"spec": {"ports": [{"port": 80}], "clusterIP": "300.1.1.1"}}, "spec.clusterIP"),
        (SERVICES, {"spec": {"ports": [{"port": 80}], "type": "Moon"}}, "spec.type"),
        (DEPLOYMENTS, {"spec": {"replicas": -1, "selector": {"matchLabels": LABELS}, "template": TEMPLATE}}, "spec.replicas"),
        (DEPLOYMENTS, {"spec": {"selector": {}, "template": TEMPLATE}}, "spec.selector"),
        (DEPLOYMENTS, {"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}}, "spec.template.metadata.labels"),
    ):  # fmt: skip
        sure = name != "x"
        yield Bad(f"{name} of {path.rpartition('/')[2]}", "POST", path, {"metadata": {"name": "bad"}, **tree}, names=(name,), sure=sure, query=() if sure else (("dryRun", "All"),))


def digits() -> Iterator[Bad]:
    many = "9" * 5000
    for path, tree in (
        (MAPS, '{"metadata":{"name":"y","generation":N}}'), (SERVICES, '{"metadata":{"name":"y"},"spec":{"ports":[{"port":N}]}}'),
        (SERVICES, '{"metadata":{"name":"y"},"spec":{"ports":[{"port":80,"targetPort":N}]}}'), (f"{CORE}/pods", '{"metadata":{"name":"y"},"spec":{"priority":N}}'),
        (f"{CORE}/resourcequotas", '{"metadata":{"name":"y"},"spec":{"hard":{"pods":N}}}'), (f"{CORE}/resourcequotas", '{"metadata":{"name":"y"},"spec":{"hard":{"pods":"N"}}}'),
        (f"{CORE}/resourcequotas", '{"metadata":{"name":"y"},"spec":{"hard":{"pods":"1eN"}}}'),
        (f"{CORE}/resourcequotas", '{"metadata":{"name":"y"},"spec":{"hard":{"pods":"1e999999999"}}}'), (f"{CORE}/resourcequotas", '{"metadata":{"name":"y"},"spec":{"hard":{"pods":"0.N"}}}'),
        (f"{CORE}/pods", '{"metadata":{"name":"y"},"spec":{"containers":[{"name":"c","image":"i","resources":{"limits":{"memory":"NGi"}}}]}}'),
        (SERVICES, '{"metadata":{"name":"y"},"spec":{"clusterIP":"N.1.1.1","ports":[{"port":80}]}}'), (SERVICES, '{"metadata":{"name":"y"},"spec":{"ports":[{"port":80,"targetPort":"N"}]}}'),
        (f"{APPS}/daemonsets", '{"metadata":{"name":"y"},"spec":{"updateStrategy":{"rollingUpdate":{"maxUnavailable":"N%"}}}}'),
        ("/apis/batch/v1/namespaces/default/cronjobs", '{"metadata":{"name":"y"},"spec":{"schedule":"N * * * *"}}'),
        ("/apis/batch/v1/namespaces/default/cronjobs", '{"metadata":{"name":"y"},"spec":{"schedule":"@every Ns"}}'),
        ("/apis/coordination.k8s.io/v1/namespaces/default/leases", '{"metadata":{"name":"y"},"spec":{"renewTime":"2026-01-01T00:00:00.NZ"}}'),
    ):  # fmt: skip
        body = tree.replace("N", many).encode()
        dry = (("dryRun", "All"),)
        sure = "0.N" not in tree
        yield Bad(f"POST {tree[26:]}", "POST", path, body, query=dry, sure=sure)
        yield Bad(f"POST {tree[26:]} as YAML", "POST", path, body, YAML, dry, sure=sure)
        yield Bad(f"apply {tree[26:]}", "PATCH", f"{path}/y", body, APPLY, (*dry, ("fieldManager", "m")))
    for patch in ([{"op": "add", "path": f"/metadata/finalizers/{many}", "value": "a/b"}], [{"op": "remove", "path": f"/metadata/managedFields/-{many}"}]):
        yield Bad(f"patch at {many[:5]}", "PATCH", f"{MAPS}/x", patch, JSON_PATCH)
    for text in (f'{{"gracePeriodSeconds":{many}}}', f'{{"preconditions":{{"resourceVersion":{many}}}}}'):
        yield Bad(f"delete with {text[:22]}", "DELETE", f"{MAPS}/x", text.encode())
    for name in ("limit", "resourceVersion", "timeoutSeconds", "gracePeriodSeconds", "continue"):
        value = many if name != "continue" else token({"v": "meta.k8s.io/v1", "rv": 1, "start": "a"}).replace("=", "") + many
        yield Bad(f"{name} of many digits", "DELETE" if name == "gracePeriodSeconds" else "GET", f"{MAPS}/x" if name == "gracePeriodSeconds" else MAPS, query=((name, value),))
    big = token({"v": "meta.k8s.io/v1", "rv": "N", "start": "a"})
    raw = base64.urlsafe_b64decode(big).replace(b'"N"', many.encode())
    yield Bad("a continue token of many digits", "GET", MAPS, query=(("continue", base64.urlsafe_b64encode(raw).decode()),))
    anything = {"metadata": {"name": "y"}, "revision": 1, "data": {"a": 10**30, "b": [-(10**40)]}}
    yield Bad("a huge number in an unknown field", "POST", f"{APPS}/controllerrevisions", anything, query=(("dryRun", "All"),), sure=False)
    yield Bad("a huge number by merge", "PATCH", f"{MAPS}/x", {"none": 10**30}, MERGE, (("dryRun", "All"),), sure=False)
    yield Bad("a huge number by apply", "PATCH", f"{MAPS}/x", {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": 10**30}}, APPLY, (("fieldManager", "m"),))
