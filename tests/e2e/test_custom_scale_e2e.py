"""Custom resources that are scaled: by an autoscaler's bounds, counted by a budget, and still there after kills."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

from clusters import Cluster, wait_for

GROUP = "scale.example.com"
CRD = f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: fleets.{GROUP}}}
spec:
  group: {GROUP}
  scope: Namespaced
  names: {{plural: fleets, kind: Fleet}}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {{type: object, properties: {{ships: {{type: integer}}}}}}
          status: {{type: object, x-kubernetes-preserve-unknown-fields: true}}
    subresources: {{status: {{}}, scale: {{specReplicasPath: .spec.ships, statusReplicasPath: .status.ships}}}}
"""
OBJECTS = f"""
apiVersion: {GROUP}/v1
kind: Fleet
metadata: {{name: f}}
spec: {{ships: 1}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{name: f}}
spec: {{scaleTargetRef: {{apiVersion: {GROUP}/v1, kind: Fleet, name: f}}, minReplicas: 3, maxReplicas: 5}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: f}}
spec: {{maxUnavailable: 1, selector: {{matchLabels: {{app: fleet}}}}}}
"""


def test_autoscalers_and_budgets_read_the_scale_of_custom_resources(cluster: Cluster) -> None:
    cluster.apply(CRD)
    try:
        cluster.kubectl("wait", "--for=condition=Established", f"crd/fleets.{GROUP}", "--timeout=30s")
        cluster.apply(OBJECTS)
        wait_for(lambda: cluster.get("fleet", "f")["spec"]["ships"] == 3, 40, "the autoscaler keeps its lower bound")
        owner = cluster.get("fleet", "f")
        ref = {"apiVersion": f"{GROUP}/v1", "kind": "Fleet", "name": "f", "uid": owner["metadata"]["uid"], "controller": True}
        pod: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "ship", "labels": {"app": "fleet"}, "ownerReferences": [ref]},
            "spec": {"schedulingGates": [{"name": "example.com/never"}], "containers": [{"name": "c", "image": "i"}]},
        }
        cluster.kubectl("create", "-f", "-", text=json.dumps(pod))
        wait_for(lambda: cluster.get("pdb", "f")["status"].get("expectedPods") == 3, 40, "the budget expects the fleet's ships")
        # Both go on after kills of the API server, and the kind is served at once.
        for _ in range(2):
            for pid in cluster.pids("apiserver"):
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: "3" in cluster.kubectl("get", "fleet", "f", "-o", "jsonpath={.spec.ships}", check=False), 30)
        assert cluster.kubectl("explain", "fleet.spec.ships").count("<integer>") == 1
    finally:
        cluster.kubectl("delete", "crd", f"fleets.{GROUP}", "--wait=false", check=False)
    wait_for(lambda: "NotFound" in cluster.kubectl("get", "pod", "ship", check=False), 30, "the owner went with its kind")
