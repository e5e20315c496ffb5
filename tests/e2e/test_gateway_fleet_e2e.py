"""The pods of a fleet as they are rendered, with a listener of the test's own in place of a controller's.

```yaml
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: seaway
  listeners: [{name: http, port: 80, protocol: HTTP}]
```
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from clusters import SEAWAY, Cluster, wait_for

from seaway.gateway.infrastructure import bootstrap
from seaway.gateway.infrastructure.drain import HEADER
from seaway.gateway.infrastructure.objects import objects
from seaway.gateway.infrastructure.parameters import Parameters
from seaway.gateway.infrastructure.values import Identity, Port, Wanted
from seaway.pki.authority import Authority
from seaway.routing.ir import Fleet

KEY = "the-key-of-the-kubelet"
WEB = """
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
      containers: [{name: c, image: traefik/whoami}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: debian, command: [sleep, infinity]}]
"""
LISTENER = """
name: tcp-80
address: {socket_address: {address: "::", port_value: 80, ipv4_compat: true}}
filter_chains:
- filters:
  - name: http
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      stat_prefix: http
      http_filters:
      - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
      route_config:
        virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: web}}]}]
"""
CLUSTER = """
name: web
type: STRICT_DNS
connect_timeout: 1s
load_assignment:
  cluster_name: web
  endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: web, port_value: 80}}}}]}]
"""


IDLE = """
import socket, sys, time
with socket.create_connection((sys.argv[1], 80), 5) as sock:
    sock.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    assert sock.recv(65536).startswith(b"HTTP/1.1 200")
    print("asked", flush=True)
    began = time.monotonic()
    sock.settimeout(60)
    sock.recv(1)
    print(time.monotonic() - began)
"""


def fleet(namespace: str) -> list[dict[str, Any]]:
    authority = Authority.new("test", 1.7e9)
    pair = authority.issue("test", 1.7e9)
    identity = Identity(authority.pair.certificate, pair.certificate, pair.key)
    wanted = Wanted(
        Fleet("Gateway", namespace, "edge"), namespace, "edge-seaway", None, (Port("http", 80),), identity, KEY,
        Parameters(concurrency=1, settle_seconds=2, drain_seconds=30), gateway_class="seaway",
    )
    trees = objects(wanted)
    texts = next(t for t in trees if t["kind"] == "ConfigMap")["data"]
    config = json.loads(texts[bootstrap.CONFIG])
    del config["dynamic_resources"]
    static = config["static_resources"]
    static["listeners"].append(yaml.safe_load(LISTENER))
    static["clusters"] = [*static["clusters"][1:], yaml.safe_load(CLUSTER)]
    texts[bootstrap.CONFIG] = json.dumps(config)
    return trees


@pytest.fixture
def edge(cluster: Cluster) -> Cluster:
    cluster.apply(WEB + "---\n" + yaml.safe_dump_all(fleet(cluster.namespace)))
    cluster.rollout("deployment/web")
    cluster.rollout("deployment/edge-seaway")
    cluster.ready("client")
    return cluster


def pods(cluster: Cluster) -> list[dict[str, Any]]:
    found = json.loads(cluster.kubectl("get", "pods", "-l", "seaway.dev/fleet=edge-seaway", "-o", "json"))["items"]
    return [p for p in found if not p["metadata"].get("deletionTimestamp")]


def test_envoys_are_rolled_under_load_without_a_lost_request_and_only_the_kubelet_may_drain_them(edge: Cluster) -> None:
    before = pods(edge)
    target = wait_for(lambda: (edge.get("service", "edge-seaway")["status"]["loadBalancer"].get("ingress") or [{}])[0].get("ip"), 20)
    wait_for(lambda: "Hostname: web-" in edge.outside("curl", "-sS", "-m", "2", f"http://{target}/", check=False), 20)
    words = [SEAWAY, "outside", "--name", edge.name, "--", sys.executable]
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "text": True, "env": {**os.environ, **edge.env}}
    load = subprocess.Popen([*words, str(Path(__file__).with_name("keepalive.py")), target, "80", "12", "10"], **options)

    # Meanwhile: what a pod may ask of them, what they may do.
    address = before[0]["status"]["podIP"]
    shown = edge.exec("client", "sh", "-c", f"""
      ask() {{ curl -sS -m 5 -o /dev/null -w '%{{http_code}} ' "$@"; }}
      for path in ready stats/prometheus drain stats config_dump quitquitquit ready/ ready/../stats %2e%2e/stats; do
        ask --path-as-is http://{address}:19003/$path
      done
      ask -X POST http://{address}:19003/ready; ask -X POST http://{address}:19003/drain -H '{HEADER}: {KEY}'
      ask http://{address}:19003/drain -H '{HEADER}: a-guess'; ask http://{address}:9901/ || :""", check=False)
    assert shown.split()[:12] == ["200", "200", *["404"] * 10], shown
    metrics = edge.curl(f"http://{address}:19003/stats/prometheus")
    assert 'envoy_cluster_upstream_rq_total{envoy_cluster_name="web"}' in metrics and "worker_" not in metrics
    status = edge.exec(before[0]["metadata"]["name"], "sh", "-c", "cat /proc/1/status; touch /x /etc/envoy/x 2>&1; cat /proc/sys/net/ipv4/ip_unprivileged_port_start")
    assert "Uid:\t65532\t65532" in status and "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status and "Seccomp:\t2" in edge.exec(before[0]["metadata"]["name"], "grep", "Seccomp:", "/proc/self/status")
    assert status.count("Read-only file system") == 2 and status.splitlines()[-1] == "0"

    idle = subprocess.Popen([*words, "-c", IDLE, target], **options)
    assert idle.stdout and idle.stdout.readline() == "asked\n"
    edge.kubectl("rollout", "restart", "deployment/edge-seaway")
    edge.rollout("deployment/edge-seaway")
    counted = json.loads(load.communicate(timeout=60)[0])
    failed = {k: v for k, v in counted.items() if k not in ("200", "connections", "asked to go")}
    assert not failed and counted["200"] > 500, counted
    assert counted["asked to go"] >= 10, "each connection was told to go, none was cut"
    assert 4 < float(idle.communicate(timeout=60)[0]) < 25, "who is silent is waited for, and not for the whole time"
    wait_for(lambda: not {p["metadata"]["name"] for p in before} & set(edge.kubectl("get", "pods", "-o", "name").replace("pod/", "").split()), 20)
    messages = edge.kubectl("get", "events", "-o", "jsonpath={.items[*].reason}")
    assert "FailedPreStopHook" not in messages
