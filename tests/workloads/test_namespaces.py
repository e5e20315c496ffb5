"""Namespaces in deletion: what is said while something is left; and what each new one is given."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from seaway.client.rest import kind_of
from seaway.cluster.workloads import accounts, aggregation
from seaway.cluster.workloads.namespaces import Left, contents, told
from seaway.controllers.writes import Create, Delete, Patch

NOW = 1767225600.0


def said(found: list[dict]) -> dict[str, tuple[str, str, str]]:
    return {c["type"].removeprefix("Namespace"): (c["status"], c["reason"], c["message"]) for c in found}


def test_pods_are_emptied_first_and_custom_kinds_too() -> None:
    definition = {"spec": {"group": "g.io", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
                           "versions": [{"name": "v1", "served": True, "storage": True}]},
                  "status": {"conditions": [{"type": "Established", "status": "True"}]}}
    kinds = [k.group_resource for k in contents([definition])]
    assert kinds[0] == "pods" and "things.g.io" in kinds and "services" in kinds and "nodes" not in kinds
    assert len(kinds) == len(set(kinds))


def test_what_is_left_is_counted_by_kind_and_finalizer() -> None:
    left = Left()
    left.add(kind_of("configmaps"), [{"metadata": {"finalizers": ["e.com/a", "e.com/b"]}}, {"metadata": {"finalizers": ["e.com/a"]}}])
    left.add(kind_of("deployments.apps"), [{"metadata": {}}])
    found = said(told([], left, NOW))
    assert found["ContentRemaining"] == ("True", "SomeResourcesRemain", "Some resources are remaining: configmaps. has 2 resource instances, deployments.apps has 1 resource instances")
    assert found["FinalizersRemaining"] == ("True", "SomeFinalizersRemain",
                                            "Some content in the namespace has finalizers remaining: e.com/a in 2 resource instances, e.com/b in 1 resource instances")
    assert found["DeletionContentFailure"][:2] == ("False", "ContentDeleted")


def test_nothing_left_and_errors_are_said_too() -> None:
    found = said(told([], Left(), NOW))
    assert found["ContentRemaining"] == ("False", "ContentRemoved", "All content successfully removed")
    assert found["FinalizersRemaining"] == ("False", "ContentHasNoFinalizers", "All content-preserving finalizers finished")
    wrong = said(told([], Left(errors=["no"]), NOW))
    assert wrong["DeletionContentFailure"] == ("True", "ContentDeletionFailed", "Failed to delete all resource types, 1 remaining: no")


def test_conditions_keep_their_time_while_they_say_the_same() -> None:
    first = told([], Left(), NOW)
    assert told(first, Left(), NOW + 60) == first


def certificates(**data: Any) -> dict:
    return {"metadata": {"annotations": {accounts.DESCRIPTION: accounts.DESCRIPTION_TEXT}}, "data": data}


@pytest.mark.parametrize(
    ("there", "want"),
    [
        (certificates(**{"ca.crt": "CA"}), None),
        (certificates(**{"ca.crt": "x"}), {"data": {"ca.crt": "CA"}}),
        (certificates(**{"ca.crt": "CA", "more": "y"}), {"data": {"more": None}}),
        ({"metadata": {}, "data": {"ca.crt": "CA"}}, {"metadata": {"annotations": {accounts.DESCRIPTION: accounts.DESCRIPTION_TEXT}}}),
    ],
)
def test_the_ca_is_put_back(there: dict, want: dict | None) -> None:
    write = accounts.certificate_map("n", there, "CA")
    assert (write.patch if isinstance(write, Patch) else None) == want


def test_the_ca_and_the_account_are_made_where_they_are_not() -> None:
    made = accounts.certificate_map("n", None, "CA")
    assert isinstance(made, Create) and made.tree["data"] == {"ca.crt": "CA"} and made.namespace == "n"
    assert accounts.account("n").tree["metadata"] == {"name": "default"}


OWNER = {"metadata": {"name": "x", "uid": "u"}}


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(uid: str = "", **data: str) -> dict:
    notes = {accounts.NAME: "x", **({accounts.UID: uid} if uid else {})}
    return {"metadata": {"name": "s", "namespace": "n", "uid": "su", "resourceVersion": "1", "annotations": notes},
            "data": {k.replace("_", "."): b64(v) for k, v in data.items()}}


def test_a_token_secret_is_filled_and_bound_to_its_account() -> None:
    write = accounts.token_secret(secret(), OWNER, "CA", "TOKEN")
    assert isinstance(write, Patch)
    assert write.patch == {"data": {"ca.crt": b64("CA"), "namespace": b64("n"), "token": b64("TOKEN")},
                           "metadata": {"annotations": {accounts.UID: "u"}}}
    assert accounts.token_secret(secret("u", ca_crt="CA", namespace="n", token="T"), OWNER, "CA", "") is None


@pytest.mark.parametrize(("tree", "owner"), [(secret(), None), (secret("before"), OWNER)])
def test_a_token_secret_goes_with_its_account(tree: dict, owner: dict | None) -> None:
    write = accounts.token_secret(tree, owner, "CA", "T")
    assert isinstance(write, Delete) and (write.name, write.uid) == ("s", "su")


def role(name: str, *rules: str, labels: dict | None = None, choose: list | None = None) -> dict:
    found: dict = {"metadata": {"name": name, "labels": labels or {}}, "rules": [{"verbs": [r]} for r in rules]}
    if choose is not None:
        found["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": c} for c in choose]}
    return found


ROLES = [role("b", "get", "list", labels={"t": "2"}), role("a", "get", labels={"t": "1"}), role("z", "watch", labels={"t": "1"}), role("other", "delete")]


@pytest.mark.parametrize(
    ("tree", "want"),
    [
        (role("agg", choose=[{"t": "1"}]), ["get", "watch"]),
        (role("agg", choose=[{"t": "2"}, {"t": "1"}]), ["get", "list", "watch"]),  # the same rule once
        (role("agg", "delete", choose=[{"t": "1"}]), ["get", "watch"]),  # what was written is replaced
        (role("agg", choose=[{"t": "9"}]), None),
        (role("agg", "get", choose=[{"t": "9"}]), []),
        (role("plain", "get"), None),
        (role("self", choose=[{"own": "x"}], labels={"own": "x"}), None),
    ],
)
def test_an_aggregated_role_has_the_rules_of_those_it_chooses(tree: dict, want: list | None) -> None:
    write = aggregation.plan(tree, [*ROLES, tree])
    assert ([r["verbs"][0] for r in write.patch["rules"]] if write else None) == want
