"""The gateway as somebody else installs it: the page's manifest, on a cluster that was born without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from clusters import Cluster, wait_for

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "gateway.yaml"
Tree = dict[str, Any]
BACKEND = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: traefik/whoami, args: [--port=8080]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: seaway
  infrastructure: {parametersRef: {group: "", kind: ConfigMap, name: edge}}
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: edge}
data: {replicas: "1", concurrency: "1"}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: edge}]
  hostnames: [web.example.com]
  rules: [{name: all, matches: [{path: {value: /}}], backendRefs: [{name: web, port: 80}]}]
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    config = tmp_path_factory.mktemp("bare") / "cluster.yaml"
    config.write_text("apiVersion: seaway.dev/v1alpha1\nkind: Cluster\ngateway: {enabled: false}\n")
    with Cluster("--config", str(config)) as cluster:
        yield cluster


def _documents(*folder: str) -> list[Tree]:
    found: list[Tree] = []
    for file in sorted(resources.files("seaway.deploy").joinpath(*folder).iterdir(), key=lambda f: f.name):
        if file.name.endswith(".yaml"):
            found += yaml.safe_load_all(file.read_text())
    return found


def test_the_page_is_what_an_embedded_cluster_runs() -> None:
    """The same rights and the same pod; only the arguments and the number of replicas are a real cluster's."""
    page = list(yaml.safe_load_all(PAGE.read_text()))
    rights = list(yaml.safe_load_all(resources.files("seaway.deploy").joinpath("rbac", "gateway.yaml").read_text()))
    addon = _documents("addons", "gateway")
    deployment = next(t for t in addon if t["kind"] == "Deployment")
    deployment["spec"]["replicas"] = 2
    deployment["spec"]["template"]["spec"]["containers"][0]["args"] = ["gateway"]
    assert page[: len(rights) + len(addon)] == [*rights, *addon]
    assert [t["kind"] for t in page[len(rights) + len(addon) :]] == ["GatewayClass", "IngressClass"]


@pytest.mark.e2e
def test_the_manifest_of_the_page_serves_gateways_and_the_cli_says_what_is_programmed(bare: Cluster) -> None:
    assert not bare.get("-n", "seaway-system", "deployments")["items"]
    bare.kubectl("-n", "seaway-system", "apply", "-f", str(PAGE))
    bare.apply(BACKEND)
    bare.kubectl("wait", "--for=condition=Programmed", "gateway/edge", "--timeout=60s")
    address = bare.get("gateway", "edge")["status"]["addresses"][0]["value"]

    def answered() -> bool:
        said = bare.outside("curl", "-s", "-m", "2", "-H", "Host: web.example.com", f"http://{address}/path", check=False)
        return "GET /path" in said

    wait_for(answered, 30, "an answer through the gateway")
    # One of two replicas leads; the other waits, and whoever waits for the rollout sees it done.
    bare.kubectl("-n", "seaway-system", "rollout", "status", "deployment/seaway-gateway", "--timeout=30s")
    lease = bare.get("-n", "seaway-system", "lease", "seaway-gateway")["spec"]
    pods = bare.get("-n", "seaway-system", "pods", "-l", "app.kubernetes.io/name=seaway-gateway")["items"]
    assert len(pods) == 2 and lease["holderIdentity"] in {p["metadata"]["name"] for p in pods}
    # A row a rule, with the object that it comes from and how that is.
    table = bare.seaway("gateway", "routes").stdout
    [head, line] = table.strip().splitlines()
    assert head.split() == ["GATEWAY", "PORT", "HOST", "MATCH", "LEADS", "TO", "FROM", "STATE"]
    assert line.split("  ")[0] == "default/edge" and "web.example.com" in line and line.endswith("ok")
    assert "default/web:80 (2 ready)" in line and "HTTPRoute/default/web/rules[0] (all)" in line
    [row] = json.loads(bare.seaway("gateway", "routes", "-o", "json", "--host", "web.", "--gateway", "edge").stdout)
    assert row["what"] == "/" and row["state"] == "ok" and row["port"] == "80/http"
    assert json.loads(bare.seaway("gateway", "routes", "-o", "json", "--source", "nothing").stdout) == []
