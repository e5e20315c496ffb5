"""Pods: what they are given, what they cannot see, how they are restarted, watched and entered."""

from __future__ import annotations

import time

from clusters import Cluster, wait_for

SOURCES = """
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {greeting: hello, file.txt: "one\\n"}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {password: s3cret}
---
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: p}, annotations: {note: kept}}
spec:
  terminationGracePeriodSeconds: 1
  hostname: given
  containers:
  - name: c
    image: busybox
    command: [sleep, infinity]
    env:
    - {name: GREETING, valueFrom: {configMapKeyRef: {name: conf, key: greeting}}}
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: hidden, key: password}}}
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: JOINED, value: "$(GREETING) $(NODE)"}
    envFrom: [{configMapRef: {name: conf}, prefix: X_}]
    volumeMounts:
    - {name: conf, mountPath: /etc/conf}
    - {name: hidden, mountPath: /etc/hidden}
    - {name: info, mountPath: /etc/info}
    - {name: all, mountPath: /etc/all}
    - {name: scratch, mountPath: /scratch}
  - name: d
    image: busybox
    command: [sleep, infinity]
    volumeMounts: [{name: scratch, mountPath: /scratch}]
  volumes:
  - {name: conf, configMap: {name: conf}}
  - {name: hidden, secret: {secretName: hidden, defaultMode: 0400}}
  - {name: info, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
  - name: all
    projected:
      sources:
      - {configMap: {name: conf, items: [{key: greeting, path: a/greeting}]}}
      - {downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}
      - {serviceAccountToken: {path: token, audience: vault}}
  - {name: scratch, emptyDir: {}}
"""
SLEEPER = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 1
  {extra}
  containers:
  - name: c
    image: busybox
    command: [sh, -c, {command!r}]
    {container}
"""


def sleeper(name: str, command: str = "sleep infinity", container: str = "", extra: str = "") -> str:
    return SLEEPER.format(name=name, command=command, container=container, extra=extra)


def status_of(cluster: Cluster, pod: str) -> dict:
    return cluster.get("pod", pod)["status"]["containerStatuses"][0]


def test_a_pod_has_its_volumes_and_environment(cluster: Cluster) -> None:
    cluster.apply(SOURCES)
    cluster.ready("p")

    def cat(path: str) -> str:
        return cluster.kubectl("exec", "p", "-c", "c", "--", "cat", path)

    assert cat("/etc/conf/file.txt") == "one\n"
    assert cat("/etc/hidden/password") == "s3cret"
    assert 'app="p"' in cat("/etc/info/labels")
    assert (cat("/etc/all/a/greeting"), cat("/etc/all/name")) == ("hello", "p")
    assert cat("/etc/all/token").count(".") == 2
    env = dict(line.split("=", 1) for line in cluster.kubectl("exec", "p", "-c", "c", "--", "env").splitlines() if "=" in line)
    pod = cluster.get("pod", "p")
    assert (env["GREETING"], env["PASSWORD"], env["X_greeting"]) == ("hello", "s3cret", "hello")
    assert (env["NODE"], env["POD_IP"]) == (pod["spec"]["nodeName"], pod["status"]["podIP"])
    assert env["JOINED"] == f"hello {env['NODE']}"
    assert env["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"
    assert cluster.kubectl("exec", "p", "-c", "c", "--", "hostname").strip() == "given"


def test_an_empty_dir_is_shared_by_the_pod_and_tmp_is_not(cluster: Cluster) -> None:
    cluster.apply(SOURCES)
    cluster.ready("p")
    cluster.kubectl("exec", "p", "-c", "c", "--", "sh", "-c", "echo x > /scratch/a; echo y > /tmp/healthy")
    assert cluster.kubectl("exec", "p", "-c", "d", "--", "cat", "/scratch/a") == "x\n"
    assert "No such file" in cluster.kubectl("exec", "p", "-c", "d", "--", "cat", "/tmp/healthy", check=False)


def test_a_changed_config_map_appears_in_the_mounted_volume(cluster: Cluster) -> None:
    cluster.apply(SOURCES)
    cluster.ready("p")
    cluster.kubectl("patch", "configmap", "conf", "--type=merge", "-p", '{"data":{"file.txt":"two\\n"}}')
    wait_for(lambda: cluster.kubectl("exec", "p", "-c", "c", "--", "cat", "/etc/conf/file.txt") == "two\n")


def test_a_pods_token_opens_the_api_and_its_role_limits_it(cluster: Cluster) -> None:
    cluster.apply(sleeper("p"))
    cluster.ready("p")
    script = """
