"""The status of a pod as its kubelet writes it: addresses, conditions, containers that may not come back to life."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import addresses, fieldrules, pod_claims, pod_resources, pod_update
from seaway.cluster.apiserver.rules.internal_forms import internal
from seaway.cluster.apiserver.status import Cause, duplicate, not_permitted, required, too_long, wrong

Tree = dict[str, Any]
SYSTEM_CONDITIONS = ("PodScheduled", "Ready", "Initialized")
GATED = {
    "type": "PodScheduled",
    "status": "False",
    "lastProbeTime": None,
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
}
ONE_A_FAMILY = "may specify no more than one IP for each IP family"
TERMINAL = "may not be transitioned to non-terminated state"
HEALTH = ("Healthy", "Unhealthy", "Unknown")
LISTS = (
    ("containerStatuses", "containers"),
    ("initContainerStatuses", "initContainers"),
    ("ephemeralContainerStatuses", ""),
)


def begin(tree: Tree) -> None:
    """The status of a new pod; `metadata.creationTimestamp` is its moment."""
    spec = tree.get("spec") or {}
    status: Tree = {"phase": "Pending", "qosClass": pod_resources.qos_class(spec)}
    if spec.get("schedulingGates"):
        moment = (tree.get("metadata") or {}).get("creationTimestamp")
        status["conditions"] = [{**GATED, "lastTransitionTime": moment}]
    tree["status"] = status


def _generations(conditions: list[Tree], old: Iterable[Tree]) -> None:
    """A condition that tells no generation keeps the one that its predecessor told."""
    known: dict[str, list[int]] = {}
    for condition in old:
        known.setdefault(condition.get("type", ""), []).append(condition.get("observedGeneration", 0))
    for condition in conditions:
        before = known.get(condition.get("type", ""))
        kept = before.pop(0) if before else 0
        if kept and not condition.get("observedGeneration"):
            condition["observedGeneration"] = kept


def _seen_volumes(status: Tree) -> bool:
    """Whether containers tell which image their image volumes hold (a feature that is off)."""
    return any("volumeStatus" in m for n, _ in LISTS for s in status.get(n) or () for m in s.get("volumeMounts") or ())


def _drop_disabled(status: Tree, old: Tree) -> None:
    """Fields of features that are off by default go, unless the pod has them already."""
    if not old.get("nodeAllocatableResourceClaimStatuses"):
        status.pop("nodeAllocatableResourceClaimStatuses", None)
    if not _seen_volumes(status) or _seen_volumes(old):
        return
    for name, _ in LISTS:
        containers = status[name] = [dict(c) for c in status.get(name) or ()]
        for container in containers:
            if container.get("volumeMounts"):
                mounts = container["volumeMounts"]
                container["volumeMounts"] = [{k: v for k, v in m.items() if k != "volumeStatus"} for m in mounts]
        if not containers:
            del status[name]


def prepare(new: Tree, old: Tree) -> Tree:
    """A write to /status: the spec stays, podIP and podIPs agree, what an old kubelet leaves out is kept."""
    status, before = dict(new.get("status") or {}), old.get("status") or {}
    meta = {k: v for k, v in new["metadata"].items() if k not in ("ownerReferences", "deletionTimestamp")}
    for name in ("ownerReferences", "deletionTimestamp"):
        if name in old["metadata"]:
            meta[name] = old["metadata"][name]
    if not status.get("qosClass") and before.get("qosClass"):
        status["qosClass"] = before["qosClass"]
    if not status.get("observedGeneration") and before.get("observedGeneration"):
        status["observedGeneration"] = before["observedGeneration"]
    conditions = [dict(c) for c in status.get("conditions") or ()]
    _generations(conditions, before.get("conditions") or ())
    if conditions:
        status["conditions"] = conditions
    address, given = status.get("podIP", ""), status.get("podIPs") or []
    if address and (not given or given[0].get("ip") != address):
        status["podIPs"] = [{"ip": address}]
    elif given:
        status["podIP"] = given[0].get("ip", "")
    if not status.get("podIP"):
        status.pop("podIP", None)
    _drop_disabled(status, before)
    return {**old, "metadata": meta, "status": status}


def _addresses(status: Tree, old: Tree, name: str) -> list[Cause]:
    path, given = f"status.{name}", [a.get("ip", "") for a in status.get(name) or ()]
    known = {a.get("ip") for a in old.get(name) or ()}
    if name == "podIPs" and old.get("podIP") and old["podIP"] not in known:
        known = {old["podIP"]}  # stored by one that knew one address only
    found = []
    for i, address in enumerate(given):
        if address not in known:
            found += formats.causes(f"{path}[{i}]", address, formats.ip_address)
    if len(given) > 1:
        read = [addresses.sloppy(a) for a in given]
        unread = next((i for i, address in enumerate(read) if address is None), None)
        if unread is not None:
            why = f"failed to check for dual stack with error:invalid IP[{unread}]: {given[unread]}"
            found.append(Cause(path, "InternalError", f"Internal error: {why}"))
        if unread is not None or len(given) > 2 or len({a.version for a in read if a is not None}) < 2:
            found.append(wrong(path, internal("PodIP", status[name]), ONE_A_FAMILY))
    return found


def _restarts(container: Tree, pod_policy: str, code: int) -> bool:
    """Whether a container that ended with a code is started again (KEP-5307)."""
    policy = container.get("restartPolicy")
    if policy is not None:
        for rule in container.get("restartPolicyRules") or ():
            codes = rule.get("exitCodes") or {}
            inside = code in (codes.get("values") or ())
            if inside == (codes.get("operator") == "In"):
                return True
    policy = policy or pod_policy
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def _transitions(
    new: list[Tree], old: list[Tree], containers: list[Tree] | None, policy: str, path: str
) -> list[Cause]:
    """What has ended for good stays ended; `containers` None: nothing of this list is restarted."""
    found = []
    alive = {s.get("name") for s in new if "terminated" not in (s.get("state") or {})}
    for i, status in enumerate(old):
        ended = (status.get("state") or {}).get("terminated")
        if ended is None or status.get("name") not in alive:
            continue
        container = next((c for c in containers or () if c.get("name") == status.get("name")), None)
        if container is None or not _restarts(container, policy, ended.get("exitCode", 0)):
            found.append(not_permitted(f"{path}[{i}].state", TERMINAL))
    return found


def _conditions(conditions: list[Tree]) -> list[Cause]:
    found = []
    for i, condition in enumerate(conditions):
        at, kind = f"status.conditions[{i}]", condition.get("type", "")
        generation = condition.get("observedGeneration", 0)
        if generation < 0:
            found.append(wrong(f"{at}.observedGeneration", generation, "must be a non-negative integer"))
        if kind not in SYSTEM_CONDITIONS:
            found += formats.causes(f"{at}.Type", kind, formats.qualified_name)
    return found


def _user(status: Tree, system: str, path: str) -> list[Cause]:
    user = (status.get("user") or {}).get("linux")
    if user is None:
        return []
    if system == "windows":
        return [not_permitted(f"{path}.user.linux", "cannot be set for a windows pod")]
    at = f"{path}.user.linux"
    found = [
        wrong(f"{at}.{name}", user.get(name, 0), why)
        for name in ("uid", "gid")
        for why in formats.user_id(user.get(name, 0))
    ]
    for i, group in enumerate(user.get("supplementalGroups") or ()):
        found += [wrong(f"{at}.supplementalGroups[{i}]", group, why) for why in formats.user_id(group)]
    return found


def _allocated(status: Tree, containers: list[Tree], path: str) -> list[Cause]:
    """Health of devices: each entry belongs to something that the container asked for."""
    found = []
    container = next((c for c in containers if c.get("name") == status.get("name")), None)
    for i, entry in enumerate(status.get("allocatedResourcesStatus") or ()):
        at, name = f"{path}.allocatedResourcesStatus[{i}]", entry.get("name", "")
        if container is not None:
            resources = container.get("resources") or {}
            known, why = set(resources.get("requests") or ()), "must match one of the container's resource requests"
            if name.startswith("claim:"):
                claims = resources.get("claims") or ()
                known = {"claim:" + "/".join(filter(None, (c.get("name"), c.get("request")))) for c in claims}
                why = (
                    "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or "
                    "'claim:<claimName>' if request is empty"
                )
            if name not in known:
                found.append(wrong(f"{at}.name", name, why))
        seen = set[str]()
        for j, device in enumerate(entry.get("resources") or ()):
            place, message = f"{at}.resources[{j}]", device.get("message")
            found += fieldrules.listed(f"{place}.health", device.get("health", ""), HEALTH)
            if message == "":
                found.append(required(f"{place}.message", "must be non-empty if specified"))
            elif message is not None and len(message) > 1024:
                found.append(too_long(f"{place}.message", 1024))
            if device.get("resourceID", "") in seen:
                found.append(duplicate(f"{place}.resourceID", device.get("resourceID", "")))
            seen.add(device.get("resourceID", ""))
    return found


def validate(new: Tree, old: Tree) -> list[Cause]:
    """ValidatePodStatusUpdate."""
    status, before, spec = new.get("status") or {}, old.get("status") or {}, old["spec"]
    found = pod_update.annotation_causes(new, old)
    found += _conditions(status.get("conditions") or [])
    nominated = status.get("nominatedNodeName", "")
    if nominated and nominated != before.get("nominatedNodeName", ""):
        at = "status.nominatedNodeName"
        found += formats.causes(at, nominated, formats.subdomain)
        if spec.get("nodeName"):
            found.append(not_permitted(at, "may not be set on pods that are already bound to a node"))
    generation = status.get("observedGeneration", 0)
    if generation < 0:
        found.append(wrong("status.observedGeneration", generation, "must be a non-negative integer"))
    found += fieldrules.unchanged("status.qosClass", status.get("qosClass", ""), before.get("qosClass", ""))
    all_restart = any(
        rule.get("action") == "RestartAllContainers"
        for name in ("initContainers", "containers")
        for container in spec.get(name) or ()
        for rule in container.get("restartPolicyRules") or ()
    )
    for name, containers in LISTS:
        if containers and all_restart:
            continue
        own = spec.get(containers) or [] if containers else None
        policy = spec.get("restartPolicy", "")
        found += _transitions(status.get(name) or [], before.get(name) or [], own, policy, f"status.{name}")
    found += pod_claims.validate(status, spec)
    found += _addresses(status, before, "podIPs")
    hosts = status.get("hostIPs") or []
    if hosts and status.get("hostIP", "") != hosts[0].get("ip", ""):
        found.append(wrong("status.hostIPs[0].ip", hosts[0].get("ip", ""), "must be equal to `hostIP`"))
    found += _addresses(status, before, "hostIPs")
    system = (spec.get("os") or {}).get("name", "linux")
    for name, _ in LISTS:
        for i, container in enumerate(status.get(name) or ()):
            found += _user(container, system, f"status.{name}[{i}]")
    for name, containers in LISTS:
        for i, container in enumerate(status.get(name) or ()):
            at = f"status.{name}[{i}]"
            if containers:
                found += _allocated(container, spec.get(containers) or [], at)
            elif container.get("allocatedResourcesStatus"):
                why = "must not be specified in container status"
                found.append(not_permitted(f"{at}.allocatedResourcesStatus", why))
    return found


def warnings(new: Tree, old: Tree | None) -> list[str]:
    found = []
    for name in ("podIPs", "hostIPs"):
        for i, address in enumerate((new.get("status") or {}).get(name) or ()):
            found += formats.address_warnings(f"status.{name}[{i}].ip", address.get("ip", ""))
    return found
