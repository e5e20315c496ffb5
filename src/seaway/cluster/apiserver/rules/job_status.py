"""The status of a Job: conditions exclude each other, what ended has numbers that say so (KEP-4368; pkg/apis/batch)."""

from __future__ import annotations

from typing import Any

from seaway.api.tree import seconds
from seaway.cluster.apiserver.rules import fieldrules, index_sets
from seaway.cluster.apiserver.rules.internal_forms import internal
from seaway.cluster.apiserver.rules.job_policies import bare
from seaway.cluster.apiserver.status import Cause, duplicate, required, wrong

Tree = dict[str, Any]
CONDITIONS = "status.conditions"
COUNTS = ("active", "succeeded", "failed", "ready", "terminating")


class View:
    """A Job's status, as the checks ask it."""

    def __init__(self, tree: Tree) -> None:
        self.spec: Tree = tree.get("spec") or {}
        self.status: Tree = tree.get("status") or {}
        self.true = self._types("True")
        self.false = self._types("False")

    def _types(self, status: str) -> frozenset[str]:
        conditions = self.status.get("conditions") or ()
        return frozenset(c.get("type", "") for c in conditions if c.get("status") == status)

    @property
    def finished(self) -> bool:
        return bool(self.true & {"Complete", "Failed"})

    def number(self, name: str) -> int:
        return int(self.status.get(name) or 0)


def _uncounted(status: Tree) -> list[Cause]:
    found, seen = [], set[str]()
    for name in ("succeeded", "failed"):
        for i, uid in enumerate((status.get("uncountedTerminatedPods") or {}).get(name) or ()):
            at = f"status.uncountedTerminatedPods.{name}[{i}]"
            if not uid:
                found.append(wrong(at, uid, "must not be empty"))
            elif uid in seen:
                found.append(duplicate(at, uid))
            seen.add(uid)
    return found


def _together(now: View, changed: set[str]) -> list[Cause]:
    """Conditions against each other, and times against conditions."""
    found, complete, failed = [], "Complete" in now.true, "Failed" in now.true
    done, start = now.status.get("completionTime"), now.status.get("startTime")
    if complete and failed and changed & {"Complete", "Failed"}:
        found.append(bare(CONDITIONS, "cannot set Complete=True and Failed=true conditions"))
    if complete and "FailureTarget" in now.true and changed & {"Complete", "FailureTarget"}:
        found.append(bare(CONDITIONS, "cannot set Complete=True and FailureTarget=true conditions"))
    if changed & {"Complete", "completionTime"}:
        at = "status.completionTime"
        if done is not None and not complete:
            found.append(wrong(at, done, "cannot set completionTime when there is no Complete=True condition"))
        if done is None and complete:
            found.append(required(at, "completionTime is required for Complete jobs"))
    if changed & {"startTime", "completionTime"} and start and done and (seconds(done) or 0) < (seconds(start) or 0):
        found.append(wrong("status.completionTime", done, "must be equal to or after `startTime`"))
    if failed and "FailureTarget" not in now.true and changed & {"Failed", "failedIndexes"}:
        why = "cannot set Failed=True condition without the FailureTarget=true condition"
        found.append(bare(CONDITIONS, why))
    if complete and "SuccessCriteriaMet" not in now.true and changed & {"Complete", "SuccessCriteriaMet"}:
        why = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"
        found.append(bare(CONDITIONS, why))
    return found


def _ended(now: View, changed: set[str]) -> list[Cause]:
    """A Job that ended has no pods left to count."""
    found, status = [], now.status
    if not now.finished:
        return []
    if now.number("active") > 0 and changed & {"finished", "active"}:
        found.append(wrong("status.active", now.number("active"), "active>0 is invalid for finished job"))
    empty = now.spec.get("suspend") is True and now.spec.get("completions") == 0
    if status.get("startTime") is None and changed & {"finished", "startTime"} and not empty:
        found.append(required("status.startTime", "startTime is required for finished job"))
    pods = status.get("uncountedTerminatedPods") or {}
    if changed & {"finished", "uncountedTerminatedPods"} and (pods.get("failed") or pods.get("succeeded")):
        shown = internal("UncountedTerminatedPods", pods)
        found.append(wrong("status.uncountedTerminatedPods", shown, "must be empty for finished job"))
    return found


