"""ValidatingAdmissionPolicies enforced: what they look at, what they refuse, warn of and note, and the params that they use."""

from __future__ import annotations

import time
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


MUTATING, MUTATING_BINDINGS = f"{REGISTRATION}/mutatingadmissionpolicies", f"{REGISTRATION}/mutatingadmissionpolicybindings"


@pytest.fixture
def change(server: Server, ns: str) -> Iterator[Callable[..., str]]:
    """As `enforce`, for mutating policies: expressions that apply an Object, or lists of JSONPatch."""
    made: list[str] = []

    def make(*expressions: str, match: Tree | None = None, **spec: Any) -> str:
        name = f"{ns}-m{len(made)}"
        mutations = [
            {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": e}} if e.startswith("Object") else
            {"patchType": "JSONPatch", "jsonPatch": {"expression": e}} for e in expressions
        ]
        match = {"resourceRules": [rule("configmaps")], "namespaceSelector": in_namespace(ns), **(match or {})}
        server.create(MUTATING, {"metadata": {"name": name}, "spec": {"matchConstraints": match, "reinvocationPolicy": "Never", "mutations": mutations, **spec}})
        server.create(MUTATING_BINDINGS, {"metadata": {"name": name}, "spec": {"policyName": name}})
        made.append(name)
        return name

    yield make
    for name in made:
        for path in (MUTATING_BINDINGS, MUTATING):
            assert server.request("DELETE", f"{path}/{name}")[0] == 200


def test_mutating_policies_apply_fields_and_patches_one_after_the_other(server: Server, ns: str, change: Callable[..., str]) -> None:
    change(
        "Object{data: {'who': request.userInfo.username, 'size': string(variables.size)}}",
        "[JSONPatch{op: 'add', path: '/metadata/labels', value: {'n': string(size(object.data))}},"
        " JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a.b/c'), value: 'x'}]",
        variables=[{"name": "size", "expression": "has(object.data) ? size(object.data) : 0"}],
        matchConditions=[{"name": "new", "expression": "object.metadata.name == 'c'"}],
    )
    made = server.create(maps(ns), {"metadata": {"name": "c"}, "data": {"k": "v"}})
    assert made["data"] == {"k": "v", "who": "admin", "size": "1"}
    assert made["metadata"]["labels"] == {"n": "3", "a.b/c": "x"}
    assert "data" not in server.create(maps(ns), {"metadata": {"name": "d"}})


def test_a_mutating_policy_adds_a_sidecar_with_what_every_container_has(server: Server, ns: str, change: Callable[..., str]) -> None:
    change(
        "Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{"
        "containers: [Object.spec.template.spec.containers{name: 'side', image: 'side:1'}]}}}}",
        match={"resourceRules": [rule("deployments", group="apps")]},
    )
    pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "main", "image": "main:1"}]}}
    tree = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": pod}}
    made = server.create(f"/apis/apps/v1/namespaces/{ns}/deployments", tree)
    assert [(c["name"], c["imagePullPolicy"]) for c in made["spec"]["template"]["spec"]["containers"]] == [("main", "IfNotPresent"), ("side", "IfNotPresent")]


def test_a_mutation_that_fails_refuses_the_write_or_is_let_be(server: Server, ns: str, change: Callable[..., str]) -> None:
    change("Object{nope: 1}", failurePolicy="Ignore")
    server.create(maps(ns), {"metadata": {"name": "let-be"}})
    name = change("[JSONPatch{op: 'remove', path: '/data'}]")
    status, answer = server.request("POST", maps(ns), {"metadata": {"name": "c"}})
    told = f"policy '{name}' with binding '{name}' denied request: JSON Patch: error in remove for path: '/data': unable to remove nonexistent key: data: missing value"
    assert (status, answer["reason"], answer["message"]) == (403, "Invalid", told)
    assert answer["details"]["causes"] == [{"message": told}]
    spec = {"matchConstraints": {"resourceRules": [rule("configmaps")]}, "reinvocationPolicy": "Never", "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[1]"}}]}
    status, answer = server.request("POST", MUTATING, {"metadata": {"name": f"{ns}-bad"}, "spec": spec})
    assert answer["details"]["causes"][0]["message"] == 'Invalid value: "[1]": must evaluate to list(JSONPatch) but got list(int)'


def test_the_status_tells_what_the_types_say_of_expressions(server: Server, ns: str) -> None:
    spec = {"matchConstraints": {"resourceRules": [rule("deployments", group="apps")]}, "validations": [{"expression": "object.replicas > 1"}, {"expression": "object.spec.replicas > 1"}]}
    path = f"{POLICIES}/{ns}-typed"
    server.create(POLICIES, {"metadata": {"name": f"{ns}-typed"}, "spec": spec})
    deadline = time.monotonic() + 15
    while "observedGeneration" not in (tree := server.request("GET", path)[1]).get("status", {}):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    warning = "apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'replicas'\n | object.replicas > 1\n | ......^\n"
    assert tree["status"] == {"observedGeneration": 1, "typeChecking": {"expressionWarnings": [{"fieldRef": "spec.validations[0].expression", "warning": warning}]}}
    assert server.request("DELETE", path)[0] == 200
