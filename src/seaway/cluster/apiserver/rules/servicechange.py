"""Updates of Services: what they keep, what a new type drops, what may not change (pkg/registry/core/service); pure.

In order: `keep_allocated` and `align_cluster_ips` before addresses are given out, `drop_unneeded` after, then `causes`.
"""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver.rules.service import EXTERNAL, HEADLESS, class_causes, is_headless, needs_health_check
from seaway.cluster.apiserver.status import Cause, not_permitted, wrong

Tree = dict[str, Any]
ONCE = "may not change once set"


def has_cluster_ip(spec: Tree) -> bool:
    return spec.get("type") != "ExternalName"


def gives_node_ports(spec: Tree) -> bool:
    if spec.get("type") == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts") is not False
    return spec.get("type") == "NodePort"


def _node_ports(spec: Tree) -> set[int]:
    return {p["nodePort"] for p in spec.get("ports") or () if p.get("nodePort")}


def keep_allocated(spec: Tree, before: Tree) -> None:
    """An update that does not say a value which was given out keeps it, so that one manifest can be applied twice."""
    if has_cluster_ip(before) and has_cluster_ip(spec):
        for name in ("clusterIP", "clusterIPs"):
            if not spec.get(name) and before.get(name):
                spec[name] = before[name]
    if gives_node_ports(before) and gives_node_ports(spec):
        used = _node_ports(before) & _node_ports(spec)
        by_name = {p.get("name", ""): p.get("nodePort") for p in before.get("ports") or ()}
        for port in spec.get("ports") or ():
            number = by_name.get(port.get("name", ""))
            if not port.get("nodePort") and number and number not in used:
                port["nodePort"] = number
    number = before.get("healthCheckNodePort")
    if number and needs_health_check(before) and needs_health_check(spec) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = number


def align_cluster_ips(spec: Tree, before: Tree | None) -> None:
    """clusterIP and clusterIPs brought in line, for clients that know the singular only."""
    if before is None:
        if spec.get("clusterIP") and not spec.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        return
    same = (spec.get("clusterIPs") or []) == (before.get("clusterIPs") or [])
    if before.get("clusterIPs") and not spec.get("clusterIPs") and spec.get("clusterIP") == before.get("clusterIP"):
        spec["clusterIPs"] = before["clusterIPs"]
    if spec.get("clusterIP") != before.get("clusterIP") and same:
        if spec.get("clusterIP"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        else:
            spec.pop("clusterIPs", None)


def drop_unneeded(tree: Tree, old: Tree) -> None:
    """A type that has no use for a field loses it, unless the update itself changed it."""
    spec, before = tree["spec"], old["spec"]

    def drop(when: bool, *names: str) -> None:
        for name in names:
            if when and spec.get(name) == before.get(name):
                spec.pop(name, None)

    if has_cluster_ip(before) and not has_cluster_ip(spec):
        if (spec.get("clusterIPs") or []) == (before.get("clusterIPs") or []):
            spec.pop("clusterIP", None)
            spec.pop("clusterIPs", None)
        drop(True, "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")
    kind, was = spec["type"], before["type"]
    if was in EXTERNAL and kind not in EXTERNAL and _node_ports(spec) <= _node_ports(before):
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
    drop(needs_health_check(before) and not needs_health_check(spec), "healthCheckNodePort")
    leaves = was == "LoadBalancer" and kind != "LoadBalancer"
    drop(leaves, "allocateLoadBalancerNodePorts", "loadBalancerClass")
    external = kind in EXTERNAL or (kind == "ClusterIP" and bool(spec.get("externalIPs")))
    had = was in EXTERNAL or (was == "ClusterIP" and bool(before.get("externalIPs")))
    drop(had and not external, "externalTrafficPolicy")
    balancer = (tree.get("status") or {}).get("loadBalancer") or {}
    if kind != "LoadBalancer" and "ingress" in balancer:
        tree["status"] = {**tree["status"], "loadBalancer": {k: v for k, v in balancer.items() if k != "ingress"}}


def causes(tree: Tree, old: Tree) -> list[Cause]:
    """What may not change."""
    spec, before = tree["spec"], old["spec"]
    found = _cluster_ip_causes(spec, before) + _family_causes(spec, before)
    if spec["type"] == before["type"] == "LoadBalancer" and spec.get("loadBalancerClass") != before.get(
        "loadBalancerClass"
    ):
        found.append(wrong("spec.loadBalancerClass", spec.get("loadBalancerClass"), ONCE))
    found += class_causes(spec)
    checked = needs_health_check(spec) and needs_health_check(before)
    if checked and spec.get("healthCheckNodePort") != before.get("healthCheckNodePort"):
        found.append(not_permitted("spec.healthCheckNodePort", "field is immutable"))
    return found


def _changed(path: str, new: list[str], was: list[str], noun: str, policy: str | None, unset: bool) -> list[Cause]:
    """The rules of a list whose first value stays, whose second may come, and may go with the policy."""
    found: list[Cause] = []
    if len(new) == len(was):
        return [wrong(f"{path}[{i}]", new, ONCE) for i, value in enumerate(was) if new[i] != value]
    if unset and len(new) < len(was):
        found.append(wrong(f"{path}[0]", new or None, f"primary {noun} can not be unset"))
    if new and was and new[0] != was[0]:
        found.append(wrong(f"{path}[0]", new, ONCE))
    if len(new) == 1 and len(was) == 2 and policy != "SingleStack":
        why = f"`ipFamilyPolicy` must be set to 'SingleStack' when releasing the secondary {noun}"
        found.append(wrong(f"{path}[1]", new, why))
    return found


def _cluster_ip_causes(spec: Tree, before: Tree) -> list[Cause]:
    if not (has_cluster_ip(spec) and has_cluster_ip(before)) or (is_headless(spec) and is_headless(before)):
        return []
    new, was = spec.get("clusterIPs") or [], before.get("clusterIPs") or []
    return _changed("spec.clusterIPs", new, was, "clusterIP", spec.get("ipFamilyPolicy"), not new)


def _family_causes(spec: Tree, before: Tree) -> list[Cause]:
    if not (has_cluster_ip(spec) and has_cluster_ip(before)):
        return []
    free = [s.get("clusterIP") == HEADLESS and not s.get("selector") for s in (spec, before)]
    if all(free):
        return []
    new, was = spec.get("ipFamilies") or [], before.get("ipFamilies") or []
    unset = not (spec.get("clusterIPs") or [])
    return _changed("spec.ipFamilies", new, was, "ipFamily", spec.get("ipFamilyPolicy"), unset)
