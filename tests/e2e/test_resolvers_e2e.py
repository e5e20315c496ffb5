"""Programs in pods resolve names each in its own way: glibc (getent, Python, curl), musl, Go's own resolver."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import SEAWAY, Cluster, wait_for, web
from image_archives import docker_save, tar

HERE = Path(__file__).parent
OUTSIDE = "172.30.0.254"
IMAGE = "seaway.dev/resolvers:test"
LOOKUPS = 200
ASKERS = ("glibc", "musl", "go")
THINGS = """
apiVersion: v1
kind: Pod
metadata: {name: static}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: "seaway.dev/resolvers:test"}]
---
apiVersion: v1
kind: Pod
metadata: {name: glibc}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: debian
    command: [sleep, infinity]
    volumeMounts: [{name: code, mountPath: /code}]
  volumes: [{name: code, configMap: {name: code}}]
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: http, port: 80}], ipFamilyPolicy: RequireDualStack}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: traefik/whoami}]
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {type: ExternalName, externalName: www.shop.example}
---
apiVersion: v1
kind: Service
metadata: {name: lost}
spec: {type: ExternalName, externalName: lost.shop.example}
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of nothing but the programs, both static."""
    folder = tmp_path_factory.mktemp("resolvers")
    subprocess.run(["musl-gcc", "-static", "-O2", "-o", folder / "resolve", HERE / "resolvers" / "resolve.c"], check=True)
    files = [{"name": "resolve", "data": (folder / "resolve").read_bytes(), "mode": 0o755}]
    go = shutil.which("go")
    if go is not None:
        env = {**os.environ, "CGO_ENABLED": "0"}
        subprocess.run([go, "build", "-ldflags=-s -w", "-o", folder / "gone", "."], cwd=HERE / "resolvers" / "go", env=env, check=True)
        files.append({"name": "gone", "data": (folder / "gone").read_bytes(), "mode": 0o755})
    (folder / "image.tar").write_bytes(docker_save([tar(*files)], [IMAGE], Cmd=["/resolve", "wait"]))
    return folder / "image.tar"


@pytest.fixture(scope="module")
def named(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose nodes ask a name server outside, where the shop has a web server too."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "www").mkdir()
    (folder / "www" / "index.html").write_text("the shop\n")
    with Cluster("--nodes", "2", "--dns-upstream", OUTSIDE) as cluster:
        rows = ["www.shop.example=>real.shop.example", f"real.shop.example={OUTSIDE}", "six.shop.example=2001:db8::6"]
        servers = [
            [sys.executable, str(HERE / "stubdns.py"), str(folder / "log"), OUTSIDE, *rows],
            [sys.executable, "-m", "http.server", "8080", "--bind", OUTSIDE, "--directory", str(folder / "www")],
        ]
        made = [subprocess.Popen([SEAWAY, "outside", "--name", cluster.name, "--", *s], env=cluster.env, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL) for s in servers]
        try:
            cluster.seaway("image", "load", str(image), "--name", cluster.name)
            code = HERE / "resolvers" / "resolve.py"
            cluster.kubectl("create", "configmap", "code", f"--from-file={code}")
            cluster.apply(web(2, extra=", ipFamilyPolicy: RequireDualStack") + "---" + THINGS)
            cluster.rollout("deployment/web")
            cluster.rollout("statefulset/db")
            cluster.ready("static")
            cluster.ready("glibc")
            yield cluster
        finally:
            for process in made:
                process.kill()
                process.wait()


def run(cluster: Cluster, who: str, *words: str) -> list[str]:
    if who == "go" and shutil.which("go") is None:
        assert os.environ.get("CI") != "true", "CI builds the Go program: no go found"
        pytest.skip("no go on this machine")
    pod, program = {
        "glibc": ("glibc", ["python3", "/code/resolve.py"]), "musl": ("static", ["/resolve"]), "go": ("static", ["/gone"])}[who]
    return cluster.exec(pod, *program, *words).splitlines()


def addresses(cluster: Cluster, pods: str) -> list[list[str]]:
    found = cluster.get("pods", "-l", f"app={pods}")["items"]
    return [[i["ip"] for i in p["status"]["podIPs"]] for p in sorted(found, key=lambda p: p["metadata"]["name"])]


@pytest.mark.parametrize("who", ASKERS)
def test_names_of_the_cluster_short_and_long(named: Cluster, who: str) -> None:
    web_ips = sorted(named.get("service", "web")["spec"]["clusterIPs"])
    dbs = addresses(named, "db")
    wanted = {
        "web": web_ips, "web.default": web_ips, "web.default.svc": web_ips, "web.default.svc.cluster.local": web_ips,
        "web.default.svc.cluster.local.": web_ips, "WEB.Default": web_ips,
        "kubernetes": ["10.96.0.1"], "kube-dns.kube-system": ["10.96.0.10"],
        "db": sorted(a for both in dbs for a in both), "db-0.db": sorted(dbs[0]), "db-1.db.default.svc.cluster.local": sorted(dbs[1]),
        "none": ["none"], "web.none": ["none"], "none.default.svc.cluster.local": ["none"],
    }
    wait_for(lambda: all(len(line.split()) == 2 for line in run(named, who, "db-0.db", "db-1.db")), 20)
    assert dict(zip(wanted, (line.split() for line in run(named, who, *wanted)), strict=True)) == wanted


@pytest.mark.parametrize("who", ASKERS)
def test_both_families_asked_at_once_never_stall(named: Cluster, who: str) -> None:
    """A and AAAA leave one socket together: where one is lost on the way the resolver waits for seconds."""
    times = [float(line) for line in run(named, who, "time", str(LOOKUPS), "web")]
    print(f"{who}: median {statistics.median(times):.2f} ms, longest {max(times):.1f} ms")
    assert len(times) == LOOKUPS and max(times) < 1000 and statistics.median(times) < 100


def test_getent_and_curl_find_a_service(named: Cluster) -> None:
    v4, v6 = named.get("service", "web")["spec"]["clusterIPs"]
    assert named.exec("glibc", "getent", "ahostsv4", "web").split()[0] == v4
    assert named.exec("glibc", "getent", "ahostsv6", "web").split()[0] == v6
    assert named.exec("glibc", "getent", "hosts", "web.default").split() == [v6, "web.default.svc.cluster.local"]
    for flag, address in (("-4", v4), ("-6", v6)):
        shown = named.exec("glibc", "curl", "-sS", "-m", "5", flag, "-w", "%{remote_ip}", "http://web.default.svc/")
        assert "Hostname: web-" in shown and shown.endswith(address)


@pytest.mark.parametrize("who", ASKERS)
def test_an_external_name_resolves(named: Cluster, who: str) -> None:
    wanted = {"shop": [OUTSIDE], "shop.default.svc.cluster.local": [OUTSIDE], "www.shop.example": [OUTSIDE],
              "six.shop.example": ["2001:db8::6"], "lost": ["none"], "lost.shop.example": ["none"]}
    assert dict(zip(wanted, (line.split() for line in run(named, who, *wanted)), strict=True)) == wanted
    times = [float(line) for line in run(named, who, "time", "50", "www.shop.example")]
    assert max(times) < 1000


def test_an_external_name_is_connected_to(named: Cluster) -> None:
    assert named.exec("glibc", "curl", "-sS", "-m", "5", "http://shop:8080/") == "the shop\n"
    asked = named.exec("glibc", "python3", "-c", "import urllib.request as r; print(r.urlopen('http://www.shop.example:8080').read())")
    assert "the shop" in asked


ENVOY_POD = """
apiVersion: v1
kind: Pod
metadata: {name: envoy}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: envoy
    image: envoyproxy/envoy:distroless-v1.40.0
    args: [-c, /config/envoy.yaml, --concurrency, "1"]
    readinessProbe: {httpGet: {path: /ready, port: 9901}, periodSeconds: 1}
    volumeMounts: [{name: config, mountPath: /config}]
  volumes: [{name: config, configMap: {name: envoy}}]
