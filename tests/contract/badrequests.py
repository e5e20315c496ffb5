"""Requests that nobody should send, made by rule and by a seed: the same thousand every time.

Each says what its refusal has to name. Those that may be taken after all (a flipped byte can still be a message) are dry runs.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from seaway.api import facts, kinds
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import protobuf
from seaway.cluster.apiserver.messages import SCALARS

Tree = dict[str, Any]
SEED = 36
JSON, YAML, PROTOBUF = "application/json", "application/yaml", protobuf.CONTENT_TYPE
JSON_PATCH, MERGE = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
CORE, APPS = "/api/v1/namespaces/default", "/apis/apps/v1/namespaces/default"
MAPS, SERVICES, DEPLOYMENTS = f"{CORE}/configmaps", f"{CORE}/services", f"{APPS}/deployments"
LABELS = {"app": "web"}
CONTAINER = {"name": "c", "image": "i", "ports": [{"containerPort": 1}], "env": [{"name": "A", "value": "1"}]}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": {"containers": [CONTAINER]}}
# collection -> an object named x that is well
GOOD: dict[str, Tree] = {
    MAPS: {"metadata": {"name": "x", "labels": LABELS}, "data": {"k": "v"}},
    f"{CORE}/secrets": {"metadata": {"name": "x"}, "data": {"k": "dg=="}},
    SERVICES: {"metadata": {"name": "x"}, "spec": {"selector": LABELS, "ports": [{"name": "h", "port": 80}]}},
    f"{CORE}/pods": {"metadata": {"name": "x"}, "spec": {"containers": [CONTAINER]}},
    DEPLOYMENTS: {"metadata": {"name": "x"}, "spec": {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": TEMPLATE}},
}


@dataclass(frozen=True)
class Bad:
    """One request. `names`: words of which the refusal has at least one. `sure` False: it may also be taken."""

    why: str
    method: str
    path: str
    body: Any = None
    media: str = JSON
    query: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    sure: bool = True


# fields of every kind: wrong types, numbers out of range

UNTYPED = ("RawExtension", "FieldsV1", "JSON", "JSONSchemaProps", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool")


def collection(kind: Kind) -> str:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    return f"{root}/namespaces/default/{kind.resource}" if kind.namespaced else f"{root}/{kind.resource}"


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


# texts


def texts() -> Iterator[Bad]:
    for body in (
        b"{", b"}", b'{"a"', b'{"a":}', b'{"a":1,}', b"nul", b"tru", b"[]", b"1", b'"x"', b"\xff\xfe{}", b"\0" * 64,
        b'{"metadata":{"name":"a","generation":1e999}}', b'{"metadata":{"name":"\xff"}}', b'{"metadata":{"name":"\xc3\x28"}}',
        b'{"metadata":{"name":"\xed\xa0\x80"}}', b'{"a":NaN}', b'{"a":Infinity}', b"{}{}", b"{'a':1}", b'{"a":01}', b'{"a":"\x01"}',
        b'{"a":"\\x"}', b'{"a":"\\u12"}', b'{"a":.5}', b'{"a":1.}', b'{"a":+1}', b"// no\n{}", b"<xml/>", b"a=b&c=d", b'{"a":"b"', b'["a","b"',
        b'\xef\xbb\xbf{"metadata":{"name":"bom"}}', b"{" * 100, b'{"metadata":"x"}', b'{"metadata":[]}', b'{"metadata":5}',
        b'{"kind":5}', b'{"apiVersion":[]}', b'{"kind":{"a":1}}', b'{"kind":"Secret","metadata":{"name":"y"}}',
        b'{"kind":"Nothing","metadata":{"name":"y"}}', b'{"apiVersion":"v9","metadata":{"name":"y"}}',
    ):  # fmt: skip
        yield Bad(f"POST {body[:24]!r}", "POST", MAPS, body)
        if not body.startswith((b"[", b"1", b'"x"')):
            yield Bad(f"PUT {body[:24]!r}", "PUT", f"{MAPS}/x", body)
    for body in (
        b"a: b: c", b"\t- x", b"%YAML 9", b"a: *none", b"&a [*a]", b"!!python/object:os.system x", b"\xff\xfe", b"a: [", b"a: {", b'a: "',
        b"- x", b"x", b"5", b"? [a]\n: b", b"a: !!binary '%'", b"a: !!int x", b"a: !!float x", b"a: |\n\tb", b"a: 'b\n", b"---\na: 1\n---\nb: 2\n",
        b"metadata: &m\n  name: *m", b"<<: 5", b"<<: [5]", b"a: \x00",
    ):  # fmt: skip
        yield Bad(f"YAML {body[:24]!r}", "POST", MAPS, body, YAML)
    for lines in (9, 30, 200):
        bomb = "\n".join(f"a{i}: &a{i} [" + ",".join([f"*a{i - 1}"] * 10 if i else ["x"] * 10) + "]" for i in range(lines))
        yield Bad(f"a YAML bomb of {lines} lines", "POST", MAPS, bomb.encode(), YAML, names=("values", "alias"))
        yield Bad(f"the same, to apply, {lines}", "PATCH", f"{MAPS}/x", bomb.encode(), APPLY, (("fieldManager", "m"),), ("values", "alias"))
    merged = "\n".join(f"a{i}: &a{i}\n  <<: [*a{i - 1}, *a{i - 1}]" if i else "a0: &a0 {k: v}" for i in range(40))
    yield Bad("merge keys that double", "POST", MAPS, merged.encode(), YAML, sure=False, query=(("dryRun", "All"),))
    for text, name in (
        ('{"metadata":{"name":"y","name":"z"}}', "metadata.name"),
        ('{"metadata":{"name":"y"},"data":{"a":"b","a":"c"}}', "data.a"),
        ('{"metadata":{"name":"y"},"metadata":{"name":"z"}}', "metadata"),
        ('{"metadata":{"name":"y"},"none":1}', "none"),
        ('{"metadata":{"name":"y","nothing":{}}}', "nothing"),
        ('{"metadata":{"name":"y"},"a\\r\\nX-Evil: b":{}}', "X-Evil"),
        (json.dumps({"metadata": {"name": "y"}, **{f"unknown{i}": 1 for i in range(2000)}}), "unknown1999"),
    ):
        yield Bad(f"warned of {name}", "POST", MAPS, text.encode(), query=(("dryRun", "All"),), sure=False)
        yield Bad(f"strict {name}", "POST", MAPS, text.encode(), query=(("fieldValidation", "Strict"),), names=(name,))


def medias() -> Iterator[Bad]:
    good = json.dumps(GOOD[MAPS]).encode()
    for media in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/cbor",
                  "application/jsonx", "json", "/", ";", "application/", "*/*", "application/json-seq", "application/vnd.kubernetes", "a" * 2000, "é/é"):  # fmt: skip
        if media != ";":
            yield Bad(f"POST as {media[:30]}", "POST", MAPS, good, media, names=("media type", "unknown format"))
        yield Bad(f"PATCH as {media[:30]}", "PATCH", f"{MAPS}/x", good, media, names=("Media Type",))
    for media in (JSON, YAML, PROTOBUF, "application/apply-patch", "application/json-patch"):
        yield Bad(f"PATCH as {media}", "PATCH", f"{MAPS}/x", good, media, names=("Media Type",))
    for media, body in ((YAML, b"\xff"), (PROTOBUF, good), (JSON, b"a: b"), (PROTOBUF, b"")):
        yield Bad(f"{body[:9]!r} that is not {media}", "POST", MAPS, body, media)
    for accept in ("text/html", "application/xml", "application/json;as=Nothing;g=meta.k8s.io;v=v1", "image/*", "application/json;as=Table;g=x;v=v1"):
        yield Bad(f"GET as {accept}", "GET", MAPS, names=("accepted", "Available"), headers={"Accept": accept})
        yield Bad(f"watch as {accept}", "GET", MAPS, query=(("watch", "1"),), names=("accepted", "Available"), headers={"Accept": accept})
    for encoding in ("gzip", "deflate", "br", "zstd"):
        yield Bad(f"a body that is not {encoding}", "POST", MAPS, b"\x1f\x8b\x08" + b"\0" * 40, headers={"Content-Encoding": encoding})


# protobuf


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    meta = protobuf.field(1, api_version.encode()) + protobuf.field(2, kind.encode())
    return protobuf.MAGIC + protobuf.field(1, meta) + protobuf.field(2, raw)


def protobufs() -> Iterator[Bad]:
    rng = random.Random(SEED)
    dry = (("dryRun", "All"),)
    tree = {"apiVersion": "apps/v1", "kind": "Deployment", **GOOD[DEPLOYMENTS]}
    good = protobuf.encode(tree, "k8s.io.api.apps.v1.Deployment")
    for size in (0, 1, 3, 4, 5, 6, 10, 15, 19, *rng.sample(range(20, len(good)), 20)):
        yield Bad(f"{size} bytes of protobuf", "POST", DEPLOYMENTS, good[:size], PROTOBUF, dry, sure=size < 20)
    for count in (1, 3, 10):
        for _ in range(20):
            flipped = bytearray(good)
            for at in rng.sample(range(4, len(good)), count):
                flipped[at] = rng.randrange(256)
            yield Bad(f"{count} bytes flipped", "POST", DEPLOYMENTS, bytes(flipped), PROTOBUF, dry, sure=False)
    for _ in range(15):
        yield Bad("random protobuf", "POST", DEPLOYMENTS, b"k8s\0" + rng.randbytes(60), PROTOBUF, dry)
    for text, body in {
        "another magic": b"k8s\1" + good[4:],
        "no magic": good[4:],
        "a field 0": b"k8s\0\x00\x01",
        "a length past the end": b"k8s\0\x12" + varint(1 << 31),
        "a length of 2^63": b"k8s\0\x12" + varint(1 << 63),
        "an endless varint": b"k8s\0\x12" + b"\xff" * 30,
        "a group": b"k8s\0\x0b\x0c",
        "no type": b"k8s\0" + protobuf.field(2, b""),
        "an unknown kind": envelope("v1", "Nothing", b""),
        "an unknown version": envelope("v9", "ConfigMap", b""),
        "another kind": envelope("v1", "Secret", b""),
        "a name that is no text": envelope("apps/v1", "Deployment", protobuf.field(1, protobuf.field(1, b"\xff\xff"))),
        "a type that is no text": envelope("apps/v1", "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), b""),
    }.items():
        yield Bad(f"protobuf: {text}", "POST", DEPLOYMENTS, body, PROTOBUF)
    # every field of a few messages with every other wire type
    for kind, path in (("ConfigMap", MAPS), ("Service", SERVICES), ("Secret", f"{CORE}/secrets"), ("Pod", f"{CORE}/pods")):
        for outer, (number, of) in sorted(facts.messages()[f"k8s.io.api.core.v1.{kind}"].items()):
            scalar = of in SCALARS and of not in ("string", "bytes")
            for wire, data in ((0, b"\x05"), (1, b"\0" * 8), (5, b"\0" * 4), (2, b"\x02\xff\xff")):
                right = (wire == 0) == scalar and wire in (0, 2)
                if not right or wire == 2:
                    body = envelope("v1", kind, varint(number << 3 | wire) + data)
                    yield Bad(f"{kind}.{outer} with wire type {wire}", "POST", path, body, PROTOBUF, dry)
    meta = facts.messages()["k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta"]
    for inner, (number, _) in sorted(meta.items()):
        for wire, data in ((5, b"\0" * 4), (2, b"\x04\x0a\xff\x01\x02")):
            body = envelope("v1", "ConfigMap", protobuf.field(1, varint(number << 3 | wire) + data))
            yield Bad(f"metadata.{inner} with wire type {wire}", "POST", MAPS, body, PROTOBUF, dry)
    deep = b""
    for _ in range(3000):
        deep = protobuf.field(2, deep)
    yield Bad("protobuf 3000 deep", "POST", f"{CORE}/pods", envelope("v1", "Pod", deep), PROTOBUF, dry)


# queries


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


# names, paths, verbs


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


# patches


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


# values


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


# numbers of more digits than anybody counts


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


# depth


def nested(depth: int, kind: str) -> bytes:
    return b"[" * depth + b"]" * depth if kind == "list" else b'{"a":' * depth + b"1" + b"}" * depth


def deep() -> Iterator[Bad]:
    dry = (("dryRun", "All"),)
    for depth in (250, 1000, 20_000, 500_000):
        for kind in ("list", "map"):
            inner = nested(depth, kind)
            for where, body in (
                ("whole", inner),
                ("data", b'{"metadata":{"name":"y"},"data":' + inner + b"}"),
                ("label", b'{"metadata":{"name":"y","labels":{"a":' + inner + b"}}}"),
            ):
                yield Bad(f"{where} {kind} {depth} deep", "POST", MAPS, body)
                # an unknown field is dropped however deep it is, where it can be read
                sure = where != "whole" or kind == "list"
                yield Bad(f"{where} {kind} {depth} deep by merge", "PATCH", f"{MAPS}/x", body, MERGE, dry, sure=sure)
                yield Bad(f"{where} {kind} {depth} deep by strategy", "PATCH", f"{MAPS}/x", body, STRATEGIC, dry, sure=sure)
                if depth <= 1000:
                    yield Bad(f"{where} {kind} {depth} deep applied", "PATCH", f"{MAPS}/x", body, APPLY, (*dry, ("fieldManager", "m")))
        if depth <= 1000:
            yield Bad(f"YAML {depth} deep", "POST", MAPS, b"[" * depth, YAML)


GROUPS = (wrong_types, numbers_out_of_range, texts, medias, protobufs, queries, paths, patches, applies, values, digits, deep)
REQUESTS: dict[str, list[Bad]] = {group.__name__: list(group()) for group in GROUPS}
