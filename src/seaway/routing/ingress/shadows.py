"""Paths that two Ingresses of a class have: the older serves them, and the younger is told so."""

from __future__ import annotations

from typing import Any

from seaway.api.tree import Key, get
from seaway.routing.engine import Index
from seaway.routing.incremental import View
from seaway.routing.ingress.classes import Settings, class_of
from seaway.routing.ingress.hosts import ALL
from seaway.routing.ingress.problems import SHADOWED, Problem
from seaway.routing.ingress.rules import Line, lines

Tree = dict[str, Any]


def _value(line: Line) -> str:
    return f"{line.domain} {line.late} {line.path.kind} {line.path.value}"


LINES = Index("ingresses by domain and path", "ingresses", lambda t: [_value(line) for line in lines(t)])


def _first(view: View, settings: Settings, class_name: str, value: str) -> Key | None:
    """The oldest Ingress of a class that serves a path of a domain, None if nobody else is there to be it. No decision of its
    own: hardly a path has two users."""
    keys = view.find(LINES.name, value)
    found = []
    for key in keys if len(keys) > 1 else ():
        if view.ask(class_of, settings, *key) == class_name:
            tree = view.get("ingresses", *key)
            found.append((str(get(tree, "metadata", "creationTimestamp") or ""), key))
    return min(found)[1] if found else None


def problems(view: View, settings: Settings, class_name: str, tree: Tree) -> list[Problem]:
    own = Key(tree["metadata"]["namespace"], tree["metadata"]["name"])
    found = []
    seen: dict[str, str] = {}
    for line in lines(tree):
        value = _value(line)
        winner = _first(view, settings, class_name, value)
        if winner is not None and winner != own:
            whose = f"Ingress {winner}, which is older"
        elif value in seen:
            whose = seen[value]
        else:
            seen[value] = line.field
            continue
        host = "all hosts" if line.domain == ALL else line.domain
        what = f"the default backend of {host} is" if line.late else f"{line.path.value} of {host} is"
        found.append(Problem(SHADOWED, f"{line.field}: {what} served as {whose}, says"))
    return found
