"""One pod's decision: a node, or why there is none in upstream's words, and who makes room; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from seaway.api.selectors import Selector
from seaway.cluster.scheduler import filters, fit, preemption, scores
from seaway.cluster.scheduler.filters import Refusal
from seaway.cluster.scheduler.snapshot import PodInfo, Snapshot

Tree = dict[str, Any]
EVERYTHING = Selector()
NO_NODES = "no nodes available to schedule pods"
UNHELPFUL = "Preemption is not helpful for scheduling"
NO_CLAIMS = "no new claims to deallocate"  # what the plugin DynamicResources adds to every refusal


@dataclass(frozen=True, slots=True)
class Placed:
    node: str


@dataclass(frozen=True, slots=True)
class Refused:
    """`plugins`: who refused, so that only a change that matters to them wakes the pod. `nominate`: the node that is
    being freed for it, "" where an old nomination is to be taken back, None where it stays as it is."""

    message: str
    plugins: frozenset[str] = frozenset()
    nominate: str | None = None
    victims: tuple[PodInfo, ...] = field(default=())


def counted(reasons: Mapping[str, int]) -> str:
    return ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))


def _sentence(nodes: int, reasons: Mapping[str, int]) -> str:
    told = counted(reasons)
    return f"0/{nodes} nodes are available:" + (f" {told}." if told else "")


def _histogram(refusals: Iterable[Refusal], rest: int, otherwise: str) -> dict[str, int]:
    """How often each reason was given; `rest` nodes were not asked, for the reason `otherwise`."""
    found: dict[str, int] = {}
    for refused in refusals:
        for reason in refused.reasons:
            found[reason] = found.get(reason, 0) + 1
    if rest:
        found[otherwise] = found.get(otherwise, 0) + rest
    return found


def decide(
    pod: PodInfo,
    snapshot: Snapshot,
    services: Selector = EVERYTHING,
    budgets: Iterable[Tree] = (),
    hindrance: str = "",
) -> Placed | Refused:
    """Where the pod goes. `hindrance`: what holds it whatever the node (its volume claims)."""
    total = len(snapshot.nodes)
    if not total:
        return Refused(NO_NODES, frozenset({"Nodes"}), "")
    named = fit.named_nodes(pod.tree)
    asked = [n for n in snapshot.nodes.values() if named is None or n.name in named]
    plugins: set[str] = set()
    refusals: dict[str, Refusal] = {}
    rest = total - len(asked)
    otherwise = "node(s) didn't satisfy plugin(s) [NodeAffinity]"
    if hindrance:
        message = f"0/{total} nodes are available: {hindrance}."
        plugins.add("VolumeBinding")
    elif named is not None and not named:
        message = f"0/{total} nodes are available: pod affinity terms conflict."
        plugins.add("NodeAffinity")
    else:
        cycle = filters.prepare(pod, snapshot)
        nominated = snapshot.nodes.get(pod.nominated)
        if nominated and nominated in asked and not filters.refusal_with_nominated(cycle, nominated, snapshot):
            return Placed(nominated.name)
        fitting = []
        for node in asked:
            refused = filters.refusal_with_nominated(cycle, node, snapshot)
            if refused is None:
                fitting.append(node)
            else:
                refusals[node.name] = refused
        if fitting:
            return Placed(scores.best(scores.Scoring(pod, snapshot, fitting, services)))
        plugins |= {r.plugin for r in refusals.values()} | ({"NodeAffinity"} if rest else set())
        message = _sentence(total, _histogram(refusals.values(), rest, otherwise))
    return _preempt(pod, snapshot, refusals, budgets, message, frozenset(plugins))


def _preempt(
    pod: PodInfo,
    snapshot: Snapshot,
    refusals: Mapping[str, Refusal],
    budgets: Iterable[Tree],
    message: str,
    plugins: frozenset[str],
) -> Refused:
    """PostFilter: room by preemption, or why not."""
    prefix = f"{message} {NO_CLAIMS}, preemption: "
    barred = preemption.eligible(pod, snapshot, refusals)
    if barred:
        return Refused(prefix + barred, plugins)
    candidate, why = preemption.search(pod, snapshot, refusals, budgets)
    if candidate is None:
        total = len(snapshot.nodes)
        told = _sentence(total, _histogram(why.values(), total - len(why), UNHELPFUL))
        return Refused(prefix + told, plugins, "" if pod.nominated else None)
    return Refused(message, plugins, candidate.node, candidate.victims)
