"""What the audit log and the request log say of a request."""

from __future__ import annotations

import json
from typing import Any

from seaway.cluster.apiserver.auditing import events
from seaway.cluster.apiserver.auditing.events import OBJECT_LIMIT, Ended
from seaway.cluster.apiserver.auditing.policy import Config
from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.requests import RequestInfo
from seaway.cluster.apiserver.trace import Trace

SECRET = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s", "managedFields": [{"manager": "m"}]}, "data": {"k": "dg=="}}


def trace(**more: Any) -> Trace:
    info = RequestInfo("create", "/api/v1/namespaces/n/secrets", True, "", "v1", "n", "secrets")
    found = Trace(1.0, 1_800_000_000.25, "id-1", "POST", "/api/v1/namespaces/n/secrets?dryRun=All", info, "kubectl/v1", ("10.0.0.1",),
                  user=User("ada", ("g",), "u", {"k": ["v"]}), media="application/json", body=json.dumps(SECRET).encode(), name="s")
    for name, value in more.items():
        setattr(found, name, value)
    return found


OVER = Ended(201, 1_800_000_000.5, json.dumps(SECRET).encode(), "application/json")


def test_metadata_says_who_what_when_and_no_more() -> None:
    found = events.event(trace(annotations={"a": "b", "patch.webhook.admission.k8s.io/round_0_index_0": "{}"}), "ResponseComplete", Config("Metadata"), OVER)
    assert found == {
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": "id-1", "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/n/secrets?dryRun=All", "verb": "create", "user": {"username": "ada", "uid": "u", "groups": ["g"], "extra": {"k": ["v"]}},
        "sourceIPs": ["10.0.0.1"], "userAgent": "kubectl/v1", "objectRef": {"resource": "secrets", "namespace": "n", "name": "s", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 201}, "requestReceivedTimestamp": "2027-01-15T08:00:00.250000Z", "stageTimestamp": "2027-01-15T08:00:00.500000Z",
        "annotations": {"a": "b"},
    }
    assert "dg==" not in json.dumps(found)


def test_levels_add_what_was_sent_and_what_was_answered() -> None:
    sent = events.event(trace(), "ResponseComplete", Config("Request"), OVER)
    assert sent["requestObject"] == SECRET and "responseObject" not in sent
    whole = events.event(trace(), "ResponseComplete", Config("RequestResponse", omit_managed_fields=True), OVER)
    without = {**SECRET, "metadata": {"name": "s"}}
    assert (whole["requestObject"], whole["responseObject"]) == (without, without)
    listed = Ended(200, 1.8e9, json.dumps({"kind": "SecretList", "items": [SECRET]}).encode(), "application/json")
    assert events.event(trace(), "ResponseComplete", Config("RequestResponse", omit_managed_fields=True), listed)["responseObject"]["items"] == [without]
    patch = trace(body=b'[{"op":"remove","path":"/data"}]', media="application/json-patch+json")
    assert events.event(patch, "ResponseComplete", Config("Request"), OVER)["requestObject"] == [{"op": "remove", "path": "/data"}]


def test_objects_too_large_to_tell_are_left_out_and_that_is_said() -> None:
    found = events.event(trace(body=b" " * (OBJECT_LIMIT + 1)), "ResponseComplete", Config("Request"), OVER)
    assert "requestObject" not in found and found["annotations"] == {"audit.k8s.io/truncated": "true"}


def test_bodies_that_are_no_documents_are_left_out() -> None:
    assert "requestObject" not in events.event(trace(body=b"{"), "ResponseComplete", Config("Request"), OVER)
    assert "requestObject" not in events.event(trace(media="text/html"), "ResponseComplete", Config("Request"), OVER)


def test_failures_and_other_identities_are_told() -> None:
    error = {"kind": "Status", "status": "Failure", "message": "no", "reason": "Forbidden", "code": 403}
    found = events.event(trace(error=error, acting=User("bob")), "ResponseComplete", Config("Metadata"), Ended(403, 1.8e9))
    assert found["responseStatus"] == {"metadata": {}, "status": "Failure", "message": "no", "reason": "Forbidden", "code": 403}
    assert found["impersonatedUser"] == {"username": "bob"}
    nobody = events.event(trace(user=None, info=RequestInfo("get", "/metrics"), agent="x" * 2000), "ResponseComplete", Config("Metadata"), Ended(401, 1.8e9))
    assert nobody["user"] == {} and "objectRef" not in nobody and nobody["userAgent"].endswith("x...TRUNCATED")


def test_a_line_of_the_request_log_can_hold_no_other_line() -> None:
    line = events.request_line(trace(agent='evil" resp=200\n2026', acting=User("bob")), OVER)
    assert line == ('2027-01-15T08:00:00.500000Z "HTTP" verb="POST" URI="/api/v1/namespaces/n/secrets?dryRun=All" latency="250.000ms" '
                    'userAgent="evil\\" resp=200\\n2026" audit-ID="id-1" srcIP="10.0.0.1" user="bob" resp=201')
