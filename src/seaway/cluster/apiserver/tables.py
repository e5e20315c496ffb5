"""Tables (meta.k8s.io/v1): the columns that `kubectl get` prints, with upstream's names; pure (pkg/printers/internalversion).

`COLUMNS` maps a resource to its columns after Name: (name, type, priority, cell). A cell is a function of (tree, now).
Kinds that are not listed show Name and Created At.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seaway.api.tree import get, seconds

Tree = dict[str, Any]
Cell = Callable[[Tree, float], Any]
NONE, UNSET = "<none>", "<unset>"


def duration(amount: float) -> str:
    """k8s.io/apimachinery/pkg/util/duration.HumanDuration."""
    total = int(amount)
    if total < -1:
        return "<invalid>"
    if total < 0:
        return "0s"
    if total < 120:
        return f"{total}s"
    minutes = total // 60
    if minutes < 10:
        return f"{minutes}m" + (f"{total % 60}s" if total % 60 else "")
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return f"{hours}h" + (f"{minutes % 60}m" if minutes % 60 else "")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 192:
        return f"{days}d" + (f"{hours % 24}h" if hours % 24 else "")
    if days < 365 * 2:
        return f"{days}d"
    years = days // 365
    if days < 365 * 8:
        return f"{years}y" + (f"{days % 365}d" if days % 365 else "")
    return f"{years}y"


def ago(text: str | None, now: float) -> str:
    moment = seconds(text)
    return "<unknown>" if moment is None else duration(now - moment)


def age(tree: Tree, now: float) -> str:
    return ago(get(tree, "metadata", "creationTimestamp"), now)


def at(*path: str | int, default: Any = "") -> Cell:
    def cell(tree: Tree, now: float) -> Any:
        value = get(tree, *path)
        return default if value is None else value

    return cell


def count(*path: str) -> Cell:
    return lambda tree, now: len(get(tree, *path) or ())


def _containers(tree: Tree) -> list[Tree]:
    return get(tree, "spec", "template", "spec", "containers") or []


def container_names(tree: Tree, now: float) -> str:
    return ",".join(c["name"] for c in _containers(tree))


def images(tree: Tree, now: float) -> str:
    return ",".join(c.get("image", "") for c in _containers(tree))


def format_selector(selector: Tree | None) -> str:
    """metav1.FormatLabelSelector."""
    if selector is None:
        return NONE
    terms = [f"{k}={v}" for k, v in sorted((selector.get("matchLabels") or {}).items())]
    for e in selector.get("matchExpressions") or ():
        if e["operator"] in ("In", "NotIn"):
            values = ",".join(sorted(e.get("values") or ()))
            terms.append(f"{e['key']} {e['operator'].lower()} ({values})")
        else:
            terms.append(("!" if e["operator"] == "DoesNotExist" else "") + e["key"])
    return ",".join(terms) or NONE


def selector(tree: Tree, now: float) -> str:
    return format_selector(get(tree, "spec", "selector"))


def labels_text(labels: Tree | None) -> str:
    return ",".join(f"{k}={v}" for k, v in sorted((labels or {}).items())) or NONE


def pod_status(tree: Tree) -> str:
    """The word in the STATUS column: the phase, unless a container has something to say."""
    status: Tree = tree.get("status") or {}
    reason = status.get("reason") or status.get("phase") or "Unknown"
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    sidecars = {c["name"] for c in get(tree, "spec", "initContainers") or () if c.get("restartPolicy") == "Always"}
    total = len(get(tree, "spec", "initContainers") or ())
    initializing = False
    for i, container in enumerate(status.get("initContainerStatuses") or ()):
        state = container.get("state") or {}
        ended = state.get("terminated")
        if ended is not None and ended.get("exitCode") == 0:
            continue
        if container["name"] in sidecars and container.get("started"):
            continue
        if ended is not None:
            reason = "Init:" + (
                ended.get("reason")
                or (f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode')}")
            )
        elif get(state, "waiting", "reason") not in (None, "", "PodInitializing"):
            reason = "Init:" + state["waiting"]["reason"]
        else:
            reason = f"Init:{i}/{total}"
        initializing = True
        break
    if not initializing:
        running = False
        for container in reversed(status.get("containerStatuses") or []):
            state = container.get("state") or {}
            ended = state.get("terminated")
            if get(state, "waiting", "reason"):
                reason = state["waiting"]["reason"]
            elif ended is not None and ended.get("reason"):
                reason = ended["reason"]
            elif ended is not None:
                reason = f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"
            elif container.get("ready") and "running" in state:
                running = True
        if reason == "Completed" and running:
            ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())
            reason = "Running" if ready else "NotReady"
    if get(tree, "metadata", "deletionTimestamp"):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return str(reason)


def pod_ready(tree: Tree, now: float) -> str:
    spec, status = tree.get("spec") or {}, tree.get("status") or {}
    sidecars = {c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    ready = sum(
        1 for c in status.get("containerStatuses") or () if c.get("ready") and "running" in (c.get("state") or {})
    )
    ready += sum(1 for c in status.get("initContainerStatuses") or () if c["name"] in sidecars and c.get("ready"))
    return f"{ready}/{len(spec.get('containers') or ()) + len(sidecars)}"


def pod_restarts(tree: Tree, now: float) -> str:
    total, last = 0, None
    for container in get(tree, "status", "containerStatuses") or ():
        total += container.get("restartCount", 0)
        finished = seconds(get(container, "lastState", "terminated", "finishedAt"))
        if finished is not None and (last is None or finished > last):
            last = finished
    return f"{total} ({duration(now - last)} ago)" if total and last is not None else str(total)


def pod_ip(tree: Tree, now: float) -> str:
    return str(get(tree, "status", "podIPs", 0, "ip") or get(tree, "status", "podIP") or NONE)


def readiness_gates(tree: Tree, now: float) -> str:
    gates = get(tree, "spec", "readinessGates") or ()
    if not gates:
        return NONE
    true = {c["type"] for c in get(tree, "status", "conditions") or () if c.get("status") == "True"}
    return f"{sum(1 for g in gates if g['conditionType'] in true)}/{len(gates)}"


def service_external(tree: Tree, now: float) -> str:
    spec = tree.get("spec") or {}
    addresses = list(spec.get("externalIPs") or ())
    kind = spec.get("type")
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    if kind == "LoadBalancer":
        granted = [i.get("ip") or i.get("hostname") for i in get(tree, "status", "loadBalancer", "ingress") or ()]
        return ",".join(granted + addresses) or "<pending>"
    return ",".join(addresses) or NONE


def service_ports(tree: Tree, now: float) -> str:
    found = []
    for p in get(tree, "spec", "ports") or ():
        node = f":{p['nodePort']}" if p.get("nodePort") else ""
        found.append(f"{p['port']}{node}/{p.get('protocol', 'TCP')}")
    return ",".join(found) or NONE


def endpoints_text(tree: Tree, now: float) -> str:
    found: list[str] = []
    for subset in tree.get("subsets") or ():
        ports = subset.get("ports") or [None]
        for port in ports:
            for address in subset.get("addresses") or ():
                ip = address["ip"]
                host = f"[{ip}]" if ":" in ip and port else ip
                found.append(f"{host}:{port['port']}" if port else ip)
    shown = ",".join(found[:3])
    return (shown + (f" + {len(found) - 3} more..." if len(found) > 3 else "")) or NONE


def slice_ports(tree: Tree, now: float) -> str:
    found = [str(p["port"]) if p.get("port") is not None else "*" for p in tree.get("ports") or ()]
    return _some(found, UNSET)


def slice_endpoints(tree: Tree, now: float) -> str:
    return _some([a for e in tree.get("endpoints") or () for a in e.get("addresses") or ()], UNSET)


def _some(found: list[str], empty: str) -> str:
    if not found:
        return empty
    return ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "")


def node_status(tree: Tree, now: float) -> str:
    word = "Unknown"
    for condition in get(tree, "status", "conditions") or ():
        if condition["type"] == "Ready":
            word = "Ready" if condition["status"] == "True" else "NotReady"
    return word + (",SchedulingDisabled" if get(tree, "spec", "unschedulable") else "")


def node_roles(tree: Tree, now: float) -> str:
    prefix = "node-role.kubernetes.io/"
    roles = sorted(k[len(prefix) :] for k in get(tree, "metadata", "labels") or () if k.startswith(prefix))
    return ",".join(filter(None, roles)) or NONE


def node_address(kind: str) -> Cell:
    def cell(tree: Tree, now: float) -> str:
        return next((a["address"] for a in get(tree, "status", "addresses") or () if a["type"] == kind), NONE)

    return cell


def subjects(kind: str) -> Cell:
    def cell(tree: Tree, now: float) -> str:
        found = [s for s in tree.get("subjects") or () if s.get("kind") == kind]
        return ", ".join(
            f"{s['namespace']}/{s['name']}" if kind == "ServiceAccount" and s.get("namespace") else s["name"]
            for s in found
        )

    return cell


def ingress_hosts(tree: Tree, now: float) -> str:
    hosts = [r["host"] for r in get(tree, "spec", "rules") or () if r.get("host")]
    return (",".join(hosts[:3]) + (f" + {len(hosts) - 3} more..." if len(hosts) > 3 else "")) or "*"


def job_status(tree: Tree, now: float) -> str:
    true = {c["type"] for c in get(tree, "status", "conditions") or () if c.get("status") == "True"}
    if "Complete" in true:
        return "Complete"
    if "Failed" in true:
        return "Failed"
    if get(tree, "metadata", "deletionTimestamp"):
        return "Terminating"
    if "Suspended" in true:
        return "Suspended"
    if "FailureTarget" in true:
        return "FailureTarget"
    return "SuccessCriteriaMet" if "SuccessCriteriaMet" in true else "Running"


def job_completions(tree: Tree, now: float) -> str:
    spec, done = tree.get("spec") or {}, get(tree, "status", "succeeded") or 0
    if spec.get("completions") is not None:
        return f"{done}/{spec['completions']}"
    parallelism = spec.get("parallelism") or 0
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def job_duration(tree: Tree, now: float) -> str:
    start = seconds(get(tree, "status", "startTime"))
    if start is None:
        return ""
    end = seconds(get(tree, "status", "completionTime"))
    return duration((now if end is None else end) - start)


def holder(tree: Tree, now: float) -> str:
    return str(get(tree, "spec", "holderIdentity") or "")


def last_seen(tree: Tree, now: float) -> str:
    return ago(get(tree, "series", "lastObservedTime") or tree.get("lastTimestamp") or tree.get("eventTime"), now)


def first_seen(tree: Tree, now: float) -> str:
    return ago(tree.get("firstTimestamp") or tree.get("eventTime"), now)


def event_object(tree: Tree, now: float) -> str:
    ref = tree.get("involvedObject") or {}
    return f"{str(ref.get('kind', '')).lower()}/{ref.get('name', '')}"


def event_source(tree: Tree, now: float) -> str:
    source = tree.get("source") or {}
    parts = [source.get("component") or tree.get("reportingComponent") or "", source.get("host") or ""]
    return ", ".join(filter(None, parts))


S, N, B = "string", "integer", "boolean"
AGE = ("Age", S, 0, age)
TEMPLATE = (("Containers", S, 1, container_names), ("Images", S, 1, images), ("Selector", S, 1, selector))
ROLE_REF = (
    ("Role", S, 0, lambda t, n: f"{get(t, 'roleRef', 'kind')}/{get(t, 'roleRef', 'name')}"),
    AGE,
    ("Users", S, 1, subjects("User")),
    ("Groups", S, 1, subjects("Group")),
    ("ServiceAccounts", S, 1, subjects("ServiceAccount")),
)
REPLICAS = (
    ("Desired", N, 0, at("spec", "replicas", default=0)),
    ("Current", N, 0, at("status", "replicas", default=0)),
    ("Ready", N, 0, at("status", "readyReplicas", default=0)),
    AGE,
    *TEMPLATE,
)

COLUMNS: dict[str, tuple[tuple[str, str, int, Cell], ...]] = {
    "pods": (
        ("Ready", S, 0, pod_ready),
        ("Status", S, 0, lambda t, n: pod_status(t)),
        ("Restarts", S, 0, pod_restarts),
        AGE,
        ("IP", S, 1, pod_ip),
        ("Node", S, 1, at("spec", "nodeName", default=NONE)),
        ("Nominated Node", S, 1, lambda t, n: get(t, "status", "nominatedNodeName") or NONE),
        ("Readiness Gates", S, 1, readiness_gates),
    ),
    "services": (
        ("Type", S, 0, at("spec", "type")),
        ("Cluster-IP", S, 0, lambda t, n: get(t, "spec", "clusterIP") or NONE),
        ("External-IP", S, 0, service_external),
        ("Port(s)", S, 0, service_ports),
        AGE,
        ("Selector", S, 1, lambda t, n: labels_text(get(t, "spec", "selector"))),
    ),
    "configmaps": (("Data", N, 0, lambda t, n: len(t.get("data") or ()) + len(t.get("binaryData") or ())), AGE),
    "secrets": (("Type", S, 0, at("type")), ("Data", N, 0, count("data")), AGE),
    "namespaces": (("Status", S, 0, at("status", "phase")), AGE),
    "serviceaccounts": (("Secrets", N, 0, count("secrets")), AGE),
    "endpoints": (("Endpoints", S, 0, endpoints_text), AGE),
    "events": (
        ("Last Seen", S, 0, last_seen),
        ("Type", S, 0, at("type")),
        ("Reason", S, 0, at("reason")),
        ("Object", S, 0, event_object),
        ("Subobject", S, 1, at("involvedObject", "fieldPath")),
        ("Source", S, 1, event_source),
        ("Message", S, 0, lambda t, n: str(t.get("message", "")).strip()),
        ("First Seen", S, 1, first_seen),
        ("Count", N, 1, at("count", default=1)),
        ("Name", S, 1, at("metadata", "name")),
    ),
    "nodes": (
        ("Status", S, 0, node_status),
        ("Roles", S, 0, node_roles),
        AGE,
        ("Version", S, 0, at("status", "nodeInfo", "kubeletVersion")),
        ("Internal-IP", S, 1, node_address("InternalIP")),
        ("External-IP", S, 1, node_address("ExternalIP")),
        ("OS-Image", S, 1, at("status", "nodeInfo", "osImage", default="<unknown>")),
        ("Kernel-Version", S, 1, at("status", "nodeInfo", "kernelVersion", default="<unknown>")),
        ("Container-Runtime", S, 1, at("status", "nodeInfo", "containerRuntimeVersion", default="<unknown>")),
    ),
    "deployments.apps": (
        ("Ready", S, 0, lambda t, n: f"{get(t, 'status', 'readyReplicas') or 0}/{get(t, 'spec', 'replicas')}"),
        ("Up-to-date", N, 0, at("status", "updatedReplicas", default=0)),
        ("Available", N, 0, at("status", "availableReplicas", default=0)),
        AGE,
        *TEMPLATE,
    ),
    "replicasets.apps": REPLICAS,
    "replicationcontrollers": REPLICAS,
    "statefulsets.apps": (
        ("Ready", S, 0, lambda t, n: f"{get(t, 'status', 'readyReplicas') or 0}/{get(t, 'spec', 'replicas')}"),
        AGE,
        *TEMPLATE[:2],
    ),
    "daemonsets.apps": (
        ("Desired", N, 0, at("status", "desiredNumberScheduled", default=0)),
        ("Current", N, 0, at("status", "currentNumberScheduled", default=0)),
        ("Ready", N, 0, at("status", "numberReady", default=0)),
        ("Up-to-date", N, 0, at("status", "updatedNumberScheduled", default=0)),
        ("Available", N, 0, at("status", "numberAvailable", default=0)),
        ("Node Selector", S, 0, lambda t, n: labels_text(get(t, "spec", "template", "spec", "nodeSelector"))),
        AGE,
        *TEMPLATE,
    ),
    "controllerrevisions.apps": (
        (
            "Controller",
            S,
            0,
            lambda t, n: next(
                (
                    f"{r['kind'].lower()}.apps/{r['name']}"
                    for r in get(t, "metadata", "ownerReferences") or ()
                    if r.get("controller")
                ),
                NONE,
            ),
        ),
        ("Revision", S, 0, lambda t, n: str(t.get("revision", ""))),
        AGE,
    ),
    "jobs.batch": (
        ("Status", S, 0, job_status),
        ("Completions", S, 0, job_completions),
        ("Duration", S, 0, job_duration),
        AGE,
        *TEMPLATE,
    ),
    "cronjobs.batch": (
        ("Schedule", S, 0, at("spec", "schedule")),
        ("Timezone", S, 0, at("spec", "timeZone", default=NONE)),
        ("Suspend", B, 0, at("spec", "suspend", default=False)),
        ("Active", N, 0, count("status", "active")),
        (
            "Last Schedule",
            S,
            0,
            lambda t, n: ago(get(t, "status", "lastScheduleTime"), n) if get(t, "status", "lastScheduleTime") else NONE,
        ),
        AGE,
        *(
            (n, k, p, lambda t, now, c=c: c({"spec": get(t, "spec", "jobTemplate", "spec")}, now))
            for n, k, p, c in TEMPLATE
        ),
    ),
    "leases.coordination.k8s.io": (("Holder", S, 0, holder), AGE),
    "endpointslices.discovery.k8s.io": (
        ("AddressType", S, 0, at("addressType")),
        ("Ports", S, 0, slice_ports),
        ("Endpoints", S, 0, slice_endpoints),
        AGE,
    ),
    "ingresses.networking.k8s.io": (
        ("Class", S, 0, at("spec", "ingressClassName", default=NONE)),
        ("Hosts", S, 0, ingress_hosts),
        (
            "Address",
            S,
            0,
            lambda t, n: ",".join(
                i.get("ip") or i.get("hostname") or "" for i in get(t, "status", "loadBalancer", "ingress") or ()
            ),
        ),
        ("Ports", S, 0, lambda t, n: "80, 443" if get(t, "spec", "tls") else "80"),
        AGE,
    ),
    "ingressclasses.networking.k8s.io": (
        ("Controller", S, 0, at("spec", "controller")),
        (
            "Parameters",
            S,
            0,
            lambda t, n: (
                NONE
                if not get(t, "spec", "parameters")
                else ".".join(
                    filter(None, (get(t, "spec", "parameters", "kind"), get(t, "spec", "parameters", "apiGroup")))
                )
                + "/"
                + str(get(t, "spec", "parameters", "name"))
            ),
        ),
        AGE,
    ),
    "networkpolicies.networking.k8s.io": (
        ("Pod-Selector", S, 0, lambda t, n: format_selector(get(t, "spec", "podSelector") or {})),
        AGE,
    ),
    "poddisruptionbudgets.policy": (
        (
            "Min Available",
            S,
            0,
            lambda t, n: str(get(t, "spec", "minAvailable") if get(t, "spec", "minAvailable") is not None else "N/A"),
        ),
        (
            "Max Unavailable",
            S,
            0,
            lambda t, n: str(
                get(t, "spec", "maxUnavailable") if get(t, "spec", "maxUnavailable") is not None else "N/A"
            ),
        ),
        ("Allowed Disruptions", N, 0, at("status", "disruptionsAllowed", default=0)),
        AGE,
    ),
    "rolebindings.rbac.authorization.k8s.io": ROLE_REF,
    "clusterrolebindings.rbac.authorization.k8s.io": ROLE_REF,
    "priorityclasses.scheduling.k8s.io": (
        ("Value", N, 0, at("value", default=0)),
        ("Global-Default", B, 0, at("globalDefault", default=False)),
        AGE,
        ("PreemptionPolicy", S, 0, at("preemptionPolicy", default="PreemptLowerPriority")),
    ),
    "storageclasses.storage.k8s.io": (
        ("Provisioner", S, 0, at("provisioner")),
        ("ReclaimPolicy", S, 0, at("reclaimPolicy", default="Delete")),
        ("VolumeBindingMode", S, 0, at("volumeBindingMode", default="Immediate")),
        ("AllowVolumeExpansion", B, 0, at("allowVolumeExpansion", default=False)),
        AGE,
    ),
}


def columns(resource: str) -> list[Tree]:
    """columnDefinitions of a resource (`deployments.apps`)."""
    found = [{"name": "Name", "type": S, "format": "name", "description": "", "priority": 0}]
    known = COLUMNS.get(resource)
    if known is None:
        found.append({"name": "Created At", "type": "date", "format": "", "description": "", "priority": 0})
        return found
    if resource == "events":
        found = []
    found += [{"name": n, "type": k, "format": "", "description": "", "priority": p} for n, k, p, _ in known]
    return found


def row(resource: str, tree: Tree, now: float, include: str) -> Tree:
    """One row: cells, and the object as `includeObject` asks (Metadata, Object, None)."""
    meta = tree.get("metadata") or {}
    known = COLUMNS.get(resource)
    if known is None:
        cells = [meta.get("name", ""), meta.get("creationTimestamp")]
    else:
        first = [] if resource == "events" else [meta.get("name", "")]
        cells = first + [cell(tree, now) for _, _, _, cell in known]
    result: Tree = {"cells": cells}
    if include == "Object":
        result["object"] = tree
    elif include != "None":
        result["object"] = partial(tree)
    return result


def partial(tree: Tree) -> Tree:
    """PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": tree.get("metadata") or {}}


def table(resource: str, trees: list[Tree], meta: Tree, now: float, include: str, with_columns: bool = True) -> Tree:
    result: Tree = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
    result["columnDefinitions"] = columns(resource) if with_columns else None
    rows: list[Tree] | None = [row(resource, t, now, include) for t in trees]
    result["rows"] = rows if rows or resource in COLUMNS else None
    return result
