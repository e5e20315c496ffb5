"""HorizontalPodAutoscalers without metrics: the bounds are kept, and the conditions say that nothing can be measured, as
upstream's do where no metrics API is served (pkg/controller/podautoscaler)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from seaway.api.kinds import Kind
from seaway.api.tree import Key, get, stamp, with_condition
from seaway.client.errors import ApiStatusError, NotFound
from seaway.client.events import Events
from seaway.client.reconcile import Reconciler
from seaway.cluster.workloads import conditions
from seaway.cluster.workloads.acting import Actor
from seaway.cluster.workloads.knownkinds import KnownKinds, is_custom, replicas
from seaway.cluster.workloads.podfacts import failure_text
from seaway.controllers.run import Caches
from seaway.controllers.writes import Patch, apply

Tree = dict[str, Any]
RESOURCE = "horizontalpodautoscalers.autoscaling"
PERIOD = 15.0
MISSING = "the server could not find the requested resource"


@dataclass(slots=True)
class Step:
    """The status, the number of replicas that the target shall have (None: as it is), events to tell."""

    status: Tree
    replicas: int | None = None
    events: list[tuple[str, str, str]] = field(default_factory=list)


def _metric(metric: Tree) -> tuple[str, str]:
    """(the condition's reason, why the metric cannot be had)."""
    kind = metric.get("type", "Resource")
    if kind in ("Resource", "ContainerResource"):
        own = metric["resource" if kind == "Resource" else "containerResource"]
        name = own["name"]
        what = "utilization" if get(own, "target", "type") == "Utilization" else "usage"
        why = (
            f"failed to get {name} {what}: unable to get metrics for resource {name}: unable to fetch metrics from resource "
            f"metrics API: {MISSING} (get pods.metrics.k8s.io)"
        )
        return ("FailedGetResourceMetric" if kind == "Resource" else "FailedGetContainerResourceMetric"), why
    if kind == "External":
        name = get(metric, "external", "metric", "name") or ""
        return (
            "FailedGetExternalMetric",
            f"unable to get external metric {name}: no external metrics API is served here",
        )
    section = "object" if kind == "Object" else "pods"
    name = get(metric, section, "metric", "name") or ""
    why = f"unable to get metric {name}: unable to fetch metrics from custom metrics API: no custom metrics API is served here"
    return ("FailedGetObjectMetric" if kind == "Object" else "FailedGetPodsMetric"), why


def decide(scaler: Tree, current: int, now: float) -> Step:
    """`current`: the replicas of the target."""
    spec = scaler["spec"]
    low, high = spec.get("minReplicas", 1), spec["maxReplicas"]
    before: Tree = scaler.get("status") or {}
    have = list(before.get("conditions") or ())
    step = Step({})

    def say(kind: str, status: str, reason: str, message: str) -> None:
        nonlocal have
        entry = conditions.make(kind, status, reason, message, now)
        have = with_condition(have, entry)

    say("AbleToScale", "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale")
    desired, why = current, ""
    if not current and low:
        desired = 0
        say(
            "ScalingActive",
            "False",
            "ScalingDisabled",
            "scaling is disabled since the replica count of the target is zero",
        )
    elif current > high:
        desired, why = high, "Current number of replicas above Spec.MaxReplicas"
    elif current < low:
        desired, why = low, "Current number of replicas below Spec.MinReplicas"
    else:
        _unmeasured(scaler, step, say)
    if why:
        step.replicas = desired
        step.events.append(("Normal", "SuccessfulRescale", f"New size: {desired}; reason: {why}"))
        say(
            "AbleToScale",
            "True",
            "SucceededRescale",
            f"the HPA controller was able to update the target scale to {desired}",
        )
    step.status = {
        **before,
        "currentReplicas": current,
        "desiredReplicas": desired if why or not current else before.get("desiredReplicas", 0),
        "conditions": have,
    }
    if why:
        step.status["lastScaleTime"] = stamp(now)
    if not current:
        step.status.pop("currentReplicas")
    return step


def _unmeasured(scaler: Tree, step: Step, say: Any) -> None:
    metrics = scaler["spec"].get("metrics") or []
    problems = [_metric(m) for m in metrics]
    if not problems:
        return
    reason, why = problems[0]
    say("ScalingActive", "False", reason, f"the HPA was unable to compute the replica count: {why}")
    step.events += [("Warning", r, w) for r, w in problems]
    said = f"invalid metrics ({len(problems)} invalid out of {len(metrics)}), first error is: {why}"
    step.events.append(("Warning", "FailedComputeMetricsReplicas", said))


def without_target(scaler: Tree, why: str, now: float) -> Step:
    """The target has no scale that can be read."""
    before: Tree = scaler.get("status") or {}
    text = f"the HPA controller was unable to get the target's current scale: {why}"
    entry = conditions.make("AbleToScale", "False", "FailedGetScale", text, now)
    status = {"desiredReplicas": 0, **before, "conditions": with_condition(before.get("conditions") or [], entry)}
    return Step(status, None, [("Warning", "FailedGetScale", why)])


class AutoscalerController:
    def __init__(self, caches: Caches, events: Events) -> None:
        self._now = time.time
        self._caches = caches
        self._scalers = caches.of(RESOURCE)
        self._kinds = KnownKinds(caches)
        self._actor = Actor(caches, events, "autoscaling/v2", "HorizontalPodAutoscaler")
        self.queue: Reconciler[Key] = Reconciler("autoscalers", self._reconcile)
        self._scalers.listen(lambda change: self.queue.add(change.key))

    async def _reconcile(self, key: Key) -> float | None:
        scaler, actor, now = self._scalers.get(*key), self._actor, self._now()
        if actor.is_behind(key, scaler) or scaler is None:
            return None
        ref = scaler["spec"]["scaleTargetRef"]
        kind = self._kinds.find(ref.get("apiVersion") or "", ref["kind"])
        step = None
        if kind is None or "scale" not in kind.subresources:
            step = without_target(scaler, f'no matches for kind "{ref["kind"]}" in group "{_group(ref)}"', now)
        else:
            try:
                step = decide(scaler, await self._current(kind, key.namespace, ref["name"]), now)
            except ApiStatusError as e:
                step = without_target(scaler, failure_text(e), now)
        for severity, reason, message in step.events:
            actor.tell(scaler, severity, reason, message)
        if step.replicas is not None and kind is not None:
            try:
                body = {"spec": {"replicas": step.replicas}}
                await apply(self._caches.api, Patch(kind, key.namespace, ref["name"], body, "scale"))
            except NotFound:
                return PERIOD
        await actor.write_status(RESOURCE, key, scaler, step.status)
        return PERIOD

    async def _current(self, kind: Kind, namespace: str, name: str) -> int:
        if is_custom(kind):
            return await replicas(self._caches.api, kind, namespace, name)
        return get(await self._caches.api.get(kind, namespace, name), "spec", "replicas") or 0


def _group(ref: Tree) -> str:
    version = str(ref.get("apiVersion") or "")
    return version.rpartition("/")[0]
