"""pods/eviction: a deletion that PodDisruptionBudgets may refuse (pkg/registry/core/pod/storage/eviction.go).

An eviction takes one from the budget's `disruptionsAllowed` and writes the pod down as disrupted, before the pod is
deleted; the disruption controller counts again when it sees the deletion.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from seaway.api import kinds
from seaway.api.selectors import label_selector
from seaway.api.tree import get, is_true, labels, stamp
from seaway.cluster.apiserver.reviewing import CREATE, EVICTION
from seaway.cluster.apiserver.status import (
    ApiError,
    bad_request,
    forbidden,
    invalid,
    not_found,
    precondition_failed,
    unsupported,
)
from seaway.cluster.apiserver.verbs import Call, Verbs

Tree = dict[str, Any]
BUDGETS = "poddisruptionbudgets.policy"
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
MOST_DISRUPTED = 2000
POLICIES = ("IfHealthyBudget", "AlwaysAllow")


def ends_freely(pod: Tree) -> bool:
    """Ended, pending and terminating pods go without asking (canIgnorePDB)."""
    return get(pod, "status", "phase") in ("Succeeded", "Failed", "Pending") or bool(
        pod["metadata"].get("deletionTimestamp")
    )


def budgets_of(pod: Tree, budgets: Iterable[Tree]) -> list[Tree]:
    found = []
    for budget in budgets:
        selector = label_selector(get(budget, "spec", "selector"))
        if selector is not None and selector.matches(labels(pod)):
            found.append(budget)
    return found


def is_spared(pod: Tree, budget: Tree) -> bool:
    """An unready pod goes without taking from the budget: always, or while enough others are healthy (KEP-3017)."""
    if is_true(pod, "Ready"):
        return False
    status = budget.get("status") or {}
    if get(budget, "spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    return bool(status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0) > 0)


def refusal(reason: str = "", message: str = "", retry: int = 0) -> ApiError:
    details: Tree = {}
    if message:
        details["causes"] = [{"reason": reason, "message": message}]
    if retry:
        details["retryAfterSeconds"] = retry
    return ApiError(429, "TooManyRequests", REFUSED, details)


def check(budget: Tree) -> None:
    """Whether the budget has a disruption left (checkAndDecrement)."""
    meta, status = budget["metadata"], budget.get("status") or {}
    name, generation = meta["name"], meta.get("generation", 0)
    if status.get("observedGeneration", 0) < generation:
        why = f"The disruption budget {name} is still being processed by the server."
        raise refusal("DisruptionBudget", why, 10)
    allowed = status.get("disruptionsAllowed", 0)
    budget_kind = kinds.by_resource()["policy", "v1", "poddisruptionbudgets"]
    if allowed < 0:
        raise forbidden(budget_kind, name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or ()) > MOST_DISRUPTED:
        raise forbidden(
            budget_kind, name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        )
    if not allowed:
        desired, healthy = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
        failed: Tree = next((c for c in status.get("conditions") or () if c["type"] == "DisruptionAllowed"), {})
        if failed.get("reason") == "SyncFailed":
            said = failed.get("message", "")
            why = f"The disruption budget {name} does not allow evicting pods currently because it failed sync: {said}"
        else:
            why = f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
        raise refusal("DisruptionBudget", why)


def _preconditions(call: Call, pod: Tree, options: Tree) -> None:
    wanted = options.get("preconditions") or {}
    for option, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        if wanted.get(option) is not None and wanted[option] != pod["metadata"][option]:
            have = pod["metadata"][option]
            why = f"Precondition failed: {label} in precondition: {wanted[option]}, {label} in object meta: {have}"
            raise precondition_failed(call.kind, call.name, why)


async def evict(verbs: Verbs, call: Call, body: Tree) -> Tree:
    """Success, or 429 with the budget's word."""
    if (body.get("metadata") or {}).get("name", "") != call.name:
        raise bad_request("name in URL does not match name in Eviction object")
    options = body.get("deleteOptions") or {}
    dry = options.get("dryRun") or []
    if dry and dry != ["All"]:
        raise invalid("policy", "DeleteOptions", "", [unsupported("dryRun", dry[0], ("All",))])
    call = replace(call, dry_run=call.dry_run or bool(dry), body=b"")
    review = verbs.reviewers.review(call, CREATE, EVICTION)
    if review is not None:
        body = await review.whole({**body, "kind": EVICTION.kind, "apiVersion": EVICTION.api_version})
        options = body.get("deleteOptions") or {}
    call = replace(call, subresource="", options=None)  # who may evict a pod need not be asked about its deletion
    entry = verbs.storage.newest("pods", call.key)
    if entry is None:
        raise not_found(call.kind, call.name)
    pod = entry.tree
    _preconditions(call, pod, options)
    if not ends_freely(pod):
        await _ask(verbs, call, pod)
    await _mark(verbs, call)
    await verbs.delete(call, {k: v for k, v in options.items() if k != "dryRun"})
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


async def _ask(verbs: Verbs, call: Call, pod: Tree) -> None:
    prefix = f"{call.namespace}/"
    found = budgets_of(pod, (e.tree for e in verbs.storage.newest_all(BUDGETS) if e.key.startswith(prefix)))
    if not found:
        return
    if len(found) > 1:
        why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise bad_request(why)
    budget = found[0]
    if is_spared(pod, budget):
        return
    check(budget)
    if call.dry_run:
        return
    now = stamp(verbs.edges.now())

    def edit(tree: Tree) -> Tree:
        check(tree)  # the newest state: two evictions do not take the same one
        status = tree["status"]
        status["disruptionsAllowed"] -= 1
        status["disruptedPods"] = {**(status.get("disruptedPods") or {}), call.name: now}
        if is_true(pod, "Ready"):  # as the disruption controller is about to count: the next eviction is told the truth
            status["currentHealthy"] = max(status.get("currentHealthy", 0) - 1, 0)
        if not status["disruptionsAllowed"]:
            status["conditions"] = [_insufficient(c, now) for c in status.get("conditions") or ()]
        return tree

    kind = kinds.by_resource()["policy", "v1", "poddisruptionbudgets"]
    await verbs.change(kind, call.namespace, budget["metadata"]["name"], edit, "status", call.user)


def _insufficient(condition: Tree, now: str) -> Tree:
    if condition["type"] != "DisruptionAllowed" or condition["status"] == "False":
        return condition
    return {**condition, "status": "False", "reason": "InsufficientPods", "message": "", "lastTransitionTime": now}


async def _mark(verbs: Verbs, call: Call) -> None:
    """The pod says why it goes (KEP-3329)."""
    if call.dry_run:
        return
    now = stamp(verbs.edges.now())

    def edit(tree: Tree) -> Tree:
        status = tree.setdefault("status", {})
        have = list(status.get("conditions") or ())
        old = next((c for c in have if c["type"] == "DisruptionTarget"), None)
        new = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
            "lastTransitionTime": now,
            "observedGeneration": tree["metadata"].get("generation", 1),
        }
        status["conditions"] = [new if c is old else c for c in have] if old else [*have, new]
        return tree

    await verbs.change(call.kind, call.namespace, call.name, edit, "status", call.user)
