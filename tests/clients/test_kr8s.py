"""kr8s, unmodified: objects that act on themselves, in both of its styles."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator

import httpx
import kr8s
import kr8s.asyncio
import kr8s.asyncio.objects
import pytest
from clusters import wait_for
from kr8s.objects import (
    ConfigMap,
    Deployment,
    Node,
    Pod,
    Secret,
    Service,
    new_class,
    object_from_spec,
    objects_from_files,
)

# It names the versions that it has been tested with; newer ones it warns of.
pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("ignore:Kubernetes version .* is not supported")]


@pytest.fixture(scope="module")
def api(kubeconfig: str, namespace: str) -> Iterator[kr8s.Api]:
    api = kr8s.api(kubeconfig=kubeconfig, namespace=namespace)
    assert api.version()["minor"] == "36"
    yield api


def test_a_deployment_is_scaled_waited_for_and_reached(api: kr8s.Api) -> None:
    """Readiness, exec, logs and a port-forward, through objects."""
    labels = {"app": "web"}
    container = {"name": "web", "image": "traefik/whoami", "ports": [{"name": "http", "containerPort": 80}]}
    template = {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]}}
    web = Deployment({"metadata": {"name": "web"}, "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}}, api=api)
    web.create()
    web.wait("condition=Available", timeout=30)
    web.scale(2)
    wait_for(web.ready, 30, "both are ready")
    service = Service({"metadata": {"name": "web"}, "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": "http"}]}}, api=api)
    service.create()
    wait_for(lambda: len(service.ready_pods()) == 2, 20, "the Service finds its pods")
    pods = web.pods()
    assert {p.metadata.labels.app for p in pods} == {"web"} and all(p.ready() for p in pods)
    with pods[0].portforward(80, local_port="auto") as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/", timeout=5)
        assert f"Hostname: {pods[0].name}" in answer.text
    with service.portforward(80, local_port="auto") as port:
        assert httpx.get(f"http://127.0.0.1:{port}/api", timeout=5).json()["headers"]
    assert "GET /seen?by=kr8s HTTP/1.1" in service.proxy_http_get("seen?by=kr8s").text
    web.annotate({"note": "seen"})
    web.label({"tier": "front"})
    assert Deployment.get("web", api=api).labels.tier == "front" and web.annotations.note == "seen"
    web.remove_label("tier")
    assert "tier" not in Deployment.get("web", api=api).labels
    web.delete(propagation_policy="Foreground")
    web.wait("delete", timeout=30)
    assert not list(api.get("pods", label_selector=labels))


def test_exec_logs_and_what_fails(api: kr8s.Api) -> None:
    command = ["sh", "-c", "for i in 1 2 3; do echo line $i; done; exec sleep infinity"]
    pod = Pod({"metadata": {"name": "talker"}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "sh", "image": "busybox", "command": command}]}}, api=api)
    pod.create()
    pod.wait("condition=Ready", timeout=30)
    assert pod.exec(["echo", "ahoy"]).stdout == b"ahoy\n"
    with pytest.raises(ExceptionGroup) as failed:  # what the client's streams run in wraps it
        pod.exec(["sh", "-c", "exit 5"])
    assert failed.group_contains(kr8s.ExecError)
    out = io.BytesIO()
    done = pod.exec(["sh", "-c", "echo out; echo err >&2; exit 6"], check=False, capture_output=False, stdout=out)
    assert done.returncode == 6 and out.getvalue() == b"out\n"
    wait_for(lambda: len(list(pod.logs())) == 3, 10, "three lines")
    assert list(pod.logs(tail_lines=1)) == ["line 3"]
    follow = pod.logs(follow=True)
    assert [next(follow) for _ in range(3)] == ["line 1", "line 2", "line 3"]
    pod.delete()
    with pytest.raises(kr8s.NotFoundError):
        Pod.get("nothing", api=api)
    with pytest.raises(kr8s.ServerError) as refused:
        ConfigMap({"metadata": {"name": "Not A Name"}}, api=api).create()
    assert "a lowercase RFC 1123 subdomain" in str(refused.value)


def test_selectors_nodes_owners_and_definitions(api: kr8s.Api, tmp_path_factory: pytest.TempPathFactory) -> None:
    for i in range(3):
        ConfigMap({"metadata": {"name": f"c{i}", "labels": {"n": str(i)}}, "data": {"k": "v"}}, api=api).create()
    assert [c.name for c in api.get("configmaps", label_selector="n in (0,2)")] == ["c0", "c2"]
    assert [c.name for c in api.get("cm", field_selector={"metadata.name": "c1"})] == ["c1"]
    [node] = api.get("nodes")
    assert isinstance(node, Node)
    node.cordon()
    assert next(iter(api.get("nodes"))).unschedulable
    node.uncordon()
    owner, child = ConfigMap.get("c0", api=api), ConfigMap.get("c1", api=api)
    owner.adopt(child)
    owner.delete()
    wait_for(lambda: not child.exists(), 20, "what it owned goes too")
    manifest = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: oars.kr8s.seaway.dev}
spec:
  group: kr8s.seaway.dev
  scope: Namespaced
  names: {kind: Oar, plural: oars, singular: oar, shortNames: [oar8]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {scale: {specReplicasPath: .spec.blades, statusReplicasPath: .status.blades}, status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {blades: {type: integer, default: 1}}}
          status: {type: object, properties: {blades: {type: integer}}}
---
apiVersion: v1
kind: Secret
metadata: {name: knot}
stringData: {a: b}
"""
    path = tmp_path_factory.mktemp("kr8s") / "all.yaml"
    path.write_text(manifest)
    definition, secret = objects_from_files(str(path), api=api)
    definition.create()
    secret.create()
    assert Secret.get("knot", api=api).data.a == "Yg=="
    definition.wait("condition=Established", timeout=20)
    kind = new_class("Oar", "kr8s.seaway.dev/v1", namespaced=True, scalable=True, scalable_spec="blades")
    oar = kind({"metadata": {"name": "a"}, "spec": {}}, api=api)
    oar.create()
    assert oar.spec.blades == 1
    oar.scale(2)
    oar.patch({"status": {"blades": 2}}, subresource="status")
    assert kind.get("a", api=api).status.blades == 2
    assert api.lookup_kind("oar8") == ("oar.kr8s.seaway.dev/v1", "oars", True)
    again = object_from_spec(oar.to_dict(), api=api)
    again.delete()
    again.wait("delete", timeout=10)
    definition.delete()


def test_watches_in_the_asynchronous_style(kubeconfig: str, namespace: str) -> None:
    async def work() -> None:
        api = await kr8s.asyncio.api(kubeconfig=kubeconfig, namespace=namespace)
        heard: list[tuple[str, str]] = []

        async def listen() -> None:
            async for kind, found in api.async_watch("configmaps", label_selector="watched=yes"):
                heard.append((kind, found.name))
                if len(heard) == 3:
                    return

        listening = asyncio.ensure_future(listen())
        made = await kr8s.asyncio.objects.ConfigMap({"metadata": {"name": "w", "labels": {"watched": "yes"}}, "data": {}}, api=api)
        await made.create()
        while not heard:
            await asyncio.sleep(0.05)
        await made.patch({"data": {"k": "v"}})
        await made.delete()
        await asyncio.wait_for(listening, 20)
        assert heard == [("ADDED", "w"), ("MODIFIED", "w"), ("DELETED", "w")]
        who = await api.whoami()
        assert who

    asyncio.run(asyncio.wait_for(work(), 60))
