"""Paths that two Ingresses of a class have: the older serves them, and the younger is told so."""

from __future__ import annotations

from typing import Any

from seaway.api.tree import Key, get
from seaway.routing.incremental import View
from seaway.routing.ingress.annotations import is_canary
from seaway.routing.ingress.classes import Settings, class_of
from seaway.routing.ingress.hosts import taken
from seaway.routing.ingress.lines import LINES, lines, said, shown
from seaway.routing.ingress.problems import HOST, SHADOWED, Problem

Tree = dict[str, Any]


def _first(view: View, settings: Settings, class_name: str, value: str) -> Key | None:
    """The oldest Ingress of a class that serves a path of a domain, None if nobody else is there to be it. No decision of its
    own: hardly a path has two users."""
    keys = view.find(LINES.name, value)
    found = []
    for key in keys if len(keys) > 1 else ():
        if view.ask(class_of, settings, *key) == class_name:
            tree = view.get("ingresses", *key)
            if not is_canary(get(tree, "metadata", "annotations") or {}):
                found.append((str(get(tree, "metadata", "creationTimestamp") or ""), key))
    return min(found)[1] if found else None


def problems(view: View, settings: Settings, class_name: str, tree: Tree) -> list[Problem]:
    own = Key(tree["metadata"]["namespace"], tree["metadata"]["name"])
    found = []
    seen: dict[str, str] = {}
    lost: dict[str, None] = {}
    for line in lines(tree):
        if line.alias and taken(view, class_name, line.domain):
            lost[line.domain] = None
            continue
        value = said(line)
        winner = _first(view, settings, class_name, value)
        if winner is not None and winner != own:
            whose = f"Ingress {winner}, which is older"
        elif value in seen:
            whose = seen[value]
        else:
            seen[value] = line.field
            continue
        found.append(Problem(SHADOWED, f"{line.field}: {shown(line)} is served as {whose}, says"))
    for domain in lost:
        field = "metadata.annotations[nginx.ingress.kubernetes.io/server-alias]"
        found.append(Problem(HOST, f"{field}: {domain} is a host of another Ingress's rules, which alone serve it"))
    return found
