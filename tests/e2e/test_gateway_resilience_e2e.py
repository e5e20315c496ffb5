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

import base64
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import gateways
import pytest
from clusters import CLIENT, Cluster, wait_for, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from gateways import CONTROLLER, SYSTEM, Load, Tree

HOST = "web.example.com"
LISTENERS = ("{name: http, port: 80, protocol: HTTP}, "
             "{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: web}]}}")
PARAMETERS = {"replicas": 2, "settleSeconds": 3, "drainSeconds": 15}
BUDGET = """
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}
---
"""
GRPC = ("/grpc/", "/google/protobuf", "/google/_upb", "cygrpc", "/envoy/")


def certificate(folder: Path, name: str) -> str:
    """A Secret with a certificate of its own, made by openssl."""
    key, chain = folder / f"{name}.key", folder / f"{name}.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                    "-keyout", key, "-out", chain, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{HOST}"], check=True, capture_output=True)
    return gateways.secret("web", chain.read_text(), key.read_text())


def due(certificate: bytes, key: bytes) -> bytes:
    """The certificate of an authority as it is when most of its life is over: the same name and key."""
    found, signer = x509.load_pem_x509_certificate(certificate), load_pem_private_key(key, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    builder = x509.CertificateBuilder(found.issuer, found.subject, signer.public_key(), found.serial_number + 1,
                                      found.not_valid_before_utc - timedelta(days=3000), found.not_valid_after_utc - timedelta(days=3000))
    for extension in found.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture(scope="module")
def fresh() -> Iterator[Cluster]:
    with Cluster("--nodes", "2") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def edge(fresh: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    first = certificate(tmp_path_factory.mktemp("first"), "first")
    backends = web(2).replace("sleep: {seconds: 1}", "sleep: {seconds: 5}").replace("GracePeriodSeconds: 5", "GracePeriodSeconds: 10")
    fresh.apply(CLIENT + BUDGET + backends + first + "---" + gateways.gateway("edge", LISTENERS, **PARAMETERS) + gateways.route("web", HOST))
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


@pytest.mark.parametrize("whom", [("apiserver",), ("apiserver", "gateway", "controllers", "cloud", "agent-")], ids=["apiserver", "all"])
def test_envoys_serve_on_when_the_api_server_or_all_that_manage_them_are_killed(edge: Cluster, whom: tuple[str, ...]) -> None:
    settled(edge)
    before = restarts(edge)
    with load(edge) as running:
        victims = [p["pid"] for p in edge.processes() if p["name"].startswith(whom)]
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
        serves(edge, f"after-{len(whom)}")
        settled(edge)
        assert restarts(edge) == before
        well(running.told())


def test_envoys_are_replaced_under_load_and_no_request_fails(edge: Cluster) -> None:
    """A rolling restart, then other parameters, then a node that is drained: connections are asked to go, none is cut."""
    settled(edge)
    with load(edge) as running:
        before = set(restarts(edge))
        edge.kubectl("rollout", "restart", "deployment/edge-seaway")
        edge.rollout("deployment/edge-seaway")
        settled(edge)
        assert not before & set(restarts(edge))

        before = set(restarts(edge))
        edge.kubectl("patch", "configmap", "edge", "-p", json.dumps({"data": {"concurrency": "3"}}))
        wait_for(lambda: '"--concurrency", "3"' in json.dumps(edge.get("deployment", "edge-seaway")), 20, "the parameter is applied")
        edge.rollout("deployment/edge-seaway")
        settled(edge)
        assert not before & set(restarts(edge))
        told = well(running.told(), 2000)
        assert told["asked to go"] >= 8, "every connection that is kept was asked to go"


def test_a_drained_node_takes_one_envoy_at_a_time(edge: Cluster) -> None:
    settled(edge)
    # Backends that end are to be told of meanwhile: the controller stays where it is.
    [controller] = gateways.controllers(edge)
    [node] = {p["spec"]["nodeName"] for p in gateways.envoys(edge)} - {controller["spec"]["nodeName"]}
    with load(edge) as running:
        edge.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=80s")
        least = 2

        def moved() -> bool:
            nonlocal least
            least = min(least, edge.get("deployment", "edge-seaway")["status"].get("availableReplicas", 0))
            found = gateways.envoys(edge)
            return len(found) == 2 and not [p for p in found if p["spec"]["nodeName"] == node]

        wait_for(moved, 60, "the Envoy is on the other node")
        edge.kubectl("uncordon", node)
        edge.apply(CLIENT)
        edge.ready("client")
        settled(edge)
        assert least >= 1, "the budget lets one go at a time"
        well(running.told())


def test_renewed_certificates_are_shown_at_once_and_cut_no_connection(edge: Cluster, tmp_path: Path) -> None:
    settled(edge)
    renewed = certificate(tmp_path, "renewed")
    ask = ["openssl", "s_client", "-connect", f"{gateways.ready(edge)}:443", "-servername", HOST, "-brief"]
    with load(edge) as running:
        edge.apply(renewed)
        shown = time.monotonic()
        wait_for(lambda: "CN=renewed" in edge.seaway("outside", "--name", edge.name, "--", *ask, check=False).stderr.replace(" ", ""), 10)
        assert time.monotonic() - shown < 3, "handshakes see it within a second; starting openssl takes its time, too"
        told = well(running.told(), 50)
        assert len(told["certificates"]) == 2 and told["asked to go"] == 0


def test_the_channels_identities_and_authority_are_renewed_and_streams_go_on(edge: Cluster) -> None:
    """An identity is lost and comes back; then the authority is due, and its successor trusted beside it; Envoys stay, connected."""
    settled(edge)
    before = restarts(edge)
    with load(edge) as running:
        edge.kubectl("delete", "secret", "edge-seaway-xds")
        wait_for(lambda: "edge-seaway-xds" in edge.kubectl("get", "secrets", "-o", "name"), 10, "it is made anew")
        serves(edge, "after-identity")

        def authority() -> Tree:
            found: Tree = json.loads(edge.kubectl("get", "secret", "seaway-gateway-ca", "-n", SYSTEM, "-o", "json"))["data"]
            return found

        now = authority()
        overdue = base64.b64encode(due(*(base64.b64decode(now[name]) for name in ("tls.crt", "tls.key")))).decode()
        edge.kubectl("patch", "secret", "seaway-gateway-ca", "-n", SYSTEM, "-p", json.dumps({"data": {"tls.crt": overdue}}))
        wait_for(lambda: authority()["tls.key"] != now["tls.key"], 30, "the authority is renewed")
        wait_for(lambda: edge.get("secret", "edge-seaway-xds")["data"]["ca.crt"] == authority()["ca.crt"], 30, "Envoys trust both")
        serves(edge, "after-authority")
        # Everybody shakes hands anew, by the new authority's certificates.
        [pid] = edge.pids("gateway")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: edge.pids("gateway") not in ([], [pid]), 30, "it is back")
        serves(edge, "after-both")
        settled(edge)
        assert restarts(edge) == before
        well(running.told())
