"""Job: defaults, the selector that is made for it, validation, what may change (pkg/apis/batch, pkg/registry/batch/job)."""

from __future__ import annotations

import copy
from typing import Any

from seaway.cluster.apiserver import formats, zeros
from seaway.cluster.apiserver.rules import (
    Part,
    Rule,
    fieldrules,
    job_policies,
    job_status,
    pod_warnings,
    replicas,
    templates,
)
from seaway.cluster.apiserver.rules.internal_forms import internal
from seaway.cluster.apiserver.status import Cause, required, too_long, unlisted, wrong

Tree = dict[str, Any]
UID_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid")
NAME_LABELS = ("job-name", "batch.kubernetes.io/job-name")
MODES = ("NonIndexed", "Indexed")
REPLACEMENT = ("Failed", "TerminatingOrFailed")
MANY, MANY_AT_ONCE = 100_000, 10_000
NUMBERS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
)
INDEXED_ONLY = "requires indexed completion mode"
TOO_MANY_INDEXES = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might "
    "not be able to track completedIndexes when a big number of indexes fail"
)


def default_policies(spec: Tree) -> None:
    """What a CronJob's template is given, too."""
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            pattern.setdefault("status", "True")


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    template = templates.default(spec)
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", formats.MAX_INT32 if "backoffLimitPerIndex" in spec else 6)
    labels = templates.labels_of(template)
    if labels and not tree["metadata"].get("labels"):
        tree["metadata"]["labels"] = labels  # one map upstream, too: `begin` writes its labels to both
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")
    spec.setdefault("manualSelector", False)
    default_policies(spec)
    zeros.complete("io.k8s.api.batch.v1.Job", tree)


def begin(tree: Tree) -> None:
    """A Job selects its pods by its own uid, unless it says that it knows better."""
    spec, meta = tree["spec"], tree["metadata"]
    if spec["manualSelector"]:
        return
    labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    for names, value in ((NAME_LABELS, meta.get("name", "")), (UID_LABELS, meta["uid"])):
        for name in names:
            labels.setdefault(name, value)
    if not meta.get("labels"):
        meta["labels"] = dict(labels)  # as whoever reads it from the storage upstream finds it
    selector = spec["selector"] = spec.get("selector") or {}
    selector.setdefault("matchLabels", {}).setdefault(UID_LABELS[1], meta["uid"])


def _has_label(template: Tree, name: str, value: str) -> list[Cause]:
    path, labels = f"spec.template.metadata.labels[{name}]", templates.labels_of(template)
    if name not in labels:
        return [required(path, f"must be '{value}'")]
    if labels[name] != value:
        return [wrong(path, templates.labels_shown(template), f"must be '{value}'")]
    return []


def _generated(tree: Tree, prefixed: bool) -> list[Cause]:
    """The labels and selector that `begin` made are still those."""
    spec, meta, found = tree["spec"], tree["metadata"], []
    if spec.get("manualSelector") or spec.get("selector") is None:
        return []
    expected = {}
    for i in (0, 1) if prefixed else (0,):
        for name, value in ((UID_LABELS[i], meta["uid"]), (NAME_LABELS[i], meta.get("name", ""))):
            found += _has_label(spec.get("template") or {}, name, value)
            expected[name] = value
    chosen = fieldrules.compiled_selector(spec["selector"])
    if chosen is not None and not chosen.matches(expected):
        shown = fieldrules.selector_shown(spec["selector"])
        found.append(wrong("spec.selector", shown, "`selector` not auto-generated"))
    return found


def _indexed(spec: Tree, path: str) -> list[Cause]:
    found, per_index = [], spec.get("backoffLimitPerIndex") is not None
    completions, parallelism, most = spec.get("completions"), spec.get("parallelism"), spec.get("maxFailedIndexes")
    if completions is None:
        found.append(required(f"{path}.completions", "when completion mode is Indexed"))
    if parallelism is not None and parallelism > MANY:
        why = f"must be less than or equal to {MANY} when completion mode is Indexed"
        found.append(wrong(f"{path}.parallelism", parallelism, why))
    if completions is not None and most is not None and most > completions:
        found.append(wrong(f"{path}.maxFailedIndexes", most, "must be less than or equal to completions"))
    if most is not None and most > MANY:
        found.append(wrong(f"{path}.maxFailedIndexes", most, f"must be less than or equal to {MANY}"))
    if completions is not None and completions > MANY and per_index:
        limit = (
            f"must be less than or equal to {MANY_AT_ONCE} when completions are above {MANY} and used with backoff "
            "limit per index"
        )
        if most is None:
            why = f"must be specified when completions is above {MANY}"
            found.append(required(f"{path}.maxFailedIndexes", why))
        if parallelism is not None and parallelism > MANY_AT_ONCE:
            found.append(wrong(f"{path}.parallelism", parallelism, limit))
        if most is not None and most > MANY_AT_ONCE:
            found.append(wrong(f"{path}.maxFailedIndexes", most, limit))
    return found


