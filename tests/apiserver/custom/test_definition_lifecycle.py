"""The status of a CustomResourceDefinition."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.cluster.apiserver.custom import lifecycle
from seaway.cluster.apiserver.custom.definition import is_served
from seaway.cluster.apiserver.custom.versions import newest_first

Tree = dict[str, Any]
NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"


def definition(plural: str = "things", kind: str = "Thing", group: str = "example.com", **names: Any) -> Tree:
    schema = {"openAPIV3Schema": {"type": "object"}}
    return {
        "metadata": {"name": f"{plural}.{group}", "uid": plural},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List", **names},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
        "status": {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": ["v1"]},
    }


def settled(tree: Tree, *others: Tree, now: str = NOW) -> Tree:
    return {**tree, "status": lifecycle.status(tree, others, now)}


def told(tree: Tree) -> list[tuple[str, str, str]]:
    return [(c["type"], c["status"], c["reason"]) for c in tree["status"]["conditions"]]


def test_free_names_are_accepted_and_the_definition_is_established() -> None:
    found = settled(definition(shortNames=["th"], categories=["all"]))
    assert told(found) == [("NamesAccepted", "True", "NoConflicts"), ("Established", "True", "InitialNamesAccepted")]
    assert found["status"]["acceptedNames"] == {
        "plural": "things",
        "singular": "thing",
        "shortNames": ["th"],
        "kind": "Thing",
        "listKind": "ThingList",
        "categories": ["all"],
    }
    assert found["status"]["storedVersions"] == ["v1"]


def test_a_settled_status_is_left_alone() -> None:
    found = settled(definition())
    assert lifecycle.status(found, (), LATER) == found["status"]


@pytest.mark.parametrize(
    ("other", "reason", "message"),
    [
        (definition("others", "Thing", listKind="OtherList"), "KindConflict", '"Thing" is already in use'),
        (definition("others", "Other", shortNames=["things"]), "ShortNamesConflict", '"things" is already in use'),
        (
            definition("others", "Other", shortNames=["things", "thing"]),
            "ShortNamesConflict",
            '["things" is already in use, "thing" is already in use]',
        ),
        (definition("others", "Other", singular="thing"), "SingularConflict", '"thing" is already in use'),
        (definition("others", "Other", listKind="ThingList"), "ListKindConflict", '"ThingList" is already in use'),
    ],
)
def test_names_that_another_of_the_group_has_are_not_accepted(other: Tree, reason: str, message: str) -> None:
    first = settled(definition())
    found = settled(other, first)
    accepted, established = found["status"]["conditions"]
    assert (accepted["status"], accepted["reason"], accepted["message"]) == ("False", reason, message)
    assert (established["status"], established["reason"]) == ("False", "NotAccepted")
    assert found["status"]["acceptedNames"]["plural"] == "others"
    # When the name is free again, it is given.
    assert told(settled(found, now=LATER))[1] == ("Established", "True", "InitialNamesAccepted")


def test_an_established_definition_stays_so_when_a_new_name_is_refused() -> None:
    first, second = settled(definition()), settled(definition("others", "Other"))
    second["spec"]["names"]["shortNames"] = ["things"]
    found = settled(second, first, now=LATER)
    assert told(found) == [
        ("NamesAccepted", "False", "ShortNamesConflict"),
        ("Established", "True", "InitialNamesAccepted"),
    ]
    assert "shortNames" not in found["status"]["acceptedNames"]
    assert found["status"]["conditions"][1]["lastTransitionTime"] == NOW


def test_a_name_of_its_own_is_in_use_as_well() -> None:
    tree = settled(definition())
    tree["spec"]["names"]["shortNames"] = ["thing"]
    assert told(settled(tree, now=LATER))[0] == ("NamesAccepted", "False", "ShortNamesConflict")


@pytest.mark.parametrize(
    ("annotation", "status", "reason"),
    [
        ("https://github.com/kubernetes/kubernetes/pull/1", "True", "ApprovedAnnotation"),
        ("unapproved, experimental", "False", "UnapprovedAnnotation"),
        ("who knows", "False", "InvalidAnnotation"),
        ("", "False", "MissingAnnotation"),
    ],
)
def test_groups_of_the_community_tell_whether_they_are_approved(annotation: str, status: str, reason: str) -> None:
    tree = definition(group="x.k8s.io")
    tree["metadata"]["annotations"] = {"api-approved.kubernetes.io": annotation}
    assert told(settled(tree))[0] == ("KubernetesAPIApprovalPolicyConformant", status, reason)


def test_a_schema_that_is_not_structural_is_told() -> None:
    tree = definition()
    tree["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = {"properties": {"a": {}}}
    found = settled(tree)
    assert told(found)[0] == ("NonStructuralSchema", "True", "Violations")
    found["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = {"type": "object"}
    assert "NonStructuralSchema" not in [c[0] for c in told(settled(found))]


def test_a_definition_whose_webhook_has_no_certificates_is_not_established() -> None:
    tree = definition()
    tree["spec"]["conversion"] = {"strategy": "Webhook", "webhook": {"clientConfig": {"caBundle": "bm9uZQ=="}}}
    assert told(settled(tree))[1] == ("Established", "False", "InvalidCABundle")


def test_what_an_early_server_stored_is_completed_or_left_alone() -> None:
    tree = definition()
    del tree["status"]
    for name in ("singular", "listKind"):
        del tree["spec"]["names"][name]
    found = settled(tree)
    assert found["status"]["acceptedNames"] == {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"}
    assert found["status"]["storedVersions"] == ["v1"]
    assert is_served(found)
    found["spec"]["versions"][0]["storage"] = False
    assert not is_served(found)


def test_a_deleted_definition_waits_for_its_objects() -> None:
    found = lifecycle.marked(settled(definition()), LATER)
    assert found["metadata"]["deletionTimestamp"] == LATER
    assert found["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert told(found)[2] == ("Terminating", "True", "InstanceDeletionPending")
    assert lifecycle.is_ending(found)
    going = lifecycle.said(found, lifecycle.IN_PROGRESS, LATER)
    assert told(going)[2] == ("Terminating", "True", "InstanceDeletionInProgress")
    assert not lifecycle.is_ending(lifecycle.let_go(going))


def test_versions_are_ordered_by_stability_and_age() -> None:
    names = ["v1alpha1", "foo10", "v2", "v11beta2", "v10", "v1", "v3beta1", "foo1", "v12alpha1"]
    assert newest_first(names) == ["v10", "v2", "v1", "v11beta2", "v3beta1", "v12alpha1", "v1alpha1", "foo1", "foo10"]
