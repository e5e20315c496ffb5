"""Pods at a running API server: bindings, ephemeral containers, resize, status, and what it says of them."""

from __future__ import annotations

from typing import Any

from server import Server

MERGE = "application/merge-patch+json"


def pod(name: str, **container: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i", **container}]}}


def binding(name: str, node: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": node}, **more}


def test_a_binding_is_taken_by_the_namespace_and_made_once(server: Server, ns: str) -> None:
    pods, bindings = f"/api/v1/namespaces/{ns}/pods", f"/api/v1/namespaces/{ns}/bindings"
    assert server.request("POST", pods, pod("b"))[0] == 201
    assert server.request("POST", bindings, binding("b", "n"))[0] == 201
    assert server.request("GET", f"{pods}/b")[1]["spec"]["nodeName"] == "n"
    status, answer = server.request("POST", bindings, binding("b", "m"))
    assert (status, answer["reason"]) == (409, "Conflict")
    assert 'pod b is already assigned to node "n"' in answer["message"]
    assert server.request("POST", bindings, binding("nobody", "n"))[0] == 404


def test_subresources_write_their_part_alone(server: Server, ns: str) -> None:
    pods = f"/api/v1/namespaces/{ns}/pods"
    assert server.request("POST", pods, pod("s", resources={"requests": {"cpu": "1000m"}}))[0] == 201
    patch = {"spec": {"ephemeralContainers": [{"name": "d", "image": "busybox"}], "nodeName": "x"}}
    status, answer = server.request("PATCH", f"{pods}/s/ephemeralcontainers", patch, media=MERGE)
    assert status == 200, answer
    assert answer["spec"]["ephemeralContainers"][0]["imagePullPolicy"] == "Always"
    assert "nodeName" not in answer["spec"]
    patch = {"spec": {"containers": [{"name": "c", "image": "other", "resources": {"requests": {"cpu": "2"}}}]}}
    status, answer = server.request("PATCH", f"{pods}/s/resize", patch, media=MERGE)
    assert status == 200, answer
    container = answer["spec"]["containers"][0]
    assert (container["resources"], container["image"]) == ({"requests": {"cpu": "2"}}, "i")
    patch = {"spec": {"nodeName": "x"}, "status": {"phase": "Running", "qosClass": "Guaranteed"}}
    status, answer = server.request("PATCH", f"{pods}/s/status", patch, media=MERGE)
    assert (status, [c["field"] for c in answer["details"]["causes"]]) == (422, ["status.qosClass"])


def test_every_mistake_is_told_at_once(server: Server, ns: str) -> None:
    tree = pod("C_", image=" i", ports=[{"containerPort": 0}], env=[{"name": "="}])
    status, answer = server.request("POST", f"/api/v1/namespaces/{ns}/pods", {**tree, "spec": {**tree["spec"], "dnsPolicy": "Odd"}})
    assert status == 422
    assert [c["field"] for c in answer["details"]["causes"]] == [
        "metadata.name",
        "spec.containers[0].ports[0].containerPort",
        "spec.containers[0].env[0].name",
        "spec.dnsPolicy",
        "spec.containers[0].image",
    ]


def test_the_ranges_of_a_namespace_are_kept(server: Server, ns: str) -> None:
    base = f"/api/v1/namespaces/{ns}"
    limit = {"type": "Container", "default": {"cpu": "1"}, "max": {"cpu": "2"}}
    claims = {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}
    assert server.request("POST", f"{base}/limitranges", {"metadata": {"name": "r"}, "spec": {"limits": [limit, claims]}})[0] == 201
    status, answer = server.request("POST", f"{base}/pods", pod("given"))
    assert status == 201, answer
    assert answer["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}
    assert answer["status"]["qosClass"] == "Burstable"
    status, answer = server.request("POST", f"{base}/pods", pod("large", resources={"limits": {"cpu": "3"}}))
    why = "maximum cpu usage per Container is 2, but limit is 3"
    assert (status, answer["message"]) == (403, f'pods "large" is forbidden: {why}')
    patch = {"spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "3"}, "requests": {"cpu": "1"}}}]}}
    status, answer = server.request("PATCH", f"{base}/pods/given/resize", patch, media=MERGE)
    assert (status, answer["message"]) == (403, f'pods "given" is forbidden: {why}')
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
    status, answer = server.request("POST", f"{base}/persistentvolumeclaims", {"metadata": {"name": "v"}, "spec": spec})
    why = "maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi"
    assert (status, answer["message"]) == (403, f'persistentvolumeclaims "v" is forbidden: {why}')
