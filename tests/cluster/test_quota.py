"""ResourceQuotas: what counts, what is in scope, what is refused with which numbers."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.cluster.quota import applies, refusal, resources_of, used


def quota(hard: dict, **spec: Any) -> dict:
    return {"metadata": {"name": "q", "namespace": "n"}, "spec": {"hard": hard, **spec}}


def pod(requests: dict | None = None, limits: dict | None = None, phase: str = "Running", **spec: Any) -> dict:
    resources = {k: v for k, v in (("requests", requests), ("limits", limits)) if v}
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "resources": resources}], **spec}, "status": {"phase": phase}}


def service(kind: str, ports: int = 1) -> dict:
    return {"metadata": {"name": "s"}, "spec": {"type": kind, "ports": [{"port": 80 + i} for i in range(ports)]}}


CLAIM = {"metadata": {"name": "c"}, "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "2Gi"}}}}


@pytest.mark.parametrize(
    ("hard", "objects", "want"),
    [
        ({"pods": "5"}, {"pods": [pod(), pod(phase="Failed"), pod(phase="Succeeded")]}, {"pods": "1"}),
        ({"count/pods": "5"}, {"pods": [pod(), pod(phase="Failed")]}, {"count/pods": "2"}),
        ({"requests.cpu": "2", "cpu": "2"}, {"pods": [pod({"cpu": "500m"}), pod({"cpu": "1"})]}, {"cpu": "1500m", "requests.cpu": "1500m"}),
        ({"limits.memory": "1Gi"}, {"pods": [pod(limits={"memory": "128Mi"})] * 2}, {"limits.memory": "256Mi"}),
        ({"count/leases.coordination.k8s.io": "3"}, {"leases.coordination.k8s.io": [{"metadata": {}}]}, {"count/leases.coordination.k8s.io": "1"}),
        ({"services.nodeports": "9", "services.loadbalancers": "1", "services": "5"},
         {"services": [service("NodePort", 2), service("LoadBalancer"), service("ClusterIP")]},
         {"services": "3", "services.loadbalancers": "1", "services.nodeports": "3"}),
        ({"requests.storage": "10Gi", "fast.storageclass.storage.k8s.io/persistentvolumeclaims": "3", "slow.storageclass.storage.k8s.io/requests.storage": "1Gi"},
         {"persistentvolumeclaims": [CLAIM]},
         {"fast.storageclass.storage.k8s.io/persistentvolumeclaims": "1", "requests.storage": "2Gi", "slow.storageclass.storage.k8s.io/requests.storage": "0"}),
        ({"secrets": "5", "limits.cpu": "1"}, {}, {"limits.cpu": "0", "secrets": "0"}),
    ],
)
def test_what_is_used_is_counted(hard: dict, objects: dict, want: dict) -> None:
    assert used(quota(hard), objects) == want


@pytest.mark.parametrize(
    ("spec", "tree", "want"),
    [
        ({}, pod(), True),
        ({"scopes": ["BestEffort"]}, pod(), True),
        ({"scopes": ["BestEffort"]}, pod({"cpu": "1"}), False),
        ({"scopes": ["NotBestEffort"]}, pod({"cpu": "1"}), True),
        ({"scopes": ["Terminating"]}, pod(activeDeadlineSeconds=5), True),
        ({"scopes": ["NotTerminating"]}, pod(activeDeadlineSeconds=5), False),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}}, pod(priorityClassName="high"), True),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "NotIn", "values": ["high"]}]}}, pod(priorityClassName="high"), False),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}, pod(), False),
    ],
)
def test_scopes_choose_pods(spec: dict, tree: dict, want: bool) -> None:
    assert applies(quota({"pods": "1"}, **spec), "pods", tree) == want
    assert applies(quota({"pods": "1"}, **spec), "secrets", {"metadata": {}}) == (not spec)


def test_a_refusal_tells_the_numbers() -> None:
    full = quota({"pods": "1", "requests.cpu": "1", "secrets": "0"})
    there = {"pods": [pod({"cpu": "600m"})]}
    assert refusal(full, "pods", pod({"cpu": "500m"}), there) == (
        "exceeded quota: q, requested: pods=1,requests.cpu=500m, used: pods=1,requests.cpu=600m, limited: pods=1,requests.cpu=1")
    assert refusal(full, "pods", pod({"cpu": "400m"}), {"pods": []}) == ""
    assert refusal(full, "configmaps", {"metadata": {}}, {"configmaps": []}) == ""


def test_a_pod_must_say_what_a_quota_limits() -> None:
    assert refusal(quota({"limits.cpu": "1", "requests.memory": "1Gi"}), "pods", pod({"cpu": "1"}), {"pods": []}) == (
        "failed quota: q: must specify limits.cpu for: c; requests.memory for: c")


def test_a_quota_knows_what_it_counts() -> None:
    assert resources_of(quota({"cpu": "1", "services.nodeports": "1", "count/jobs.batch": "1", "requests.storage": "1", "secrets": "1"})) == {
        "pods", "services", "jobs.batch", "persistentvolumeclaims", "secrets"}
