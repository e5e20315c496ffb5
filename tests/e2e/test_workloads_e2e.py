"""Workloads through kubectl: rollouts and their history, StatefulSets, Jobs, CronJobs, budgets and drains, garbage."""

from __future__ import annotations

import base64
import json

from clusters import Cluster, wait_for

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: registry.k8s.io/pause}]
"""


def environment(cluster: Cluster, what: str) -> str:
    """The value of V in a workload's template."""
    containers = cluster.get(what)["spec"]["template"]["spec"]["containers"]
    return next((e["value"] for e in containers[0].get("env", []) if e["name"] == "V"), "")


def test_a_deployment_has_a_history_and_goes_back_in_it(cluster: Cluster) -> None:
    cluster.apply(DEPLOYMENT)
    cluster.rollout("deploy/web")
    for value in ("two", "three"):
        cluster.kubectl("set", "env", "deploy/web", f"V={value}")
        cluster.kubectl("annotate", "--overwrite", "deploy/web", f"kubernetes.io/change-cause=V is {value}")
        cluster.rollout("deploy/web")
    history = cluster.kubectl("rollout", "history", "deploy/web")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2", "3"] and "V is three" in history
    assert "two" in cluster.kubectl("rollout", "history", "deploy/web", "--revision=2")
    assert "rolled back" in cluster.kubectl("rollout", "undo", "deploy/web")
    cluster.rollout("deploy/web")
    assert environment(cluster, "deploy/web") == "two"
    cluster.kubectl("rollout", "undo", "deploy/web", "--to-revision=1")
    cluster.rollout("deploy/web")
    assert environment(cluster, "deploy/web") == ""
    revisions = [line.split()[0] for line in cluster.kubectl("rollout", "history", "deploy/web").splitlines()[2:] if line]
    assert revisions == ["3", "4", "5"]  # what was gone back to is the newest
    cluster.kubectl("rollout", "pause", "deploy/web")
    cluster.kubectl("set", "env", "deploy/web", "V=later")
    wait_for(lambda: "DeploymentPaused" in cluster.kubectl("describe", "deploy/web"), what="paused")
    assert len(cluster.get("rs")["items"]) == 3
    cluster.kubectl("rollout", "resume", "deploy/web")
    cluster.rollout("deploy/web")
    before = {p["metadata"]["uid"] for p in cluster.get("pods")["items"]}
    cluster.kubectl("rollout", "restart", "deploy/web")
    cluster.rollout("deploy/web")
    assert not before & {p["metadata"]["uid"] for p in cluster.get("pods", "-l", "app=web")["items"] if "deletionTimestamp" not in p["metadata"]}
    events = wait_for(lambda: cluster.kubectl("describe", "deploy/web"), what="events")
    assert "ScalingReplicaSet" in events and "deployment-controller" in events


STATEFUL = """
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 3
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: c
        image: busybox
        command: [sleep, infinity]
        readinessProbe: {exec: {command: ["true"]}, periodSeconds: 1}
"""


def test_a_stateful_set_has_names_order_and_history(cluster: Cluster) -> None:
    cluster.apply(STATEFUL)
    cluster.rollout("sts/db")
    pods = {p["metadata"]["name"]: p for p in cluster.get("pods")["items"]}
    assert sorted(pods) == ["db-0", "db-1", "db-2"]
    times = [next(c["lastTransitionTime"] for c in pods[n]["status"]["conditions"] if c["type"] == "Ready") for n in sorted(pods)]
    assert times == sorted(times)  # one after the other
    assert pods["db-1"]["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "1"
    found = wait_for(lambda: cluster.exec("db-0", "getent", "hosts", "db-2.db", check=False), what="a name in DNS")
    assert "db-2" in found
    cluster.kubectl("set", "env", "sts/db", "V=two")
    cluster.rollout("sts/db")
    assert {environment(cluster, "sts/db")} == {"two"} and len(cluster.get("controllerrevisions")["items"]) == 2
    cluster.kubectl("rollout", "undo", "sts/db")
    cluster.rollout("sts/db")
    assert environment(cluster, "sts/db") == ""
    assert [r["revision"] for r in sorted(cluster.get("controllerrevisions")["items"], key=lambda r: r["revision"])] == [2, 3]
    cluster.kubectl("scale", "sts/db", "--replicas=1")
    wait_for(lambda: [p["metadata"]["name"] for p in cluster.get("pods")["items"]] == ["db-0"], what="scaled down")


DAEMONS = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: registry.k8s.io/pause}]
"""


def test_a_daemon_set_rolls_and_goes_back(cluster: Cluster) -> None:
    cluster.apply(DAEMONS)
    cluster.rollout("ds/agent")
    assert len({p["spec"]["nodeName"] for p in cluster.get("pods")["items"]}) == 2
    cluster.kubectl("set", "env", "ds/agent", "V=two")
    cluster.rollout("ds/agent")
    cluster.kubectl("rollout", "undo", "ds/agent")
    cluster.rollout("ds/agent")
    assert environment(cluster, "ds/agent") == ""
    assert [line.split()[0] for line in cluster.kubectl("rollout", "history", "ds/agent").splitlines()[2:] if line] == ["2", "3"]


INDEXED = """
apiVersion: batch/v1
kind: Job
metadata: {name: parts}
spec:
  completions: 3
  parallelism: 2
  completionMode: Indexed
  ttlSecondsAfterFinished: 300
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: busybox, command: [sh, -c, "echo part $JOB_COMPLETION_INDEX of $(hostname)"]}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: broken}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: busybox, command: [sh, -c, "exit 3"]}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: often}
spec:
  schedule: "@every 2s"
  concurrencyPolicy: Forbid
  successfulJobsHistoryLimit: 1
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          terminationGracePeriodSeconds: 0
          containers: [{name: c, image: busybox, command: ["true"]}]