"""


@pytest.fixture(scope="module")
def envoy(named: Cluster) -> str:
    """Envoy in a pod; its address."""
    named.kubectl("create", "configmap", "envoy", f"--from-file={HERE / 'resolvers' / 'envoy.yaml'}")
    named.apply(ENVOY_POD)
    named.ready("envoy")
    return str(named.get("pod", "envoy")["status"]["podIP"])


def hosts(cluster: Cluster, envoy: str, name: str) -> list[str]:
    """The addresses that a cluster of Envoy's has."""
    rows = json.loads(cluster.curl(f"http://{envoy}:9901/clusters?format=json", pod="glibc"))["cluster_statuses"]
    found = next(row for row in rows if row["name"] == name).get("host_statuses", [])
    return sorted({h["address"]["socket_address"]["address"] for h in found})


def test_envoy_resolves_by_its_own_resolver(named: Cluster, envoy: str) -> None:
    v4, v6 = named.get("service", "web")["spec"]["clusterIPs"]
    assert hosts(named, envoy, "short") == [v4] and hosts(named, envoy, "logical") == [v6]
    for port in (10001, 10002):
        assert "Hostname: web-" in named.curl(f"http://{envoy}:{port}/", pod="glibc")
    assert hosts(named, envoy, "shop") == [OUTSIDE] and named.curl(f"http://{envoy}:10003/", pod="glibc") == "the shop\n"
    wait_for(lambda: hosts(named, envoy, "headless") == sorted(a for both in addresses(named, "db") for a in both), 20)
    named.kubectl("scale", "statefulset/db", "--replicas=1")
    wait_for(lambda: len(hosts(named, envoy, "headless")) == 2, 30, "records change with the endpoints")
    named.kubectl("scale", "statefulset/db", "--replicas=2")
    named.rollout("statefulset/db")
