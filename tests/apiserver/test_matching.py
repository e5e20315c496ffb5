"""Which requests a webhook or policy looks at."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.api import kinds
from seaway.cluster.apiserver import matching
from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.reviewing import Attributes, GroupVersionKind
from seaway.cluster.apiserver.status import ApiError

Tree = dict[str, Any]
POD_RULE = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}


def about(operation: str = "CREATE", resource: tuple[str, str, str] = ("", "v1", "pods"), namespace: str = "n", subresource: str = "",
          of: GroupVersionKind | None = None, name: str = "x") -> Attributes:
    kind = kinds.by_resource()[resource]
    own = GroupVersionKind(kind.group, kind.version, kind.kind)
    return Attributes(operation, kind, kind, of or own, subresource, namespace, name, User("ada"), False, None, [], {})


NODES, NAMESPACES = ("", "v1", "nodes"), ("", "v1", "namespaces")


@pytest.mark.parametrize(("change", "request_", "want"), [
    ({}, about(), True),
    ({}, about("UPDATE"), False),
    ({"operations": ["*"]}, about("CONNECT"), True),
    ({"operations": ["UPDATE", "DELETE"]}, about("DELETE"), True),
    ({"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}, about("CREATE", ("apps", "v1", "deployments")), True),
    ({"apiGroups": ["apps"]}, about(), False),
    ({"apiVersions": ["v2"]}, about(), False),
    # a resource is without its subresources, unless it says so
    ({}, about(subresource="status"), False),
    ({"resources": ["*"]}, about(subresource="status"), False),
    ({"resources": ["*/*"]}, about(subresource="status"), True),
    ({"resources": ["*/*"]}, about(), True),
    ({"resources": ["pods/*"]}, about(), True),
    ({"resources": ["pods/status"]}, about(), False),
    ({"resources": ["pods/status"]}, about(subresource="status"), True),
    ({"resources": ["*/status"]}, about(subresource="scale"), False),
    ({"scope": "Namespaced"}, about(), True),
    ({"scope": "Cluster"}, about(), False),
    ({"resources": ["*"], "scope": "Cluster"}, about(resource=NODES, namespace=""), True),
    ({"resources": ["*"], "scope": "Namespaced"}, about(resource=NODES, namespace=""), False),
    # a namespace lies in itself, and yet is of the cluster
    ({"resources": ["*"], "scope": "Cluster"}, about(resource=NAMESPACES), True),
    ({"resources": ["*"], "scope": "Namespaced"}, about(resource=NAMESPACES), False),
    ({"resourceNames": ["x"]}, about(), True),
    ({"resourceNames": ["y"]}, about(), False),
])
def test_a_rule_takes_what_it_names(change: Tree, request_: Attributes, want: bool) -> None:
    assert matching.rule_matches({**POD_RULE, **change}, request_) is want


EVENT, SCALER = ("events.k8s.io", "v1", "events"), ("autoscaling", "v1", "horizontalpodautoscalers")


@pytest.mark.parametrize(("rules", "policy", "request_", "want"), [
    ([{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["events"]}], "Equivalent", about(resource=EVENT), ("v1", "Event")),
    ([{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["events"]}], "Exact", about(resource=EVENT), None),
    ([{"apiGroups": ["autoscaling"], "apiVersions": ["v2"], "resources": ["*"]}], "Equivalent", about(resource=SCALER), ("autoscaling/v2", "HorizontalPodAutoscaler")),
    # the form that was asked for comes before rules that stand earlier
    ([{"apiGroups": ["autoscaling"], "apiVersions": ["v2"], "resources": ["*"]}, {"apiGroups": ["*"], "apiVersions": ["v1"], "resources": ["*"]}],
     "Equivalent", about(resource=SCALER), ("autoscaling/v1", "HorizontalPodAutoscaler")),
    ([{"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments/scale"]}], "Equivalent",
     about(resource=("apps", "v1", "deployments"), subresource="scale", of=GroupVersionKind("autoscaling", "v1", "Scale")), ("autoscaling/v1", "Scale")),
    ([], "Equivalent", about(), None),
])
def test_equivalent_forms_are_taken_where_the_policy_says_so(rules: list[Tree], policy: str, request_: Attributes, want: tuple[str, str] | None) -> None:
    found = matching.target([{"operations": ["*"], **rule} for rule in rules], policy, request_)
    assert (found and (found.object_kind.api_version, found.object_kind.kind)) == want


def test_an_object_is_shown_in_the_form_that_the_rules_ask_for_and_comes_back() -> None:
    request = about(resource=EVENT)
    to = matching.target([{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["events"]}], "Equivalent", request)
    assert to is not None
    event = {"kind": "Event", "apiVersion": "events.k8s.io/v1", "metadata": {"name": "e"}, "regarding": {"name": "p"}, "note": "hello"}
    shown = matching.converted(request, to, event)
    assert shown is not None and (shown["apiVersion"], shown["involvedObject"], shown["message"]) == ("v1", {"name": "p"}, "hello")
    back = matching.converted_back(request, to, shown)
    assert (back["apiVersion"], back["regarding"], back["note"]) == ("events.k8s.io/v1", {"name": "p"}, "hello")


def labels_of(namespace: str) -> dict[str, str]:
    if namespace == "gone":
        raise ApiError(404, "NotFound", "gone")
    return {"team": "a"}


@pytest.mark.parametrize(("selector", "request_", "tree", "want"), [
    (None, about(), None, True),
    ({}, about(namespace="gone"), None, True),
    ({"matchLabels": {"team": "a"}}, about(), None, True),
    ({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]}, about(), None, False),
    ({"matchLabels": {"team": "b"}}, about(resource=NODES, namespace=""), None, True),
    # a namespace that is written is chosen by its new labels, one that goes by those that it has
    ({"matchLabels": {"team": "b"}}, about(resource=NAMESPACES), {"metadata": {"labels": {"team": "b"}}}, True),
    ({"matchLabels": {"team": "b"}}, about("DELETE", NAMESPACES), None, False),
    ({"matchLabels": {"team": "b"}}, about("UPDATE", NAMESPACES, subresource="finalize"), {"metadata": {"labels": {"team": "b"}}}, False),
])
def test_namespace_selectors(selector: Tree | None, request_: Attributes, tree: Tree | None, want: bool) -> None:
    assert matching.namespace_selected(selector, request_, tree, labels_of) is want


def test_a_namespace_that_is_not_there_is_said() -> None:
    with pytest.raises(ApiError, match="gone"):
        matching.namespace_selected({"matchLabels": {"a": "b"}}, about(namespace="gone"), None, labels_of)


@pytest.mark.parametrize(("selector", "tree", "old", "want"), [
    ({}, None, None, True),
    ({"matchLabels": {}}, {"kind": "PodExecOptions"}, None, True),
    ({"matchLabels": {"a": "b"}}, {"metadata": {"labels": {"a": "b"}}}, None, True),
    ({"matchLabels": {"a": "b"}}, {"metadata": {}}, {"metadata": {"labels": {"a": "b"}}}, True),  # as it was counts too
    ({"matchLabels": {"a": "b"}}, {"metadata": {}}, {"metadata": {}}, False),
    # what has no labels at all is never chosen by them, not even by their absence
    ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"kind": "PodExecOptions"}, None, False),
    ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"metadata": {}}, None, True),
])
def test_object_selectors(selector: Tree, tree: Tree | None, old: Tree | None, want: bool) -> None:
    assert matching.object_selected(selector, tree, old) is want


@pytest.mark.parametrize(("group", "kind", "want"), [
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", True), ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding", True),
    ("admissionregistration.k8s.io", "Other", False), ("example.com", "ValidatingWebhookConfiguration", False)])
def test_the_configuration_of_admission_is_exempt(group: str, kind: str, want: bool) -> None:
    assert matching.is_exempt(about(of=GroupVersionKind(group, "v1", kind))) is want
