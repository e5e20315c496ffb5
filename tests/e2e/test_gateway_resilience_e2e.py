"""A gateway whose parts are killed, replaced and renewed under constant load: no request fails, and nothing changes that need not.

```yaml
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: seaway
  infrastructure: {parametersRef: {group: "", kind: ConfigMap, name: edge}}   # replicas: "2"
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: web}]}}
```
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import gateways
import pytest
from clusters import CLIENT, SPARED, Cluster, wait_for, web
from gateways import CONTROLLER, SYSTEM, Load, Tree

HOST = "web.example.com"
LISTENERS = ("{name: http, port: 80, protocol: HTTP}, "
             "{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: web}]}}")
PARAMETERS = {"replicas": 2, "settleSeconds": 3, "drainSeconds": 15}
GRPC = ("/grpc/", "/google/protobuf", "/google/_upb", "cygrpc", "/envoy/")


def certificate(folder: Path, name: str) -> str:
    """A Secret with a certificate of its own, made by openssl."""
    key, chain = folder / f"{name}.key", folder / f"{name}.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                    "-keyout", key, "-out", chain, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{HOST}"], check=True, capture_output=True)
    return gateways.secret("web", chain.read_text(), key.read_text())


@pytest.fixture(scope="module")
def fresh() -> Iterator[Cluster]:
    with Cluster("--nodes", "2") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def edge(fresh: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    first = certificate(tmp_path_factory.mktemp("first"), "first")
    fresh.apply(CLIENT + "---" + web(2) + first + "---" + gateways.gateway("edge", LISTENERS, **PARAMETERS) + gateways.route("web", HOST))
    fresh.rollout("deployment/web")
    fresh.ready("client")
    gateways.ready(fresh)
    settled(fresh)
    return fresh


def settled(cluster: Cluster) -> None:
    """Two Envoys are ready, have what they are to have, and nobody else is left of them."""

    def told() -> bool:
        workload = cluster.get("deployment", "edge-seaway")["status"]
        pods = cluster.get("pods", "-l", "seaway.dev/fleet=edge-seaway")["items"]
        proxies = gateways.measured(cluster).get('seaway_gateway_xds_proxies{fleet="Gateway/default/edge"}')
        return workload.get("readyReplicas") == workload.get("replicas") == len(pods) == proxies == 2

    wait_for(told, 60, "two Envoys")
    gateways.ready(cluster)


def load(cluster: Cluster) -> Load:
    where = gateways.ready(cluster)
    return Load(cluster, HOST, *(
        {"address": where, "port": 443 if tls else 80, "protocol": protocol, "tls": tls}
        for tls in (False, True) for protocol in ("h1", "h1-new", "h2", "h2-new")))


def well(told: Tree, least: int = 200) -> Tree:
    assert not told["failed"], told["failed"][:5]
    assert told["ok"] >= least, told
    return told


def serves(cluster: Cluster, name: str) -> None:
    """A route that is written now is accepted, served and taken away: everything that came before it is done."""
    host = f"{name}.example.com"
    cluster.apply(gateways.route(name, host))
    where = gateways.ready(cluster)
    wait_for(lambda: gateways.state(cluster.get("httproute", name), "Accepted") == "True/Accepted", 40, f"{name} is accepted")
    ask = ("curl", "-s", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Host: {host}", f"http://{where}/")
    wait_for(lambda: cluster.outside(*ask, check=False) == "200", 20, f"{name} is served")
    cluster.kubectl("delete", "httproute", name)
    wait_for(lambda: cluster.outside(*ask, check=False) == "404", 20, f"{name} is gone")


def test_no_envoy_and_no_grpc_is_there_before_the_first_gateway_and_start_up_does_not_wait(fresh: Cluster) -> None:
    assert "gateway" not in fresh.said.partition("  kubectl")[0], "what start-up waits for"
    wait_for(lambda: gateways.controller_ready(fresh), 30, "the controller is ready")
    [pid] = fresh.pids("gateway")
    maps = Path(f"/proc/{pid}/maps").read_text()
    assert "site-packages" in maps
    assert not [line for line in maps.splitlines() if any(word in line for word in GRPC)]
    assert not fresh.pids("envoy")
    assert not [p for p in fresh.get("pods", "-A")["items"] if "seaway.dev/fleet" in p["metadata"].get("labels", {})]
    assert not fresh.get("deployments", "-A", "-l", "app.kubernetes.io/managed-by=seaway-gateway")["items"]


def test_a_killed_controller_is_missed_by_nobody_and_comes_back_without_changing_anything(edge: Cluster) -> None:
    settled(edge)
    before, counted = gateways.versions(edge), gateways.updates(edge)
    with load(edge) as running:
        [pid] = edge.pids("gateway")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: edge.pids("gateway") not in ([], [pid]), 30, "it is back")
        settled(edge)
        assert gateways.versions(edge) == before, "what was written by a controller that only came back"
        assert gateways.updates(edge) == counted, "what proxies were given anew"
        series = gateways.measured(edge)
        assert series["seaway_gateway_status_writes_total{}"] == 0
        assert series['seaway_gateway_xds_sent_total{fleet="Gateway/default/edge"}'] == 0
        # All that it had to say is said when it has said something newer.
        serves(edge, "after-kill")
        now = gateways.versions(edge)
        assert {k: v for k, v in now.items() if k != "Gateway/edge"} == {k: v for k, v in before.items() if k != "Gateway/edge"}
        for pod, series in gateways.updates(edge).items():
            apart = {k for k, v in series.items() if v != counted[pod].get(k)}
            assert all("rds" in k or "cluster" in k for k in apart) and not any("lds" in k or "sds_update" in k for k in apart), apart
        well(running.told())


def test_the_controllers_rolling_restart_moves_leadership_at_once(edge: Cluster) -> None:
    settled(edge)

    def holder() -> str:
        lease = json.loads(edge.kubectl("get", "lease", "seaway-gateway", "-n", SYSTEM, "-o", "json"))
        return str(lease["spec"].get("holderIdentity") or "")

    with load(edge) as running:
        old = holder()
        edge.kubectl("rollout", "restart", CONTROLLER, "-n", SYSTEM)
        left = time.monotonic()
        while (now := holder()) in (old, ""):
            left = time.monotonic() if now == old else left
            assert time.monotonic() - left < 10, "nobody leads"
            time.sleep(0.05)
        assert time.monotonic() - left < 5, "a lease that was given away is taken"
        edge.kubectl("rollout", "status", CONTROLLER, "-n", SYSTEM, "--timeout=60s")
        serves(edge, "after-restart")
        settled(edge)
        well(running.told())


def restarts(cluster: Cluster) -> dict[str, tuple[str, int]]:
    """Of Envoys: pod -> uid and restarts."""
    return {p["metadata"]["name"]: (p["metadata"]["uid"], p["status"]["containerStatuses"][0]["restartCount"]) for p in gateways.envoys(cluster)}


@pytest.mark.parametrize("whom", ["apiserver", "all"])
def test_envoys_serve_on_when_the_api_server_or_everything_about_them_is_killed(edge: Cluster, whom: str) -> None:
    settled(edge)
    before = restarts(edge)
    with load(edge) as running:
        spared = {*SPARED, "envoy", "zygote", "hostside"}
        victims = [p["pid"] for p in edge.processes() if (p["name"] not in spared if whom == "all" else p["name"] == whom)]
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # a child of one that is dead

        def back() -> bool:
            there = edge.processes()
            return not {p["pid"] for p in there} & set(victims) and {"apiserver", "gateway"} <= {p["name"] for p in there}

        wait_for(back, 40, "they are back")
        wait_for(lambda: "ok" in edge.kubectl("get", "--raw", "/readyz", check=False), 40)
        serves(edge, f"after-{whom}")
        settled(edge)
        assert restarts(edge) == before
        well(running.told())
