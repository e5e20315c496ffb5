"""What a new cluster holds: system namespaces, roles and bindings, the `kubernetes` Service and its endpoints, add-ons.

Everything is created where it is absent; what people have changed stays as it is. What an earlier version gave and this one
does not goes.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from importlib import resources
from typing import Any

import yaml

from seaway.api import kinds
from seaway.api.tree import condition
from seaway.cluster.apiserver import discovery
from seaway.cluster.apiserver.authz import RBAC, SYSTEM
from seaway.cluster.apiserver.bodies import load_yaml
from seaway.cluster.apiserver.nodeauthz import RULES
from seaway.cluster.apiserver.status import ApiError
from seaway.cluster.apiserver.verbs import Call, Verbs
from seaway.cluster.layout import API_PORT, Layout

Tree = dict[str, Any]
MANAGER = "kube-apiserver"
WITHDRAWN = ("seaway:node",)
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


def _documents(folder: str) -> list[Tree]:
    found = []
    root = resources.files("seaway.deploy").joinpath(folder)
    for entry in sorted(root.iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".yaml"):
            found += [load_yaml(yaml.serialize(node)) for node in yaml.compose_all(entry.read_text(), yaml.SafeLoader)]
    return [d for d in found if d]


def kubernetes_service(layout: Layout) -> list[Tree]:
    """The Service that pods reach the API server by, and its EndpointSlice and Endpoints."""
    primary = layout.kubernetes_address
    family = f"IPv{primary.version}"
    address = str(layout.router[0])
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": str(primary),
            "clusterIPs": [str(primary)],
            "ipFamilies": [family],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": API_PORT}],
        },
    }
    slices = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "addressType": family,
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": API_PORT, "protocol": "TCP"}],
    }
    endpoints = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [
            {"addresses": [{"ip": address}], "ports": [{"name": "https", "port": API_PORT, "protocol": "TCP"}]}
        ],
    }
    return [service, slices, endpoints]


def service_ranges(layout: Layout) -> Tree:
    """The ranges that ClusterIPs come from, as upstream's server tells them (pkg/controlplane/controller/defaultservicecidr)."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes", "finalizers": ["networking.k8s.io/service-cidr-finalizer"]},
        "spec": {"cidrs": [str(r) for r in layout.service_ranges]},
    }


def api_services() -> list[Tree]:
    """An APIService for each group version, as kubectl get apiservices shows them."""
    found: list[Tree] = []
    for group, versions in discovery.group_versions().items():
        for place, version in enumerate(versions):
            spec: Tree = {
                "version": version,
                "groupPriorityMinimum": discovery.PRIORITIES.get(group, discovery.ANY_PRIORITY),
                "versionPriority": 15 * (len(versions) - place),
            }
            if group:
                spec["group"] = group
            labels = {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
            meta: Tree = {"name": f"{version}.{group}", "labels": labels}
            found.append(
                {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": meta, "spec": spec}
            )
    return found


def node_role() -> Tree:
    """What any node may, as a role that is bound to nobody."""
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    meta: Tree = {"name": "system:node", "labels": labels}
    return {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": meta, "rules": copy.deepcopy(RULES)}


def client_authority(ca: str) -> Tree:
    """Whom extension API servers trust as clients (pkg/controlplane/controller/clusterauthenticationtrust)."""
    meta: Tree = {"name": "extension-apiserver-authentication", "namespace": "kube-system"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"client-ca-file": ca}}


# How kube-proxy runs where the Cluster file does not say.
PROXY: dict[str, Any] = {
    "PROXY_MODE": "nftables",
    "PROXY_MIN_SYNC_PERIOD": "0s",
    "CGROUP": "",
}


def _fill(value: Any, names: dict[str, Any]) -> Any:
    """An add-on's document with its variables; a whole value is replaced, never a part of a text."""
    if isinstance(value, dict):
        return {k: _fill(v, names) for k, v in value.items()}
    if isinstance(value, list):
        return [_fill(v, names) for v in value]
    if isinstance(value, str) and value.startswith("${") and value.endswith("}"):
        return names.get(value[2:-1], value)
    return value


def documents(layout: Layout, variables: dict[str, Any], ca: str, folders: Sequence[str] = ()) -> list[Tree]:
    names = {
        **PROXY,
        **variables,
        "DNS_DOMAIN": layout.domain,
        "DNS_ADDRESS": str(layout.dns_addresses[0]),
        "KUBERNETES_HOST": str(layout.router[0]),
        "NODE_LOCAL": ",".join(map(str, layout.node_local)),
        "NODE_LOCAL_HOST": str(layout.node_local[0]) if layout.node_local else "",
        "CLUSTER_CIDR": ",".join(map(str, layout.pod_ranges)),
        "SERVICE_CIDR": ",".join(map(str, layout.service_ranges)),
    }
    found: list[Tree] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n}} for n in NAMESPACES]
    found += [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": n},
            "value": v,
            "preemptionPolicy": "PreemptLowerPriority",
        }
        for n, v in (("system-cluster-critical", 2000000000), ("system-node-critical", 2000001000))
    ]
    found += _documents("rbac")
    found += [node_role(), client_authority(ca)]
    found.append(service_ranges(layout))
    found += kubernetes_service(layout)
    for folder in ("addons", *(["addons/node-local"] if layout.node_local else []), *folders):
        found += [_fill(d, names) for d in _documents(folder)]
    return found


async def _withdraw(verbs: Verbs) -> None:
    """Takes back rights that a kept state has from an earlier version: every node could read every Secret."""
    for resource in ("clusterrolebindings", "clusterroles"):
        kind = kinds.by_resource()[(RBAC, "v1", resource)]
        for name in WITHDRAWN:
            if verbs.storage.newest(kind.group_resource, name) is not None:
                await verbs.delete(Call(kind, "", name, SYSTEM), {})


async def run(verbs: Verbs, layout: Layout, variables: dict[str, Any], ca: str, folders: Sequence[str] = ()) -> None:
    """Creates what is absent. `variables` are the add-ons' arguments that the Cluster file sets, `ca` is the authority
    of clients (PEM), `folders` hold more manifests."""
    await _withdraw(verbs)
    for document in documents(layout, variables, ca, folders):
        await _ensure(verbs, document)
    await asyncio.gather(*(_ensure(verbs, document) for document in api_services()))
    await _ready_ranges(verbs)


async def _ready_ranges(verbs: Verbs) -> None:
    """The condition of the ServiceCIDR `kubernetes`, where it is not there yet."""
    kind = kinds.by_kind()[("networking.k8s.io/v1", "ServiceCIDR")]
    entry = verbs.storage.newest(kind.group_resource, "kubernetes")
    if entry is None or condition(entry.tree, "Ready"):
        return
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "",
        "message": "Kubernetes default Service CIDR is ready",
        "lastTransitionTime": verbs.stamp(),
    }

    def edit(tree: Tree) -> Tree:
        return {**tree, "status": {"conditions": [ready]}}

    await verbs.change(kind, "", "kubernetes", edit, "status", SYSTEM)


async def _ensure(verbs: Verbs, document: Tree) -> None:
    kind = kinds.by_kind()[(document["apiVersion"], document["kind"])]
    meta = document["metadata"]
    namespace = meta.get("namespace", "") if kind.namespaced else ""
    call = Call(kind, namespace, meta["name"], SYSTEM, manager=MANAGER)
    if verbs.storage.newest(kind.group_resource, call.key) is not None:
        return
    try:
        await verbs.create_tree(call, document)
    except ApiError as e:
        if e.code != 409:
            raise RuntimeError(f"bootstrap of {document['kind']} {meta['name']}: {e}") from e