def _indexes(now: View, changed: set[str]) -> list[Cause]:
    found, completions = [], now.spec.get("completions")
    done, failed = now.status.get("completedIndexes", ""), now.status.get("failedIndexes")
    per_index = now.spec.get("backoffLimitPerIndex") is not None
    for name, text, judged in (("completedIndexes", done, True), ("failedIndexes", failed, per_index)):
        if name in changed and judged and completions is not None and text is not None:
            try:
                index_sets.intervals(text, completions)
            except index_sets.IndexSetError as e:
                found.append(wrong(f"status.{name}", text, f"error parsing {name}: {e}"))
    if "completedIndexes" in changed and done and now.spec.get("completionMode") != "Indexed":
        why = "cannot set non-empty completedIndexes when non-indexed completion mode"
        found.append(wrong("status.completedIndexes", done, why))
    if "failedIndexes" in changed and failed is not None and not per_index:
        why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        found.append(wrong("status.failedIndexes", failed, why))
    if changed & {"failedIndexes", "completedIndexes"} and completions is not None and failed is not None:
        both = index_sets.overlap(done, failed, completions)
        if both is not None:
            why = f"failedIndexes and completedIndexes overlap at index: {both}"
            found.append(wrong("status.failedIndexes", failed, why))
    return found


def _counts(now: View, changed: set[str]) -> list[Cause]:
    found, terminating, ready = [], now.status.get("terminating"), now.status.get("ready")
    if now.finished and terminating and terminating > 0 and changed & {"finished", "terminating"}:
        found.append(wrong("status.terminating", terminating, "terminating>0 is invalid for finished job"))
    if ready is not None and ready > now.number("active") and changed & {"ready", "active"}:
        found.append(wrong("status.ready", ready, "cannot set more ready pods than active"))
    if "SuccessCriteriaMet" in now.true:
        for other in ("Failed", "FailureTarget"):
            if other in now.true:
                why = f"cannot set SuccessCriteriaMet=True and {other}=true conditions"
                found.append(bare(CONDITIONS, why))
    elif now.spec.get("successPolicy") is not None and "Complete" in now.true:
        why = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
        found.append(bare(CONDITIONS, why))
    return found


def _transitions(now: View, was: View, changed: set[str]) -> list[Cause]:
    """What does not go back."""
    found = []
    for kind in ("Failed", "Complete", "FailureTarget"):
        if kind in was.true and kind not in now.true:
            found.append(bare(CONDITIONS, f"cannot disable the terminal {kind}=True condition"))
    elastic = now.spec.get("completionMode") == "Indexed" and now.spec.get("completions") == now.spec.get("parallelism")
    for name in ("failed", "succeeded"):
        if now.number(name) < was.number(name) and not (name == "succeeded" and elastic):
            found.append(wrong(f"status.{name}", now.number(name), f"cannot decrease the {name} counter"))
    done, before = now.status.get("completionTime"), was.status.get("completionTime")
    if done is not None and before is not None and done != before:
        found.append(wrong("status.completionTime", done, fieldrules.IMMUTABLE))
    resuming = "Suspended" in was.true and "Suspended" in now.false
    moved = "startTime" in changed and was.status.get("startTime") is not None
    if moved and not resuming and not now.spec.get("suspend"):
        why = "field is immutable for unsuspended job once set"
        found.append(wrong("status.startTime", now.status.get("startTime"), why))
    if "SuccessCriteriaMet" in was.true and "SuccessCriteriaMet" not in now.true:
        found.append(bare(CONDITIONS, "cannot disable the SuccessCriteriaMet=True condition"))
    if "Complete" in was.true and "SuccessCriteriaMet" not in was.true and "SuccessCriteriaMet" in now.true:
        why = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        found.append(bare(CONDITIONS, why))
    return found


def validate(new: Tree, old: Tree) -> list[Cause]:
    """ValidateJobUpdateStatus: most checks look only at what this write changes, so that old Jobs can end."""
    now, was = View(new), View(old)
    fields = ("active", "ready", "terminating", "startTime", "completionTime", "completedIndexes", "failedIndexes")
    changed = {n for n in fields if now.status.get(n) != was.status.get(n)}
    changed |= now.true ^ was.true
    if now.finished != was.finished:
        changed.add("finished")
    if now.status.get("uncountedTerminatedPods") != was.status.get("uncountedTerminatedPods"):
        changed.add("uncountedTerminatedPods")
    found = fieldrules.not_negatives(now.status, "status", *COUNTS) + _uncounted(now.status)
    found += _together(now, changed) + _ended(now, changed) + _indexes(now, changed) + _counts(now, changed)
    return found + _transitions(now, was, changed)