"""


def test_jobs_complete_fail_and_come_by_the_clock(cluster: Cluster) -> None:
    cluster.apply(INDEXED)
    cluster.kubectl("wait", "--for=condition=Complete", "job/parts", "--timeout=60s")
    job = cluster.get("job/parts")
    assert (job["status"]["completedIndexes"], job["status"]["succeeded"]) == ("0-2", 3)
    assert [c["type"] for c in job["status"]["conditions"]] == ["SuccessCriteriaMet", "Complete"]
    said = cluster.kubectl("logs", "-l", "batch.kubernetes.io/job-name=parts", "--tail=-1")
    assert sorted(line.split(" of ")[0] for line in said.splitlines()) == ["part 0", "part 1", "part 2"] and "parts-1" in said
    cluster.kubectl("wait", "--for=condition=Failed", "job/broken", "--timeout=60s")
    assert cluster.get("job/broken")["status"]["failed"] == 1
    cluster.kubectl("create", "job", "now", "--from=cronjob/often")
    cluster.kubectl("wait", "--for=condition=Complete", "job/now", "--timeout=60s")
    assert wait_for(lambda: cluster.get("cronjob/often").get("status", {}).get("lastSuccessfulTime"), what="its success is noted")
    # The clock's own Job: at the next full minute.
    told = wait_for(lambda: (said if "SawCompletedJob" in (said := cluster.kubectl("describe", "cronjob/often")) else ""), within=100)
    cluster.kubectl("patch", "cronjob/often", "-p", '{"spec":{"suspend":true}}')
    assert "SuccessfulCreate" in told
    assert all(not p["metadata"].get("finalizers") for p in cluster.get("pods", "-l", "job-name=parts")["items"])
    cluster.kubectl("delete", "job", "parts")
    wait_for(lambda: not cluster.get("pods", "-l", "batch.kubernetes.io/job-name=parts")["items"], what="its pods are gone")


BUDGET = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 2, selector: {matchLabels: {app: web}}}
"""


def test_a_budget_holds_evictions_and_a_drain_waits_for_it(cluster: Cluster) -> None:
    cluster.apply(DEPLOYMENT + "---" + BUDGET)
    cluster.rollout("deploy/web")
    wait_for(lambda: cluster.get("pdb/web").get("status", {}).get("currentHealthy") == 2, what="counted")
    node = cluster.get("pods", "-l", "app=web")["items"][0]["spec"]["nodeName"]
    drain = ("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--pod-selector=app=web")
    try:
        refused = cluster.kubectl(*drain, "--timeout=3s", check=False)
        assert "Cannot evict pod as it would violate the pod's disruption budget." in refused, refused
        cluster.kubectl("patch", "pdb/web", "--type=merge", "-p", '{"spec":{"minAvailable":1}}')
        wait_for(lambda: cluster.get("pdb/web")["status"]["disruptionsAllowed"] == 1, what="one may go")
        assert "evicted" in cluster.kubectl(*drain, "--timeout=60s")
    finally:
        cluster.kubectl("uncordon", node)
    cluster.rollout("deploy/web")
    assert all(p["spec"]["nodeName"] != node for p in cluster.get("pods", "-l", "app=web")["items"])


def test_what_is_owned_goes_with_its_owner_or_stays_when_it_is_orphaned(cluster: Cluster) -> None:
    cluster.kubectl("create", "configmap", "owner")
    uid = cluster.get("cm/owner")["metadata"]["uid"]
    ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "owned", "ownerReferences": [ref]}}
    cluster.apply(json.dumps(secret))
    cluster.kubectl("delete", "cm", "owner")
    wait_for(lambda: "NotFound" in cluster.kubectl("get", "secret", "owned", check=False), what="the Secret is gone")
    cluster.apply(DEPLOYMENT)
    cluster.rollout("deploy/web")
    cluster.kubectl("delete", "deploy", "web", "--cascade=orphan")
    (left,) = cluster.get("rs")["items"]
    assert not left["metadata"].get("ownerReferences")
    cluster.apply(DEPLOYMENT)  # which takes it back
    cluster.rollout("deploy/web")
    assert [r["metadata"]["uid"] for r in cluster.get("rs")["items"]] == [left["metadata"]["uid"]]
    cluster.kubectl("delete", "deploy", "web", "--cascade=foreground")
    assert not cluster.get("rs")["items"] and not [p for p in cluster.get("pods")["items"] if p["metadata"]["labels"].get("app") == "web"]


def test_a_secret_for_a_service_account_is_filled_and_its_token_opens_the_api(cluster: Cluster) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
              "metadata": {"name": "token", "annotations": {"kubernetes.io/service-account.name": "default"}}}
    cluster.apply(json.dumps(secret))
    filled = wait_for(lambda: cluster.get("secret/token").get("data"), what="a token in the Secret")
    assert set(filled) == {"token", "ca.crt", "namespace"}
    token = base64.b64decode(filled["token"]).decode()
    assert f"system:serviceaccount:{cluster.namespace}:default" in cluster.kubectl("auth", "whoami", f"--token={token}", "--client-certificate=", "--client-key=")
    cluster.kubectl("create", "rolebinding", "viewer", "--clusterrole=view", f"--serviceaccount={cluster.namespace}:default")
    assert cluster.kubectl("auth", "can-i", "list", "pods", f"--as=system:serviceaccount:{cluster.namespace}:default").strip() == "yes"
    assert cluster.kubectl("auth", "can-i", "delete", "pods", f"--as=system:serviceaccount:{cluster.namespace}:default", check=False).startswith("no")
