"""The pods of a fleet: a Deployment, or a DaemonSet for nodes that are there for it; pure.

Envoy is nobody there: no root, no capabilities, no writable root, no token. It listens on the Gateway's own ports since the
pod's network lets everybody (net.ipv4.ip_unprivileged_port_start, a safe sysctl); only in a node's network, where there is no
such word, it is root with nothing but NET_BIND_SERVICE.
"""

from __future__ import annotations

from typing import Any

from seaway.gateway.infrastructure import bootstrap
from seaway.gateway.infrastructure.drain import HEADER
from seaway.gateway.infrastructure.values import PROBES, Wanted, labels, selector

Tree = dict[str, Any]
USER = 65532
BOOTSTRAP = "seaway.dev/bootstrap"
AFTER_DRAIN = 10  # seconds of the grace period that are left when draining has taken its longest
ZONE = "topology.kubernetes.io/zone"


def _container(wanted: Wanted) -> Tree:
    parameters = wanted.parameters
    in_node = parameters.host == "network"
    args = [
        "-c",
        f"{bootstrap.FOLDER}/{bootstrap.CONFIG}",
        "--service-node",
        "$(POD_NAMESPACE)/$(POD_NAME)",
        "--service-zone",
        "$(ZONE)",
        "--disable-hot-restart",
        "--log-level",
        "warn",
        # What ends is asked to go at once, not little by little; listeners that change give their connections this long.
        "--drain-strategy",
        "immediate",
        "--drain-time-s",
        str(parameters.drain_seconds),
    ]
    args += ["--concurrency", str(parameters.concurrency)] if parameters.concurrency else ["--cpuset-threads"]
    # Ports of the Gateway are not told: they change without a new pod. Only a node's have to be asked for.
    ports: list[Tree] = [{"name": "probes", "containerPort": PROBES, "protocol": "TCP"}]
    if parameters.host == "port":
        ports += [
            {"name": p.name[:15].strip("-"), "containerPort": p.port, "hostPort": p.port, "protocol": p.protocol}
            for p in wanted.ports
        ]
    elif in_node:
        ports[0]["hostPort"] = PROBES

    def field(name: str, path: str) -> Tree:
        return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}

    return {
        "name": "envoy",
        "image": parameters.image,
        "command": ["envoy"],
        "args": args,
        "env": [
            field("POD_NAME", "metadata.name"),
            field("POD_NAMESPACE", "metadata.namespace"),
            field("ZONE", f"metadata.labels['{ZONE}']"),
        ],
        "ports": ports,
        "resources": dict(parameters.resources),
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": PROBES},
            "periodSeconds": 2,
            "timeoutSeconds": 2,
            "failureThreshold": 2,
        },
        "lifecycle": {
            "preStop": {
                "httpGet": {
                    "path": "/drain",
                    "port": PROBES,
                    "httpHeaders": [{"name": HEADER, "value": wanted.drain_key}],
                }
            }
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], **({"add": ["NET_BIND_SERVICE"]} if in_node else {})},
        },
        "volumeMounts": [
            {"name": "bootstrap", "mountPath": bootstrap.FOLDER, "readOnly": True},
            {"name": "identity", "mountPath": bootstrap.KEYS, "readOnly": True},
            {"name": "run", "mountPath": bootstrap.RUN},
        ],
    }


def _security(wanted: Wanted) -> Tree:
    found: Tree = {"seccompProfile": {"type": "RuntimeDefault"}}
    if wanted.parameters.host == "network":
        return {**found, "runAsUser": 0, "runAsGroup": 0}
    return {
        **found,
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
    }


def _template(wanted: Wanted) -> Tree:
    parameters = wanted.parameters
    spread = parameters.topology_spread
    if spread is None:
        spread = (
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": selector(wanted)},
            },
        )
    spec: Tree = {
        "serviceAccountName": wanted.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": parameters.drain_seconds + AFTER_DRAIN,
        "securityContext": _security(wanted),
        "containers": [_container(wanted)],
        "volumes": [
            {"name": "bootstrap", "configMap": {"name": wanted.name}},
            {"name": "identity", "secret": {"secretName": f"{wanted.name}-xds", "defaultMode": 0o440}},
            {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        ],
    }
    if parameters.host == "network":
        spec |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    if parameters.kind == "Deployment" and spread:
        spec["topologySpreadConstraints"] = list(spread)
    for name, value in (
        ("nodeSelector", dict(parameters.node_selector)),
        ("tolerations", list(parameters.tolerations)),
        ("affinity", dict(parameters.affinity)),
        ("priorityClassName", parameters.priority_class),
    ):
        if value:
            spec[name] = value
    notes = {**dict(wanted.annotations), BOOTSTRAP: bootstrap.fingerprint(bootstrap.files(wanted))}
    return {"metadata": {"labels": labels(wanted), "annotations": dict(sorted(notes.items()))}, "spec": spec}


def workload(wanted: Wanted, metadata: Tree) -> Tree:
    """No Envoy ends before its successor is ready, but where both would need the same port of a node."""
    parameters = wanted.parameters
    apart = {"maxUnavailable": 1, "maxSurge": 0} if parameters.host else {"maxUnavailable": 0, "maxSurge": 1}
    spec: Tree = {"selector": {"matchLabels": selector(wanted)}, "template": _template(wanted)}
    if parameters.kind == "DaemonSet":
        spec["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": apart}
    else:
        spec |= {
            "replicas": parameters.replicas,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": apart},
            "revisionHistoryLimit": 2,
        }
    return {"apiVersion": "apps/v1", "kind": parameters.kind, "metadata": metadata, "spec": spec}
