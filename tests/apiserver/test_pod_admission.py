"""What a new pod is given and refused by what the cluster has: accounts, priorities, runtime classes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from seaway.api import kinds
from seaway.cluster.apiserver import pod_admission
from seaway.cluster.apiserver.pod_admission import TOKEN_FOLDER, PodAdmission
from seaway.cluster.apiserver.status import ApiError

Tree = dict[str, Any]
PODS = next(k for k in kinds.by_kind().values() if k.kind == "Pod")
MIRROR = "kubernetes.io/config.mirror"
SCHEDULING = {"nodeSelector": {"disk": "fast"}, "tolerations": [{"key": "vm", "operator": "Exists"}]}
OBJECTS: dict[str, Tree] = {
    "serviceaccounts/n/default": {"metadata": {"name": "default"}},
    "serviceaccounts/n/silent": {"metadata": {"name": "silent"}, "automountServiceAccountToken": False},
    "serviceaccounts/n/puller": {"metadata": {"name": "puller"}, "imagePullSecrets": [{"name": "hub"}]},
    "serviceaccounts/n/strict": {
        "metadata": {"name": "strict", "annotations": {pod_admission.ENFORCE_SECRETS: "true"}},
        "secrets": [{"name": "known"}],
    },
    "priorityclasses.scheduling.k8s.io/high": {"metadata": {"name": "high"}, "value": 9, "preemptionPolicy": "Never"},
    "runtimeclasses.node.k8s.io/vm": {
        "metadata": {"name": "vm"},
        "overhead": {"podFixed": {"cpu": "250m"}},
        "scheduling": SCHEDULING,
    },
    "runtimeclasses.node.k8s.io/plain": {"metadata": {"name": "plain"}},
}


class Entry:
    def __init__(self, tree: Tree) -> None:
        self.tree = tree


class Stored:
    """As much of the storage as admission asks."""

    def newest(self, resource: str, key: str) -> Entry | None:
        tree = OBJECTS.get(f"{resource}/{key}")
        return None if tree is None else Entry(tree)

    def newest_all(self, resource: str) -> Iterator[Entry]:
        return (Entry(t) for key, t in OBJECTS.items() if key.startswith(f"{resource}/"))


def pod(annotations: Tree | None = None, **spec: Any) -> Tree:
    return {
        "metadata": {"name": "p", "annotations": annotations or {}},
        "spec": {"containers": [{"name": "c", "image": "i"}], **copy.deepcopy(spec)},
    }


def admitted(tree: Tree) -> Tree:
    door = PodAdmission(Stored())  # type: ignore[arg-type]
    door.admit(PODS, "n", tree, "xxxxx")
    door.judge(PODS, "n", tree)
    spec: Tree = tree["spec"]
    return spec


def test_a_pod_is_given_its_account_a_token_and_a_priority() -> None:
    spec = admitted(pod())
    assert (spec["serviceAccountName"], spec["priority"], spec["preemptionPolicy"]) == (
        "default",
        0,
        "PreemptLowerPriority",
    )
    mount = {"name": "kube-api-access-xxxxx", "readOnly": True, "mountPath": TOKEN_FOLDER}
    assert spec["containers"][0]["volumeMounts"] == [mount]
    assert [next(iter(s)) for s in spec["volumes"][0]["projected"]["sources"]] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]
    assert [t["key"] for t in spec["tolerations"]] == ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]


@pytest.mark.parametrize("given", [{"serviceAccountName": "silent"}, {"automountServiceAccountToken": False}])
def test_a_token_may_be_declined(given: Tree) -> None:
    assert "volumes" not in admitted(pod(**given))


def test_the_pod_has_the_last_word_on_its_token() -> None:
    assert admitted(pod(serviceAccountName="silent", automountServiceAccountToken=True))["volumes"]


def test_an_account_lends_its_pull_secrets() -> None:
    assert admitted(pod(serviceAccountName="puller"))["imagePullSecrets"] == [{"name": "hub"}]
    own = [{"name": "own"}]
    assert admitted(pod(serviceAccountName="puller", imagePullSecrets=own))["imagePullSecrets"] == own


def test_a_priority_class_and_a_runtime_class_give_what_they_hold() -> None:
    spec = admitted(pod(priorityClassName="high", runtimeClassName="vm", nodeSelector={"a": "b"}))
    assert (spec["priority"], spec["preemptionPolicy"]) == (9, "Never")
    assert (spec["overhead"], spec["nodeSelector"]) == ({"cpu": "250m"}, {"a": "b", "disk": "fast"})
    assert spec["tolerations"][-1] == {"key": "vm", "operator": "Exists"}


SECRET_VOLUME = {"name": "v", "secret": {"secretName": "other"}}
SECRET_ENV = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "other", "key": "k"}}}
REFUSALS: list[tuple[Tree, str]] = [
    (pod(serviceAccountName="nobody"), 'error looking up service account n/nobody: serviceaccount "nobody" not found'),
    (pod(priorityClassName="low"), "no PriorityClass with name low was found"),
    (
        pod(priority=3),
        "the integer value of priority (3) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name",
    ),
    (
        pod(priorityClassName="high", preemptionPolicy="PreemptLowerPriority"),
        "the string value of PreemptionPolicy (PreemptLowerPriority) must not be provided in pod spec; priority admission controller computed Never from the given PriorityClass name",
    ),
    (pod(runtimeClassName="none"), 'pod rejected: RuntimeClass "none" not found'),
    (
        pod(runtimeClassName="vm", overhead={"cpu": "1"}),
        "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
    ),
    (
        pod(runtimeClassName="plain", overhead={"cpu": "1"}),
        "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
    ),
    (pod(overhead={"cpu": "1"}), "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"),
    (
        pod(runtimeClassName="vm", nodeSelector={"disk": "slow"}),
        "conflict: runtimeClass.scheduling.nodeSelector[disk] = fast; pod.spec.nodeSelector[disk] = slow",
    ),
    (
        pod(serviceAccountName="strict", volumes=[SECRET_VOLUME]),
        'volume with secret.secretName="other" is not allowed because service account strict does not reference that secret',
    ),
    (
        pod(serviceAccountName="strict", containers=[{"name": "c", "env": [SECRET_ENV]}]),
        'container c with envVar A referencing secret.secretName="other" is not allowed because service account strict does not reference that secret',
    ),
    (
        pod(serviceAccountName="strict", imagePullSecrets=[{"name": "hub"}]),
        'imagePullSecrets[0].name="hub" is not allowed because service account strict does not reference that imagePullSecret',
    ),
    (pod({MIRROR: "x"}, serviceAccountName="default"), "a mirror pod may not reference service accounts"),
    (pod({MIRROR: "x"}, volumes=[SECRET_VOLUME]), "a mirror pod may not reference secrets"),
]


@pytest.mark.parametrize(("tree", "why"), REFUSALS)
def test_a_pod_is_turned_away(tree: Tree, why: str) -> None:
    with pytest.raises(ApiError) as refused:
        admitted(copy.deepcopy(tree))
    assert (refused.value.code, refused.value.tree["reason"]) == (403, "Forbidden")
    assert refused.value.tree["message"] == f'pods "p" is forbidden: {why}'


def test_what_the_account_grants_may_be_used() -> None:
    known = {"name": "v", "secret": {"secretName": "known"}}
    assert admitted(pod(serviceAccountName="strict", volumes=[known]))["volumes"][0] == known


def test_a_mirror_pod_asks_for_nothing() -> None:
    spec = admitted(pod({MIRROR: "x"}))
    assert "volumes" not in spec and "serviceAccountName" not in spec
