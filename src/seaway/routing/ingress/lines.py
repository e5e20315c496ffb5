"""The paths of an Ingress, each a line: under which domain, with which backend."""

from __future__ import annotations

from typing import Any, NamedTuple

from seaway.api.tree import get
from seaway.routing.engine import Index
from seaway.routing.ingress.hosts import ALL, aliases, domain_of, named_host, rule_domains
from seaway.routing.ir import PathMatch

Tree = dict[str, Any]


class Line(NamedTuple):
    """A path of a rule, or the default backend (late 1) under one of its domains. `field`: where it stands in the Ingress;
    `written`: the path as it stands there; `alias`: the domain is another name of the rule's host."""

    domain: str
    path: PathMatch
    backend: Tree
    place: tuple[int, int]
    late: int
    field: str
    written: str = "/"
    alias: bool = False


def path_match(kind: str, path: str) -> PathMatch:
    """`Prefix` goes by whole segments, and a slash at its end says nothing. ImplementationSpecific is read as Prefix."""
    if kind == "Exact":
        return PathMatch("exact", path)
    return PathMatch("prefix", path.rstrip("/") or "/")


def lines(tree: Tree) -> list[Line]:
    """All that an Ingress serves, in the order in which it stands there."""
    found = []
    rules = get(tree, "spec", "rules") or ()
    others, main = aliases(tree), named_host(tree)
    for i, rule in enumerate(rules):
        for j, entry in enumerate(get(rule, "http", "paths") or ()):
            path = str(entry.get("path") or "/")
            match = path_match(str(entry.get("pathType") or ""), path)
            field = f"spec.rules[{i}].http.paths[{j}]"
            domain = domain_of(rule)
            line = Line(domain, match, entry.get("backend") or {}, (i, j), 0, field, path)
            found.append(line)
            if others and domain == main:
                found += [line._replace(domain=name, alias=True) for name in others]
    default = get(tree, "spec", "defaultBackend")
    if default:
        for i, domain in enumerate(rule_domains(tree)):
            place = (len(rules) + i, 0)
            alias = domain in others
            found.append(Line(domain, PathMatch("prefix", "/"), default, place, 1, "spec.defaultBackend", alias=alias))
    return found


def said(line: Line) -> str:
    """What two Ingresses cannot both serve."""
    return f"{line.domain} {line.late} {line.path.kind} {line.path.value}"


def shown(line: Line) -> str:
    """A line for people."""
    host = "all hosts" if line.domain == ALL else line.domain
    return f"the default backend of {host}" if line.late else f"{line.path.value} of {host}"


LINES = Index("ingresses by domain and path", "ingresses", lambda t: [said(line) for line in lines(t)])
