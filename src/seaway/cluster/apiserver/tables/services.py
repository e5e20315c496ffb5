"""Tables of Services, their endpoints and their addresses (pkg/printers/internalversion); pure."""

from __future__ import annotations

from seaway.api.tree import get
from seaway.cluster.apiserver.tables.cells import (
    AGE,
    NAME,
    NONE,
    SHOWN,
    UNKNOWN,
    UNSET,
    Column,
    S,
    Tree,
    at,
    granted,
    labels_text,
    some,
)


def service_external(tree: Tree, now: float) -> str:
    spec = tree.get("spec") or {}
    kind, addresses = spec.get("type"), list(spec.get("externalIPs") or ())
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    if kind == "LoadBalancer":
        return ",".join(granted(tree) + addresses) or "<pending>"
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(addresses) or NONE
    return UNKNOWN


def service_ports(tree: Tree, now: float) -> str:
    found = []
    for p in get(tree, "spec", "ports") or ():
        node = f":{p['nodePort']}" if p.get("nodePort") else ""
        found.append(f"{p['port']}{node}/{p.get('protocol', 'TCP')}")
    return ",".join(found) or NONE


def endpoints_text(tree: Tree, now: float) -> str:
    if not tree.get("subsets"):
        return NONE
    found: list[str] = []
    for subset in tree["subsets"]:
        for port in subset.get("ports") or [None]:
            for address in subset.get("addresses") or ():
                ip = address["ip"]
                host = f"[{ip}]" if ":" in ip and port else ip
                found.append(f"{host}:{port['port']}" if port else ip)
    more = f" + {len(found) - SHOWN} more..." if len(found) > SHOWN else ""
    return ",".join(found[:SHOWN]) + more


def slice_ports(tree: Tree, now: float) -> str:
    found = [str(p["port"] if p.get("port") is not None else p.get("name", "*")) for p in tree.get("ports") or ()]
    return some(found, UNSET)


def slice_endpoints(tree: Tree, now: float) -> str:
    return some([a for e in tree.get("endpoints") or () for a in e.get("addresses") or ()], UNSET)


def parent_ref(tree: Tree, now: float) -> str:
    ref = get(tree, "spec", "parentRef")
    if not ref:
        return NONE
    resource = ".".join(filter(None, (ref.get("resource", ""), ref.get("group", "")))).lower()
    return "/".join([resource, *filter(None, (ref.get("namespace"),)), ref.get("name", "")])


COLUMNS = {
    "services": (
        NAME,
        Column("Type", S, 0, at("spec", "type")),
        Column("Cluster-IP", S, 0, lambda t, n: get(t, "spec", "clusterIP") or NONE),
        Column("External-IP", S, 0, service_external),
        Column("Port(s)", S, 0, service_ports),
        AGE,
        Column("Selector", S, 1, lambda t, n: labels_text(get(t, "spec", "selector"))),
    ),
    "endpoints": (NAME, Column("Endpoints", S, 0, endpoints_text), AGE),
    "endpointslices.discovery.k8s.io": (
        NAME,
        Column("AddressType", S, 0, at("addressType")),
        Column("Ports", S, 0, slice_ports),
        Column("Endpoints", S, 0, slice_endpoints),
        AGE,
    ),
    "servicecidrs.networking.k8s.io": (
        NAME,
        Column("CIDRs", S, 0, lambda t, n: ",".join(get(t, "spec", "cidrs") or ())),
        AGE,
    ),
    "ipaddresses.networking.k8s.io": (NAME, Column("ParentRef", S, 0, parent_ref)),
}
