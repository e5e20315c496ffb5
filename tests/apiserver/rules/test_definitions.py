"""What a CustomResourceDefinition may say, and may become."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest

from seaway.cluster.apiserver.rules.definitions import DEFINITIONS
from seaway.cluster.apiserver.status import Cause

Tree = dict[str, Any]
OBJECT: Tree = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}}
LABEL = "a DNS-1035 label must consist of lower case alphanumeric characters or '-'"
APPROVAL = "metadata.annotations[api-approved.kubernetes.io]"


def version(name: str = "v1", storage: bool = True, **more: Any) -> Tree:
    return {"name": name, "served": True, "storage": storage, "schema": copy.deepcopy(OBJECT), **more}


def definition(*versions: Tree, names: Tree | None = None, annotations: Tree | None = None, **spec: Any) -> Tree:
    group = spec.get("group", "example.com")
    tree: Tree = {
        "metadata": {"name": f"things.{group}", "annotations": annotations or {}},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing", **(names or {})},
            "versions": list(versions) or [version()],
            **spec,
        },
    }
    DEFINITIONS.default(tree)
    DEFINITIONS.begin(tree)
    return tree


def told(causes: list[Cause]) -> list[tuple[str, str]]:
    return [(c.field, c.message) for c in causes]


def refused(tree: Tree, field: str, message: str) -> None:
    found = told(DEFINITIONS.validate(tree))
    assert [f for f, _ in found] == [field], found
    assert message in found[0][1]


def test_a_plain_definition_is_completed_and_taken() -> None:
    tree = definition()
    assert tree["spec"]["names"] == {"plural": "things", "kind": "Thing", "singular": "thing", "listKind": "ThingList"}
    assert tree["spec"]["conversion"] == {"strategy": "None"}
    assert tree["status"] == {
        "conditions": None,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": ["v1"],
    }
    assert DEFINITIONS.validate(tree) == []


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"scope": "Everywhere"}, "spec.scope", 'Unsupported value: "Everywhere": supported values: "Cluster", "Namespaced"'),
        ({"scope": ""}, "spec.scope", "Required value"),
        ({"group": "nodots"}, "spec.group", "should be a domain with at least one dot"),
        ({"names": {"shortNames": ["Bad"]}}, "spec.names.shortNames[0]", LABEL),
        ({"names": {"categories": ["a.b"]}}, "spec.names.categories[0]", LABEL),
        ({"names": {"singular": "a.b"}}, "spec.names.singular", LABEL),
        ({"names": {"listKind": "Thing"}}, "spec.names.listKind", "kind and listKind may not be the same"),
        ({"names": {"listKind": "a_b"}}, "spec.names.listKind", f"may have mixed case, but should otherwise match: {LABEL}"),
        ({"preserveUnknownFields": True}, "spec.preserveUnknownFields", "cannot set to true, set x-kubernetes-preserve"),
        ({"conversion": {"strategy": "Magic"}}, "spec.conversion.strategy", 'supported values: "None", "Webhook"'),
        (
            {"conversion": {"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}}},
            "spec.conversion.conversionReviewVersions",
            "should not be set when strategy is not set to Webhook",
        ),
    ],
)
def test_a_spec_that_cannot_be_served_is_refused(spec: Tree, field: str, message: str) -> None:
    refused(definition(**spec), field, message)


@pytest.mark.parametrize(
    ("more", "field", "message"),
    [
        ({"deprecationWarning": "x"}, "spec.versions[0].deprecationWarning", "can only be set for deprecated versions"),
        ({"deprecated": True, "deprecationWarning": ""}, "spec.versions[0].deprecationWarning", "must not be an empty string"),
        (
            {"deprecated": True, "deprecationWarning": "a\tb"},
            "spec.versions[0].deprecationWarning",
            "non-printable character found at index 1",
        ),
        ({"schema": None}, "spec.versions[0].schema.openAPIV3Schema", "Required value"),
        (
            {"additionalPrinterColumns": [{"name": "a", "type": "string", "jsonPath": "a"}]},
            "spec.additionalPrinterColumns[0].JSONPath",
            "must be a simple json path starting with .",
        ),
        (
            {"additionalPrinterColumns": [{"name": "a", "type": "text", "jsonPath": ".a"}]},
            "spec.additionalPrinterColumns[0].type",
            "must be one of boolean,date,integer,number,string",
        ),
        (
            {"subresources": {"scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".spec.n"}}},
            "spec.subresources.scale.statusReplicasPath",
            "should be a json path under .status",
        ),
        ({"selectableFields": [{"jsonPath": ".spec.a"}]}, "spec.selectableFields[0].jsonPath", "does not refer to a valid field"),
        (
            {"schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {}}}}},
            "spec.validation.openAPIV3Schema.properties[a].type",
            "must not be empty for specified object fields",
        ),
        (
            {"schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-validations": [{"rule": "self.a"}]}}},
            "spec.validation.openAPIV3Schema.x-kubernetes-validations[0].rule",
            "undefined field 'a'",
        ),
    ],
)
def test_what_one_version_says_wrong_is_told_where_all_versions_have_it(more: Tree, field: str, message: str) -> None:
    refused(definition(version(**more)), field, message)


def test_what_versions_do_not_share_is_told_at_the_version() -> None:
    other = {"openAPIV3Schema": {"type": "object", "properties": {"a": {}}}}
    tree = definition(version(), version("v2", False, schema=other))
    refused(tree, "spec.versions[1].schema.openAPIV3Schema.properties[a].type", "must not be empty")


@pytest.mark.parametrize(
    ("versions", "fields"),
    [
        ([version("v1", False)], ["spec.versions", "status.storedVersions"]),
        ([version(), version("v2")], ["spec.versions", "status.storedVersions"]),
        ([version(), version("v1", False)], ["spec.versions"]),
        ([version("V1")], ["spec.versions[0].name", "spec.version"]),
    ],
)
def test_versions_have_names_and_one_of_them_stores(versions: list[Tree], fields: list[str]) -> None:
    assert [f for f, _ in told(DEFINITIONS.validate(definition(*versions)))] == fields


def test_the_name_is_that_of_the_resource() -> None:
    tree = definition()
    tree["metadata"]["name"] = "others.example.com"
    refused(tree, "metadata.name", 'must be spec.names.plural+"."+spec.group')


@pytest.mark.parametrize(
    ("webhook", "field", "message"),
    [
        ({"conversionReviewVersions": ["v1"]}, "spec.conversion.webhookClientConfig", "required when strategy is set to Webhook"),
        (
            {"clientConfig": {}, "conversionReviewVersions": ["v1"]},
            "spec.conversion.webhookClientConfig",
            "exactly one of url or service is required",
        ),
        (
            {"clientConfig": {"url": "http://a/b"}, "conversionReviewVersions": ["v1"]},
            "spec.conversion.webhookClientConfig.url",
            "'https' is the only allowed URL scheme",
        ),
        ({"clientConfig": {"url": "https://a"}}, "spec.conversion.conversionReviewVersions", "Required value"),
        (
            {"clientConfig": {"url": "https://a"}, "conversionReviewVersions": ["v1", "v1"]},
            "spec.conversion.conversionReviewVersions[1]",
            "duplicate version",
        ),
        (
            {"clientConfig": {"url": "https://a"}, "conversionReviewVersions": ["v9"]},
            "spec.conversion.conversionReviewVersions",
            "must include at least one of v1, v1beta1",
        ),
    ],
)
def test_a_conversion_webhook_has_to_be_callable(webhook: Tree, field: str, message: str) -> None:
    refused(definition(conversion={"strategy": "Webhook", "webhook": webhook}), field, message)


def test_wrong_certificates_are_refused_once_a_definition_is_established() -> None:
    bundle = base64.b64encode(b"none").decode()
    webhook = {"clientConfig": {"url": "https://a", "caBundle": bundle}, "conversionReviewVersions": ["v1"]}
    new = definition(conversion={"strategy": "Webhook", "webhook": webhook})
    assert DEFINITIONS.validate(new) == []
    old = definition()
    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    assert [f for f, _ in told(DEFINITIONS.judge_update(new, old))] == ["spec.conversion.webhookClientConfig.caBundle"]
    bad = copy.deepcopy(new)
    bad["status"] = old["status"]
    assert DEFINITIONS.judge_update(new, bad) == []


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ("", "protected groups must have approval annotation"),
        ("yes", 'with either a URL or a reason starting with "unapproved"'),
        ("https://github.com/kubernetes/kubernetes/pull/1", ""),
        ("unapproved, a test", ""),
    ],
)
def test_groups_of_the_community_need_an_approval(annotation: str, message: str) -> None:
    tree = definition(group="x.k8s.io", annotations={"api-approved.kubernetes.io": annotation})
    if message:
        refused(tree, APPROVAL, message)
    else:
        assert DEFINITIONS.validate(tree) == []
    assert DEFINITIONS.judge_update(tree, tree) == []  # what was let in stays


def test_scope_and_kind_stay_once_established_group_and_plural_always() -> None:
    old = definition()
    new = definition(names={"kind": "Other", "listKind": "OtherList", "singular": "other"}, scope="Cluster")
    assert told(DEFINITIONS.judge_update(new, old)) == []
    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    assert [f for f, _ in told(DEFINITIONS.judge_update(new, old))] == ["spec.scope", "spec.names.kind"]
    moved = definition(group="other.example.com", names={"plural": "others"})
    assert [f for f, _ in told(DEFINITIONS.judge_update(moved, definition()))] == ["spec.group", "spec.names.plural"]


def test_stored_versions_grow_and_may_not_be_left_behind() -> None:
    old = definition(version(), version("v2", False))
    new = definition(version("v1", False), version("v2"))
    new["status"] = copy.deepcopy(old["status"])
    DEFINITIONS.prepare(new, old)
    assert new["status"]["storedVersions"] == ["v1", "v2"]
    assert DEFINITIONS.judge_update(new, old) == []
    gone = definition(version("v2"))
    gone["status"] = new["status"]
    found = told(DEFINITIONS.judge_update(gone, new))
    assert [f for f, _ in found] == ["status.storedVersions[0]"]
    assert "v1 was previously a storage version, and must remain in spec.versions" in found[0][1]


def test_a_status_without_stored_versions_tells_the_one_that_stores() -> None:
    tree = definition(version("v1", False), version("v2"))
    for none in (None, []):
        tree["status"]["storedVersions"] = none
        DEFINITIONS.default(tree)
        assert tree["status"]["storedVersions"] == ["v2"]
        sent = {**tree, "spec": {}, "status": {"storedVersions": none}}
        assert DEFINITIONS.part("status").prepare(sent, tree) == {**tree, "status": {"storedVersions": ["v2"]}}


def test_formats_that_nobody_knows_are_told_once() -> None:
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"a": {"type": "string", "format": "odd"}}}}
    tree = definition(version(schema=schema), version("v2", False, schema=copy.deepcopy(schema)))
    assert DEFINITIONS.warnings(tree, None) == ['unrecognized format "odd"']
    assert DEFINITIONS.warnings(tree, tree) == []


def test_a_default_of_null_says_nothing() -> None:
    inner = {"type": "array", "items": {"type": "string", "default": None}}
    tree = definition(version(schema={"openAPIV3Schema": {"type": "object", "properties": {"a": inner}}}))
    assert tree["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["a"]["items"] == {"type": "string"}


@pytest.mark.parametrize("spec", [{}, {"names": None, "versions": None}, {"versions": [{}], "names": {}}, {"versions": []}])
def test_a_definition_that_says_nothing_is_refused_with_all_that_it_lacks(spec: Tree) -> None:
    tree: Tree = {"metadata": {"name": "x"}, "spec": spec}
    DEFINITIONS.default(tree)
    DEFINITIONS.begin(tree)
    fields = [f for f, _ in told(DEFINITIONS.validate(tree))]
    assert {"spec.group", "spec.scope", "spec.names.plural", "spec.names.kind", "status.storedVersions"} <= set(fields)