def _restart(spec: Tree, path: str) -> list[Cause]:
    policy, at = (
        ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy", ""),
        f"{path}.template.spec.restartPolicy",
    )
    if policy in ("Always", ""):
        return [required(at, 'valid values: "OnFailure", "Never"')]
    if policy not in ("OnFailure", "Never"):
        return [unlisted(at, policy, ("OnFailure", "Never"))]
    if spec.get("podFailurePolicy") is not None and policy != "Never":
        return [wrong(at, policy, 'only "Never" is supported when podFailurePolicy is specified')]
    return []


def validate_spec(spec: Tree, path: str) -> list[Cause]:
    """A JobSpec, but for its selector: that of a CronJob has none."""
    found = fieldrules.not_negatives(spec, path, *NUMBERS)
    mode, per_index, most = spec.get("completionMode"), spec.get("backoffLimitPerIndex"), spec.get("maxFailedIndexes")
    if most is not None:
        found += fieldrules.not_negative(f"{path}.maxFailedIndexes", most)
        if per_index is None:
            found.append(required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    manager = spec.get("managedBy")
    if manager is not None:
        found += formats.prefixed_path(f"{path}.managedBy", manager)
        if len(manager) > 63:
            found.append(too_long(f"{path}.managedBy", 63))
    if mode is not None:
        found += fieldrules.listed(f"{path}.completionMode", mode, MODES)
    if mode == "Indexed":
        found += _indexed(spec, path)
    elif mode in (None, "NonIndexed"):
        for name, value in (("backoffLimitPerIndex", per_index), ("maxFailedIndexes", most)):
            if value is not None:
                found.append(wrong(f"{path}.{name}", value, INDEXED_ONLY))
    if spec.get("podFailurePolicy") is not None:
        found += job_policies.validate_failure(spec, f"{path}.podFailurePolicy")
    if spec.get("successPolicy") is not None:
        if mode != "Indexed":
            shown = internal("SuccessPolicy", spec["successPolicy"])
            found.append(wrong(f"{path}.successPolicy", shown, INDEXED_ONLY))
        else:
            found += job_policies.validate_success(spec, f"{path}.successPolicy")
    replacement = spec.get("podReplacementPolicy")
    if replacement is not None:
        allowed = ("Failed",) if spec.get("podFailurePolicy") is not None else REPLACEMENT
        found += fieldrules.listed(f"{path}.podReplacementPolicy", replacement, allowed)
    found += templates.validate(spec.get("template") or {}, f"{path}.template")
    return found + _restart(spec, path)


def _with_selector(spec: Tree) -> list[Cause]:
    found = validate_spec(spec, "spec")
    if spec.get("selector") is None:
        found.append(required("spec.selector"))
    found += fieldrules.selector_causes(spec.get("selector"), "spec.selector")
    chosen, can_be = replicas.compiled(spec)
    return found + (templates.matching(spec.get("template") or {}, chosen, "spec.template") if can_be else [])


def _validate(tree: Tree, prefixed: bool) -> list[Cause]:
    spec, found = tree["spec"], _generated(tree, prefixed)
    found += _with_selector(spec)
    completions, name = spec.get("completions") or 0, tree["metadata"].get("name", "")
    if spec.get("completionMode") == "Indexed" and completions > 0:
        last = f"{name}-{completions - 1}"
        if formats.label(last):
            why = f"will not able to create pod with invalid DNS label: {last}"
            found.append(wrong("metadata.name", name, why))
    return found


def validate(tree: Tree) -> list[Cause]:
    return _validate(tree, prefixed=True)


def _completions(new: Tree, old: Tree) -> list[Cause]:
    now, was, path = new.get("completions"), old.get("completions"), "spec.completions"
    if new.get("completionMode") != "Indexed":
        return fieldrules.unchanged(path, now, was)
    if now is None or now == was or now == new.get("parallelism"):
        return []
    return [wrong(path, now, "can only be modified in tandem with spec.parallelism")]


def _mutable_template(old: Tree) -> bool:
    """A suspended Job without pods may be told anew where they shall run, and with what."""
    status = old.get("status") or {}
    suspended = any(c.get("type") == "Suspended" and c.get("status") == "True" for c in status.get("conditions") or ())
    return bool(
        old["spec"].get("suspend") and (status.get("startTime") is None or suspended) and not status.get("active")
    )


def _template(new: Tree, old: Tree) -> list[Cause]:
    template, before = new["spec"].get("template") or {}, copy.deepcopy(old["spec"].get("template") or {})
    mutable = _mutable_template(old)
    pod, was = template.get("spec") or {}, before.get("spec") or {}
    if mutable:
        own = (pod.get("affinity") or {}).get("nodeAffinity")
        affinity = {k: v for k, v in (was.get("affinity") or {}).items() if k != "nodeAffinity"}
        if own is not None:
            affinity["nodeAffinity"] = own
        _take(was, "affinity", affinity or ({} if "affinity" in pod and pod["affinity"] == {} else None))
        for name in ("nodeSelector", "tolerations", "schedulingGates"):
            _take(was, name, pod.get(name))
        meta = before.setdefault("metadata", {})
        for name in ("annotations", "labels"):
            _take(meta, name, (template.get("metadata") or {}).get(name))
    if not (mutable and old["spec"].get("suspend")):
        return fieldrules.unchanged("spec.template", template, before, internal("PodTemplateSpec", template))
    for name in ("containers", "initContainers"):
        now, then = pod.get(name) or [], was.get(name) or []
        for container, earlier in zip(now, then, strict=False) if len(now) == len(then) else ():
            if container.get("name") == earlier.get("name"):
                _take(earlier, "resources", container.get("resources"))
    return fieldrules.unchanged("spec.template.spec", pod, was, internal("PodSpec", pod))


def _take(tree: Tree, name: str, value: Any) -> None:
    if value is None:
        tree.pop(name, None)
    else:
        tree[name] = value


def revalidate(new: Tree, old: Tree) -> list[Cause]:
    """Upstream judges the spec twice: as a Job, and as an update of one."""
    spec, before = new["spec"], old["spec"]
    labels = templates.labels_of(before.get("template") or {})
    prefixed = UID_LABELS[1] in labels and NAME_LABELS[1] in labels
    found = _validate(new, prefixed) + _with_selector(spec) + _completions(spec, before)
    selector = fieldrules.selector_shown(spec.get("selector"))
    found += fieldrules.unchanged("spec.selector", spec.get("selector"), before.get("selector"), selector)
    found += _template(new, old)
    for name, form in (
        ("completionMode", ""),
        ("podFailurePolicy", "PodFailurePolicy"),
        ("backoffLimitPerIndex", ""),
        ("managedBy", ""),
        ("successPolicy", "SuccessPolicy"),
    ):
        now = spec.get(name)
        shown = internal(form, now) if form else now
        found += fieldrules.unchanged(f"spec.{name}", now, before.get(name), shown)
    return found


def spec_warnings(spec: Tree, path: str) -> list[str]:
    found = []
    many = (spec.get("completions") or 0) > MANY and (spec.get("parallelism") or 0) > MANY_AT_ONCE
    if spec.get("completionMode") == "Indexed" and many:
        found.append(f"{path}: {TOO_MANY_INDEXES}")
    return found + pod_warnings.of_template(spec.get("template"), f"{path}.template")


def warnings(tree: Tree, old: Tree | None) -> list[str]:
    if old is not None and tree["spec"] == old["spec"]:
        return []
    name = tree["metadata"].get("name", "")
    found = pod_warnings.hostname(name, replicas.POD_NAMES) if old is None else []
    return found + spec_warnings(tree["spec"], "spec")


JOBS = Rule(
    default,
    begin,
    validate,
    revalidate=revalidate,
    warnings=warnings,
    parts={"status": Part(validate=job_status.validate)},
)
