"""ValidatingAdmissionPolicies enforced: what they look at, what they refuse, warn of and note, and the params that they use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hookserver import HookServer
from server import Server

Tree = dict[str, Any]
REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
POLICIES, BINDINGS = f"{REGISTRATION}/validatingadmissionpolicies", f"{REGISTRATION}/validatingadmissionpolicybindings"


def rule(*resources: str, group: str = "", version: str = "v1", operations: tuple[str, ...] = ("CREATE", "UPDATE")) -> Tree:
    return {"apiGroups": [group], "apiVersions": [version], "operations": list(operations), "resources": list(resources)}


def in_namespace(ns: str) -> Tree:
    return {"matchLabels": {"kubernetes.io/metadata.name": ns}}


@pytest.fixture
def enforce(server: Server, ns: str) -> Iterator[Callable[..., str]]:
    """Makes a policy with a binding of the same name for the test's namespace; both are gone after the test."""
    made: list[str] = []

    def make(spec: Tree, binding: Tree | None = None) -> str:
        name = f"{ns}-{len(made)}"
        match = {"resourceRules": [rule("configmaps")], "namespaceSelector": in_namespace(ns), **spec.pop("match", {})}
        server.create(POLICIES, {"metadata": {"name": name}, "spec": {"matchConstraints": match, **spec}})
        bound = {"policyName": name, "validationActions": ["Deny"], **(binding or {})}
        server.create(BINDINGS, {"metadata": {"name": name}, "spec": bound})
        made.append(name)
        return name

    yield make
    for name in made:
        for path in (BINDINGS, POLICIES):
            assert server.request("DELETE", f"{path}/{name}")[0] == 200


def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


def refused(server: Server, ns: str, tree: Tree, method: str = "POST", path: str = "", media: str = "application/json") -> str:
    """The message of a refusal without its beginning; "" where the write went through."""
    status, answer = server.request(method, path or maps(ns), tree, media=media)
    return answer["message"].partition("denied request: ")[2] if status >= 400 else ""


def test_a_denial_has_the_message_and_reason_of_the_validation(server: Server, ns: str, enforce: Callable[..., str]) -> None:
    name = enforce({
        "variables": [{"name": "size", "expression": "has(object.data) ? size(object.data) : 0"}],
        "validations": [
            {"expression": "variables.size < 2", "messageExpression": "'%d entries'.format([variables.size])", "reason": "Forbidden"},
            {"expression": "object.metadata.name != 'bad'", "message": " not that name "},
        ],
    })
    status, answer = server.request("POST", maps(ns), {"metadata": {"name": "c"}, "data": {"a": "1", "b": "2"}})
    told = f"ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: 2 entries"
    assert (status, answer["reason"], answer["message"]) == (403, "Forbidden", f'configmaps "c" is forbidden: {told}')
    assert answer["details"] == {"name": "c", "kind": "configmaps", "causes": [{"message": told}]}
    status, answer = server.request("POST", maps(ns), {"metadata": {"name": "bad"}})
    assert (status, answer["reason"]) == (422, "Invalid") and answer["message"].endswith("denied request: not that name")
    assert refused(server, ns, {"metadata": {"name": "good"}, "data": {"a": "1"}}) == ""
    assert refused(server, ns, {"data": {"b": "2"}}, "PATCH", f"{maps(ns)}/good", "application/merge-patch+json") == "2 entries"


def test_warnings_and_conditions_and_the_failure_policy(server: Server, ns: str, enforce: Callable[..., str]) -> None:
    only = {"name": "only", "expression": "request.userInfo.username == 'admin' && object.metadata.name.startsWith('w')"}
    warns = enforce({"matchConditions": [only], "validations": [{"expression": "has(object.data)", "message": "empty"}]}, {"validationActions": ["Warn", "Audit"]})
    server.create(maps(ns), {"metadata": {"name": "w"}})
    assert server.headers.get_all("Warning") == [
        f"299 - \"Validation failed for ValidatingAdmissionPolicy '{warns}' with binding '{warns}': empty\""
    ]
    server.create(maps(ns), {"metadata": {"name": "x"}})
    assert server.headers.get_all("Warning") is None
    broken = {"validations": [{"expression": "object.data.missing == 'x'"}], "match": {"objectSelector": {"matchLabels": {"broken": "yes"}}}}
    enforce({**broken, "failurePolicy": "Ignore"})
    tree = {"metadata": {"generateName": "b-", "labels": {"broken": "yes"}}, "data": {"a": "1"}}
    assert refused(server, ns, tree) == ""
    enforce({"validations": broken["validations"], "match": {"objectSelector": {"matchLabels": {"broken": "yes"}}}})
    assert refused(server, ns, tree) == "expression 'object.data.missing == 'x'' resulted in error: no such key: missing"


