"""Deployment, ReplicaSet, DaemonSet, StatefulSet, Job, CronJob: defaults and validation (pkg/apis/apps, pkg/apis/batch)."""

from __future__ import annotations

from typing import Any

from seaway.api.selectors import Selector, label_selector
from seaway.cluster.apiserver import metadata
from seaway.cluster.apiserver.rules import podspec
from seaway.cluster.apiserver.status import Cause, required, unsupported, wrong

Tree = dict[str, Any]


def _default_template(spec: Tree) -> Tree:
    template: Tree = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    podspec.default_spec(template.setdefault("spec", {}))
    return template


def _default_rolling(strategy: Tree, **values: Any) -> None:
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        for name, value in values.items():
            rolling.setdefault(name, value)


def default_deployment(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    _default_template(spec)
    _default_rolling(spec.setdefault("strategy", {}), maxUnavailable="25%", maxSurge="25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)


def default_replicaset(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    _default_template(spec)


def default_daemonset(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    _default_template(spec)
    _default_rolling(spec.setdefault("updateStrategy", {}), maxUnavailable=1, maxSurge=0)
    spec.setdefault("revisionHistoryLimit", 10)


def default_statefulset(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    spec.setdefault("podManagementPolicy", "OrderedReady")
    _default_rolling(spec.setdefault("updateStrategy", {}), partition=0)
    spec.setdefault("persistentVolumeClaimRetentionPolicy", {"whenDeleted": "Retain", "whenScaled": "Retain"})
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    _default_template(spec)


def default_job(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("podReplacementPolicy", "TerminatingOrFailed")
    _default_template(spec)


def default_cronjob(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    spec.setdefault("concurrencyPolicy", "Allow")
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
    _default_template(spec.setdefault("jobTemplate", {}).setdefault("spec", {}))


def _template_causes(spec: Tree, selector: Selector | None, restart: tuple[str, ...]) -> list[Cause]:
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    found = []
    if selector is not None and not selector.matches(labels):
        found.append(wrong("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    found += metadata.label_causes(labels, "spec.template.metadata.labels")
    pod = template.get("spec") or {}
    found += podspec.validate_spec(pod, "spec.template.spec")
    policy = pod.get("restartPolicy")
    if policy in ("Always", "OnFailure", "Never") and policy not in restart:
        found.append(unsupported("spec.template.spec.restartPolicy", policy, restart))
    return found


def _selector_causes(spec: Tree) -> tuple[list[Cause], Selector | None]:
    tree = spec.get("selector")
    if tree is None:
        return [required("spec.selector")], None
    found = []
    if not tree.get("matchLabels") and not tree.get("matchExpressions"):
        found.append(wrong("spec.selector", tree, "empty selector is invalid for deployment"))
    operators = ("In", "NotIn", "Exists", "DoesNotExist")
    for i, term in enumerate(tree.get("matchExpressions") or ()):
        at = f"spec.selector.matchExpressions[{i}]"
        if term.get("operator") in ("In", "NotIn") and not term.get("values"):
            found.append(required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif term.get("operator") not in operators:
            found.append(wrong(f"{at}.operator", term.get("operator"), "not a valid selector operator"))
    found += metadata.label_causes(tree.get("matchLabels") or {}, "spec.selector.matchLabels")
    return found, None if found else label_selector(tree)


def _validate(tree: Tree, restart: tuple[str, ...] = ("Always",)) -> list[Cause]:
    spec = tree.get("spec") or {}
    found = []
    if spec.get("replicas", 0) < 0:
        found.append(wrong("spec.replicas", spec["replicas"], "must be greater than or equal to 0"))
    causes, selector = _selector_causes(spec)
    if tree.get("kind") != "Deployment":
        noun = {"ReplicaSet": "deployment", "DaemonSet": "daemonset", "StatefulSet": "statefulset"}.get(
            str(tree.get("kind")), ""
        )
        causes = [Cause(c.field, c.reason, c.message.replace("for deployment", f"for {noun}")) for c in causes]
    return found + causes + _template_causes(spec, selector, restart)


def validate_workload(tree: Tree) -> list[Cause]:
    return _validate(tree)


def validate_job(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    found = [
        wrong(f"spec.{name}", spec[name], "must be greater than or equal to 0")
        for name in ("completions", "parallelism", "backoffLimit")
        if spec.get(name, 0) < 0
    ]
    return found + _template_causes(spec, None, ("OnFailure", "Never"))


def validate_update(tree: Tree, old: Tree) -> list[Cause]:
    """The selector is the workload's identity."""
    if tree["spec"].get("selector") != old["spec"].get("selector"):
        return [wrong("spec.selector", tree["spec"].get("selector"), "field is immutable")]
    return []
