"""Bodies that cannot be read: broken text, other media types, broken protobuf, depth."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from bad import APPLY, CORE, DEPLOYMENTS, GOOD, JSON, MAPS, MERGE, PROTOBUF, SEED, SERVICES, STRATEGIC, YAML, Bad

from seaway.api import facts
from seaway.cluster.apiserver import protobuf
from seaway.cluster.apiserver.messages import SCALARS
from seaway.protowire import sized, varint


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    meta = sized(1, api_version.encode()) + sized(2, kind.encode())
    return protobuf.MAGIC + sized(1, meta) + sized(2, raw)


def nested(depth: int, kind: str) -> bytes:
    return b"[" * depth + b"]" * depth if kind == "list" else b'{"a":' * depth + b"1" + b"}" * depth


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
        "no type": b"k8s\0" + sized(2, b""),
        "an unknown kind": envelope("v1", "Nothing", b""),
        "an unknown version": envelope("v9", "ConfigMap", b""),
        "another kind": envelope("v1", "Secret", b""),
        "a name that is no text": envelope("apps/v1", "Deployment", sized(1, sized(1, b"\xff\xff"))),
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
            body = envelope("v1", "ConfigMap", sized(1, varint(number << 3 | wire) + data))
            yield Bad(f"metadata.{inner} with wire type {wire}", "POST", MAPS, body, PROTOBUF, dry)
    deep = b""
    for _ in range(3000):
        deep = sized(2, deep)
    yield Bad("protobuf 3000 deep", "POST", f"{CORE}/pods", envelope("v1", "Pod", deep), PROTOBUF, dry)


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
