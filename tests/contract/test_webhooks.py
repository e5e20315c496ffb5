"""Admission webhooks called over TLS: what they are asked, what they change and refuse, and what happens when they fail."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hookserver import HookServer, patched
from server import Server

from seaway.cluster.apiserver.webhooks import configured
from seaway.cluster.apiserver.webhooks.calling import Caller
from seaway.cluster.apiserver.webhooks.exchange import Unusable

Tree = dict[str, Any]
REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
MUTATING, VALIDATING = f"{REGISTRATION}/mutatingwebhookconfigurations", f"{REGISTRATION}/validatingwebhookconfigurations"


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[HookServer]:
    found = HookServer(tmp_path / "hooks")
    yield found
    found.close()


@pytest.fixture
def configure(server: Server, ns: str) -> Iterator[Callable[..., None]]:
    """Registers webhooks for a test; they are gone after it."""
    made: list[str] = []

    def register(path: str, *hooks: Tree, name: str = "") -> None:
        name = name or f"{ns}-{len(made)}"
        server.create(path, {"metadata": {"name": name}, "webhooks": list(hooks)})
        made.append(f"{path}/{name}")

    yield register
    for path in made:
        assert server.request("DELETE", path)[0] == 200


def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


def test_a_mutating_webhook_changes_what_is_stored_and_validating_ones_see_it(server: Server, ns: str, hooks: HookServer, configure: Callable[..., None]) -> None:
    hooks.on("/add", patched({"op": "add", "path": "/data", "value": {"by": "webhook"}}))
    hooks.on("/second", lambda r: {"allowed": True, "warnings": ["mind the gap"]})
    configure(MUTATING, hooks.hook("/add", ns), hooks.hook("/second", ns))
    configure(VALIDATING, hooks.hook("/look", ns))
    made = server.create(maps(ns), {"metadata": {"generateName": "c-"}})
    assert made["data"] == {"by": "webhook"}
    assert server.headers.get_all("Warning") == ['299 - "mind the gap"']
    # What a webhook adds has no owner.
    assert "f:data" not in str(made["metadata"].get("managedFields"))
    (add,), (second,), (look,) = (hooks.calls(p) for p in ("/add", "/second", "/look"))
    assert "name" not in add and "name" not in add["object"]["metadata"] and second["object"]["data"] == {"by": "webhook"}
    assert look["name"] == made["metadata"]["name"] and look["object"]["metadata"]["uid"] == made["metadata"]["uid"]
    assert add["operation"] == "CREATE" and add["namespace"] == ns and add["userInfo"] == {
        "username": "admin", "groups": ["system:masters", "system:authenticated"], "extra": add["userInfo"]["extra"]}
    assert add["options"] == {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"} and add["oldObject"] is None and add["dryRun"] is False
    assert hooks.asked[0][1]["query"] == "timeout=10s" and hooks.asked[0][1]["apiVersion"] == "admission.k8s.io/v1"


def test_a_denial_is_told_in_the_webhooks_words_and_nothing_is_stored(server: Server, ns: str, hooks: HookServer, configure: Callable[..., None]) -> None:
    hooks.on("/no", lambda r: {"allowed": False, "status": {"message": f"{r['operation']} is not for you", "code": 403, "reason": "Forbidden"}})
    server.create(maps(ns), {"metadata": {"name": "there"}})
    configure(VALIDATING, hooks.hook("/no", ns), hooks.hook("/yes", ns))
    told = 'admission webhook "no.hooks.example.com" denied the request: {} is not for you'
    status, answer = server.request("POST", maps(ns), {"metadata": {"name": "c"}})
    assert (status, answer["message"], answer["reason"]) == (403, told.format("CREATE"), "Forbidden")
    status, answer = server.request("PATCH", f"{maps(ns)}/there", {"data": {"a": "b"}}, media="application/merge-patch+json")
    assert (status, answer["message"]) == (403, told.format("UPDATE"))
    status, answer = server.request("DELETE", f"{maps(ns)}/there")
    assert (status, answer["message"]) == (403, told.format("DELETE"))
    status, answer = server.request("DELETE", maps(ns))
    assert (status, answer["message"]) == (403, told.format("DELETE"))
    listed = server.request("GET", maps(ns))[1]["items"]
    assert [m["metadata"]["name"] for m in listed if m["metadata"]["name"] != "kube-root-ca.crt"] == ["there"] and "data" not in listed[-1]
    deletions = [r for r in hooks.calls("/yes") if r["operation"] == "DELETE"]
    assert [(r.get("name"), r["object"], r["oldObject"]["metadata"]["name"], r["options"]["kind"]) for r in deletions] == [
        ("there", None, "there", "DeleteOptions"), (None, None, "there", "DeleteOptions")]


def _closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_a_failing_webhook_stops_writes_or_is_let_be(server: Server, ns: str, tmp_path: Path, hooks: HookServer, configure: Callable[..., None]) -> None:
    other = HookServer(tmp_path / "other", ("other.example",))
    hooks.on("/late", lambda r: time.sleep(1.5) or {"allowed": True})
    hooks.on("/broken", lambda r: (500, b"boom"))
    hooks.on("/text", lambda r: (200, b"hello"))
    hooks.on("/other-uid", lambda r: {"uid": "x", "allowed": True})
    base = f"https://127.0.0.1:{hooks.port}"
    closed, gone = _closed_port(), {"service": {"name": "gone", "namespace": ns, "path": "/x"}}
    cases: list[tuple[str, Tree, str]] = [
        ("/late", {"timeoutSeconds": 1}, f'failed to call webhook: Post "{base}/late?timeout=1s": context deadline exceeded'),
        ("/broken", {}, 'failed to call webhook: an error on the server ("boom") has prevented the request from succeeding'),
        ("/text", {}, "failed to call webhook: couldn't get version/kind; json parse error: invalid character 'h' looking for beginning of value"),
        ("/other-uid", {}, "received invalid webhook response: expected response.uid="),
        ("/refused", {"clientConfig": {"url": f"https://127.0.0.1:{closed}/x"}},
         f'failed to call webhook: Post "https://127.0.0.1:{closed}/x?timeout=10s": dial tcp 127.0.0.1:{closed}: connect: connection refused'),
        ("/unknown", {"clientConfig": {"url": f"{base}/x"}}, "tls: failed to verify certificate: x509: certificate signed by unknown authority"),
        ("/name", {"clientConfig": other.client("/x")}, "tls: failed to verify certificate: x509: certificate is not valid for 127.0.0.1"),
        ("/service", {"clientConfig": gone}, f'failed to call webhook: Post "https://gone.{ns}.svc:443/x?timeout=10s": service "gone" not found'),
        ("/pem", {"clientConfig": {"url": f"{base}/x", "caBundle": "bm90aGluZw=="}}, "could not get REST client: unable to load root certificates: unable to parse bytes as PEM block"),
    ]
    for path, more, why in cases:
        name = f"{ns}-{path[1:]}"
        configure(VALIDATING, hooks.hook(path, ns, **more), name=name)
        status, answer = server.request("POST", maps(ns), {"metadata": {"name": "c"}})
        assert status == 500 and answer["reason"] == "InternalError", (path, answer)
        assert answer["message"].startswith(f'Internal error occurred: failed calling webhook "{path[1:]}.hooks.example.com": '), answer
        assert why in answer["message"], (path, answer["message"])
        change = [{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]
        assert server.request("PATCH", f"{VALIDATING}/{name}", change, media="application/json-patch+json")[0] == 200
    assert server.request("POST", maps(ns), {"metadata": {"name": "c"}})[0] == 201
    other.close()


def test_a_service_without_endpoints_is_told(server: Server, ns: str, hooks: HookServer, configure: Callable[..., None]) -> None:
    server.create(f"/api/v1/namespaces/{ns}/services", {"metadata": {"name": "hook"}, "spec": {"ports": [{"port": 8443}]}})
    reference = {"service": {"name": "hook", "namespace": ns, "port": 8443, "path": "/v"}, "caBundle": hooks.ca}
    configure(VALIDATING, hooks.hook("/v", ns, clientConfig=reference))
    status, answer = server.request("POST", maps(ns), {"metadata": {"name": "c"}})
    assert status == 500 and answer["message"].endswith(f'Post "https://hook.{ns}.svc:8443/v?timeout=10s": no endpoints available for service "hook"')


def test_webhooks_that_ask_for_it_are_asked_again_when_a_later_one_changes_something(server: Server, ns: str, hooks: HookServer, configure: Callable[..., None]) -> None:
    def count(request: Tree) -> Tree:
        data = request["object"].get("data") or {}
        return patched({"op": "add", "path": "/data", "value": {**data, "times": str(int(data.get("times", "0")) + 1)}})(request)  # type: ignore[return-value]

    def once(request: Tree) -> Tree:
        data = request["object"].get("data") or {}
        return {"allowed": True} if "extra" in data else patched({"op": "add", "path": "/data/extra", "value": "x"})(request)  # type: ignore[return-value]

    hooks.on("/again", count)
    hooks.on("/never", count)
    hooks.on("/last", once)
    configure(MUTATING, hooks.hook("/again", ns, reinvocationPolicy="IfNeeded"), hooks.hook("/never", ns), hooks.hook("/last", ns, reinvocationPolicy="IfNeeded"))
    assert server.create(maps(ns), {"metadata": {"name": "c"}})["data"] == {"times": "3", "extra": "x"}
    assert [path for path, _ in hooks.asked] == ["/again", "/never", "/last", "/again", "/last"]


def test_a_sidecar_that_a_webhook_adds_is_given_what_every_container_is_given(server: Server, ns: str, hooks: HookServer, configure: Callable[..., None]) -> None:
    hooks.on("/sidecar", patched({"op": "add", "path": "/spec/containers/-", "value": {"name": "side", "image": "busybox"}}))
    rules = [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]
    configure(MUTATING, hooks.hook("/sidecar", ns, rules=rules))
    pod = server.create(f"/api/v1/namespaces/{ns}/pods", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}})
    mounts = [[m["mountPath"] for m in c["volumeMounts"]] for c in pod["spec"]["containers"]]
    assert mounts == [["/var/run/secrets/kubernetes.io/serviceaccount"]] * 2
    assert pod["spec"]["containers"][1]["imagePullPolicy"] == "Always" and len(pod["spec"]["volumes"]) == 1


def test_a_patch_that_does_not_fit_is_an_error_of_its_own(server: Server, ns: str, hooks: HookServer, configure: Callable[..., None]) -> None:
    server.create(maps(ns), {"metadata": {"name": "there"}})
    hooks.on("/wrong", patched({"op": "remove", "path": "/data/nothing"}))
    configure(MUTATING, hooks.hook("/wrong", ns))
    status, answer = server.request("POST", maps(ns), {"metadata": {"name": "c"}})
    told = 'remove operation does not apply: doc is missing path: "/data/nothing": missing value'
    assert (status, answer["message"]) == (500, f"Internal error occurred: {told}")
    status, answer = server.request("DELETE", f"{maps(ns)}/there")
    assert (status, answer["message"]) == (
        500, 'Internal error occurred: admission webhook "wrong.hooks.example.com" attempted to modify the object, which is not supported for this operation')
    hooks.on("/wrong", patched({"op": "add", "path": "/data", "value": 7}))
    status, answer = server.request("POST", maps(ns), {"metadata": {"name": "c"}})
    assert status == 500 and "cannot unmarshal number" in answer["message"]


def test_dry_runs_reach_only_webhooks_without_side_effects(server: Server, ns: str, hooks: HookServer, configure: Callable[..., None]) -> None:
    configure(VALIDATING, hooks.hook("/pure", ns, sideEffects="NoneOnDryRun"))
    assert server.request("POST", maps(ns), {"metadata": {"name": "c"}}, {"dryRun": "All"})[0] == 201
    (asked,) = hooks.calls("/pure")
    assert asked["dryRun"] is True and asked["options"] == {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "dryRun": ["All"]}
    assert server.request("GET", f"{maps(ns)}/c")[0] == 404


def test_subresources_streams_and_other_forms_reach_webhooks(server: Server, ns: str, hooks: HookServer, configure: Callable[..., None]) -> None:
    rules = [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}]
    server.create(f"/api/v1/namespaces/{ns}/pods", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}})
    hooks.on("/all", lambda r: {"allowed": r["operation"] != "CONNECT", "status": {"message": "no shells"}})
    core = [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["events"]}]
    configure(VALIDATING, hooks.hook("/all", ns, rules=rules), hooks.hook("/core", ns, rules=core), hooks.hook("/exact", ns, rules=core, matchPolicy="Exact"))
    status, answer = server.request("GET", f"/api/v1/namespaces/{ns}/pods/p/exec", query={"command": "sh", "stdout": "true"})
    assert status == 400 and answer["message"] == 'admission webhook "all.hooks.example.com" denied the request: no shells'
    asked = hooks.calls("/all")[-1]
    assert (asked["operation"], asked["subResource"], asked["object"], asked["options"]) == (
        "CONNECT", "exec", {"kind": "PodExecOptions", "apiVersion": "v1", "stdout": True, "command": ["sh"]}, None)
    assert server.request("PATCH", f"/api/v1/namespaces/{ns}/pods/p/status", {"status": {"reason": "x"}}, media="application/merge-patch+json")[0] == 200
    assert hooks.calls("/all")[-1]["subResource"] == "status"
    server.create(f"/api/v1/namespaces/{ns}/pods/p/eviction", {"metadata": {"name": "p"}})
    assert [(r["operation"], r["object"]["kind"]) for r in hooks.calls("/all")[-1:]] == [("CREATE", "Eviction")]
    event = {"metadata": {"name": "e", "namespace": ns}, "regarding": {"kind": "Pod", "namespace": ns, "name": "p"}, "reason": "Because", "type": "Normal",
             "action": "a", "reportingController": "example.com/c", "reportingInstance": "i", "eventTime": "2026-01-01T00:00:00.000000Z", "note": "hello"}
    server.create(f"/apis/events.k8s.io/v1/namespaces/{ns}/events", event)
    (seen,) = hooks.calls("/core")
    assert seen["object"]["message"] == "hello" and seen["kind"] == {"group": "", "version": "v1", "kind": "Event"}
    assert seen["requestKind"] == {"group": "events.k8s.io", "version": "v1", "kind": "Event"} and hooks.calls("/exact") == []


def test_nobody_is_locked_out_of_the_webhook_configurations(server: Server, ns: str, hooks: HookServer, configure: Callable[..., None]) -> None:
    rules = [{"operations": ["*"], "apiGroups": ["admissionregistration.k8s.io"], "apiVersions": ["*"], "resources": ["*"]}]
    hooks.on("/never", lambda r: {"allowed": False})
    configure(VALIDATING, hooks.hook("/never", rules=rules))
    configure(VALIDATING, hooks.hook("/other", ns))  # is made, and both are gone after the test
    assert hooks.asked == []


def test_old_reviews_are_spoken_to_webhooks_that_know_no_others(server: Server, ns: str, hooks: HookServer, configure: Callable[..., None]) -> None:
    configure(VALIDATING, hooks.hook("/old", ns, admissionReviewVersions=["v2", "v1beta1", "v1"]))
    server.create(maps(ns), {"metadata": {"name": "c"}})
    assert hooks.asked[0][1]["apiVersion"] == "admission.k8s.io/v1beta1"


def test_slow_validating_webhooks_are_waited_for_together(server: Server, ns: str, hooks: HookServer, configure: Callable[..., None]) -> None:
    together: list[float] = []

    def slow(request: Tree) -> Tree:
        together.append(time.monotonic())
        end = time.monotonic() + 5
        while len(together) < 3 and time.monotonic() < end:  # answers only when all three are there
            time.sleep(0.01)
        return {"allowed": len(together) >= 3}

    hooks.on("/slow", slow)
    configure(VALIDATING, *(hooks.hook("/slow", ns, name=f"slow{i}.hooks.example.com") for i in range(3)))
    assert server.request("POST", maps(ns), {"metadata": {"name": "c"}})[0] == 201


def test_a_request_that_waits_for_a_webhook_has_the_time_that_it_asks_for(server: Server, ns: str, hooks: HookServer, configure: Callable[..., None]) -> None:
    hooks.on("/slow", lambda r: time.sleep(3) or {"allowed": True})
    configure(VALIDATING, hooks.hook("/slow", ns))
    begun = time.monotonic()
    status, answer = server.request("POST", maps(ns), {"metadata": {"name": "c"}}, {"timeout": "300ms"})
    assert (status, answer["reason"], answer["message"]) == (504, "Timeout", "Timeout: request did not complete within requested timeout - context deadline exceeded")
    assert time.monotonic() - begun < 2.5 and server.request("GET", f"{maps(ns)}/c")[0] == 404
    status, answer = server.request("GET", maps(ns), query={"timeout": "soon"})
    assert (status, answer["message"]) == (400, 'invalid timeout specified in the request URL - time: invalid duration "soon"')


def test_an_endpoint_that_takes_no_connections_is_passed_over(tmp_path: Path) -> None:
    hooks = HookServer(tmp_path / "behind", ("hook.n.svc",))
    client = configured.client({"service": {"namespace": "n", "name": "hook", "path": "/v"}, "caBundle": hooks.ca})
    closed = _closed_port()

    async def ask(places: list[tuple[str, int]], times: int) -> list[Any]:
        caller = Caller(lambda service: places)
        try:
            return [await caller.post(client, {"kind": "AdmissionReview", "apiVersion": "v1", "request": {"uid": "u"}}, 5) for _ in range(times)]
        finally:
            await caller.close()

    found = asyncio.run(ask([("127.0.0.1", closed), ("127.0.0.1", hooks.port)], 4))
    assert [f["response"]["allowed"] for f in found] == [True] * 4
    assert {review["host"] for _, review in hooks.asked} == {"hook.n.svc:443"}, "the name of the Service, whatever the endpoint"
    hooks.close()
    with pytest.raises(Unusable, match=f"dial tcp 127.0.0.1:{closed}: connect: connection refused"):
        asyncio.run(ask([("127.0.0.1", closed)], 1))
