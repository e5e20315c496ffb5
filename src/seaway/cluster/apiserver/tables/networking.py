"""Tables of Ingresses, IngressClasses and NetworkPolicies (pkg/printers/internalversion); pure."""

from __future__ import annotations

from seaway.api.tree import get
from seaway.cluster.apiserver.tables.cells import (
    AGE,
    NAME,
    NONE,
    SHOWN,
    Column,
    S,
    Tree,
    at,
    format_selector,
    granted,
)


def ingress_hosts(tree: Tree, now: float) -> str:
    """The first hosts; what is said to be more counts rules, with a host or without."""
    rules = get(tree, "spec", "rules") or ()
    hosts: list[str] = []
    more = False
    for rule in rules:
        more = more or len(hosts) == SHOWN
        if not more and rule.get("host"):
            hosts.append(rule["host"])
    if not hosts:
        return "*"
    return ",".join(hosts) + (f" + {len(rules) - SHOWN} more..." if more else "")


def class_parameters(tree: Tree, now: float) -> str:
    ref = get(tree, "spec", "parameters")
    if not ref:
        return NONE
    kind = str(ref.get("kind", "")) + (f".{ref['apiGroup']}" if ref.get("apiGroup") is not None else "")
    return f"{kind}/{ref.get('name', '')}"


COLUMNS = {
    "ingresses.networking.k8s.io": (
        NAME,
        Column("Class", S, 0, at("spec", "ingressClassName", default=NONE)),
        Column("Hosts", S, 0, ingress_hosts),
        Column("Address", S, 0, lambda t, n: ",".join(granted(t))),
        Column("Ports", S, 0, lambda t, n: "80, 443" if get(t, "spec", "tls") else "80"),
        AGE,
    ),
    "ingressclasses.networking.k8s.io": (
        NAME,
        Column("Controller", S, 0, at("spec", "controller")),
        Column("Parameters", S, 0, class_parameters),
        AGE,
    ),
    "networkpolicies.networking.k8s.io": (
        NAME,
        Column("Pod-Selector", S, 0, lambda t, n: format_selector(get(t, "spec", "podSelector") or {})),
        AGE,
    ),
}
