"""What objects take of a ResourceQuota, and whether one has room; pure (pkg/quota/v1, plugin/pkg/admission/resourcequota).

The API server asks before a create, the controller counts for the status: both by these rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from seaway.api import quantities
from seaway.api.tree import get

Tree = dict[str, Any]
Amounts = dict[str, Fraction]
ONE = Fraction(1)
PLAIN = frozenset(
    "pods services replicationcontrollers resourcequotas secrets configmaps persistentvolumeclaims".split()
)
COMPUTE = ("cpu", "memory", "ephemeral-storage")
CLASS = "storageclass.storage.k8s.io"


def usage(resource: str, tree: Tree) -> Amounts:
    """What one object takes. `resource`: `leases.coordination.k8s.io`."""
    found: Amounts = {f"count/{resource}": ONE}
    if resource == "pods":
        if get(tree, "status", "phase") in ("Succeeded", "Failed"):
            return found
        found.update(_pod(tree))
    if resource in PLAIN:
        found[resource] = ONE
    if resource == "services":
        kind, ports = get(tree, "spec", "type"), get(tree, "spec", "ports") or ()
        if kind == "LoadBalancer":
            found["services.loadbalancers"] = ONE
        if kind == "NodePort":
            found["services.nodeports"] = Fraction(len(ports))
        elif kind == "LoadBalancer":
            drawn = get(tree, "spec", "allocateLoadBalancerNodePorts") is not False
            found["services.nodeports"] = Fraction(sum(1 for p in ports if drawn or p.get("nodePort")))
    if resource == "persistentvolumeclaims":
        found["requests.storage"] = _amount(get(tree, "spec", "resources", "requests", "storage"))
        name = get(tree, "spec", "storageClassName")
        if name:
            found[f"{name}.{CLASS}/requests.storage"] = found["requests.storage"]
            found[f"{name}.{CLASS}/persistentvolumeclaims"] = ONE
    return found


def _amount(text: Any) -> Fraction:
    return quantities.parse(text) if text is not None else Fraction(0)


def _sum(spec: Tree, part: str) -> Amounts:
    """Requests or limits of a pod: its containers together, or its largest init container."""
    total: Amounts = {}
    for container in spec.get("containers") or ():
        for name, text in (get(container, "resources", part) or {}).items():
            total[name] = total.get(name, Fraction(0)) + _amount(text)
    for container in spec.get("initContainers") or ():
        for name, text in (get(container, "resources", part) or {}).items():
            total[name] = max(total.get(name, Fraction(0)), _amount(text))
    return total


def _pod(tree: Tree) -> Amounts:
    requests, limits = _sum(tree["spec"], "requests"), _sum(tree["spec"], "limits")
    found: Amounts = {}
    for name, value in requests.items():
        found[f"requests.{name}"] = value
        if name in COMPUTE:
            found[name] = value
    for name, value in limits.items():
        found[f"limits.{name}"] = value
    return found


def applies(quota: Tree, resource: str, tree: Tree) -> bool:
    """Whether an object is in the scopes of a quota; a scoped quota counts pods alone."""
    spec = quota["spec"]
    terms = [{"scopeName": s, "operator": "Exists"} for s in spec.get("scopes") or ()]
    terms += get(spec, "scopeSelector", "matchExpressions") or []
    if not terms:
        return True
    return resource == "pods" and all(_in_scope(t, tree) for t in terms)


def _in_scope(term: Tree, pod: Tree) -> bool:
    spec, name = pod["spec"], term["scopeName"]
    if name in ("Terminating", "NotTerminating"):
        return bool((spec.get("activeDeadlineSeconds") is not None) == (name == "Terminating"))
    if name in ("BestEffort", "NotBestEffort"):
        some = any(_sum(spec, p) for p in ("requests", "limits"))
        return bool(some == (name == "NotBestEffort"))
    if name == "PriorityClass":
        value, values = spec.get("priorityClassName") or "", term.get("values") or ()
        operator = term.get("operator")
        if operator in ("In", "NotIn"):
            return bool((value in values) == (operator == "In"))
        return bool(bool(value) == (operator != "DoesNotExist"))
    return False


def hard(quota: Tree) -> Mapping[str, str]:
    found: Mapping[str, str] = quota["spec"].get("hard") or {}
    return found


def used(quota: Tree, objects: Mapping[str, Iterable[Tree]]) -> dict[str, str]:
    """The counts of `status.used`. `objects`: those of the quota's namespace, by resource."""
    total: Amounts = {name: Fraction(0) for name in hard(quota)}
    for resource, trees in objects.items():
        for tree in trees:
            if not applies(quota, resource, tree):
                continue
            for name, value in usage(resource, tree).items():
                if name in total:
                    total[name] += value
    return {name: _show(value, hard(quota)[name]) for name, value in sorted(total.items())}


def _show(value: Fraction, like: str) -> str:
    return quantities.render(value, "Mi" if str(like).endswith("i") else "")


def resources_of(quota: Tree) -> set[str]:
    """The resources whose objects a quota counts."""
    found = set()
    for name in hard(quota):
        if name.startswith("count/"):
            found.add(name.removeprefix("count/"))
        elif name in PLAIN:
            found.add(name)
        elif name.startswith("services."):
            found.add("services")
        elif name == "requests.storage" or CLASS in name:
            found.add("persistentvolumeclaims")
        else:
            found.add("pods")
    return found


def refusal(quota: Tree, resource: str, tree: Tree, objects: Mapping[str, Iterable[Tree]]) -> str:
    """Why a new object does not fit; empty where it does."""
    if not applies(quota, resource, tree):
        return ""
    name, limits = quota["metadata"]["name"], hard(quota)
    wanted = {n: v for n, v in usage(resource, tree).items() if n in limits}
    if resource == "pods":
        missing = _unsaid(limits, tree)
        if missing:
            return f"failed quota: {name}: must specify {missing}"
    if not wanted:
        return ""
    now = used(quota, {resource: objects[resource]} if resource in objects else objects)
    over = [n for n in sorted(wanted) if wanted[n] and _amount(now[n]) + wanted[n] > _amount(limits[n])]
    if not over:
        return ""
    asked = ",".join(f"{n}={_show(wanted[n], limits[n])}" for n in over)
    have = ",".join(f"{n}={now[n]}" for n in over)
    most = ",".join(f"{n}={quantities.canonical(limits[n])}" for n in over)
    return f"exceeded quota: {name}, requested: {asked}, used: {have}, limited: {most}"


def _unsaid(limits: Mapping[str, str], pod: Tree) -> str:
    """Compute resources that the quota limits and a container says nothing of, with the containers."""
    found = []
    for name in sorted(limits):
        part, _, resource = name.rpartition(".")
        part = part or "requests"
        if part not in ("requests", "limits") or resource not in COMPUTE[:2]:
            continue
        silent = [
            c["name"]
            for group in ("containers", "initContainers")
            for c in pod["spec"].get(group) or ()
            if resource not in (get(c, "resources", part) or {})
        ]
        if silent:
            found.append(f"{name} for: {','.join(sorted(silent))}")
    return "; ".join(found)
