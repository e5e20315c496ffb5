"""Completion indexes of Jobs: their compressed text, which are still to be done, which pods double one; pure
(pkg/controller/job/indexed_job_utils.go)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seaway.cluster.workloads.podfacts import deletion_order

Tree = dict[str, Any]
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"


def index_of(pod: Tree) -> int | None:
    text = (pod["metadata"].get("annotations") or {}).get(INDEX, "")
    return int(text) if text.isdigit() else None


def parse(text: str | None, completions: int) -> set[int]:
    """`0,2-4` as a set; what lies beyond the completions, or cannot be read, is left out."""
    found: set[int] = set()
    for part in filter(None, (text or "").split(",")):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            continue
        found.update(range(int(first), min(int(last) if dash else int(first), completions - 1) + 1))
    return {i for i in found if i < completions}


def show(indexes: Iterable[int]) -> str:
    """The indexes as text: runs of three or more with a dash."""
    parts: list[str] = []
    run: list[int] = []
    for index in [*sorted(indexes), None]:
        if index is not None and run and index == run[-1] + 1:
            run.append(index)
            continue
        if len(run) > 2:
            parts.append(f"{run[0]}-{run[-1]}")
        else:
            parts += map(str, run)
        run = [index] if index is not None else []
    return ",".join(parts)


def _count(pod: Tree, name: str) -> int:
    text = (pod["metadata"].get("annotations") or {}).get(name, "")
    return int(text) if text.isdigit() and int(text) < 2**31 else 0


def failures(pod: Tree) -> int:
    """How many pods of this index failed before this one, of those that count."""
    return _count(pod, FAILURES)


def all_failures(pod: Tree) -> int:
    return _count(pod, FAILURES) + _count(pod, IGNORED_FAILURES)


def failure_notes(before: Tree | None, counted: bool) -> dict[str, str]:
    """The annotations of a pod that takes a failed one's place. `counted`: that one's failure counts."""
    if before is None:
        return {FAILURES: "0"}
    found = {FAILURES: str(failures(before) + counted)}
    ignored = _count(before, IGNORED_FAILURES) + (not counted)
    return {**found, IGNORED_FAILURES: str(ignored)} if ignored else found


def pending(taken: set[int], count: int, completions: int) -> list[int]:
    """The first indexes that nobody has."""
    found: list[int] = []
    for index in range(completions):
        if len(found) >= count:
            break
        if index not in taken:
            found.append(index)
    return found


def doubled(pods: list[Tree], completions: int, now: float) -> tuple[list[Tree], list[Tree]]:
    """(pods to remove, pods to keep): one a valid index, the most useful of each."""
    by_index: dict[int, list[Tree]] = {}
    gone, kept = [], []
    for pod in pods:
        index = index_of(pod)
        if index is None or index >= completions:
            gone.append(pod)
        else:
            by_index.setdefault(index, []).append(pod)
    for _, same in sorted(by_index.items()):
        order = deletion_order(same, [], now)
        gone += order[:-1]
        kept.append(order[-1])
    return gone, kept
