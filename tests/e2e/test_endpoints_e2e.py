"""Who may answer, as kubectl shows it: slices, Endpoints, mirrored Endpoints."""

from __future__ import annotations

import json

import pytest
from clusters import Cluster, wait_for, web

pytestmark = pytest.mark.e2e


def test_kubectl_shows_endpoints_as_a_user_expects(client: Cluster) -> None:
    client.apply(web(2))
    client.rollout("deployment/web")
    addresses = sorted(p["status"]["podIP"] for p in client.get("pods", "-l", "app=web")["items"])

    def slices() -> str:
        return client.kubectl("get", "endpointslices", "-l", "kubernetes.io/service-name=web")

    shown = wait_for(lambda: slices() if all(a in slices() for a in addresses) else "")
    header, row = shown.splitlines()
    assert header.split() == ["NAME", "ADDRESSTYPE", "PORTS", "ENDPOINTS", "AGE"]
    assert row.startswith("web-") and row.split()[1:3] == ["IPv4", "80"]
    old = client.kubectl("get", "endpoints", "web", check=False)
    described = client.kubectl("describe", "service", "web")
    for address in addresses:
        assert f"{address}:80" in old and f"{address}:80" in described
    done = client.kubectl("get", "endpoints", "web", "-o", "name", check=False)
    assert "endpoints/web" in done
    said = client.kubectl("get", "endpoints", "web", "-v=6", check=False)
    assert "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice" in said
    tree = client.get("endpoints", "web")
    assert tree["metadata"]["labels"]["endpoints.kubernetes.io/managed-by"] == "endpoint-controller"


MINE = """
apiVersion: v1
kind: Service
metadata: {name: mine}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: mine, labels: {team: x}}
subsets:
- addresses: [{ip: "%s"}]
  ports: [{name: http, port: 80}]
"""


def test_endpoints_written_by_hand_are_mirrored_and_routed_to(client: Cluster) -> None:
    client.apply(web(2))
    client.rollout("deployment/web")
    pods = client.get("pods", "-l", "app=web")["items"]
    first, second = ((p["metadata"]["name"], p["status"]["podIP"]) for p in pods)
    client.apply(MINE % first[1])

    def who() -> str:
        return client.curl("http://mine", check=False)

    wait_for(lambda: f"Hostname: {first[0]}" in who())
    (mirrored,) = client.get("endpointslices", "-l", "kubernetes.io/service-name=mine")["items"]
    labels = mirrored["metadata"]["labels"]
    assert labels["endpointslice.kubernetes.io/managed-by"] == "endpointslicemirroring-controller.k8s.io" and labels["team"] == "x"
    client.apply(MINE % second[1])
    wait_for(lambda: f"Hostname: {second[0]}" in who())
    client.kubectl("label", "endpoints", "mine", "endpointslice.kubernetes.io/skip-mirror=true")
    wait_for(lambda: not client.get("endpointslices", "-l", "kubernetes.io/service-name=mine")["items"])
    client.kubectl("delete", "endpoints", "mine")


def test_readiness_gates_and_unready_pods_hold_an_endpoint_back(client: Cluster) -> None:
    gated = web(1).replace("terminationGracePeriodSeconds: 5", "terminationGracePeriodSeconds: 5\n      readinessGates: [{conditionType: example.com/checked}]")
    client.apply(gated)

    def conditions() -> list[dict]:
        found = client.get("endpointslices", "-l", "kubernetes.io/service-name=web")["items"]
        return [e["conditions"] for s in found for e in s["endpoints"] or ()]

    wait_for(lambda: conditions() == [{"ready": False, "serving": False, "terminating": False}])
    (pod,) = client.get("pods", "-l", "app=web")["items"]
    wait_for(lambda: any(c["type"] == "ContainersReady" and c["status"] == "True" for c in client.get("pod", pod["metadata"]["name"])["status"]["conditions"]))
    assert conditions() == [{"ready": False, "serving": False, "terminating": False}]
    patch = {"status": {"conditions": [{"type": "example.com/checked", "status": "True"}]}}
    client.kubectl("patch", "pod", pod["metadata"]["name"], "--subresource=status", "--type=strategic", "-p", json.dumps(patch))
    wait_for(lambda: conditions() == [{"ready": True, "serving": True, "terminating": False}])
    client.kubectl("patch", "service", "web", "-p", '{"spec": {"publishNotReadyAddresses": true}}')
    patch["status"]["conditions"][0]["status"] = "False"
    client.kubectl("patch", "pod", pod["metadata"]["name"], "--subresource=status", "--type=strategic", "-p", json.dumps(patch))
    wait_for(lambda: conditions() == [{"ready": True, "serving": False, "terminating": False}])
