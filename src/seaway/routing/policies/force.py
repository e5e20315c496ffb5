"""Which policies are in force, and what holds for a chain of targets: the most specific first, field by field (GEP-713)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from seaway.routing.incremental import View
from seaway.routing.policies import clients, schemas, security, traffic
from seaway.routing.policies.targets import (
    CLASSES_FROM,
    CLIENTS,
    SECURITY,
    TRAFFIC,
    Target,
    Won,
    foreign_class,
    holding,
    targets,
)

Tree = dict[str, Any]


class Verdict(NamedTuple):
    """What is thought of a policy. `problem`: why it is not in force, with the field; then it says nothing, but where it `closes`
    what it is attached to nobody passes. `fields`: what it says; of a SecurityPolicy as values, of the others as trees."""

    fields: Mapping[str, Any]
    problem: str = ""
    closes: bool = False


class Force(NamedTuple):
    """What holds. `closed`: why nobody may pass, "" for nothing."""

    fields: Mapping[str, Won]
    closed: str = ""


def verdict(view: View, resource: str, namespace: str, name: str) -> Verdict:
    """A decision on a policy."""
    tree = view.get(resource, namespace, name) or {"metadata": {}}
    spec = tree.get("spec")
    sound, problem = schemas.judged(resource, spec)
    if not problem and foreign_class(tree):
        problem = f"spec.targetRefs: policies for an IngressClass are read from namespace {CLASSES_FROM} alone"
    fields: dict[str, Any] = {n: v for n, v in sound.items() if n != "targetRefs"}
    if resource == SECURITY and not problem:
        problem = security.problem(fields, targets(tree))
        if not problem:
            fields, problem = security.made(view, namespace, sound)
    elif resource == TRAFFIC and not problem:
        problem = traffic.problem(fields, targets(tree))
    elif resource == CLIENTS and not problem:
        problem = clients.problem(view, namespace, fields)
    if not problem:
        return Verdict(fields)
    closes = resource == SECURITY or (resource == CLIENTS and clients.asks_for_certificates(spec))
    return Verdict({}, problem, closes)


def force(view: View, resource: str, chain: Iterable[Target]) -> Force:
    """What holds for a chain of targets."""
    found: dict[str, Won] = {}
    closed = ""
    for key in holding(view, resource, chain):
        judged = view.ask(verdict, resource, *key)
        if judged.closes and not closed:
            closed = judged.problem
        for name, value in judged.fields.items():
            found.setdefault(name, Won(value, key))
    return Force(found, closed)
