"""What a cluster's init is to run: a process each, with its place in the network, its sockets and its arguments."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from seaway.cluster import layout as layouts
from seaway.cluster import policies
from seaway.cluster.config import ApiServer, ClusterConfig, ConfigError, Gateway
from seaway.cluster.layout import Layout
from seaway.cluster.node import cgroups, debian
from seaway.cluster.place import Place

Tree = dict[str, Any]


class Publish(NamedTuple):
    """A loopback port of the host and the Service port that it leads to."""

    host_port: int
    namespace: str
    service: str
    port: str

    @classmethod
    def parse(cls, text: str) -> Publish:
        """From `HOSTPORT:NAMESPACE/SERVICE:PORT`."""
        host_port, _, rest = text.partition(":")
        target, _, port = rest.partition(":")
        namespace, slash, service = target.partition("/")
        whole = host_port.isdecimal() and 0 < int(host_port) < 65536 and namespace and slash and service and port
        if not whole or {":", "/"} & set(service + port):
            raise ConfigError(
                f"--publish {text}: must be HOSTPORT:NAMESPACE/SERVICE:PORT, for example 8080:default/web:80"
            )
        return cls(int(host_port), namespace, service, port)


def _logs(logs: ApiServer) -> Tree:
    """The API server's logs, as its arguments."""
    bounds: Tree = {"size": logs.log_size << 20, "kept": logs.log_backups}
    found: Tree = {}
    if logs.audit_log:
        policy = policies.from_file(logs.audit_policy) if logs.audit_policy else None
        found["audit_log"] = {"path": logs.audit_log, "policy": policy, **bounds}
    if logs.request_log:
        found["request_log"] = {"path": logs.request_log, **bounds}
    return found


def gateway_arguments(gateway: Gateway) -> list[str]:
    """The gateway's, in its pod: fleets are small here, unless something else is chosen."""
    small = {"replicas": "1", "concurrency": "1", "settleSeconds": "2", "drainSeconds": "20"}  # parameters.SMALL
    chosen = {**small, **gateway.parameters}
    own = ("seaway.dev/gateway-controller", *gateway.controller_names) if gateway.controller_names else ()
    ingress = ("seaway.dev/ingress-controller", *gateway.ingress_controllers) if gateway.ingress_controllers else ()
    return [
        "gateway",
        *(f"--controller-name={name}" for name in own),
        *(f"--ingress-controller={name}" for name in ingress),
        *(f"--parameter={key}={value}" for key, value in chosen.items()),
    ]


def processes(
    where: Place, config: ClusterConfig, layout: Layout, data: Path, store: Path, published: Mapping[str, Publish]
) -> list[Tree]:
    """What init is to run."""
    text = layouts.dump(layout)
    pki, folder, private = str(where.folder / "pki"), str(where.folder / "kubeconfigs"), str(where.private)
    found: list[Tree] = [
        {
            "name": "apiserver",
            "target": "seaway.cluster.apiserver.main:main",
            "netns": None,
            "fds": ["api-host", *(f"api-{i}" for i in range(len(layout.router)))],
            "args": {
                "layout": text,
                "data": str(data),
                "pki": pki,
                **_logs(config.components.api_server),
                "gateway_api": config.gateway_api,
                "folders": ["gateway", *(["addons/gateway"] if config.gateway.enabled else [])],
                "variables": {
                    "GATEWAY_ARGS": gateway_arguments(config.gateway),
                    "PROXY_MIN_SYNC_PERIOD": f"{config.components.proxy_min_sync_period}s",
                    "PROXY_MODE": config.networking.kube_proxy_mode,
                    "CGROUP": f"/{cgroups.name_of(str(where.folder))}",
                },
            },
        },
        {
            "name": "controllers",
            "target": "seaway.cluster.control:main",
            "netns": None,
            "fds": [],
            "args": {
                "kubeconfigs": folder,
                "ca": f"{pki}/ca.crt",
                "ca_key": f"{pki}/ca.key",
                "max_endpoints_per_slice": config.components.max_endpoints_per_slice,
                "nodeLifecycle": asdict(config.components.node_lifecycle),
            },
        },
    ]
    found.append(
        {
            "name": "cloud",
            "target": "seaway.cluster.cloud.run:main",
            "netns": None,
            "fds": [],
            "args": {"layout": text, "kubeconfig": f"{folder}/cloud", "outside": f"{private}/ns/outside"},
        }
    )
    for node in layout.nodes:
        found.append(
            {
                "name": f"agent-{node.name}",
                "target": "seaway.cluster.node.agent:main",
                "netns": node.netns,
                "fds": [],
                "args": {
                    "layout": text,
                    "node": node.index,
                    "private": private,
                    "pki": pki,
                    "kubeconfig": f"{folder}/node-{node.name}",
                    "images": dict(config.images),
                    "store": str(store),
                    "cache": debian.cache(),
                    "fetcher": str(where.folder / "fetch.sock"),
                    "shutdown": str(where.shutdown(node.name)),
                    "rootless": os.geteuid() != 0,
                    "cgroup": cgroups.name_of(str(where.folder)),
                    "leaseSeconds": config.components.node_lifecycle.lease_duration,
                },
            }
        )
    if published:
        targets = {
            name: {"namespace": p.namespace, "service": p.service, "port": p.port} for name, p in published.items()
        }
        found.append(
            {
                "name": "publish",
                "target": "seaway.cluster.publish:main",
                "netns": layout.nodes[0].netns,
                "fds": sorted(published),
                "args": {"kubeconfig": f"{folder}/publish", "targets": targets},
            }
        )
    return found
