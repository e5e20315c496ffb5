"""What a pod's containers live through: their order, hooks, probes, deadlines, last words, paths and limits. All pods are
made at once; each test reads its own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import NUMBERS, Cluster, wait_for

from seaway.api.tree import seconds

STAYS = "trap 'echo ended; exit 0' TERM; echo up; while :; do sleep 0.05; done"
GRPC = (  # settings, headers with :status 200, SERVING, trailers with grpc-status 0
    "import socket\n"
    "s = socket.create_server(('::', 9000), family=socket.AF_INET6, dualstack_ipv6=True)\n"
    "frame = lambda kind, flags, stream, body: len(body).to_bytes(3, 'big') + bytes([kind, flags, 0, 0, 0, stream]) + body\n"
    "while True:\n"
    "    c, _ = s.accept()\n"
    "    asked = b''\n"
    "    while b'Health/Check' not in asked or not asked.endswith(b'live'):\n"
    "        got = c.recv(4096)\n"
    "        if not got: break\n"
    "        asked += got\n"
    "    c.sendall(frame(4, 0, 0, b'') + frame(1, 4, 1, b'\\x88') + frame(0, 0, 1, b'\\0\\0\\0\\0\\2\\x08\\1')\n"
    "              + frame(1, 5, 1, b'\\0\\x0bgrpc-status\\x010'))\n"
)
PODS = """
apiVersion: v1
kind: Service
metadata: {name: other}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: ordered}
spec:
  restartPolicy: Never
  initContainers:
  - {name: first, image: busybox, command: [sh, -c, "echo done"]}
  - name: side1
    image: busybox
    restartPolicy: Always
    command: [sh, -c, "sleep 0.3; touch /shared/up; STAYS"]
    startupProbe: {exec: {command: [test, -f, /shared/up]}, periodSeconds: 1}
    volumeMounts: [{name: shared, mountPath: /shared}]
  - {name: side2, image: busybox, restartPolicy: Always, command: [sh, -c, "STAYS"]}
  - name: last
    image: busybox
    command: [sh, -c, "test -f /shared/up && echo done"]
    volumeMounts: [{name: shared, mountPath: /shared}]
  containers:
  - {name: main, image: busybox, command: [sh, -c, "echo up; sleep 0.5; echo ended"]}
  volumes: [{name: shared, emptyDir: {}}]
---
apiVersion: v1
kind: Pod
metadata: {name: late}
spec:
  activeDeadlineSeconds: 2
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: busybox, command: [sleep, infinity]}]
---
apiVersion: v1
kind: Pod
metadata: {name: says}
spec:
  restartPolicy: Never
  containers:
  - name: file
    image: busybox
    command: [sh, -c, "printf 'out of paper' > /tmp/last-words; exit 3"]
    terminationMessagePath: /tmp/last-words
  - {name: log, image: busybox, command: [sh, -c, "echo boom; exit 1"], terminationMessagePolicy: FallbackToLogsOnError}
  - {name: well, image: busybox, command: [sh, -c, "echo fine"], terminationMessagePolicy: FallbackToLogsOnError}
---
apiVersion: v1
kind: Pod
metadata: {name: hooked}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: first
    image: busybox
    command: [sleep, infinity]
    lifecycle: {postStart: {exec: {command: [sh, -c, "sleep 0.5; touch /shared/ready"]}}}
    volumeMounts: [{name: shared, mountPath: /shared}]
  - name: second
    image: busybox
    command: [sh, -c, "test -f /shared/ready || exit 1; sleep infinity"]
    volumeMounts: [{name: shared, mountPath: /shared}]
  volumes: [{name: shared, emptyDir: {}}]
---
apiVersion: v1
kind: Pod
metadata: {name: badhook}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox
    command: [sleep, infinity]
    lifecycle: {postStart: {exec: {command: [sh, -c, "echo no way; exit 4"]}}}
---
apiVersion: v1
kind: Pod
metadata: {name: stubborn}
spec:
  terminationGracePeriodSeconds: 300
  containers:
  - name: c
    image: busybox
    command: [sh, -c, "trap '' TERM; while :; do sleep 0.1; done"]
    livenessProbe: {exec: {command: ["false"]}, periodSeconds: 1, failureThreshold: 1, terminationGracePeriodSeconds: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: asked}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: python
    command: [python3, -c, "GRPC"]
    readinessProbe: {grpc: {port: 9000, service: live}, periodSeconds: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: places}
