"""Gateways for tests against whole clusters: manifests, constant load from outside, what Envoys count, what must not change."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from clusters import SEAWAY, Cluster, wait_for
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

Tree = dict[str, Any]
SYSTEM, CONTROLLER = "seaway-system", "deployment/seaway-gateway"
SAMPLE = re.compile(r"(\w+)(?:\{(.*?)\})? ([0-9.e+]+)$", re.M)
# What an Envoy counts when it is given clusters, listeners, routes: nothing of it grows by itself.
UPDATES = re.compile(
    "(cluster_manager_cds|listener_manager_lds|http_scoped_rds|http_rds)_(update_success|config_reload)$"
    "|cluster_manager_cluster_(added|modified|removed|updated)$|listener_manager_listener_(added|modified|removed|in_place_updated)$"
    "|sds_update_success$"
)
KINDS = "gateways,httproutes,services,deployments,configmaps,secrets,serviceaccounts,poddisruptionbudgets,endpointslices,pods"


def gateway(name: str = "edge", listeners: str = "{name: http, port: 80, protocol: HTTP}", **parameters: Any) -> str:
    """A Gateway and its parameters."""
    data = "".join(f"  {key}: {json.dumps(str(value))}\n" for key, value in {"replicas": 1, **parameters}.items())
    return f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}}}
data:
{data}---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}}}
spec:
  gatewayClassName: seaway
  infrastructure: {{parametersRef: {{group: "", kind: ConfigMap, name: {name}}}}}
  listeners: [{listeners}]
"""


def route(name: str, host: str = "", rules: str = "{backendRefs: [{name: web, port: 80}]}", parent: str = "edge") -> str:
    hosts = f"hostnames: [{json.dumps(host)}]" if host else ""
    return f"""
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: {parent}}}]
  {hosts}
  rules: [{rules}]
"""


def secret(name: str, certificate: str, key: str) -> str:
    return "---\n" + json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "kubernetes.io/tls",
                                 "stringData": {"tls.crt": certificate, "tls.key": key}}) + "\n"


def self_signed(host: str, curve: ec.EllipticCurve) -> tuple[str, str]:
    """A certificate of its own authority, and its key."""
    key, now = ec.generate_private_key(curve), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    made = (x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False).sign(key, hashes.SHA256()))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return made.public_bytes(Encoding.PEM).decode(), private


def conditions(tree: Tree) -> dict[str, Tree]:
    """Of a route for its first parent, of all else its own."""
    status = tree.get("status") or {}
    found = (status.get("parents") or [status])[0].get("conditions") or ()
    return {c["type"]: c for c in found if c.get("observedGeneration") == tree["metadata"]["generation"]}


def state(tree: Tree, kind: str) -> str:
    """STATUS/REASON of a condition that is of the present generation."""
    found = conditions(tree).get(kind)
    return f"{found['status']}/{found['reason']}" if found else ""


def address(cluster: Cluster, name: str = "edge") -> str:
    """Where a Gateway is, when it is programmed."""
    found = cluster.get("gateway", name)
    if state(found, "Programmed") != "True/Programmed":
        return ""
    return next((str(a["value"]) for a in found["status"].get("addresses", ()) if ":" not in a["value"]), "")


def ready(cluster: Cluster, name: str = "edge") -> str:
    return str(wait_for(lambda: address(cluster, name), 60, lambda: json.dumps(cluster.get("gateway", name).get("status"))))


def envoys(cluster: Cluster, name: str = "edge") -> list[Tree]:
    pods = cluster.get("pods", "-l", f"seaway.dev/fleet={name}-seaway")["items"]
    return [p for p in pods if "deletionTimestamp" not in p["metadata"]]


def scraped(cluster: Cluster, ip: str, port: int, path: str) -> dict[str, float]:
    """The series of a page of metrics, as the client pod reads it."""
    text = cluster.curl(f"http://{ip}:{port}{path}")
    return {f"{name}{{{labels or ''}}}": float(value) for name, labels, value in SAMPLE.findall(text)}


def updates(cluster: Cluster, name: str = "edge") -> dict[str, dict[str, float]]:
    """By Envoy, how often it was given something."""
    found = {}
    for pod in envoys(cluster, name):
        series = scraped(cluster, pod["status"]["podIP"], 19003, "/stats/prometheus")
        found[pod["metadata"]["name"]] = {k: v for k, v in series.items() if UPDATES.search(k.partition("{")[0])}
    return found


def controllers(cluster: Cluster) -> list[Tree]:
    pods = json.loads(cluster.kubectl("get", "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/name=seaway-gateway", "-o", "json"))["items"]
    return [p for p in pods if "deletionTimestamp" not in p["metadata"]]


def measured(cluster: Cluster) -> dict[str, float]:
    """The controller's own metrics; nothing while it does not answer."""
    try:
        return scraped(cluster, controllers(cluster)[0]["status"]["podIP"], 8080, "/metrics")
    except (AssertionError, IndexError, KeyError):
        return {}


def controller_ready(cluster: Cluster) -> bool:
    found = [c for p in controllers(cluster) for c in p["status"].get("conditions", ()) if c["type"] == "Ready"]
    return [c["status"] for c in found] == ["True"]


def versions(cluster: Cluster) -> dict[str, tuple[str, str]]:
    """KIND/NAME -> uid and resourceVersion of all that a Gateway's namespace holds, and the authority."""
    trees = cluster.get(KINDS)["items"]
    trees.append(json.loads(cluster.kubectl("get", "secret", "seaway-gateway-ca", "-n", SYSTEM, "-o", "json")))
    return {f"{t['kind']}/{t['metadata']['name']}": (t["metadata"]["uid"], t["metadata"]["resourceVersion"]) for t in trees}


class Load:
    """Constant load from outside, until it is asked what came of it."""

    def __init__(self, cluster: Cluster, host: str, *targets: Tree) -> None:
        program = Path(__file__).with_name("gateway_load.py")
        command = [SEAWAY, "outside", "--name", cluster.name, "--", sys.executable, str(program), host]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **cluster.env})
        self.say(json.dumps(targets))
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line == "loading\n", line

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def __enter__(self) -> Load:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    def told(self) -> Tree:
        """Ends it."""
        found: Tree = json.loads(self.process.communicate(timeout=30)[0])
        return found
