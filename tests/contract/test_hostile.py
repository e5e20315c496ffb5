"""Bad requests by the hundred: each is refused in the API's own words, none is the server's fault, and it goes on."""

from __future__ import annotations

import base64
import json
import random
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from server import Server

from seaway.cluster.apiserver import protobuf

JSON, MERGE = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC, YAML = "application/strategic-merge-patch+json", "application/yaml"
SEED = 20
CORE, APPS = "/api/v1/namespaces/default", "/apis/apps/v1/namespaces/default"
LABELS = {"app": "web"}
CONTAINER = {"name": "c", "image": "i", "ports": [{"containerPort": 1}], "env": [{"name": "A", "value": "1"}]}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": {"containers": [CONTAINER]}}
PORTS = [{"name": "h", "port": 80, "targetPort": 8080}]
# collection -> an object that is well
GOOD: dict[str, dict[str, Any]] = {
    f"{CORE}/configmaps": {"metadata": {"name": "x", "labels": LABELS}, "data": {"k": "v"}},
    f"{CORE}/services": {"metadata": {"name": "x"}, "spec": {"selector": LABELS, "ports": PORTS}},
    f"{CORE}/pods": {"metadata": {"name": "x"}, "spec": {"containers": [CONTAINER]}},
    f"{APPS}/deployments": {
        "metadata": {"name": "x"},
        "spec": {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": TEMPLATE},
    },
}
WRONG = ("text", 5, True, 1.5, [1], {"a": {"b": 1}}, [[]], 10**30)


@dataclass(frozen=True)
class Bad:
    """One request that nobody should send. `refused`: it must be a 4xx; otherwise any answer but a 5xx is right."""

    why: str
    method: str
    path: str
    body: Any = None
    media: str = "application/json"
    query: tuple[tuple[str, str], ...] = ()
    refused: bool = True


def swapped(tree: Any, rng: random.Random) -> Iterator[tuple[str, Any]]:
    """Copies of a tree, each with one value replaced by one of another JSON type."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        for wrong in rng.sample(WRONG, 3):
            both_numbers = isinstance(wrong, int) and isinstance(value, int) and not isinstance(wrong, bool)
            if type(wrong) is not type(value) and not both_numbers:
                copy = tree.copy()
                copy[key] = wrong
                yield f"{key}={str(wrong)[:12]}", copy
        for text, inner in swapped(value, rng):
            copy = tree.copy()
            copy[key] = inner
            yield f"{key}.{text}", copy


def wrong_types() -> Iterator[Bad]:
    rng = random.Random(SEED)
    for path, tree in GOOD.items():
        found = [
            (text, bad)
            for text, bad in swapped(tree, rng)
            if "targetPort" not in text and not text.startswith("metadata.labels=")
        ]
        for text, bad in rng.sample(found, min(len(found), 22)):
            yield Bad(f"POST {text}", "POST", path, bad)
        for text, bad in rng.sample(found, 6):
            yield Bad(f"merge {text}", "PATCH", f"{path}/x", bad, MERGE)


def nested(depth: int, kind: str) -> bytes:
    return b"[" * depth + b"]" * depth if kind == "list" else b'{"a":' * depth + b"1" + b"}" * depth


def deep() -> Iterator[Bad]:
    maps = f"{CORE}/configmaps"
    for depth in (250, 1000, 20_000, 500_000):
        for kind in ("list", "map"):
            for where, body in (
                ("whole", nested(depth, kind)),
                ("data", b'{"metadata":{"name":"x"},"data":' + nested(depth, kind) + b"}"),
                ("label", b'{"metadata":{"name":"x","labels":{"a":' + nested(depth, kind) + b"}}}"),
            ):
                yield Bad(f"{where} {kind} {depth} deep", "POST", maps, body)
                # an unknown field is dropped however deep it is, where it can be read
                sure = where != "whole" or kind == "list"
                yield Bad(f"{where} {kind} {depth} deep by merge", "PATCH", f"{maps}/x", body, MERGE, refused=sure)
        if depth <= 1000:
            yield Bad(f"YAML {depth} deep", "POST", maps, b"[" * depth, YAML)
    yield Bad("a selector of brackets", "GET", maps, query=(("labelSelector", "(" * 5000),))


def broken_text() -> Iterator[Bad]:
    bodies = (b"", b"{", b"}", b'{"a"', b'{"a":}', b"nul", b"[]", b"1", b'"x"', b"null", b"\xff\xfe", b"\0" * 64)
    bodies += (b'{"metadata":{"name":"\xff"}}', b'{"metadata":{"name":"\\ud800"}}', b'{"a":NaN}', b"{}{}", b"{'a':1}")
    bodies += (b'{"metadata":{"name":"a","generation":1e999}}', b'{"metadata":{"name":"\\u0000"}}')
    for body in bodies:
        yield Bad(f"JSON {body[:20]!r}", "POST", f"{CORE}/configmaps", body)
        yield Bad(f"JSON {body[:20]!r}", "PUT", f"{CORE}/configmaps/x", body)
    for body in (
        b"a: b: c",
        b"\t- x",
        b"%YAML 9",
        b"a: *none",
        b"&a [*a]",
        b"!!python/object:os.system x",
        b"\xff\xfe",
    ):
        yield Bad(f"YAML {body!r}", "POST", f"{CORE}/configmaps", body, YAML)
    aliases = "\n".join(f"a{i}: &a{i} [" + ",".join([f"*a{i - 1}"] * 10 if i else ["x"] * 10) + "]" for i in range(9))
    yield Bad("YAML that grows", "POST", f"{CORE}/configmaps", aliases.encode(), YAML)


def broken_patches() -> Iterator[Bad]:
    maps = f"{CORE}/configmaps/x"
    for patch in (
        {},
        [1],
        "x",
        [{}],
        [{"op": "grow", "path": "/data"}],
        [{"op": "add", "path": "data", "value": 1}],
        [{"op": "add", "path": "/data/k"}],
        [{"op": "add", "path": "/data", "value": 5}],
        [{"op": "add", "path": "/none/here", "value": 5}],
        [{"op": "remove", "path": "/data/none"}],
        [{"op": "remove", "path": ""}],
        [{"op": "remove", "path": "/metadata"}],
        [{"op": "move", "from": "/none", "path": "/data"}],
        [{"op": "copy", "path": "/data/k"}],
        [{"op": "test", "path": "/data/k", "value": "other"}],
        [{"op": "replace", "path": "", "value": []}],
        [{"op": "replace", "path": "/metadata/name", "value": "y"}],
        [{"op": "add", "path": "/data/k", "value": "v"}] * 10_001,
    ):
        yield Bad(f"JSON patch {str(patch)[:60]}", "PATCH", maps, patch, JSON)
    for patch in ({"spec": {"ports": 5}}, {"spec": {"ports": [1]}}, {"spec": {"ports": [{"$patch": "grow"}]}}, [], 5):
        yield Bad(f"strategic {patch}", "PATCH", f"{CORE}/services/x", patch, STRATEGIC)
    for media in ("", "application/json", "text/plain", "application/apply", "a/b/c"):
        yield Bad(f"a patch of type {media!r}", "PATCH", maps, {}, media)


def queries() -> Iterator[Bad]:
    maps = f"{CORE}/configmaps"

    def token(tree: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(tree).encode()).decode()

    for name, values in {
        "labelSelector": ("!", "a in (b", "a in", "a notin b)", "=,=", "a b", "-=x", "a=b=c", "a>x", "\0"),
        "fieldSelector": ("x", "=", "metadata.name", "spec.none=1", "a=b,", "\\"),
        "continue": ("x", "%", token([]), token({"v": 1}), token({"v": "meta.k8s.io/v1"}), "A" * 5000),
        "limit": ("many", "1.5", "0x1"),
        "resourceVersion": ("x", "-1", "1.5", "1e3"),
        "resourceVersionMatch": ("Exact", "Never"),
    }.items():
        for value in values:
            yield Bad(f"{name}={value[:30]!r}", "GET", maps, query=((name, value),))
    for query in (
        {"watch": "true", "resourceVersion": "x"},
        {"watch": "true", "sendInitialEvents": "true"},
        {"watch": "true", "resourceVersionMatch": "NotOlderThan"},
        {"watch": "true", "timeoutSeconds": "long"},
        {"watch": "true", "fieldSelector": "spec.none=1"},
    ):
        yield Bad(f"watch {query}", "GET", maps, query=tuple(query.items()))
    for query in ({"dryRun": "Some"}, {"fieldValidation": "Hard"}, {"dryRun": "all"}):
        yield Bad(f"write {query}", "POST", maps, GOOD[maps], query=tuple(query.items()))
    for query in ({"gracePeriodSeconds": "x"}, {"propagationPolicy": "Random"}):
        yield Bad(f"delete {query}", "DELETE", f"{maps}/x", query=tuple(query.items()))


def paths() -> Iterator[Bad]:
    for path in (
        "/%00",
        "/%ff%fe",
        "/api/v1/%ff",
        f"{CORE}/configmaps/%00",
        f"{CORE}/configmaps/..%2f..%2f",
        "/api//v9//x",
    ):
        yield Bad(f"GET {path}", "GET", path)
    for path in ("/api/v1/" + "a/" * 500, f"{CORE}/configmaps/{'n' * 3000}", "/openapi/v3/%2e%2e/etc", "/apis/./x/y"):
        yield Bad(f"GET {path[:40]}", "GET", path)
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"):
        yield Bad(f"{method} /version", method, "/version")
    for method, path in (
        ("PUT", "configmaps"),
        ("PATCH", "configmaps"),
        ("POST", "configmaps/x"),
        ("BREW", "configmaps"),
    ):
        yield Bad(f"{method} {path}", method, f"{CORE}/{path}", {} if method != "BREW" else None, MERGE)


def objects() -> Iterator[Bad]:
    maps, long = f"{CORE}/configmaps", "a" * 300
    for text, tree in {
        "name": {"metadata": {"name": "Bad_Name"}},
        "a long name": {"metadata": {"name": long}},
        "no name": {"metadata": {}},
        "namespace": {"metadata": {"name": "y", "namespace": "other"}},
        "label": {"metadata": {"name": "y", "labels": {"a b": "c"}}},
        "label value": {"metadata": {"name": "y", "labels": {"a": long}}},
        "finalizer": {"metadata": {"name": "y", "finalizers": ["x"]}},
        "owner": {"metadata": {"name": "y", "ownerReferences": [{}]}},
        "kind": {"kind": "Secret", "metadata": {"name": "y"}},
        "version": {"apiVersion": "v2", "metadata": {"name": "y"}},
        "annotations": {"metadata": {"name": "y", "annotations": {"a": "x" * (1 << 19)}}},
        "key": {"metadata": {"name": "y"}, "data": {"a/b": "c"}},
        "base64": {"metadata": {"name": "y"}, "binaryData": {"a": "%"}},
    }.items():
        yield Bad(f"an object with a bad {text}", "POST", maps, tree)
    for size in (3 << 20, 8 << 20):
        yield Bad(f"{size} bytes", "POST", maps, {"metadata": {"name": "y"}, "data": {"k": "v" * size}})
    for body in (
        {"kind": "Pod"},
        [],
        "x",
        {"propagationPolicy": 5},
        {"gracePeriodSeconds": "x"},
        {"preconditions": []},
    ):
        yield Bad(f"delete options {body}", "DELETE", f"{maps}/x", body)
    for body in (
        {"spec": {"replicas": "x"}},
        {"spec": {"replicas": -1}},
        {"spec": []},
        [],
        {"metadata": {"name": "y"}},
    ):
        yield Bad(f"scale {body}", "PUT", f"{APPS}/deployments/x/scale", body)


def protobufs() -> Iterator[Bad]:
    """Cuts and flips of a message that is well; a few of them may still be read."""
    rng, path = random.Random(SEED), f"{APPS}/deployments"
    tree = {"apiVersion": "apps/v1", "kind": "Deployment", **GOOD[path]}
    raw = protobuf.encode(tree, "k8s.io.api.apps.v1.Deployment")
    for size in (0, 1, 3, 4, 5, *rng.sample(range(6, len(raw)), 15)):
        yield Bad(
            f"{size} bytes of protobuf",
            "POST",
            path,
            raw[:size],
            protobuf.CONTENT_TYPE,
            (("dryRun", "All"),),
            size < 20,
        )
    for _ in range(40):
        flipped = bytearray(raw)
        for at in rng.sample(range(4, len(raw)), 3):
            flipped[at] = rng.randrange(256)
        yield Bad("flipped protobuf", "POST", path, bytes(flipped), protobuf.CONTENT_TYPE, (("dryRun", "All"),), False)
    for _ in range(10):
        yield Bad(
            "random protobuf", "POST", path, b"k8s\0" + rng.randbytes(60), protobuf.CONTENT_TYPE, (("dryRun", "All"),)
        )


GROUPS = (wrong_types, deep, broken_text, broken_patches, queries, paths, objects, protobufs)
REQUESTS = {group.__name__: list(group()) for group in GROUPS}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("hostile")).start().wait()
    server.create(f"{CORE}/serviceaccounts", {"metadata": {"name": "default"}})
    for path, tree in GOOD.items():
        server.create(path, tree)
    yield server
    server.close()


def stored(server: Server) -> dict[str, Any]:
    return {path: server.request("GET", f"{path}/x")[1] for path in GOOD}


def told(server: Server) -> str:
    return (server.folder / "log").read_text()


def test_there_are_more_than_two_hundred_of_them() -> None:
    assert sum(map(len, REQUESTS.values())) > 200


@pytest.mark.parametrize("group", REQUESTS)
def test_bad_requests_are_refused_and_change_nothing(target: Server, group: str) -> None:
    before, connection = stored(target), target.connect(timeout=20)
    wrong, closed = [], []
    for bad in REQUESTS[group]:
        try:
            status, answer = target.request(
                bad.method, bad.path, bad.body, query=dict(bad.query), media=bad.media, connection=connection
            )
        except OSError:
            connection.close()  # closed on us before the whole was sent: refused as well
            closed.append(bad.why)
            assert target.request("GET", "/readyz")[0] == 200
            continue
        if status >= 500 or (bad.refused and not 400 <= status < 500):
            wrong.append((bad.why, status, str(answer)[:200]))
        elif isinstance(answer, dict) and status >= 400:
            assert answer["kind"] == "Status" and answer["code"] == status and answer["message"], bad.why
    connection.close()
    assert wrong == []
    assert len(closed) <= len(REQUESTS[group]) // 10, closed
    after = stored(target)
    if group != "deep":  # some of these drop what is unknown and then change nothing or little
        assert after == before
    assert "the lines above say where" not in told(target), "an error that the door did not expect"


def raw(server: Server, data: bytes, answer: bool = True) -> bytes:
    """Bytes as they are over TLS; what comes back within a second."""
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    with server.admin.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
        secure.sendall(data)
        if not answer:
            return b""
        secure.settimeout(1)
        try:
            return secure.recv(65536)
        except (TimeoutError, ConnectionError):
            return b""


HEAD = f"POST {CORE}/configmaps HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
RAW = {
    "a body cut short": HEAD + b"Content-Length: 1000\r\n\r\n" + b'{"metadata"',
    "no body at all": HEAD + b"Content-Length: 1000\r\n\r\n",
    "a chunk cut short": HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{",
    "a bad chunk size": HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n{",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}}",
    "length and chunks": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n{}",
    "a head cut short": HEAD[:30],
    "a long header": b"GET /version HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    "a long path": b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00" + b"\0" * 100,
    "another HTTP": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a bad version": b"GET / HTTP/9.9\r\n\r\n",
    "line feeds": b"\n" * 10_000,
    "a header without a name": b"GET /version HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n",
    "an odd credential": b"GET /version HTTP/1.1\r\nHost: x\r\nAuthorization: Basic \xff\xff\r\n\r\n",
}


@pytest.mark.parametrize("name", RAW)
def test_bytes_that_are_no_request_do_no_harm(target: Server, name: str) -> None:
    answer = raw(target, RAW[name], answer="short" not in name and "no body" not in name)
    assert not answer.startswith(b"HTTP/1.1 5"), answer[:200]
    assert target.request("GET", "/readyz")[0] == 200
    assert target.request("GET", f"{CORE}/configmaps/none")[0] == 404


def test_a_pipelined_request_after_a_bad_one_is_not_mixed_up_with_it(target: Server) -> None:
    first = HEAD + b"Content-Length: 1\r\n\r\n{"
    answer = raw(target, first + b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")


def test_half_sent_bodies_by_the_hundred_do_not_stop_others(target: Server) -> None:
    held = []
    try:
        for _ in range(100):
            plain = socket.create_connection(("127.0.0.1", target.port), timeout=5)
            secure = target.admin.wrap_socket(plain, server_hostname="127.0.0.1")
            secure.sendall(RAW["a body cut short"])
            held.append(secure)
        for i in range(10):
            assert target.request("POST", f"{CORE}/configmaps", {"metadata": {"name": f"meanwhile-{i}"}})[0] == 201
    finally:
        for secure in held:
            secure.close()
    assert target.request("GET", "/readyz")[0] == 200


def test_connections_without_tls_or_without_words_do_not_stop_others(target: Server) -> None:
    held = [socket.create_connection(("127.0.0.1", target.port), timeout=5) for _ in range(50)]
    for plain in held[::2]:
        plain.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
    start = time.monotonic()
    assert target.request("GET", "/readyz")[0] == 200
    assert time.monotonic() - start < 5
    for plain in held:
        plain.close()


def test_after_all_this_the_server_is_the_same_process_and_well(target: Server) -> None:
    assert target.process is not None and target.process.poll() is None
    made = target.create(f"{CORE}/configmaps", {"metadata": {"name": "last"}, "data": {"k": "v"}})
    assert target.request("GET", f"{CORE}/configmaps/last")[1] == made
