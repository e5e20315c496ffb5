"""Each node's own DNS cache: its pods resolve through it, and it outlives the pods of the cluster's DNS."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clusters import CLIENT, SEAWAY, Cluster, wait_for, web
from test_rootless import Ordinary

HERE = Path(__file__).parent
OUTSIDE, CACHE = "172.30.0.254", "169.254.20.10"
UNKNOWN = "n{}.default.svc.cluster.local"
ASKER = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: asker}}}}
spec:
  terminationGracePeriodSeconds: 0
  nodeName: {node}
  containers:
  - name: c
    image: debian
    command: [sleep, infinity]
    volumeMounts: [{{name: code, mountPath: /code}}]
  volumes: [{{name: code, configMap: {{name: code}}}}]
---
"""
HEADLESS = """
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: web}, ports: [{name: http, port: 80}]}
"""
IPV6 = """
apiVersion: seaway.dev/v1alpha1
kind: Cluster
networking: {ipFamily: ipv6, nodeLocalDNS: true}
"""


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    log = tmp_path_factory.mktemp("outside") / "log"
    with Cluster("--nodes", "2", "--node-local-dns", "--dns-upstream", OUTSIDE) as cluster:
        rows = ["www.shop.example=192.0.2.80", "www.shop.example=2001:db8::80"]
        stub = subprocess.Popen([SEAWAY, "outside", "--name", cluster.name, "--", sys.executable, str(HERE / "stubdns.py"), str(log), OUTSIDE, *rows],
                                env=cluster.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            cluster.kubectl("create", "configmap", "code", *(f"--from-file={HERE / 'resolvers' / f}" for f in ("resolve.py", "steady.py")))
            nodes = [n["metadata"]["name"] for n in cluster.get("nodes")["items"]]
            askers = "".join(ASKER.format(name=f"asker-{i}", node=node) for i, node in enumerate(nodes))
            cluster.apply(web(2) + "---" + HEADLESS + "---" + askers + CLIENT)
            cluster.rollout("deployment/web")
            for name in ("asker-0", "asker-1", "client"):
                cluster.ready(name)
            yield cluster
        finally:
            stub.kill()
            stub.wait()


def caches(cluster: Cluster) -> dict[str, str]:
    """The ready pods of the cache, by node."""
    found = json.loads(cluster.kubectl("get", "pods", "-n", "kube-system", "-l", "k8s-app=node-local-dns", "-o", "json"))["items"]
    ready = [p for p in found if any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", ()))]
    return {p["spec"]["nodeName"]: p["metadata"]["name"] for p in ready if "deletionTimestamp" not in p["metadata"]}


def steady(cluster: Cluster, pod: str, seconds: float, name: str) -> subprocess.Popen[str]:
    command = [cluster.kubectl_path, "exec", pod, "--", "python3", "/code/steady.py", CACHE, str(seconds), name]
    process = subprocess.Popen(command, env=cluster.env, stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "answered\n"
    return process


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=60)
    return json.loads(out)


def test_pods_of_every_node_resolve_through_their_nodes_cache(cached: Cluster) -> None:
    assert cached.exec("client", "cat", "/etc/resolv.conf").splitlines()[1] == f"nameserver {CACHE}"
    service = cached.get("service", "web")["spec"]["clusterIP"]
    pods = wait_for(lambda: (i := [p["status"].get("podIP") for p in cached.get("pods", "-l", "app=web")["items"]]) and all(i) and sorted(i))
    shop = ["192.0.2.80", "2001:db8::80"]
    wanted = {"web": [service], "web.default": [service], "web.default.svc.cluster.local": [service], "db": pods, "none": ["none"],
              "kube-dns-upstream.kube-system": [cached.kubectl("get", "svc", "-n", "kube-system", "kube-dns-upstream", "-o", "jsonpath={.spec.clusterIP}")],
              "www.shop.example": shop}  # fmt: skip
    for pod in ("asker-0", "asker-1"):
        assert len(wait_for(lambda pod=pod: cached.exec(pod, "python3", "/code/resolve.py", "db")).split()) == 2
        found = [line.split() for line in cached.exec(pod, "python3", "/code/resolve.py", *wanted).splitlines()]
        assert dict(zip(wanted, map(sorted, found), strict=True)) == wanted, pod
        assert cached.exec(pod, "dig", "+tcp", "+short", f"@{CACHE}", "web.default.svc.cluster.local").split() == [service]
    for node in cached.get("nodes")["items"]:
        address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
        page = cached.curl(f"http://{address}:9253/metrics")
        asked = [line for line in page.splitlines() if line.startswith("coredns_dns_requests_total{") and 'zone="cluster.local."' in line]
        assert asked and 'plugin_enabled{name="kubernetes"' not in page, "it asks no API"
    for pod in caches(cached).values():
        log = cached.kubectl("logs", "-n", "kube-system", pod)
        assert f"{CACHE} is on the loopback interface" in log and "nft" not in log, "its rules are there"


def test_it_outlives_pods_of_the_clusters_dns_and_their_rollout_without_a_stall(cached: Cluster) -> None:
    """By UDP what a dying pod was asked is lost, and a resolver waits for seconds; here TCP connections move to the other pod."""
    asking = [steady(cached, f"asker-{i}", 14, name) for i in (0, 1) for name in (UNKNOWN, "web.default.svc.cluster.local")]
    first = cached.kubectl("get", "pods", "-n", "kube-system", "-l", "k8s-app=kube-dns", "-o", "name").split()[0]
    cached.kubectl("delete", "-n", "kube-system", first, "--grace-period=0", "--force")
    cached.kubectl("rollout", "status", "-n", "kube-system", "deployment/seaway-dns", "--timeout=60s")
    cached.kubectl("rollout", "restart", "-n", "kube-system", "deployment/seaway-dns")
    cached.kubectl("rollout", "status", "-n", "kube-system", "deployment/seaway-dns", "--timeout=60s")
    for process, code in zip(asking, ("3", "0", "3", "0"), strict=True):
        found = told(process)
        found["logs"] = [cached.kubectl("logs", "-n", "kube-system", p) for p in caches(cached).values()] if found["lost"] else []
        assert found["lost"] == [] and set(found["codes"]) == {code} and found["worst"] < 2000 and found["pairs"] > 50, found


def test_a_restart_of_the_cache_costs_its_node_a_moment(cached: Cluster) -> None:
    """Nobody answers between two caches: docs/node-local-dns.md says what that means."""
    before = caches(cached)
    node = cached.get("pod", "asker-0")["spec"]["nodeName"]
    asking = [steady(cached, f"asker-{i}", 8, "web.default.svc.cluster.local") for i in (0, 1)]
    cached.kubectl("delete", "pod", "-n", "kube-system", before[node])
    own, other = map(told, asking)
    print(f"without a cache for {own['gap']:.2f} s")
    assert other["lost"] == [] and set(other["codes"]) == {"0"}, "another node's pods notice nothing"
    assert 0 < own["gap"] < 7 and len(own["lost"]) < 5 and set(own["codes"]) == {"0"} and own["answered"] > 50, own
    after = wait_for(lambda: len(now := caches(cached)) == 2 and now)
    assert after[node] != before[node]
    assert cached.exec("asker-0", "python3", "/code/resolve.py", "web").split() == [cached.get("service", "web")["spec"]["clusterIP"]]


@pytest.mark.parametrize("kind", ["ipv6", "ordinary"])
def test_clusters_of_ipv6_and_of_ordinary_users_have_it_too(kind: str, tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(IPV6)
    args = ("--config", str(tmp_path / "cluster.yaml"))
    with Cluster(*args) if kind == "ipv6" else Ordinary("--node-local-dns") as cluster:
        assert "DNS cache ready on every node" in cluster.said
        cluster.apply(CLIENT)
        cluster.ready("client")
        server = "fd00::a9fe:140a" if kind == "ipv6" else CACHE
        assert cluster.exec("client", "cat", "/etc/resolv.conf").splitlines()[1] == f"nameserver {server}"
        assert cluster.exec("client", "getent", "ahosts", "kubernetes").split()[0] == cluster.get("service", "kubernetes")["spec"]["clusterIP"]
        (pod,) = caches(cluster).values()
        assert "nft" not in cluster.kubectl("logs", "-n", "kube-system", pod)
