"""Which canary an Ingress's path has: an Ingress with the annotation `canary`, of the same class and namespace, with that path.

ingress-nginx takes one canary for a path; here it is the oldest. One of another namespace is refused, where ingress-nginx lets
it take others' requests.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from seaway.api.tree import Key, get
from seaway.routing.incremental import View
from seaway.routing.ingress.annotations import is_canary
from seaway.routing.ingress.annotations.canary import Canary
from seaway.routing.ingress.classes import Settings, class_of
from seaway.routing.ingress.hostwide import annotations_of
from seaway.routing.ingress.lines import LINES, Line, lines, said
from seaway.routing.ingress.problems import CANARY, Problem
from seaway.routing.ingress.targets import REFUSED, served

Tree = dict[str, Any]
LEFT = "the path's own backend has its requests"  # of a canary without a backend


class Second(NamedTuple):
    """The canary of a path: whose it is, how it is chosen, and its own line."""

    key: Key
    canary: Canary
    line: Line


def _rivals(view: View, settings: Settings, class_name: str, line: Line) -> list[tuple[str, Key, Tree]]:
    """All Ingresses of the class with a path, the oldest first."""
    found = []
    for key in view.find(LINES.name, said(line)):
        tree = view.get("ingresses", *key)
        if tree is not None and view.ask(class_of, settings, *key) == class_name:
            found.append((str(get(tree, "metadata", "creationTimestamp") or ""), key, tree))
    return sorted(found, key=lambda f: f[:2])


def second(view: View, settings: Settings, class_name: str, own: Key, line: Line) -> Second | None:
    """The canary of a path of an Ingress. Hardly a path has two users."""
    if len(view.find(LINES.name, said(line))) < 2:
        return None
    for _, key, tree in _rivals(view, settings, class_name, line):
        if key.namespace != own.namespace or key == own:
            continue
        canary = view.ask(annotations_of, *key).canary
        if canary is not None:
            return Second(key, canary, next(one for one in lines(tree) if said(one) == said(line)))
    return None


def problems(view: View, settings: Settings, class_name: str, own: Key, tree: Tree) -> list[Problem]:
    """Why paths of a canary serve nobody."""
    found = []
    for line in lines(tree):
        rivals = [(key, other) for _, key, other in _rivals(view, settings, class_name, line) if key != own]
        mains = [key for key, other in rivals if not is_canary(other["metadata"].get("annotations") or {})]
        older = second(view, settings, class_name, Key(own.namespace, ""), line)
        if not any(key.namespace == own.namespace for key in mains):
            where = f" but of Ingress {mains[0]}, which is of another namespace" if mains else ""
            why = f"no Ingress of the class has this path{where}: a canary serves nothing of its own"
            found.append(Problem(CANARY, f"{line.field}: {why}"))
        elif older is not None and older.key != own:
            found.append(Problem(CANARY, f"{line.field}: Ingress {older.key}, which is older, is the canary of this path"))
        else:
            problem = served(view, own.namespace, line.backend, line.field if line.late else f"{line.field}.backend").problem
            if problem is not None:
                found.append(problem._replace(message=problem.message.replace(REFUSED, LEFT)))
    return found