def test_params_come_by_name_and_by_selector(server: Server, ns: str, enforce: Callable[..., str]) -> None:
    kind = {"apiVersion": "v1", "kind": "Secret"}
    by = {"paramKind": kind, "validations": [{"expression": "!has(object.data) || size(object.data) < size(params.data)"}]}
    enforce(dict(by), {"paramRef": {"name": "limit", "parameterNotFoundAction": "Deny"}})
    two = {"metadata": {"generateName": "c-"}, "data": {"a": "1", "b": "2"}}
    assert refused(server, ns, two) == "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
    server.create(f"/api/v1/namespaces/{ns}/secrets", {"metadata": {"name": "limit", "labels": {"limit": "yes"}}, "stringData": {"1": "", "2": "", "3": ""}})
    assert refused(server, ns, two) == ""
    server.create(f"/api/v1/namespaces/{ns}/secrets", {"metadata": {"name": "less", "labels": {"limit": "yes"}}, "stringData": {"1": ""}})
    assert refused(server, ns, two) == ""
    enforce(dict(by), {"paramRef": {"selector": {"matchLabels": {"limit": "yes"}}, "parameterNotFoundAction": "Allow"}})
    assert refused(server, ns, two) == "failed expression: !has(object.data) || size(object.data) < size(params.data)"
    enforce({**by, "paramKind": {"apiVersion": "no.example/v1", "kind": "Nothing"}})
    assert "failed" in refused(server, ns, two)


def test_policies_see_deletions_other_forms_the_namespace_and_rights(server: Server, ns: str, enforce: Callable[..., str]) -> None:
    enforce({"match": {"resourceRules": [rule("configmaps", operations=("DELETE",))]}, "validations": [{"expression": "object == null && oldObject.metadata.name != 'kept'"}]})
    server.create(maps(ns), {"metadata": {"name": "kept"}})
    server.create(maps(ns), {"metadata": {"name": "gone"}})
    assert refused(server, ns, {}, "DELETE", f"{maps(ns)}/kept") == "failed expression: object == null && oldObject.metadata.name != 'kept'"
    assert server.request("DELETE", f"{maps(ns)}/gone")[0] == 200
    # A rule for the old form of autoscalers takes writes of the new one, and sees them in the old.
    seen = "request.kind.version + ' for ' + request.requestKind.version + ' of ' + string(object.spec.targetCPUUtilizationPercentage)"
    enforce({"match": {"resourceRules": [rule("horizontalpodautoscalers", group="autoscaling")]}, "validations": [{"expression": "false", "messageExpression": seen}]})
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
    scaler = {"metadata": {"name": "s"}, "spec": {"maxReplicas": 3, "scaleTargetRef": target, "metrics": [metric]}}
    assert refused(server, ns, scaler, path=f"/apis/autoscaling/v2/namespaces/{ns}/horizontalpodautoscalers") == "v1 for v2 of 70"
    rights = "authorizer.group('').resource('pods').namespace(namespaceObject.metadata.name).check('list').allowed()"
    other = "authorizer.serviceAccount(request.namespace, 'default').group('').resource('pods').check('list').allowed()"
    enforce({"validations": [{"expression": f"{rights} && authorizer.requestResource.check('create').allowed()"}, {"expression": f"!{other}"}]})
    server.create(maps(ns), {"metadata": {"name": "with-rights"}})


def test_an_expression_that_does_not_compile_is_refused_with_its_place(server: Server, ns: str) -> None:
    spec = {"matchConstraints": {"resourceRules": [rule("configmaps")]}, "validations": [{"expression": "object.x.bad()", "messageExpression": "1"}]}
    status, answer = server.request("POST", POLICIES, {"metadata": {"name": f"{ns}-bad"}, "spec": spec})
    assert status == 422
    assert [(c["field"], c["message"]) for c in answer["details"]["causes"]] == [
        ("spec.validations[0].expression", "Invalid value: \"object.x.bad()\": compilation failed: ERROR: <input>:1:13: undeclared reference to 'bad' (in container '')\n | object.x.bad()\n | ............^"),
        ("spec.validations[0].messageExpression", 'Invalid value: "1": must evaluate to string but got int'),
    ]


def test_conditions_of_webhooks_decide_who_is_asked(server: Server, ns: str, tmp_path: Any) -> None:
    hooks = HookServer(tmp_path / "hooks")
    try:
        hooks.on("/never", lambda r: {"allowed": False})
        hook = hooks.hook("/never", ns)
        hook["matchConditions"] = [{"name": "named", "expression": "object.metadata.name == 'asked' && !has(object.data)"}]
        path = f"{REGISTRATION}/validatingwebhookconfigurations"
        server.create(path, {"metadata": {"name": ns}, "webhooks": [hook]})
        try:
            server.create(maps(ns), {"metadata": {"name": "other"}})
            assert server.request("POST", maps(ns), {"metadata": {"name": "asked"}})[0] >= 400
            assert len(hooks.asked) == 1
        finally:
            assert server.request("DELETE", f"{path}/{ns}")[0] == 200
    finally:
        hooks.close()
