"""Garbage and namespaces with custom resources: owners of either sort, foreground, orphans, finalizers, whole kinds."""

from __future__ import annotations

import json
from typing import Any

from clusters import Cluster, wait_for

HOLD = "judge.test/hold"
CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {plural}.judge.test}}
spec:
  group: judge.test
  scope: Namespaced
  names: {{plural: {plural}, singular: {singular}, kind: {kind}, listKind: {kind}List}}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {{type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
Tree = dict[str, Any]


def define(cluster: Cluster, plural: str) -> None:
    cluster.apply(CRD.format(plural=plural, singular=plural[:-1], kind=plural[:-1].capitalize()))
    cluster.kubectl("wait", "--for=condition=Established", f"crd/{plural}.judge.test", "--timeout=30s")


def make(cluster: Cluster, kind: str, name: str, *owners: Tree, finalizers: tuple[str, ...] = ()) -> Tree:
    """An object; what it returns is a reference to it."""
    version = "v1" if kind in ("ConfigMap", "Secret") else "judge.test/v1"
    meta: Tree = {"name": name, "ownerReferences": list(owners), "finalizers": list(finalizers)}
    text = json.dumps({"apiVersion": version, "kind": kind, "metadata": meta})
    uid = json.loads(cluster.kubectl("create", "-f", "-", "-o", "json", text=text))["metadata"]["uid"]
    return {"apiVersion": version, "kind": kind, "name": name, "uid": uid, "blockOwnerDeletion": True}


def there(cluster: Cluster, kind: str, name: str) -> bool:
    return "NotFound" not in cluster.kubectl("get", kind, name, check=False)


def gone(cluster: Cluster, *named: str) -> None:
    for kind, _, name in (n.partition("/") for n in named):
        wait_for(lambda kind=kind, name=name: not there(cluster, kind, name), within=15, what=f"{kind} {name} is gone")


def release(cluster: Cluster, kind: str, name: str) -> None:
    cluster.kubectl("patch", kind, name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')


def test_custom_resources_own_and_are_owned(cluster: Cluster) -> None:
    define(cluster, "boxs")
    try:
        # background, through both sorts and a level of each
        top = make(cluster, "ConfigMap", "top")
        middle = make(cluster, "Box", "middle", top)
        make(cluster, "Secret", "below", middle)
        make(cluster, "Box", "stranger")
        cluster.kubectl("delete", "configmap", "top")
        gone(cluster, "box/middle", "secret/below")
        assert there(cluster, "box", "stranger")
        # foreground: the owner waits, marked, for what blocks it
        owner = make(cluster, "Box", "owner")
        make(cluster, "ConfigMap", "held", owner, finalizers=(HOLD,))
        make(cluster, "Box", "free", owner)
        cluster.kubectl("delete", "box", "owner", "--cascade=foreground", "--wait=false")
        gone(cluster, "box/free")
        meta = cluster.get("box", "owner")["metadata"]
        assert meta["finalizers"] == ["foregroundDeletion"] and meta["deletionTimestamp"]
        assert cluster.get("configmap", "held")["metadata"]["deletionTimestamp"]
        release(cluster, "configmap", "held")
        gone(cluster, "configmap/held", "box/owner")
        # orphans are let go
        owner = make(cluster, "Box", "owner")
        make(cluster, "Secret", "kept", owner)
        cluster.kubectl("delete", "box", "owner", "--cascade=orphan")
        assert "ownerReferences" not in cluster.get("secret", "kept")["metadata"]
        # an owner of that name and kind with another uid is none
        make(cluster, "ConfigMap", "mistaken", {**owner, "name": "stranger"})
        gone(cluster, "configmap/mistaken")
        # a kind that goes takes its objects, and they what they own
        make(cluster, "Secret", "dependent", make(cluster, "Box", "last", finalizers=(HOLD,)))
        cluster.kubectl("delete", "crd", "boxs.judge.test", "--wait=false")
        wait_for(lambda: cluster.get("box", "last")["metadata"].get("deletionTimestamp"), what="the last of its kind is marked")
        conditions = {c["type"]: c["status"] for c in cluster.get("crd", "boxs.judge.test")["status"]["conditions"]}
        assert conditions["Terminating"] == "True"
        release(cluster, "box", "last")
        gone(cluster, "crd/boxs.judge.test", "secret/dependent")
    finally:
        cluster.kubectl("delete", "crd", "boxs.judge.test", "--ignore-not-found", "--wait=false")


def test_a_namespace_in_deletion_takes_custom_resources_and_waits_for_their_finalizers(cluster: Cluster) -> None:
    define(cluster, "crates")
    mine, name = cluster.namespace, f"{cluster.namespace}-going"
    try:
        cluster.kubectl("create", "namespace", name)
        cluster.namespace = name
        make(cluster, "Crate", "held", finalizers=(HOLD,))
        make(cluster, "Crate", "free")
        make(cluster, "ConfigMap", "plain")
        cluster.kubectl("delete", "namespace", name, "--wait=false")
        wait_for(lambda: not there(cluster, "crate", "free") and not there(cluster, "configmap", "plain"), within=15)

        def told() -> dict[str, str]:
            found = cluster.get("namespace", name)["status"]
            assert found["phase"] == "Terminating"
            return {c["type"]: c["message"] for c in found.get("conditions", ()) if c["status"] == "True"}

        wanted = {
            "NamespaceContentRemaining": "Some resources are remaining: crates.judge.test has 1 resource instances",
            "NamespaceFinalizersRemaining": f"Some content in the namespace has finalizers remaining: {HOLD} in 1 resource instances",
        }
        wait_for(lambda: told() == wanted, within=15, what="the namespace says what holds it")
        text = json.dumps({"apiVersion": "judge.test/v1", "kind": "Crate", "metadata": {"name": "late"}})
        said = cluster.kubectl("create", "-f", "-", text=text, check=False)
        assert f"unable to create new content in namespace {name} because it is being terminated" in said
        release(cluster, "crate", "held")
        wait_for(lambda: not there(cluster, "namespace", name), within=10, what="the namespace is gone")
    finally:
        cluster.namespace = mine
        cluster.kubectl("delete", "crd", "crates.judge.test", "--ignore-not-found", "--wait=false")


JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: short}
spec:
  ttlSecondsAfterFinished: 1
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: busybox, command: ["true"]}]
"""


def test_a_finished_job_goes_when_its_time_to_live_is_over_and_its_pods_with_it(cluster: Cluster) -> None:
    cluster.apply(JOB)
    wait_for(lambda: not there(cluster, "job", "short"), within=30, what="the Job is gone")
    wait_for(lambda: not cluster.get("pods", "-l", "job-name=short")["items"], within=15, what="its pods are gone")
