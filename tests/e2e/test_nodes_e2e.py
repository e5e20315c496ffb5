"""Nodes through kubectl: a dead agent's node, its return, cordon, drain, taint, and the scheduler on the way."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from clusters import STARTER, Cluster, left, starts, wait_for

FILE = """
apiVersion: seaway.dev/v1alpha1
kind: Cluster
name: {name}
nodes: [{{role: control-plane}}, {{role: worker}}, {{role: worker}}]
components:
  kubelet: {{nodeLeaseDuration: 2s}}
  controllers: {{nodeMonitorPeriod: 300ms, nodeMonitorGracePeriod: 2s}}
"""
PODS = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 1
      tolerations: [{{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 1}}]
      containers: [{{name: c, image: traefik/whoami}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: stays}}
spec:
  nodeName: {node}
  tolerations: [{{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute}}]
  containers: [{{name: c, image: traefik/whoami}}]
"""


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes whose silence is noticed after two seconds."""
    cluster = Cluster()
    path = tmp_path_factory.mktemp("nodes") / "cluster.yaml"
    path.write_text(FILE.format(name=cluster.name))
    try:
        cluster.seaway("up", "--config", str(path), "--detach")
        yield cluster
    finally:
        cluster.__exit__()


def state(tree: dict, kind: str = "Ready") -> str:
    return next((c["status"] for c in tree["status"].get("conditions", ()) if c["type"] == kind), "")


def taints(cluster: Cluster, node: str) -> set[str]:
    return {f"{t['key']}:{t['effect']}" for t in cluster.get("node", node)["spec"].get("taints", ())}


def placed(cluster: Cluster, app: str = "web") -> dict[str, dict[str, Any]]:
    """Pods of the app that are not on their way out, by name."""
    pods = cluster.get("pods", "-l", f"app={app}")["items"]
    return {p["metadata"]["name"]: p for p in pods if not p["metadata"].get("deletionTimestamp")}


def test_a_dead_agents_node_is_unreachable_loses_its_pods_and_takes_over_when_it_returns(quick: Cluster) -> None:
    node = f"{quick.name}-worker"
    assert quick.get("-n", "kube-node-lease", "lease", node)["spec"]["leaseDurationSeconds"] == 2
    quick.apply(PODS.format(node=node))
    quick.rollout("deployment/web")
    quick.ready("stays")
    before = quick.get("pod", "stays")["status"]
    lost = [n for n, p in placed(quick).items() if p["spec"]["nodeName"] == node]
    assert len(lost) == 1  # one of three is on each node
    agent = quick.pids(f"agent-{node}")[0]
    os.kill(agent, signal.SIGSTOP)
    try:
        wait_for(lambda: state(quick.get("node", node)) == "Unknown", 10)
        ready = next(c for c in quick.get("node", node)["status"]["conditions"] if c["type"] == "Ready")
        assert (ready["reason"], ready["message"]) == ("NodeStatusUnknown", "Kubelet stopped posting node status.")
        assert "NotReady" in quick.kubectl("get", "nodes")
        wait_for(lambda: state(quick.get("pod", "stays")) == "False", 5)
        wait_for(lambda: {f"node.kubernetes.io/unreachable:{e}" for e in ("NoSchedule", "NoExecute")} <= taints(quick, node), 5)
        # Its pod goes after its tolerationSeconds, and another stands elsewhere; who tolerates all stays.
        wait_for(lambda: quick.get("pod", lost[0])["metadata"].get("deletionTimestamp"), 10)
        target = next(c for c in quick.get("pod", lost[0])["status"]["conditions"] if c["type"] == "DisruptionTarget")
        assert (target["status"], target["reason"]) == ("True", "DeletionByTaintManager")
        wait_for(lambda: len(found := placed(quick)) == 3 and all(state(p) == "True" for p in found.values()), 15)
        assert all(p["spec"]["nodeName"] != node for p in placed(quick).values())
        assert not quick.get("pod", "stays")["metadata"].get("deletionTimestamp")
    finally:
        os.kill(agent, signal.SIGCONT)
    wait_for(lambda: state(quick.get("node", node)) == "True", 10)
    wait_for(lambda: not taints(quick, node), 5)
    wait_for(lambda: lost[0] not in quick.kubectl("get", "pods"), 10)  # it ends its deleted pod now
    wait_for(lambda: state(quick.get("pod", "stays")) == "True", 5)
    after = quick.get("pod", "stays")["status"]
    for field in ("containerID", "restartCount", "state"):
        assert after["containerStatuses"][0][field] == before["containerStatuses"][0][field]
    assert after["podIPs"] == before["podIPs"]
    assert "NodeNotReady" in quick.kubectl("describe", "node", node)


def test_cordon_drain_and_taint_empty_a_node(quick: Cluster) -> None:
    node = f"{quick.name}-worker2"
    quick.rollout("deployment/web")
    said = quick.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=60s")
    assert f"node/{node} cordoned" in said and f"node/{node} drained" in said
    assert "Ready,SchedulingDisabled" in quick.kubectl("get", "node", node)
    wait_for(lambda: "node.kubernetes.io/unschedulable:NoSchedule" in taints(quick, node), 5)
    quick.rollout("deployment/web")
    assert all(p["spec"]["nodeName"] != node for p in placed(quick).values())
    quick.kubectl("uncordon", node)
    wait_for(lambda: not taints(quick, node), 5)
    # kubectl taint with NoExecute takes away who does not tolerate it, at once.
    other = f"{quick.name}-worker"
    quick.kubectl("taint", "node", other, "maintenance=now:NoExecute")
    wait_for(lambda: placed(quick) and all(p["spec"]["nodeName"] != other for p in placed(quick).values()), 10)
    wait_for(lambda: "stays" not in quick.kubectl("get", "pods"), 40)
    pods = quick.get("pods", "-n", "kube-system", "-l", "k8s-app=kube-proxy", "--field-selector", f"spec.nodeName={other}")
    assert len(pods["items"]) == 1 and not pods["items"][0]["metadata"].get("deletionTimestamp")
    quick.kubectl("taint", "node", other, "maintenance-")
    quick.rollout("deployment/web")


def test_a_pod_that_fits_nowhere_says_so(quick: Cluster) -> None:
    quick.apply("""
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec: {containers: [{name: c, image: busybox, command: [sleep, infinity], resources: {requests: {cpu: "1000"}}}]}
""")
    wait_for(lambda: state(quick.get("pod", "greedy"), "PodScheduled") == "False", 10)
    wait_for(lambda: "FailedScheduling" in quick.kubectl("describe", "pod", "greedy"), 5)
    assert "0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate, preemption: 0/3 nodes are available: " \
           "3 Preemption is not helpful for scheduling." in quick.kubectl("describe", "pod", "greedy")
    # Placed by hand, it is the node that refuses it.
    node = f"{quick.name}-worker"
    quick.kubectl("run", "placed", "--image=busybox", "--overrides", json.dumps({"spec": {"nodeName": node, "containers": [
        {"name": "c", "image": "busybox", "command": ["sleep", "infinity"], "resources": {"requests": {"cpu": "1000"}}}]}}))
    wait_for(lambda: quick.get("pod", "placed")["status"]["phase"] == "Failed", 10)
    assert quick.get("pod", "placed")["status"]["reason"] == "OutOfcpu"
    assert "Node didn't have enough resource: cpu" in quick.kubectl("describe", "pod", "placed")
    quick.kubectl("delete", "pod", "placed")
    quick.kubectl("delete", "pod", "greedy", "--wait=false")
    wait_for(lambda: "greedy" not in quick.kubectl("get", "pods"), 10)


def kill_agents(cluster: Cluster, chooser: random.Random, times: int) -> int:
    """SIGKILL of agents at random moments; how many there were."""
    killed = 0
    for _ in range(times):
        time.sleep(chooser.uniform(0.05, 0.5))
        pids = [p["pid"] for p in cluster.processes() if p["name"].startswith("agent-")]
        try:
            if pids:
                os.kill(chooser.choice(pids), signal.SIGKILL)
                killed += 1
        except ProcessLookupError:
            pass
    return killed


def running(cluster: Cluster, app: str) -> list[dict[str, Any]]:
    pods = cluster.get("pods", "-l", f"app={app}")["items"]
    return [p for p in pods if state(p) == "True" and p["status"]["phase"] == "Running"]


def settled(cluster: Cluster) -> int:
    """How many shims there are when every pod has one and none is on its way out: that number stays."""

    def still() -> int:
        pods = cluster.get("pods", "-A")["items"]
        ending = [p for p in pods if p["metadata"].get("deletionTimestamp")]
        return 0 if ending or len(cluster.pids("shim")) != len(pods) else len(pods)

    return int(wait_for(still, 60, lambda: left(cluster)))


def test_agents_killed_while_pods_start_run_each_once_and_lose_none(quick: Cluster) -> None:
    """Each container writes a line on its node when it begins: in the end there is one line a pod, and every pod runs."""
    system = settled(quick)
    want = 24
    quick.apply("---".join(STARTER.format(name=f"starter-{n}") for n in range(want)))
    assert kill_agents(quick, random.Random(os.environ.get("SOAK_SEED", "3")), 8) >= 5
    wait_for(lambda: len(running(quick, "starter")) == want, 60, "every pod runs")
    pods = running(quick, "starter")
    assert sorted(starts(quick, pods)) == sorted(p["metadata"]["uid"] for p in pods)
    assert all(p["status"]["containerStatuses"][0]["restartCount"] == 0 for p in pods)
    assert len({p["status"]["podIP"] for p in pods}) == want
    wait_for(lambda: len(quick.pids("shim")) == system + want, 60, lambda: f"{system + want} shims, a shim a pod: {left(quick)}")
    quick.kubectl("delete", "pods", "-l", "app=starter", "--wait=false")
    kill_agents(quick, random.Random(4), 3)
    wait_for(lambda: len(quick.pids("shim")) == system, 60, lambda: f"{system} shims are left: {left(quick)}")


def test_a_shim_that_is_asked_for_twice_or_too_late_ends_with_its_pod(quick: Cluster) -> None:
    """A killed agent's request may be answered when its successor has a shim, or when the pod has gone."""
    system = settled(quick)
    node = f"{quick.name}-control-plane"
    names = [f"twice-{n}" for n in range(6)]
    pinned = STARTER.replace("spec:\n", f"spec:\n  nodeName: {node}\n", 1)
    quick.apply("---".join(pinned.format(name=n) for n in names))
    wait_for(lambda: len(running(quick, "starter")) == len(names), 60, "every pod runs")
    for pod in running(quick, "starter"):
        quick.ask_for_shim(node, "node-0", pod["metadata"]["uid"])
    quick.ask_for_shim(node, "node-0", "a-pod-that-has-gone")
    quick.kubectl("delete", "pods", "-l", "app=starter", "--wait=false")
    wait_for(lambda: len(quick.pids("shim")) == system, 30, lambda: f"{system} shims are left: {left(quick)}")
