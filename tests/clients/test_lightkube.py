"""lightkube, unmodified: typed models, apply, generic resources, watches, logs."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from clusters import Cluster, wait_for
from lightkube import ApiError, Client, KubeConfig, codecs
from lightkube.core.exceptions import ConfigError
from lightkube.generic_resource import (
    create_namespaced_resource,
    get_generic_resource,
    load_in_cluster_generic_resources,
)
from lightkube.models.apps_v1 import DeploymentSpec
from lightkube.models.autoscaling_v1 import ScaleSpec
from lightkube.models.core_v1 import Container, ContainerPort, PodSpec, PodTemplateSpec
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.operators import exists, in_, not_equal
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace, Node, Pod, Secret
from lightkube.types import CascadeType, PatchType

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def light(kubeconfig: str, namespace: str) -> Iterator[Client]:
    yield Client(config=KubeConfig.from_file(kubeconfig), namespace=namespace, field_manager="lightkube")


def configmap(name: str, **labels: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, labels=labels), data={"name": name})


def test_objects_are_made_applied_scaled_and_waited_for(light: Client) -> None:
    labels = {"app": "web"}
    container = Container(name="web", image="traefik/whoami", ports=[ContainerPort(containerPort=80)])
    pod = PodTemplateSpec(metadata=ObjectMeta(labels=labels), spec=PodSpec(containers=[container], terminationGracePeriodSeconds=0))
    spec = DeploymentSpec(replicas=1, selector=LabelSelector(matchLabels=labels), template=pod)
    made = light.apply(Deployment(metadata=ObjectMeta(name="web"), spec=spec))
    assert made.metadata.managedFields[0].manager == "lightkube" and made.spec.strategy.type == "RollingUpdate"
    available = light.wait(Deployment, "web", for_conditions=["Available"])
    assert available.status.availableReplicas == 1
    light.patch(Deployment.Scale, "web", Deployment.Scale(spec=ScaleSpec(replicas=2)), patch_type=PatchType.MERGE)
    assert light.get(Deployment.Scale, "web").spec.replicas == 2
    wait_for(lambda: light.get(Deployment.Status, "web").status.readyReplicas == 2, 20, "both are ready")
    with pytest.raises(ApiError) as conflict:
        light.apply(Deployment(metadata=ObjectMeta(name="web"), spec=DeploymentSpec(replicas=3, selector=None, template=None)), field_manager="other")
    assert conflict.value.status.code == 409 and conflict.value.status.reason == "Conflict"
    name = next(iter(light.list(Pod, labels=labels))).metadata.name
    assert light.get(Pod, name).spec.nodeName == next(iter(light.list(Node))).metadata.name
    light.delete(Deployment, "web", cascade=CascadeType.FOREGROUND)
    wait_for(lambda: not list(light.list(Pod, labels=labels)), 20, "the pods are gone")


def test_lists_selectors_and_patches(light: Client, namespace: str) -> None:
    for i in range(6):
        light.create(configmap(f"c{i}", number=str(i), even=str(i % 2 == 0)))
    assert [c.metadata.name for c in light.list(ConfigMap, labels={"number": exists()}, chunk_size=2)] == [f"c{i}" for i in range(6)]
    found = light.list(ConfigMap, labels={"number": in_(["1", "2"]), "even": "True"})
    assert [c.metadata.name for c in found] == ["c2"]
    found = light.list(ConfigMap, labels={"number": exists()}, fields={"metadata.name": not_equal("c0")})
    assert len(list(found)) == 5
    assert "c1" in {c.metadata.name for c in light.list(ConfigMap, namespace="*") if c.metadata.namespace == namespace}
    changed = light.patch(ConfigMap, "c0", {"data": {"name": None, "new": "1"}}, patch_type=PatchType.MERGE)
    assert changed.data == {"new": "1"}
    changed = light.patch(ConfigMap, "c0", [{"op": "add", "path": "/data/more", "value": "2"}], patch_type=PatchType.JSON)
    assert changed.data == {"new": "1", "more": "2"}
    light.set(ConfigMap, "c0", labels={"set": "3", "even": None})
    assert light.get(ConfigMap, "c0").metadata.labels == {"number": "0", "set": "3"}
    changed.data = {"stale": "1"}
    with pytest.raises(ApiError) as conflict:
        light.replace(changed)
    assert conflict.value.status.code == 409
    light.deletecollection(ConfigMap)
    assert not list(light.list(ConfigMap, labels={"number": exists()}))
    with pytest.raises(ApiError) as missing:
        light.get(ConfigMap, "c0")
    assert missing.value.status.details.name == "c0"


def test_watches_go_on_and_logs_are_read(light: Client) -> None:
    end = time.monotonic() + 30
    listed = light.list(ConfigMap)
    while "kube-root-ca.crt" not in {c.metadata.name for c in listed}:
        assert time.monotonic() < end, "a controller writes it into each namespace"
        time.sleep(0.05)
        listed = light.list(ConfigMap)
    began = listed.resourceVersion
    for name in ("w0", "w1"):
        light.create(configmap(name, watched="yes"))
    light.delete(ConfigMap, "w0")
    events = light.watch(ConfigMap, labels={"watched": "yes"}, resource_version=began)
    assert [(kind, c.metadata.name) for kind, c in (next(events) for _ in range(3))] == [("ADDED", "w0"), ("ADDED", "w1"), ("DELETED", "w0")]
    command = ["sh", "-c", "for i in 1 2 3; do echo line $i; done"]
    pod = Pod(metadata=ObjectMeta(name="talker"), spec=PodSpec(restartPolicy="Never", containers=[Container(name="sh", image="busybox", command=command)]))
    light.create(pod)
    wait_for(lambda: light.get(Pod, "talker").status.phase == "Succeeded", 20, "the pod is over")
    assert list(light.log("talker", tail_lines=2)) == ["line 2\n", "line 3\n"]
    assert list(light.log("talker", follow=True)) == ["line 1\n", "line 2\n", "line 3\n"]


def test_custom_resources_and_manifests(light: Client, cluster: Cluster) -> None:
    """Definitions from a manifest, generic resources declared and loaded from the cluster, their status."""
    manifest = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: lanterns.light.seaway.dev}
spec:
  group: light.seaway.dev
  scope: Namespaced
  names: {kind: Lantern, plural: lanterns, listKind: LanternList, singular: lantern}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {oil: {type: integer, default: 3}}}
          status: {type: object, properties: {lit: {type: boolean}}}
---
apiVersion: v1
kind: Secret
metadata: {name: wick}
stringData: {a: b}
"""
    for found in codecs.load_all_yaml(manifest):
        light.apply(found)
    assert light.get(Secret, "wick").data == {"a": "Yg=="}
    cluster.kubectl("wait", "--for=condition=Established", "crd/lanterns.light.seaway.dev", "--timeout=20s")
    kind = create_namespaced_resource("light.seaway.dev", "v1", "Lantern", "lanterns")
    made = light.create(kind(metadata=ObjectMeta(name="a"), spec={}))
    assert made.spec == {"oil": 3}
    lit = light.patch(kind.Status, "a", {"status": {"lit": True}, "spec": {"oil": 9}}, patch_type=PatchType.MERGE)
    assert lit.status == {"lit": True} and light.get(kind, "a").spec == {"oil": 3}
    load_in_cluster_generic_resources(light)
    assert get_generic_resource("light.seaway.dev/v1", "Lantern") is not None
    applied = light.apply(kind(metadata=ObjectMeta(name="a"), spec={"oil": 4}), force=True)
    assert applied.spec == {"oil": 4} and applied.status == {"lit": True}
    light.delete(kind, "a")
    with pytest.raises(ApiError):
        light.get(kind, "a")
    cluster.kubectl("delete", "crd", "lanterns.light.seaway.dev")


def test_a_context_that_is_not_there_is_said(kubeconfig: str) -> None:
    with pytest.raises(ConfigError):
        KubeConfig.from_file(kubeconfig).get(context_name="nothing")
    assert Namespace._api_info.plural == "namespaces"
