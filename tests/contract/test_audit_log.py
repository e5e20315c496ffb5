"""The audit log and the request log of a running server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hookserver import HookServer, patched
from server import Server

Tree = dict[str, Any]
LOG = {"size": 100 << 20, "kept": 2}
POLICY = {
    "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitManagedFields": True,
    "rules": [
        {"level": "None", "nonResourceURLs": ["/readyz*", "/healthz*"]},
        {"level": "None", "resources": [{"group": "", "resources": ["secrets"]}]},
        {"level": "RequestResponse", "resources": [{"group": "", "resources": ["configmaps"]}], "omitStages": ["RequestReceived"]},
        {"level": "Metadata"},
    ],
}


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts a server with more arguments; it ends with the test, however that ends."""
    made: list[Server] = []

    def start(**extra: Any) -> Server:
        made.append(Server(tmp_path / f"s{len(made)}"))
        made[-1].extra = extra
        return made[-1].start().wait()

    yield start
    for server in made:
        server.close()


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[HookServer]:
    found = HookServer(tmp_path / "hooks")
    yield found
    found.close()


def events(path: Path, wanted: Callable[[Tree], bool], count: int = 1) -> list[Tree]:
    """The events that are wanted, as soon as so many are there."""
    end = time.monotonic() + 15
    while True:
        found = [e for line in path.read_text().splitlines() if wanted(e := json.loads(line))]
        if len(found) >= count:
            return found
        assert time.monotonic() < end, path.read_text()
        time.sleep(0.05)


def about(name: str, verb: str = "create") -> Callable[[Tree], bool]:
    return lambda e: e.get("objectRef", {}).get("name") == name and e["verb"] == verb


def test_the_audit_log_says_who_did_what_as_its_policy_wants(tmp_path: Path, started: Callable[..., Server], hooks: HookServer) -> None:
    path = tmp_path / "audit.log"
    server = started(audit_log={"path": str(path), "policy": POLICY, **LOG}, request_log={"path": str(tmp_path / "requests.log"), **LOG})
    hooks.on("/add", lambda r: {**patched({"op": "add", "path": "/data", "value": {"by": "webhook"}})(r), "auditAnnotations": {"seen": "yes"}})  # type: ignore[dict-item]
    server.create("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", {"metadata": {"name": "m"}, "webhooks": [hooks.hook("/add")]})
    server.create("/api/v1/namespaces", {"metadata": {"name": "n"}})
    server.create("/api/v1/namespaces/n/configmaps", {"metadata": {"name": "c"}})
    own_id = server.headers["Audit-Id"]
    server.create("/api/v1/namespaces/n/secrets", {"metadata": {"name": "hidden"}, "stringData": {"a": "topsecret"}})
    bob = {"Impersonate-User": "bob", "User-Agent": "probe/1"}
    assert server.request("GET", "/api/v1/namespaces/n/configmaps/c", headers=bob)[0] == 403
    assert server.request("GET", "/api/v1/nodes", token="nonsense")[0] == 401

    (made,) = events(path, about("c"))
    assert (made["level"], made["stage"], made["auditID"], made["responseStatus"]["code"]) == ("RequestResponse", "ResponseComplete", own_id, 201)
    assert made["requestObject"] == {"metadata": {"name": "c"}} and made["responseObject"]["data"] == {"by": "webhook"}
    assert "managedFields" not in made["responseObject"]["metadata"]
    notes = made["annotations"]
    assert notes["authorization.k8s.io/decision"] == "allow" and notes["add.hooks.example.com/seen"] == "yes"
    assert json.loads(notes["mutation.webhook.admission.k8s.io/round_0_index_0"]) == {"configuration": "m", "webhook": "add.hooks.example.com", "mutated": True}
    assert json.loads(notes["patch.webhook.admission.k8s.io/round_0_index_0"])["patchType"] == "JSONPatch"
    (answered,) = events(path, about("n"))
    both = events(path, lambda e: e["auditID"] == answered["auditID"], 2)
    # The path of a create has no name, its answer has.
    assert [(e["stage"], e["objectRef"].get("name")) for e in both] == [("RequestReceived", None), ("ResponseComplete", "n")]
    (refused,) = events(path, about("c", "get"))
    assert refused["user"]["username"] == "admin" and refused["impersonatedUser"]["username"] == "bob" and refused["userAgent"] == "probe/1"
    assert refused["responseStatus"]["reason"] == "Forbidden" and refused["annotations"]["authorization.k8s.io/decision"] == "forbid"
    (unknown,) = events(path, lambda e: e["requestURI"] == "/api/v1/nodes" and e["stage"] == "ResponseComplete")
    assert unknown["user"] == {} and unknown["responseStatus"]["code"] == 401

    connection = server.connect()
    connection.request("GET", "/api/v1/namespaces/n/configmaps?watch=true")
    connection.getresponse()
    (begun,) = events(path, lambda e: e["verb"] == "watch" and e["stage"] == "ResponseStarted")
    connection.close()
    (over,) = events(path, lambda e: e["verb"] == "watch" and e["stage"] == "ResponseComplete")
    assert begun["auditID"] == over["auditID"]
    text = path.read_text()
    assert "topsecret" not in text and "/readyz" not in text and '"secrets"' not in text

    lines = (tmp_path / "requests.log").read_text()
    assert 'verb="GET" URI="/api/v1/namespaces/n/configmaps/c"' in lines and 'user="bob" resp=403' in lines


def test_an_audit_log_that_cannot_be_written_fails_its_check_and_nothing_else(started: Callable[..., Server]) -> None:
    server = started(audit_log={"path": "/dev/full", "policy": POLICY, **LOG})
    server.create("/api/v1/namespaces", {"metadata": {"name": "n"}})
    end = time.monotonic() + 15
    while server.request("GET", "/livez/log")[0] == 200:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert server.request("GET", "/livez/log") == (500, b"internal server error: /dev/full: No space left on device\n")
    server.create("/api/v1/namespaces", {"metadata": {"name": "m"}})
