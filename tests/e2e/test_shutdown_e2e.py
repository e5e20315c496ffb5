"""Graceful node shutdown, with the commands of docs/cluster.md as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
from clusters import LOADER, ROOT, SEAWAY, Cluster, wait_for, web

from seaway.api.tree import condition, is_true, seconds

NODE = "seaway-worker"
PODS = """
apiVersion: v1
kind: Pod
metadata: {name: stubborn}
spec:
  nodeName: seaway-worker
  terminationGracePeriodSeconds: 300
  containers: [{name: c, image: busybox, command: [sh, -c, "trap '' TERM; while :; do sleep 0.1; done"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: critical}
spec:
  nodeName: seaway-worker
  priorityClassName: system-node-critical
  containers: [{name: c, image: busybox, command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]}]
"""
PINNED = "apiVersion: v1\nkind: Pod\nmetadata: {{name: {}}}\nspec: {{nodeName: seaway-worker, containers: [{{name: c, image: registry.k8s.io/pause}}]}}\n"


def commands() -> list[list[str]]:
    section = (ROOT / "docs" / "cluster.md").read_text().split("## A node that shuts down")[1].split("\n## ")[0]
    return [shlex.split(line) for block in re.findall(r"```sh\n(.*?)```", section, re.S) for line in block.splitlines()]


@pytest.fixture
def seaway() -> Iterator[Cluster]:
    """A cluster of the name that the documents use."""
    with Cluster("--nodes", "2", name="seaway") as cluster:
        yield cluster


def node_ready(cluster: Cluster) -> tuple[str, str, str]:
    found = condition(cluster.get("node", NODE), "Ready") or {}
    return found["status"], found["reason"], found["message"]


def test_a_node_that_shuts_down_ends_its_pods_in_order_loses_no_request_and_comes_back(seaway: Cluster) -> None:
    shut, shown, start = commands()
    seaway.apply(web(2) + "---" + PODS)
    seaway.rollout("deployment/web")
    for name in ("stubborn", "critical"):
        seaway.ready(name)
    address = seaway.get("service", "web")["spec"]["clusterIP"]
    seaway.apply(LOADER.format(address=address).replace("spec:", "spec:\n  nodeName: seaway-control-plane", 1))
    seaway.ready("loader")
    ours = [p for p in seaway.get("pods", "-l", "app=web")["items"] if p["spec"]["nodeName"] == NODE]
    assert ours
    wait_for(lambda: seaway.exec("loader", "cat", "/tmp/out", check=False).count("200\n") > 20)

    assert shut[0] == "seaway"
    began = time.time()
    command = subprocess.Popen([SEAWAY, *shut[1:]], stdout=subprocess.PIPE, text=True, env=seaway.env)
    try:
        wait_for(lambda: node_ready(seaway) == ("False", "KubeletNotReady", "node is shutting down"), 5)
        os.kill(seaway.pids(f"agent-{NODE}")[0], signal.SIGKILL)  # the next one goes on where this one was
        seaway.apply(PINNED.format("late"))
        wait_for(lambda: seaway.get("pod", "late")["status"]["phase"] == "Failed", 10)
        late = seaway.get("pod", "late")["status"]
        assert (late["reason"], late["message"]) == ("NodeShutdown", "Pod was rejected as the node is shutting down.")
        said = command.communicate(timeout=30)[0]
    finally:
        command.kill()
        command.wait()
    assert command.returncode == 0 and "pod default/stubborn has ended" in said and f"node {NODE} is down" in said, said
    assert time.time() - began < 8 + 5

    ended = {}
    for name in ("stubborn", "critical", *(p["metadata"]["name"] for p in ours)):
        pod = seaway.get("pod", name)
        status = pod["status"]
        text = "Pod was terminated in response to imminent node shutdown."
        assert (status["phase"], status["reason"], status["message"]) == ("Failed", "Terminated", text), name
        target = condition(pod, "DisruptionTarget") or {}
        assert (target["status"], target["reason"], target["message"]) == ("True", "TerminationByKubelet", text)
        assert not is_true(pod, "Ready") and not pod["metadata"].get("deletionTimestamp")
        ended[name] = status["containerStatuses"][0]["state"]["terminated"]
    assert ended["stubborn"]["exitCode"] == 137 and ended["critical"]["exitCode"] == 0
    # Five of its 300 seconds, and the critical one was asked after that only.
    times = {name: seconds(state["finishedAt"]) or 0.0 for name, state in ended.items()}
    assert 4 <= times["stubborn"] - began <= 8 and times["critical"] >= times["stubborn"], times
    assert all(times[p["metadata"]["name"]] <= times["critical"] for p in ours)

    # Another stands elsewhere, and no request was lost on the way.
    seaway.rollout("deployment/web")
    slices = seaway.get("endpointslices", "-l", "kubernetes.io/service-name=web")["items"]
    ready = [e for s in slices for e in s["endpoints"] if e["conditions"]["ready"]]
    assert ready and all(e["nodeName"] == "seaway-control-plane" for e in ready)
    answers = seaway.exec("loader", "cat", "/tmp/out").split()
    assert len(answers) > 50 and set(answers) == {"200"}, {a: answers.count(a) for a in set(answers)}
    assert "critical" in seaway.kubectl(*shown[1:])
    assert "NodeShutdown" in seaway.kubectl("get", "events", "--field-selector", f"involvedObject.name={NODE}")

    assert f"node {NODE} is Ready" in seaway.seaway(*start[1:]).stdout
    assert node_ready(seaway) == ("True", "KubeletReady", "kubelet is posting ready status")
    seaway.apply(PINNED.format("fresh"))
    seaway.ready("fresh")
    assert seaway.get("pod", "critical")["status"]["phase"] == "Failed"  # what has ended stays so
    proxies = ("pods", "-n", "kube-system", "-l", "k8s-app=kube-proxy", "--field-selector", f"spec.nodeName={NODE}")
    wait_for(lambda: any(is_true(p, "Ready") for p in seaway.get(*proxies)["items"]), 30, "the DaemonSet's pod is back")
    refused = seaway.seaway("node", "shutdown", "elsewhere", check=False)
    assert refused.returncode == 1 and "cluster seaway has no node elsewhere" in refused.stderr