D=/var/run/secrets/kubernetes.io/serviceaccount; N=$(cat $D/namespace)
for path in apis namespaces/$N/pods; do
  curl -s -m 5 -o /dev/null -w '%{http_code}\\n' --cacert $D/ca.crt -H "Authorization: Bearer $(cat $D/token)" \
    https://kubernetes.default.svc/$([ $path = apis ] && echo apis || echo api/v1/$path)
done"""
    assert cluster.exec("p", "sh", "-c", script).split() == ["200", "403"]
    cluster.kubectl("create", "role", "reader", "--verb=list", "--resource=pods")
    cluster.kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={cluster.namespace}:default")
    assert cluster.exec("p", "sh", "-c", script).split() == ["200", "200"]


def test_the_host_is_not_visible_in_a_container(cluster: Cluster) -> None:
    cluster.apply(sleeper("p"))
    cluster.ready("p")
    look = f"ls -A /root /home; ls -d {cluster.runtime} /.host /root/.pyenv 2>&1; ls /proc | grep -c '^[0-9]*$'"
    found = cluster.exec("p", "sh", "-c", look)
    assert found.count("No such file") == 3, found
    assert int(found.split()[-1]) < 10
    assert cluster.exec("p", "sh", "-c", "mount -t tmpfs x /mnt 2>/dev/null; echo $?").strip() != "0"


def test_a_failing_liveness_probe_restarts_the_container(cluster: Cluster) -> None:
    probe = "livenessProbe: {exec: {command: [cat, /tmp/ok]}, periodSeconds: 1, failureThreshold: 1}"
    cluster.apply(sleeper("p", "touch /tmp/ok; sleep 3; rm /tmp/ok; sleep infinity", probe))
    wait_for(lambda: status_of(cluster, "p")["restartCount"] >= 1 if cluster.get("pod", "p")["status"].get("containerStatuses") else False)
    assert "Unhealthy" in cluster.kubectl("get", "events")


def test_readiness_decides_who_is_listed(cluster: Cluster) -> None:
    probe = "readinessProbe: {exec: {command: [cat, /tmp/ok]}, periodSeconds: 1, failureThreshold: 1}"
    cluster.apply(sleeper("p", container=probe).replace("metadata: {name: p}", "metadata: {name: p, labels: {app: p}}"))
    cluster.kubectl("expose", "pod", "p", "--port=80")
    wait_for(lambda: cluster.get("pod", "p")["status"].get("phase") == "Running")

    def ready() -> list[bool]:
        items = cluster.get("endpointslices", "-l", "kubernetes.io/service-name=p")["items"]
        return [e["conditions"]["ready"] for s in items for e in s["endpoints"] or ()]

    wait_for(lambda: ready() == [False])
    cluster.exec("p", "touch", "/tmp/ok")
    wait_for(lambda: ready() == [True])
    cluster.exec("p", "rm", "/tmp/ok")
    wait_for(lambda: ready() == [False])


def test_a_crashing_container_backs_off(cluster: Cluster) -> None:
    cluster.apply(sleeper("p", "echo bye; exit 3"))
    wait_for(lambda: "CrashLoopBackOff" in cluster.kubectl("get", "pod", "p"))
    assert status_of(cluster, "p")["lastState"]["terminated"]["exitCode"] == 3
    assert cluster.kubectl("logs", "p", "--previous").strip() == "bye"


def test_init_containers_run_first_and_in_order(cluster: Cluster) -> None:
    inits = "\n  ".join(
        ["initContainers:"]
        + [f"- {{name: i{n}, image: busybox, command: [sh, -c, 'echo i{n} >> /w/log'], volumeMounts: [{{name: w, mountPath: /w}}]}}" for n in (1, 2)]
        + ["volumes: [{name: w, emptyDir: {}}]"]
    )
    cluster.apply(sleeper("p", container="volumeMounts: [{name: w, mountPath: /w}]", extra=inits))
    cluster.ready("p")
    assert cluster.exec("p", "cat", "/w/log").split() == ["i1", "i2"]


def test_a_pod_that_ends_is_succeeded_or_failed(cluster: Cluster) -> None:
    cluster.apply(sleeper("good", "exit 0", extra="restartPolicy: Never"))
    cluster.apply(sleeper("bad", "exit 1", extra="restartPolicy: Never"))
    wait_for(lambda: [cluster.get("pod", p)["status"]["phase"] for p in ("good", "bad")] == ["Succeeded", "Failed"])


def test_logs_are_read_in_all_the_usual_ways(cluster: Cluster) -> None:
    cluster.apply(sleeper("p", "for i in 1 2 3 4 5; do echo line $i; done; sleep infinity"))
    cluster.ready("p")
    wait_for(lambda: cluster.kubectl("logs", "p").splitlines() == [f"line {i}" for i in range(1, 6)])
    assert cluster.kubectl("logs", "p", "--tail=2").splitlines() == ["line 4", "line 5"]
    first = cluster.kubectl("logs", "p", "--timestamps").splitlines()[0]
    assert first.endswith(" line 1") and first[:4] == time.strftime("%Y", time.gmtime())
    assert cluster.kubectl("logs", "p", "--limit-bytes=6") == "line 1"
    cluster.apply(sleeper("ends", "for i in 1 2 3; do echo $i; sleep 0.3; done", extra="restartPolicy: Never"))
    wait_for(lambda: cluster.get("pod", "ends")["status"]["phase"] in ("Running", "Succeeded"))
    assert cluster.kubectl("logs", "-f", "ends").split() == ["1", "2", "3"]


def test_exec_carries_input_output_and_the_exit_code(cluster: Cluster) -> None:
    cluster.apply(sleeper("p"))
    cluster.ready("p")
    assert cluster.exec("p", "sh", "-c", "echo out; echo err >&2") == "out\n"
    assert cluster.exec("p", "cat", text="through stdin") == "through stdin"
    assert "exit code 7" in cluster.exec("p", "sh", "-c", "exit 7", check=False)
    assert "not found" in cluster.exec("p", "no-such-program", check=False)
    assert len(cluster.exec("p", "head", "-c", "3000000", "/dev/zero")) == 3000000


def test_an_unknown_image_says_the_way_out(cluster: Cluster) -> None:
    cluster.apply(sleeper("p").replace("image: busybox", "image: example.com/shop:1"))
    wait_for(lambda: any(w in cluster.kubectl("get", "pod", "p") for w in ("ErrImagePull", "ImagePullBackOff")))
    assert "nothing is pulled from registries" in wait_for(lambda: cluster.kubectl("describe", "pod", "p"))


def test_what_stands_in_for_an_image_is_said(cluster: Cluster) -> None:
    cluster.apply(sleeper("p"))
    cluster.ready("p")
    wait_for(lambda: "stand in for image" in cluster.kubectl("describe", "pod", "p"))


def test_run_as_user_and_capabilities_are_obeyed(cluster: Cluster) -> None:
    context = "securityContext: {runAsUser: 1000, runAsGroup: 2000, capabilities: {drop: [ALL]}}"
    cluster.apply(sleeper("p", container=context))
    cluster.ready("p")
    assert cluster.exec("p", "id", "-u").strip() == "1000"
    assert cluster.exec("p", "id", "-g").strip() == "2000"
    assert "0000000000000000" in cluster.exec("p", "grep", "CapEff", "/proc/self/status")


def test_a_pod_is_given_time_to_end(cluster: Cluster) -> None:
    cluster.apply(sleeper("p", "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.1; done").replace("terminationGracePeriodSeconds: 1", "terminationGracePeriodSeconds: 30"))
    cluster.ready("p")
    start = time.monotonic()
    cluster.kubectl("delete", "pod", "p")
    assert 0.9 < time.monotonic() - start < 25
