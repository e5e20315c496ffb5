"""Audit policies: what is told of a request, and what is said of a policy that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from seaway.cluster.apiserver.auditing.policy import DEFAULT, Config, PolicyError, read
from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.requests import RequestInfo

ADA = User("ada", ("system:authenticated", "team"))


def about(verb: str = "get", resource: str = "pods", subresource: str = "", name: str = "p", namespace: str = "n", group: str = "") -> RequestInfo:
    return RequestInfo(verb, "/x", True, group, "v1", namespace, resource, subresource, name)


def policy(*rules: Any, **more: Any) -> Any:
    return {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": list(rules), **more}


PATH = RequestInfo("get", "/healthz/ping")


@pytest.mark.parametrize(("rule", "user", "info", "fits"), [
    ({}, ADA, about(), True),
    ({}, None, PATH, True),
    ({"users": ["ada"]}, ADA, about(), True),
    ({"users": ["bob"]}, ADA, about(), False),
    ({"users": ["ada"]}, None, about(), False),
    ({"userGroups": ["x", "team"]}, ADA, about(), True),
    ({"userGroups": ["x"]}, ADA, about(), False),
    ({"verbs": ["list", "get"]}, ADA, about(), True),
    ({"verbs": ["list"]}, ADA, about(), False),
    ({"namespaces": ["n"]}, ADA, about(), True),
    ({"namespaces": ["m"]}, ADA, about(), False),
    ({"namespaces": [""]}, ADA, about(namespace="", resource="nodes"), True),
    ({"namespaces": ["n"]}, ADA, PATH, False),
    ({"resources": [{"group": ""}]}, ADA, about(subresource="log"), True),
    ({"resources": [{"group": "apps"}]}, ADA, about(), False),
    ({"resources": [{"group": "*", "resources": ["pods"]}]}, ADA, about(group="metrics.k8s.io"), True),
    ({"resources": [{"resources": ["pods"]}]}, ADA, about(), True),
    ({"resources": [{"resources": ["pods"]}]}, ADA, about(subresource="log"), False),
    ({"resources": [{"resources": ["pods/log"]}]}, ADA, about(subresource="log"), True),
    ({"resources": [{"resources": ["pods/*"]}]}, ADA, about(subresource="log"), True),
    ({"resources": [{"resources": ["pods/*"]}]}, ADA, about(), True),
    ({"resources": [{"resources": ["*/log"]}]}, ADA, about(subresource="log"), True),
    ({"resources": [{"resources": ["*"]}]}, ADA, about(subresource="log"), True),
    ({"resources": [{"resources": ["pods"], "resourceNames": ["p"]}]}, ADA, about(), True),
    ({"resources": [{"resources": ["pods"], "resourceNames": ["q"]}]}, ADA, about(), False),
    ({"nonResourceURLs": ["/healthz*"]}, ADA, PATH, True),
    ({"nonResourceURLs": ["/healthz"]}, ADA, PATH, False),
    ({"nonResourceURLs": ["*"]}, ADA, PATH, True),
    ({"nonResourceURLs": ["*"]}, ADA, about(), False),
])
def test_which_rule_fits(rule: Any, user: User | None, info: RequestInfo, fits: bool) -> None:
    found = read(policy({"level": "Request", **rule}, {"level": "Metadata"})).config(user, info)
    assert found.level == ("Request" if fits else "Metadata")


def test_stages_and_managed_fields_are_left_out_as_policy_and_rule_say() -> None:
    rules = [{"level": "Request", "verbs": ["get"], "omitStages": ["ResponseStarted"], "omitManagedFields": False}, {"level": "Metadata", "verbs": ["list"]}]
    found = read(policy(*rules, omitStages=["RequestReceived"], omitManagedFields=True))
    assert found.config(ADA, about()) == Config("Request", frozenset({"RequestReceived", "ResponseStarted"}), False)
    assert found.config(ADA, about("list")) == Config("Metadata", frozenset({"RequestReceived"}), True)
    assert found.config(ADA, about("watch")).level == "None"  # what no rule fits is not told
    assert DEFAULT.config(None, PATH) == Config("Metadata", frozenset({"RequestReceived"}))


@pytest.mark.parametrize(("tree", "why"), [
    ([], "apiVersion, kind: must be audit.k8s.io/v1 and Policy"),
    ({"kind": "Policy", "apiVersion": "audit.k8s.io/v1beta1"}, "apiVersion, kind: must be audit.k8s.io/v1 and Policy"),
    (policy(), "loaded illegal policy with 0 rules"),
    (policy({}), "rules[0].level: Required value"),
    (policy({"level": "All"}), 'rules[0].level: Unsupported value: "All": supported values: "Metadata", "None", "Request", "RequestResponse"'),
    (policy({"level": "None", "nonResourceURLs": ["healthz"]}), 'rules[0].nonResourceURLs[0]: Invalid value: "healthz": non-resource URL rules must begin'),
    (policy({"level": "None", "nonResourceURLs": ["/a*b"]}), "wildcards '*' must be the final character of the rule"),
    (policy({"level": "None", "nonResourceURLs": ["/a"], "namespaces": ["n"]}), "rules cannot apply to both regular resources and non-resource URLs"),
    (policy({"level": "None", "resources": [{"group": "apps/v1"}]}), 'rules[0].resources.group: Invalid value: "apps/v1": a lowercase RFC 1123 subdomain'),
    (policy({"level": "None", "resources": [{"resourceNames": ["x"]}]}), "using resourceNames requires at least one resource"),
    (policy({"level": "None"}, omitStages=["Late"]), 'omitStages[0]: Invalid value: "Late": allowed stages are RequestReceived,ResponseStarted,ResponseComplete,Panic'),
    (policy({"level": "None", "user": ["x"]}), "unknown field 'rules[0].user'"),
    (policy("x"), "rules: must be a list of rules"),
    (policy({"level": "None", "resources": ["pods"]}), "a field is of the wrong type"),
])
def test_a_policy_that_cannot_be_used_is_told(tree: Any, why: str) -> None:
    with pytest.raises(PolicyError) as told:
        read(tree)
    assert why in str(told.value)


def test_the_policy_of_the_documentation_is_one() -> None:
    text = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text().split("apiVersion: audit.k8s.io/v1")[1].split("```")[0]
    found = read(yaml.safe_load("apiVersion: audit.k8s.io/v1" + text))
    assert found.config(ADA, about("create", "deployments", group="apps")).level == "RequestResponse"
    assert found.config(ADA, about("create", "secrets")).level == "Metadata" and found.config(ADA, about("get")).level == "None"
