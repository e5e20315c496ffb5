"""The cluster's DNS is told what to do as in other clusters: by the ConfigMap `coredns`."""

from __future__ import annotations

import json

import pytest
from clusters import CLIENT, Cluster, wait_for

pytestmark = pytest.mark.e2e
SEVEN = "        hosts {\n          192.0.2.7 seven.example\n          fallthrough\n        }\n"


def test_the_corefile_in_the_configmap_is_what_the_cluster_answers_by() -> None:
    with Cluster("--nodes", "1", "--dns-upstream", "none") as cluster:
        cluster.apply(CLIENT)
        cluster.namespace = "kube-system"
        held = cluster.get("configmap", "coredns")
        held["data"]["Corefile"] = held["data"]["Corefile"].replace("    ready\n", "    ready\n" + SEVEN)
        held["metadata"] = {"name": "coredns", "namespace": "kube-system"}
        cluster.kubectl("replace", "-f", "-", text=json.dumps(held))
        cluster.kubectl("rollout", "restart", "deployment/seaway-dns")
        cluster.rollout("deployment/seaway-dns")
        cluster.namespace = "default"
        cluster.ready("client")
        wait_for(lambda: cluster.exec("client", "getent", "hosts", "seven.example", check=False).split()[:1] == ["192.0.2.7"])
        assert cluster.exec("client", "getent", "hosts", "kubernetes").split()[1:] == ["kubernetes.default.svc.cluster.local"]
