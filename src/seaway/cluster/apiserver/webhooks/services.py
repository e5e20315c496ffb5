"""Where a Service's webhook answers: at its endpoints, since ClusterIPs mean something on nodes only; pure.

As the aggregator does with --enable-aggregator-routing (k8s.io/apiserver pkg/util/proxy ResolveEndpoint).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seaway.cluster.apiserver.webhooks.configured import Service
from seaway.cluster.apiserver.webhooks.exchange import Unusable

Tree = dict[str, Any]
SLICE_OF = "kubernetes.io/service-name"


def endpoints(where: Service, service: Tree | None, slices: Iterable[Tree]) -> list[tuple[str, int]]:
    """(address, port) of each ready endpoint, sorted; Unusable where there is none. `slices`: those of the namespace."""
    if service is None:
        raise Unusable(f'service "{where.name}" not found')
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        raise Unusable('unsupported service type "ExternalName"')
    port = next((p for p in spec.get("ports") or () if p.get("port") == where.port), None)
    if port is None:
        raise Unusable(f'no service port {where.port} found for service "{where.name}"')
    found: set[tuple[str, int]] = set()
    for piece in slices:
        if ((piece.get("metadata") or {}).get("labels") or {}).get(SLICE_OF) != where.name:
            continue
        numbers = [p["port"] for p in piece.get("ports") or () if p.get("port") and _same_port(p, port)]
        for endpoint in piece.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is not False:
                found |= {(address, n) for address in (endpoint.get("addresses") or ())[:1] for n in numbers}
    if not found:
        raise Unusable(f'no endpoints available for service "{where.name}"')
    return sorted(found)


def _same_port(of_slice: Tree, of_service: Tree) -> bool:
    return (of_slice.get("name") or "") == (of_service.get("name") or "")
