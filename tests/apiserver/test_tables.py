"""Tables: the cells of each area, as (resource, object, what the row says)."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.api import kinds
from seaway.api.tree import stamp
from seaway.cluster.apiserver import tables

NOW = 1_700_000_000.0
MADE = stamp(NOW - 300)
Tree = dict[str, Any]


def shown(resource: str, tree: Tree) -> Tree:
    """Column name -> cell."""
    meta = {"name": "x", "creationTimestamp": MADE, **tree.get("metadata", {})}
    found = tables.table(resource, [{**tree, "metadata": meta}], {}, NOW, "None")
    names = [c["name"] for c in found["columnDefinitions"]]
    return dict(zip(names, found["rows"][0]["cells"], strict=True))


METRIC = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
CASES: list[tuple[str, Tree, Tree]] = [
    ("services", {"spec": {"type": "LoadBalancer"}}, {"External-IP": "<pending>", "Cluster-IP": "<none>"}),
    (
        "services",
        {
            "spec": {"type": "LoadBalancer", "ports": [{"port": 1, "protocol": "UDP", "nodePort": 30001}]},
            "status": {"loadBalancer": {"ingress": [{"hostname": "z"}, {"ip": "192.0.2.1"}, {"hostname": "z"}]}},
        },
        {"External-IP": "192.0.2.1,z", "Port(s)": "1:30001/UDP"},
    ),
    (
        "services",
        {"spec": {"type": "ExternalName", "externalName": "a.b"}},
        {"External-IP": "a.b", "Port(s)": "<none>"},
    ),
    ("endpoints", {"subsets": [{"addresses": [{"ip": "::1"}], "ports": [{"port": 7}]}]}, {"Endpoints": "[::1]:7"}),
    ("endpoints", {"subsets": [{"addresses": [{"ip": "::1"}]}]}, {"Endpoints": "::1"}),
    ("endpoints", {}, {"Endpoints": "<none>", "Age": "5m"}),
    (
        "ipaddresses.networking.k8s.io",
        {"spec": {"parentRef": {"resource": "services", "namespace": "a", "name": "b"}}},
        {"ParentRef": "services/a/b"},
    ),
    (
        "servicecidrs.networking.k8s.io",
        {"spec": {"cidrs": ["10.0.0.0/24", "fd00::/64"]}},
        {"CIDRs": "10.0.0.0/24,fd00::/64"},
    ),
    (
        "ingresses.networking.k8s.io",
        {"spec": {"rules": [{"host": h} for h in "abcde"], "tls": [{}]}},
        {"Hosts": "a,b,c + 2 more...", "Ports": "80, 443", "Class": "<none>", "Address": ""},
    ),
    (
        "ingressclasses.networking.k8s.io",
        {"spec": {"controller": "a.b/c", "parameters": {"apiGroup": "g", "kind": "K", "name": "n"}}},
        {"Controller": "a.b/c", "Parameters": "K.g/n"},
    ),
    (
        "networkpolicies.networking.k8s.io",
        {
            "spec": {
                "podSelector": {"matchLabels": {"z": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}
            }
        },
        {"Pod-Selector": "b,z=1"},
    ),
    (
        "resourcequotas",
        {"status": {"hard": {"limits.cpu": "2", "pods": "4", "cpu": "1"}, "used": {"pods": "3"}}},
        {"Request": "cpu: 0/1, pods: 3/4", "Limit": "limits.cpu: 0/2"},
    ),
    (
        "horizontalpodautoscalers.autoscaling",
        {"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "w"}, "maxReplicas": 9, "metrics": [METRIC] * 3}},
        {
            "Reference": "Deployment/w",
            "Targets": "cpu: <unknown>/80%, cpu: <unknown>/80% + 1 more...",
            "MinPods": "<unset>",
            "MaxPods": 9,
            "Replicas": 0,
        },
    ),
    (
        "horizontalpodautoscalers.autoscaling",
        {
            "spec": {"metrics": [METRIC]},
            "status": {"currentMetrics": [{"type": "Resource", "resource": {"current": {"averageUtilization": 12}}}]},
        },
        {"Targets": "cpu: 12%/80%"},
    ),
    (
        "events",
        {
            "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.x"},
            "eventTime": stamp(NOW - 7),
            "reportingComponent": "c",
            "reportingInstance": "i",
            "message": " hello\n",
        },
        {"Last Seen": "7s", "First Seen": "7s", "Object": "pod/p", "Source": "c, i", "Message": "hello", "Count": 1},
    ),
    (
        "events",
        {
            "involvedObject": {"kind": "Node"},
            "firstTimestamp": stamp(NOW - 90),
            "lastTimestamp": stamp(NOW - 9),
            "count": 3,
        },
        {"Last Seen": "9s", "First Seen": "90s", "Object": "node", "Count": 3},
    ),
    (
        "nodes",
        {
            "metadata": {"labels": {"node-role.kubernetes.io/b": "", "kubernetes.io/role": "a"}},
            "spec": {"unschedulable": True},
            "status": {
                "conditions": [{"type": "Ready", "status": "Unknown"}],
                "nodeInfo": {"kernelVersion": "6.1", "architecture": "arm64"},
            },
        },
        {
            "Status": "NotReady,SchedulingDisabled",
            "Roles": "a,b",
            "Kernel-Version": "6.1 (arm64)",
            "OS-Image": "<unknown>",
        },
    ),
    (
        "persistentvolumeclaims",
        {
            "spec": {"volumeName": "v", "storageClassName": "fast", "volumeMode": "Block"},
            "status": {
                "phase": "Bound",
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
            },
        },
        {
            "Status": "Bound",
            "Capacity": "1Gi",
            "Access Modes": "RWO,RWX",
            "StorageClass": "fast",
            "VolumeMode": "Block",
        },
    ),
    (
        "persistentvolumeclaims",
        {"status": {"phase": "Pending", "capacity": {"storage": "1Gi"}}},
        {"Status": "Pending", "Capacity": "", "VolumeAttributesClass": "<unset>"},
    ),
    (
        "persistentvolumes",
        {"spec": {"capacity": {"storage": "2Gi"}, "claimRef": {"namespace": "a", "name": "b"}}},
        {"Capacity": "2Gi", "Claim": "a/b", "Status": ""},
    ),
    (
        "storageclasses.storage.k8s.io",
        {"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": "p"},
        {
            "Name": "x (default)",
            "ReclaimPolicy": "Delete",
            "VolumeBindingMode": "Immediate",
            "AllowVolumeExpansion": False,
        },
    ),
    (
        "csidrivers.storage.k8s.io",
        {"spec": {}},
        {"AttachRequired": True, "TokenRequests": "<unset>", "Modes": "<none>"},
    ),
    (
        "clusterrolebindings.rbac.authorization.k8s.io",
        {
            "roleRef": {"kind": "ClusterRole", "name": "r"},
            "subjects": [
                {"kind": "User", "name": "u"},
                {"kind": "ServiceAccount", "namespace": "n", "name": "s"},
                {"kind": "User", "name": "v"},
            ],
        },
        {"Role": "ClusterRole/r", "Users": "u, v", "Groups": "", "ServiceAccounts": "n/s"},
    ),
    (
        "certificatesigningrequests.certificates.k8s.io",
        {
            "spec": {"signerName": "a/b", "username": "u", "expirationSeconds": 86400 * 3},
            "status": {"conditions": [{"type": "Approved"}], "certificate": "eA=="},
        },
        {"Condition": "Approved,Issued", "RequestedDuration": "3d", "Requestor": "u"},
    ),
    (
        "validatingadmissionpolicybindings.admissionregistration.k8s.io",
        {"spec": {"policyName": "p", "paramRef": {"name": "n"}}},
        {"PolicyName": "p", "ParamRef": "*/n"},
    ),
    ("limitranges", {}, {"Name": "x", "Created At": MADE}),
]


@pytest.mark.parametrize(("resource", "tree", "cells"), CASES)
def test_cells_say_what_upstreams_printers_say(resource: str, tree: Tree, cells: Tree) -> None:
    found = shown(resource, tree)
    assert {name: found[name] for name in cells} == cells


def test_columns_belong_to_kinds_that_are_served() -> None:
    served = {k.group_resource for k in kinds.builtin()} | {"scales.autoscaling"}
    assert set(tables.COLUMNS) <= served


def test_an_empty_object_makes_a_row_in_every_table() -> None:
    for resource in tables.COLUMNS:
        found = tables.table(resource, [{"metadata": {"name": "x"}}], {}, NOW, "None")
        assert len(found["rows"][0]["cells"]) == len(found["columnDefinitions"])


def test_a_list_without_a_printer_has_no_rows_when_it_is_empty() -> None:
    assert tables.table("limitranges", [], {}, NOW, "None")["rows"] is None
    assert tables.table("configmaps", [], {}, NOW, "None")["rows"] == []
