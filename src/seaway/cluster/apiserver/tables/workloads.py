"""Tables of the workload kinds and of pod templates (pkg/printers/internalversion); pure."""

from __future__ import annotations

from seaway.api.tree import get, seconds
from seaway.cluster.apiserver.tables.cells import (
    AGE,
    NAME,
    NONE,
    UNSET,
    B,
    Cell,
    Column,
    N,
    S,
    Tree,
    ago,
    at,
    count,
    duration,
    labels_text,
    selector,
)


def _containers(tree: Tree) -> list[Tree]:
    return get(tree, "spec", "template", "spec", "containers") or []


def container_names(tree: Tree, now: float) -> str:
    return ",".join(c["name"] for c in _containers(tree))


def images(tree: Tree, now: float) -> str:
    return ",".join(c.get("image", "") for c in _containers(tree))


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


def ready_of_desired(tree: Tree, now: float) -> str:
    return f"{get(tree, 'status', 'readyReplicas') or 0}/{get(tree, 'spec', 'replicas')}"


def controller_name(tree: Tree, now: float) -> str:
    for ref in get(tree, "metadata", "ownerReferences") or ():
        if ref.get("controller"):
            group = ref["apiVersion"].rpartition("/")[0]
            return ".".join(filter(None, (ref["kind"].lower(), group.lower()))) + f"/{ref['name']}"
    return NONE


def suspended(tree: Tree, now: float) -> str:
    value = get(tree, "spec", "suspend")
    return UNSET if value is None else str(value)


def last_schedule(tree: Tree, now: float) -> str:
    moment = get(tree, "status", "lastScheduleTime")
    return ago(moment, now) if moment else NONE


def of_job(cell: Cell) -> Cell:
    """A cell of a CronJob's job template."""
    return lambda tree, now: cell({"spec": get(tree, "spec", "jobTemplate", "spec")}, now)


TEMPLATE = (
    Column("Containers", S, 1, container_names),
    Column("Images", S, 1, images),
    Column("Selector", S, 1, selector),
)


def _replicas(shown: Cell) -> tuple[Column, ...]:
    return (
        NAME,
        Column("Desired", N, 0, at("spec", "replicas", default=0)),
        Column("Current", N, 0, at("status", "replicas", default=0)),
        Column("Ready", N, 0, at("status", "readyReplicas", default=0)),
        AGE,
        *TEMPLATE[:2],
        Column("Selector", S, 1, shown),
    )


COLUMNS = {
    "scales.autoscaling": (
        NAME,
        Column("Desired", N, 0, at("spec", "replicas", default=0)),
        Column("Available", N, 0, at("status", "replicas", default=0)),
        AGE,
    ),
    "podtemplates": (
        NAME,
        Column("Containers", S, 0, lambda t, n: container_names({"spec": t}, n)),
        Column("Images", S, 0, lambda t, n: images({"spec": t}, n)),
        Column("Pod Labels", S, 0, lambda t, n: labels_text(get(t, "template", "metadata", "labels"))),
    ),
    "deployments.apps": (
        NAME,
        Column("Ready", S, 0, ready_of_desired),
        Column("Up-to-date", S, 0, at("status", "updatedReplicas", default=0)),
        Column("Available", S, 0, at("status", "availableReplicas", default=0)),
        AGE,
        *TEMPLATE,
    ),
    "replicasets.apps": _replicas(selector),
    "replicationcontrollers": _replicas(lambda t, n: labels_text(get(t, "spec", "selector"))),
    "statefulsets.apps": (NAME, Column("Ready", S, 0, ready_of_desired), AGE, *TEMPLATE[:2]),
    "daemonsets.apps": (
        NAME,
        Column("Desired", N, 0, at("status", "desiredNumberScheduled", default=0)),
        Column("Current", N, 0, at("status", "currentNumberScheduled", default=0)),
        Column("Ready", N, 0, at("status", "numberReady", default=0)),
        Column("Up-to-date", N, 0, at("status", "updatedNumberScheduled", default=0)),
        Column("Available", N, 0, at("status", "numberAvailable", default=0)),
        Column("Node Selector", S, 0, lambda t, n: labels_text(get(t, "spec", "template", "spec", "nodeSelector"))),
        AGE,
        *TEMPLATE,
    ),
    "controllerrevisions.apps": (
        NAME,
        Column("Controller", S, 0, controller_name),
        Column("Revision", S, 0, at("revision", default=0)),
        AGE,
    ),
    "jobs.batch": (
        NAME,
        Column("Status", S, 0, job_status),
        Column("Completions", S, 0, job_completions),
        Column("Duration", S, 0, job_duration),
        AGE,
        *TEMPLATE,
    ),
    "cronjobs.batch": (
        NAME,
        Column("Schedule", S, 0, at("spec", "schedule")),
        Column("Timezone", S, 0, at("spec", "timeZone", default=NONE)),
        Column("Suspend", B, 0, suspended),
        Column("Active", N, 0, count("status", "active")),
        Column("Last Schedule", S, 0, last_schedule),
        AGE,
        *(c._replace(cell=of_job(c.cell)) for c in TEMPLATE),
    ),
}
