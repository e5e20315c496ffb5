"""Resources of containers and pods: names, amounts, requests against limits, claims, the QoS class.

pkg/apis/core/validation, pkg/apis/core/helper and k8s.io/component-helpers/resource.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from seaway.api import quantities
from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import fieldrules
from seaway.cluster.apiserver.status import Cause, duplicate, missing, not_permitted, required, unlisted, wrong

Tree = dict[str, Any]
Amounts = dict[str, Fraction]
COMPUTE = ("cpu", "memory")
CONTAINER_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
COUNTED = frozenset(
    {
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    }
)
STANDARD = (
    COUNTED
    | CONTAINER_RESOURCES
    | {"storage", "requests.storage"}
    | {f"{section}.{name}" for section in ("requests", "limits") for name in CONTAINER_RESOURCES}
)
POD_LEVEL = ("cpu", "hugepages-", "memory")
RESIZE_POLICIES = ("NotRequired", "RestartContainer")


def is_huge_page(name: str) -> bool:
    return name.startswith("hugepages-")


def is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    if is_native(name) or name.startswith("requests."):
        return False
    return not formats.qualified_name(f"requests.{name}")


def may_overcommit(name: str) -> bool:
    return is_native(name) and not is_huge_page(name)


def name_causes(name: str, path: str) -> list[Cause]:
    found = formats.causes(path, name, formats.qualified_name)
    if found:
        return found
    if "/" not in name and name not in STANDARD and not name.startswith(("hugepages-", "requests.hugepages-")):
        return [wrong(path, name, "must be a standard resource type or fully qualified")]
    return []


def container_name_causes(name: str, path: str) -> list[Cause]:
    found = name_causes(name, path)
    if "/" not in name:
        if name not in CONTAINER_RESOURCES and not is_huge_page(name):
            found.append(wrong(path, name, "must be a standard resource for containers"))
    elif not is_native(name) and not is_extended(name):
        found.append(wrong(path, name, "doesn't follow extended resource name standard"))
    return found


def _pod_name(name: str, path: str) -> list[Cause]:
    found = name_causes(name, path)
    if not found and name not in COMPUTE and not is_huge_page(name):
        found.append(unlisted(path, name, POD_LEVEL))
    return found


def _amount(name: str, text: str, path: str) -> list[Cause]:
    value = quantities.parse(text)
    found = [wrong(path, text, fieldrules.NEGATIVE)] if value < 0 else []
    if (name in COUNTED or is_extended(name)) and value.denominator != 1:
        found.append(wrong(path, text, "must be an integer"))
    return found


def _huge_page_amount(name: str, text: str, path: str) -> list[Cause]:
    try:
        page = quantities.parse(name.removeprefix("hugepages-"))
    except ValueError:
        page = Fraction(0)
    value = quantities.parse(text)
    if page > 0 and page.denominator == 1 and -(-value // 1) % page == 0:
        return []
    return [wrong(path, text, f"{text} is not positive integer multiple of {name}")]


def _claims(claims: list[Tree], pod_claims: set[str], path: str) -> list[Cause]:
    found, names = [], set[str]()
    for i, claim in enumerate(claims):
        at, name, request = f"{path}[{i}]", claim.get("name", ""), claim.get("request", "")
        if not name:
            found.append(required(at))
            continue
        if name in names:
            found.append(duplicate(at, name))
        else:
            key = f"{name}/{request}" if request else name
            if request:
                found += formats.causes(f"{at}.request", request, formats.label)
            if key in names:
                found.append(duplicate(at, key))
            elif not request:
                found += [duplicate(at, name) for known in names if known.startswith(f"{name}/")]
            names.add(key)
        if name not in pod_claims:
            known = f": {', '.join(sorted(pod_claims))}" if pod_claims else " which is empty"
            found.append(missing(at, name, f"must be one of the names in pod.spec.resourceClaims{known}"))
    return found


def _requirements(tree: Tree, check: Callable[[str, str], list[Cause]], pod_claims: set[str], path: str) -> list[Cause]:
    limits, requests, found = tree.get("limits") or {}, tree.get("requests") or {}, []
    for name, text in sorted(limits.items()):
        at = f"{path}.limits[{name}]"
        found += check(name, at) + _amount(name, text, at)
        if is_huge_page(name):
            found += _huge_page_amount(name, text, at)
    for name, text in sorted(requests.items()):
        at, limit = f"{path}.requests[{name}]", limits.get(name)
        found += check(name, at) + _amount(name, text, at)
        if limit is not None:
            amount, most = quantities.parse(text), quantities.parse(limit)
            if amount != most and not may_overcommit(name):
                found.append(wrong(f"{path}.requests", text, f"must be equal to {name} limit of {limit}"))
            elif amount > most:
                why = f"must be less than or equal to {name} limit of {limit}"
                found.append(wrong(f"{path}.requests", text, why))
        elif not may_overcommit(name):
            found.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
        if is_huge_page(name):
            found += _huge_page_amount(name, text, at)
    names = {*limits, *requests}
    if any(is_huge_page(n) for n in names) and not names & set(COMPUTE):
        found.append(not_permitted(path, "HugePages require cpu or memory"))
    return found + _claims(tree.get("claims") or [], pod_claims, f"{path}.claims")


def validate_container(resources: Tree, pod_claims: set[str], path: str) -> list[Cause]:
    """ResourceRequirements of a container, also the overhead of a pod."""
    return _requirements(resources, container_name_causes, pod_claims, path)


def validate_resize_policy(policies: list[Tree], pod_restart: str, path: str) -> list[Cause]:
    found, seen = [], set[str]()
    for i, policy in enumerate(policies):
        name, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if name in seen:
            found.append(duplicate(f"{path}[{i}]", name))
        seen.add(name)
        found += fieldrules.one_of(path, name, COMPUTE) + fieldrules.one_of(path, restart, RESIZE_POLICIES)
        if pod_restart == "Never" and restart != "NotRequired":
            found.append(wrong(path, restart, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"))
    return found


class Sum(NamedTuple):
    """An amount, and the suffix that its first part was written with: the form that it is shown in."""

    amount: Fraction
    suffix: str

    def __str__(self) -> str:
        return quantities.render(self.amount, self.suffix)

    def plus(self, other: Sum) -> Sum:
        return Sum(self.amount + other.amount, self.suffix if self.amount else other.suffix)


def _sums(container: Tree, section: str) -> dict[str, Sum]:
    have = (container.get("resources") or {}).get(section) or {}
    return {name: Sum(quantities.parse(text), "Ki" if text.endswith("i") else "") for name, text in have.items()}


def _added(one: dict[str, Sum], other: dict[str, Sum]) -> dict[str, Sum]:
    return {**one, **{name: one[name].plus(more) if name in one else more for name, more in other.items()}}


def _most(one: dict[str, Sum], other: dict[str, Sum]) -> dict[str, Sum]:
    larger = {n: more for n, more in other.items() if n not in one or more.amount > one[n].amount}
    return {**one, **larger}


def aggregate(spec: Tree, section: str) -> dict[str, Sum]:
    """What all containers of a pod ask for together: sidecars count beside, other init containers one at a time."""
    total: dict[str, Sum] = {}
    sidecars: dict[str, Sum] = {}
    most: dict[str, Sum] = {}
    for container in spec.get("containers") or ():
        total = _added(total, _sums(container, section))
    for container in spec.get("initContainers") or ():
        own = _sums(container, section)
        if container.get("restartPolicy") == "Always":
            total, sidecars = _added(total, own), _added(sidecars, own)
            own = sidecars
        else:
            own = _added(own, sidecars)
        most = _most(most, own)
    return _most(total, most)


def validate_pod_level(spec: Tree, pod_claims: set[str], path: str) -> list[Cause]:
    """Resources of the pod itself (KEP-2837): no less than its containers ask for together."""
    resources, at = spec.get("resources"), f"{path}.resources"
    if resources is None:
        return []
    if (spec.get("os") or {}).get("name") == "windows":
        return [not_permitted(at, "may not be set for a windows pod")]
    found = []
    if resources.get("claims") is not None:
        found.append(not_permitted(f"{at}.claims", "claims may not be set for Resources at pod-level"))
    found += _requirements(resources, _pod_name, pod_claims, at)
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, total in sorted(aggregate(spec, "requests").items()):
        if name in requests and total.amount > quantities.parse(requests[name]):
            why = f"must be greater than or equal to aggregate container requests of {total}"
            found.append(wrong(f"{at}.requests[{name}]", requests[name], why))
    for name, total in sorted(aggregate(spec, "limits").items()):
        if is_huge_page(name) and name in limits and total.amount > quantities.parse(limits[name]):
            why = f"must be greater than or equal to aggregate container limits of {total}"
            found.append(wrong(f"{at}.limits[{name}]", limits[name], why))
    for i, container in enumerate(spec.get("containers") or ()):
        for name, text in sorted(((container.get("resources") or {}).get("limits") or {}).items()):
            if name in limits and quantities.parse(text) > quantities.parse(limits[name]):
                why = f"must be less than or equal to pod limits of {limits[name]}"
                found.append(wrong(f"{at}.containers[{i}][{name}].limits", text, why))
    return found


def default_pod_level(spec: Tree) -> None:
    """Requests of the pod follow its containers' and its limits, huge pages follow the containers' limits."""
    resources = spec.get("resources")
    if not resources:
        return
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    if limits or requests:
        for name, total in aggregate(spec, "limits").items():
            if is_huge_page(name) and name not in requests:
                limits.setdefault(name, str(total))
    if limits:
        for name, total in aggregate(spec, "requests").items():
            if name in COMPUTE:
                requests.setdefault(name, str(total))
        for name, text in limits.items():
            if name in COMPUTE or is_huge_page(name):
                requests.setdefault(name, text)
    if limits:
        resources["limits"] = limits
    if requests:
        resources["requests"] = requests


def qos_class(spec: Tree) -> str:
    """Guaranteed, Burstable or BestEffort, by cpu and memory above zero (pkg/apis/core/v1/helper/qos)."""
    pod_level = spec.get("resources") or {}
    if pod_level.get("limits") or pod_level.get("requests"):
        owners = [pod_level]
    else:
        containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
        owners = [c.get("resources") or {} for c in containers]
    limits: Amounts = {}
    requests: Amounts = {}
    guaranteed = True
    for owner in owners:
        limited = set()
        for section, total in (("requests", requests), ("limits", limits)):
            for name, text in (owner.get(section) or {}).items():
                amount = quantities.parse(text)
                if name in COMPUTE and amount > 0:
                    total[name] = total.get(name, Fraction(0)) + amount
                    if section == "limits":
                        limited.add(name)
        guaranteed = guaranteed and limited == set(COMPUTE)
    if not limits and not requests:
        return "BestEffort"
    return "Guaranteed" if guaranteed and limits == requests else "Burstable"
