"""Webhooks about custom resources: in the version that their rules name, pruned and given defaults after each change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hookserver import HookServer, patched
from server import Server

Tree = dict[str, Any]
REGISTRATION = "/apis/admissionregistration.k8s.io/v1"


def definition(group: str, conversion: Tree) -> Tree:
    properties = {"size": {"type": "integer"}, "colour": {"type": "string", "default": "red"}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}, "status": {"type": "object"}}}}
    versions = [{"name": name, "served": True, "storage": name == "v1", "schema": schema, "subresources": {"status": {}}} for name in ("v1", "v2")]
    return {"metadata": {"name": f"boats.{group}"}, "spec": {"group": group, "scope": "Namespaced", "names": {"plural": "boats", "kind": "Boat"},
                                                            "versions": versions, "conversion": conversion}}


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[HookServer]:
    found = HookServer(tmp_path / "hooks")
    yield found
    found.close()


@pytest.fixture(params=["None", "Webhook"])
def boats(request: pytest.FixtureRequest, server: Server, ns: str, hooks: HookServer) -> Iterator[str]:
    """The group of a kind whose versions are converted either way. A webhook converts by writing down that it did."""
    strategy, group = request.param, f"{request.param.lower()}.{ns}.example.com"
    conversion: Tree = {"strategy": "None"}
    if strategy == "Webhook":
        conversion = {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": hooks.client("/convert")}}

        def convert(asked: Tree) -> Tree:
            objects = [{**o, "apiVersion": asked["desiredAPIVersion"]} for o in asked["objects"]]
            return {"result": {"status": "Success"}, "convertedObjects": objects}

        hooks.on("/convert", convert)
    server.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition(group, conversion))
    end = time.monotonic() + 15
    while server.request("GET", f"/apis/{group}/v1/namespaces/{ns}/boats")[0] != 200:
        assert time.monotonic() < end
        time.sleep(0.05)
    yield group
    for path in (f"{REGISTRATION}/mutatingwebhookconfigurations/{ns}", f"{REGISTRATION}/validatingwebhookconfigurations/{ns}",
                 f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/boats.{group}"):
        server.request("DELETE", path)


def register(server: Server, kind: str, ns: str, *hooks: Tree) -> None:
    server.create(f"{REGISTRATION}/{kind}", {"metadata": {"name": ns}, "webhooks": list(hooks)})


def rules(group: str, version: str, resources: str = "boats") -> list[Tree]:
    return [{"operations": ["*"], "apiGroups": [group], "apiVersions": [version], "resources": [resources]}]


def test_webhooks_are_asked_about_custom_resources_in_the_version_that_they_know(server: Server, ns: str, hooks: HookServer, boats: str) -> None:
    add: Callable[[Tree], Any] = patched({"op": "add", "path": "/spec", "value": {"size": 3, "unknown": True}})
    hooks.on("/add", lambda r: add(r) if r["operation"] == "CREATE" else {"allowed": True})
    hooks.on("/judge", lambda r: {"allowed": r["operation"] != "DELETE", "status": {"message": "boats stay"}})
    register(server, "mutatingwebhookconfigurations", ns, hooks.hook("/add", rules=rules(boats, "v2")), hooks.hook("/exact", rules=rules(boats, "v2"), matchPolicy="Exact"))
    register(server, "validatingwebhookconfigurations", ns, hooks.hook("/judge", rules=rules(boats, "v2")))
    path = f"/apis/{boats}/v1/namespaces/{ns}/boats"
    made = server.create(path, {"apiVersion": f"{boats}/v1", "kind": "Boat", "metadata": {"name": "b"}})
    assert made["apiVersion"] == f"{boats}/v1" and made["spec"] == {"size": 3, "colour": "red"}, "pruned, and with its defaults"
    (asked,) = hooks.calls("/add")
    assert asked["kind"] == {"group": boats, "version": "v2", "kind": "Boat"} and asked["object"]["apiVersion"] == f"{boats}/v2"
    assert asked["requestKind"]["version"] == "v1" and asked["resource"]["version"] == "v2" and asked["requestResource"]["version"] == "v1"
    assert hooks.calls("/exact") == [] and hooks.calls("/judge")[0]["object"]["spec"] == {"size": 3, "colour": "red"}
    change = {"spec": {"size": 4}}
    assert server.request("PATCH", f"{path}/b", change, media="application/merge-patch+json")[1]["spec"]["size"] == 4
    update = hooks.calls("/judge")[-1]
    assert (update["operation"], update["oldObject"]["spec"]["size"], update["object"]["spec"]["size"]) == ("UPDATE", 3, 4)
    assert update["oldObject"]["apiVersion"] == f"{boats}/v2"
    status, answer = server.request("DELETE", f"{path}/b")
    assert (status, answer["message"]) == (400, 'admission webhook "judge.hooks.example.com" denied the request: boats stay')
    assert hooks.calls("/judge")[-1]["oldObject"]["apiVersion"] == f"{boats}/v2"
    assert server.request("GET", f"/apis/{boats}/v2/namespaces/{ns}/boats/b")[1]["spec"]["size"] == 4


def test_what_a_webhook_makes_of_a_custom_resource_is_judged_by_its_schema(server: Server, ns: str, hooks: HookServer, boats: str) -> None:
    hooks.on("/wrong", patched({"op": "add", "path": "/spec", "value": {"size": "large"}}))
    register(server, "mutatingwebhookconfigurations", ns, hooks.hook("/wrong", rules=rules(boats, "v1")))
    for version in ("v1", "v2"):
        status, answer = server.request("POST", f"/apis/{boats}/{version}/namespaces/{ns}/boats", {"apiVersion": f"{boats}/{version}", "kind": "Boat", "metadata": {"name": "b"}})
        assert status == 422 and "spec.size in body must be of type integer" in answer["message"], answer


def test_a_policy_sees_custom_resources_in_the_version_that_its_rules_name(server: Server, ns: str, boats: str) -> None:
    spec = {"matchConstraints": {"resourceRules": [{**rules(boats, "v2")[0], "operations": ["CREATE"]}]},
            "validations": [{"expression": f"object.apiVersion == '{boats}/v2' && object.spec.size < 10", "message": "boats are small"}]}
    server.create(f"{REGISTRATION}/validatingadmissionpolicies", {"metadata": {"name": boats}, "spec": spec})
    server.create(f"{REGISTRATION}/validatingadmissionpolicybindings", {"metadata": {"name": boats}, "spec": {"policyName": boats, "validationActions": ["Deny"]}})
    try:
        def make(name: str, size: int) -> tuple[int, Any]:
            boat = {"apiVersion": f"{boats}/v1", "kind": "Boat", "metadata": {"name": name}, "spec": {"size": size}}
            return server.request("POST", f"/apis/{boats}/v1/namespaces/{ns}/boats", boat)

        assert make("small", 3)[0] == 201
        status, answer = make("large", 30)
        assert status == 422 and f"ValidatingAdmissionPolicy '{boats}' with binding '{boats}' denied request: boats are small" in answer["message"]
        lines = server.request("GET", "/metrics", accept="text/plain")[1].decode().splitlines()
        told = [line for line in lines if line.startswith("apiserver_validating_admission_policy_check_total") and f'policy="{boats}"' in line]
        assert sorted(line.partition("enforcement_action=")[2] for line in told) == ['"allow",error_type="no_error"} 1', '"deny",error_type="no_error"} 1']
    finally:
        for kind in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
            server.request("DELETE", f"{REGISTRATION}/{kind}/{boats}")
