"""AdmissionReviews: what a webhook is asked, and what its answers mean, the wrong ones too."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from seaway.api import kinds
from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.matching import Target
from seaway.cluster.apiserver.reviewing import SCALE, Attributes
from seaway.cluster.apiserver.webhooks import configured, exchange
from seaway.cluster.apiserver.webhooks.exchange import Unusable

Tree = dict[str, Any]


def test_a_question_names_what_was_asked_for_and_what_is_shown() -> None:
    kind = kinds.by_resource()["apps", "v1", "deployments"]
    user = User("ada", ("g",), "u1", {"k": ["v"]})
    attributes = Attributes("UPDATE", kind, kind, SCALE, "scale", "n", "web", user, True, {"kind": "UpdateOptions"}, [], {})
    assert exchange.request("u", attributes, Target(kind, SCALE), {"kind": "Scale"}, {"kind": "Scale", "spec": {}}) == {
        "uid": "u",
        "kind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
        "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "requestKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
        "requestResource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "subResource": "scale", "requestSubResource": "scale", "name": "web", "namespace": "n", "operation": "UPDATE",
        "userInfo": {"username": "ada", "groups": ["g"], "uid": "u1", "extra": {"k": ["v"]}},
        "object": {"kind": "Scale"}, "oldObject": {"kind": "Scale", "spec": {}}, "dryRun": True, "options": {"kind": "UpdateOptions"},
    }


def answer(version: str = "v1", **response: Any) -> Tree:
    return {"kind": "AdmissionReview", "apiVersion": f"admission.k8s.io/{version}", "response": {"uid": "u", "allowed": True, **response}}


def coded(patch: Any) -> str:
    return base64.b64encode(patch if isinstance(patch, bytes) else json.dumps(patch).encode()).decode()


PATCH = [{"op": "add", "path": "/a", "value": 1}]


def test_an_answer_is_read() -> None:
    found = exchange.verdict(answer(patch=coded(PATCH), patchType="JSONPatch", warnings=["w"], auditAnnotations={"k": "v"}), "u", "v1", True)
    assert (found.allowed, found.patch, found.warnings, found.annotations) == (True, PATCH, ("w",), {"k": "v"})
    # v1beta1 checks neither uid nor type
    old = {"response": {"allowed": True, "patch": coded(PATCH)}}
    assert exchange.verdict(old, "u", "v1beta1", True).patch == PATCH
    assert exchange.verdict(answer(patch=coded(None), patchType="JSONPatch"), "u", "v1", True).patch is None


WRONG = "received invalid webhook response: "


@pytest.mark.parametrize(("given", "mutating", "why"), [
    ({"kind": "AdmissionReview"}, True, WRONG + "webhook response was absent"),
    (answer(uid="other"), True, WRONG + 'expected response.uid="u", got "other"'),
    ({**answer(), "apiVersion": "v1"}, True, WRONG + "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got v1, Kind=AdmissionReview"),
    (answer(patch=coded(PATCH)), True, WRONG + "webhook returned response.patch but not response.patchType"),
    (answer(patchType="JSONPatch"), True, WRONG + "webhook returned response.patchType but not response.patch"),
    (answer(patch=coded(PATCH), patchType=""), True, WRONG + 'webhook returned invalid response.patchType of ""'),
    (answer(patch=coded(PATCH), patchType="Merge"), True, 'unsupported patch type "Merge"'),
    (answer(patch=coded(PATCH), patchType="JSONPatch"), False, WRONG + "validating webhook may not return response.patch"),
    (answer(patchType="JSONPatch"), False, WRONG + "validating webhook may not return response.patchType"),
    (answer(patch="%%", patchType="JSONPatch"), True, "failed to call webhook: illegal base64 data at input byte 0"),
    (answer(patch=coded(b"{"), patchType="JSONPatch"), True, "received undecodable patch in webhook response: unexpected end of JSON input"),
    (answer(patch=coded({}), patchType="JSONPatch"), True, "received undecodable patch in webhook response: json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
])
def test_an_answer_that_is_none_is_told(given: Tree, mutating: bool, why: str) -> None:
    with pytest.raises(Unusable) as told:
        exchange.verdict(given, "u", "v1", mutating)
    assert str(told.value) == why


@pytest.mark.parametrize(("body", "why"), [
    (b"", "failed to call webhook: 0-length response with status code: 200 and content type: text/plain"),
    (b"hello", "failed to call webhook: couldn't get version/kind; json parse error: invalid character 'h' looking for beginning of value"),
    (b"[]", "failed to call webhook: couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct "),
])
def test_a_body_that_is_no_review_is_told(body: bytes, why: str) -> None:
    with pytest.raises(Unusable) as told:
        exchange.decoded(body, 200, "text/plain")
    assert str(told.value).startswith(why)


@pytest.mark.parametrize(("status", "body", "why"), [
    (404, b"not here", "the server could not find the requested resource"),
    (403, b"not you", "not you"),
    (500, b"boom\n", 'an error on the server ("boom") has prevented the request from succeeding'),
    (503, b"", "the server is currently unable to handle the request"),
    (301, b"", "the server responded with the status code 301 but did not return more information"),
])
def test_a_status_that_is_no_success_is_told(status: int, body: bytes, why: str) -> None:
    assert exchange.refused(status, body) == why


BY = 'admission webhook "h.example.com" denied the request'


@pytest.mark.parametrize(("result", "code", "reason", "message"), [
    (None, 400, None, f"{BY} without explanation"),
    ({"message": "no cats"}, 400, None, f"{BY}: no cats"),
    ({"reason": "Forbidden", "code": 403}, 403, "Forbidden", f"{BY}: Forbidden"),
    ({"message": "m", "reason": "r", "code": 200, "status": "Success"}, 400, "r", f"{BY}: m"),
    ({"message": "m", "code": 418, "details": {"causes": [{"message": "c"}]}}, 418, None, f"{BY}: m"),
])
def test_a_denial_is_a_status(result: Tree | None, code: int, reason: str | None, message: str) -> None:
    found = exchange.denial("h.example.com", result)
    assert (found.code, found.tree.get("reason"), found.tree["message"], found.tree["status"]) == (code, reason, message, "Failure")
    assert found.tree.get("details") == (result or {}).get("details")


def test_the_first_version_that_both_know_is_spoken() -> None:
    assert exchange.version(("v2", "v1beta1", "v1")) == "v1beta1"
    with pytest.raises(Unusable, match="could not create admission objects: webhook does not accept known AdmissionReview versions"):
        exchange.version(("v2",))


def test_webhooks_are_asked_in_the_order_of_their_configurations_names() -> None:
    def configuration(name: str, *hooks: str) -> Tree:
        return {"metadata": {"name": name}, "webhooks": [{"name": h, "clientConfig": {"url": "https://h/x"}} for h in hooks]}

    found = configured.hooks([configuration("b", "1", "1"), configuration("a", "2")])
    assert [(h.configuration, h.name, h.uid) for h in found] == [("a", "2", "a/2/0"), ("b", "1", "b/1/0"), ("b", "1", "b/1/1")]


@pytest.mark.parametrize(("client", "want"), [
    ({"url": "https://h.example:8443/x"}, "https://h.example:8443/x?timeout=10s"),
    ({"service": {"name": "s", "namespace": "n"}}, "https://s.n.svc:443?timeout=10s"),
    ({"service": {"name": "s", "namespace": "n", "port": 9443, "path": "/v"}}, "https://s.n.svc:9443/v?timeout=10s"),
])
def test_errors_tell_the_address(client: Tree, want: str) -> None:
    assert configured.client(client).shown(10) == want