spec:
  terminationGracePeriodSeconds: 0
  enableServiceLinks: false
  hostAliases: [{ip: 192.0.2.7, hostnames: [printer.lan, printer]}]
  securityContext:
    fsGroup: 2000
    supplementalGroups: [3000]
    sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: "7"}]
  containers:
  - name: c
    image: busybox
    command: [sleep, infinity]
    env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
    securityContext: {readOnlyRootFilesystem: true, runAsUser: 1000, runAsGroup: 1000}
    volumeMounts:
    - {name: scratch, mountPath: /a, subPath: one/two}
    - {name: scratch, mountPath: /b, subPathExpr: of-$(POD)}
    - {name: scratch, mountPath: /all}
    - {name: host, mountPath: /host}
  volumes:
  - {name: scratch, emptyDir: {}}
  - {name: host, hostPath: {path: /var/test-NUMBER, type: DirectoryOrCreate}}
---
apiVersion: v1
kind: Pod
metadata: {name: onnode}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 0
  containers:
  - {name: c, image: busybox, command: [sh, -c, "touch /host/of-node; sleep infinity"], volumeMounts: [{name: host, mountPath: /host}]}
  volumes: [{name: host, hostPath: {path: /var/test-NUMBER, type: DirectoryOrCreate}}]
"""


@pytest.fixture(scope="module")
def pods(shared_cluster: Cluster) -> Iterator[Cluster]:
    name = f"life-{next(NUMBERS)}"
    shared_cluster.namespace = "default"
    shared_cluster.kubectl("create", "namespace", name)
    shared_cluster.namespace = name
    script = GRPC.replace("\\", "\\\\").replace("\n", "\\n")
    shared_cluster.apply(PODS.replace("STAYS", STAYS).replace("GRPC", script).replace("NUMBER", name))
    yield shared_cluster
    shared_cluster.namespace = "default"
    shared_cluster.kubectl("delete", "namespace", name, "--wait=false")


def phase(cluster: Cluster, pod: str) -> str:
    return str(cluster.get("pod", pod)["status"].get("phase"))


def statuses(cluster: Cluster, pod: str) -> dict[str, dict]:
    status = cluster.get("pod", pod)["status"]
    return {c["name"]: c for f in ("initContainerStatuses", "containerStatuses") for c in status.get(f, ())}


def said(cluster: Cluster, pod: str, container: str) -> dict[str, float]:
    """text -> when it was logged."""
    lines = cluster.kubectl("logs", pod, "-c", container, "--timestamps").splitlines()
    return {text: seconds(when[:26] + "Z") or 0.0 for when, _, text in (line.partition(" ") for line in lines)}


def test_containers_start_in_order_and_sidecars_end_last_in_reverse(pods: Cluster) -> None:
    wait_for(lambda: phase(pods, "ordered") == "Succeeded", 30)
    at = {c: said(pods, "ordered", c) for c in ("first", "side1", "side2", "last", "main")}
    assert at["first"]["done"] < at["side1"]["up"] < at["side2"]["up"] < at["last"]["done"] < at["main"]["up"]
    assert at["main"]["ended"] < at["side2"]["ended"] < at["side1"]["ended"]
    found = statuses(pods, "ordered")
    assert all(c["state"]["terminated"]["exitCode"] == 0 and c["restartCount"] == 0 for c in found.values())


def test_a_deadline_fails_the_pod(pods: Cluster) -> None:
    wait_for(lambda: phase(pods, "late") == "Failed", 15)
    status = pods.get("pod", "late")["status"]
    assert status["reason"] == "DeadlineExceeded"
    assert status["message"] == "Pod was active on the node longer than the specified deadline"
    assert "terminated" in status["containerStatuses"][0]["state"]


def test_containers_leave_their_last_words(pods: Cluster) -> None:
    wait_for(lambda: phase(pods, "says") == "Failed", 15)
    ended = {n: c["state"]["terminated"] for n, c in statuses(pods, "says").items()}
    assert (ended["file"]["exitCode"], ended["file"]["message"]) == (3, "out of paper")
    assert (ended["log"]["exitCode"], ended["log"]["message"]) == (1, "boom\n")
    assert "message" not in ended["well"] and ended["well"]["reason"] == "Completed"


def test_a_post_start_hook_comes_before_the_next_container_and_its_failure_ends_its_own(pods: Cluster) -> None:
    pods.ready("hooked")
    assert statuses(pods, "hooked")["second"]["restartCount"] == 0
    wait_for(lambda: statuses(pods, "badhook")["c"]["restartCount"] >= 1, 15)
    told = pods.kubectl("describe", "pod", "badhook")
    assert "FailedPostStartHook" in told and "no way" in told


def test_a_probe_has_a_grace_period_of_its_own(pods: Cluster) -> None:
    wait_for(lambda: statuses(pods, "stubborn")["c"]["restartCount"] >= 1, 20)
    told = pods.kubectl("describe", "pod", "stubborn")
    assert "Container c failed liveness probe, will be restarted" in told
    assert statuses(pods, "stubborn")["c"]["lastState"]["terminated"]["exitCode"] == 137  # it would not go
    pods.kubectl("delete", "pod", "stubborn", "--now", "--wait=false")


def test_a_grpc_probe_asks_the_health_service(pods: Cluster) -> None:
    pods.ready("asked")


def test_paths_groups_names_and_variables_are_as_asked(pods: Cluster) -> None:
    pods.ready("places")
    pods.ready("onnode")
    write = "for f in /a/x /b/x /all/x; do touch $f || echo no $f; done; for d in / /usr /etc /tmp; do touch $d/x 2>/dev/null && echo wrote $d; done"
    assert pods.exec("places", "sh", "-c", f"{write}; find /all -type f | sort").split() == ["/all/of-places/x", "/all/one/two/x", "/all/x"]
    assert set(pods.exec("places", "id", "-G").split()) == {"1000", "2000", "3000"}
    assert pods.exec("places", "cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start") == "7\n"
    assert "192.0.2.7\tprinter.lan\tprinter" in pods.exec("places", "cat", "/etc/hosts")
    env = pods.exec("places", "env")
    assert "KUBERNETES_SERVICE_HOST=" in env and "OTHER_SERVICE_HOST" not in env
    assert "OTHER_SERVICE_HOST=" in pods.exec("hooked", "env")
    # The node's network and folders are the node's: two pods of one node share them, the machine has neither.
    node = pods.get("pod", "onnode")["spec"]["nodeName"]
    addresses = [a["address"] for a in pods.get("node", node)["status"]["addresses"] if a["type"] == "InternalIP"]
    assert [i["ip"] for i in pods.get("pod", "onnode")["status"]["podIPs"]] == addresses
    assert re.search(r"\binet 172\.30\.", pods.exec("onnode", "ip", "-4", "addr"))
    same = pods.get("pod", "places")["spec"]["nodeName"] == node
    assert pods.exec("places", "ls", "/host").split() == (["of-node"] if same else [])


LIMITED = """
apiVersion: v1
kind: Pod
metadata: {name: hungry}
spec:
  restartPolicy: Never
  containers:
  - name: c
    image: python
    command: [python3, -c, "b = bytearray(300 << 20); print(len(b))"]
    resources: {limits: {memory: 48Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: slowed}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: c, image: python, command: [sleep, infinity], resources: {limits: {cpu: 100m, memory: 64Mi}}}
"""
BUSY = "import time; e = time.time() + 1.5\nwhile time.time() < e: pass\nprint(time.process_time())"


def test_limits_are_enforced_or_the_node_says_that_they_are_not(cluster: Cluster) -> None:
    node = cluster.get("nodes")["items"][0]
    condition = next(c for c in node["status"]["conditions"] if c["type"] == "ResourceLimits")
    if condition["status"] != "True":
        assert "not enforced" in condition["message"]
        return
    cluster.apply(LIMITED)
    wait_for(lambda: phase(cluster, "hungry") == "Failed", 20)
    ended = statuses(cluster, "hungry")["c"]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
    cluster.ready("slowed")
    assert float(cluster.exec("slowed", "python3", "-c", BUSY)) < 0.6  # a tenth of a cpu, and its start
    uid = cluster.get("pod", "slowed")["metadata"]["uid"]

    def groups() -> list[Path]:
        found = subprocess.run(["find", "/sys/fs/cgroup", "-type", "d", "-name", uid], capture_output=True, text=True)
        return [Path(p) for p in found.stdout.split()]

    assert groups()
    cluster.kubectl("delete", "pod", "slowed")
    wait_for(lambda: not groups(), 10)
