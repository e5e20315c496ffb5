"""What a Table's cells are made of: ages, durations, selectors, lists that are cut short (pkg/printers); pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from seaway.api.tree import get, seconds

Tree = dict[str, Any]
Cell = Callable[[Tree, float], Any]
NONE, UNSET, UNKNOWN = "<none>", "<unset>", "<unknown>"
S, N, B = "string", "integer", "boolean"
SHOWN = 3  # items of a list before "+ N more..."


class Column(NamedTuple):
    """One column; `cell` makes its value from (object, now). Priority 1 is shown by `-o wide` only."""

    name: str
    type: str
    priority: int
    cell: Cell
    format: str = ""
    description: str = ""


def duration(amount: float) -> str:
    """k8s.io/apimachinery/pkg/util/duration.HumanDuration."""
    total = int(amount)
    if total < -1:
        return "<invalid>"
    if total < 0:
        return "0s"
    if total < 120:
        return f"{total}s"
    minutes = total // 60
    if minutes < 10:
        return f"{minutes}m" + (f"{total % 60}s" if total % 60 else "")
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return f"{hours}h" + (f"{minutes % 60}m" if minutes % 60 else "")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 192:
        return f"{days}d" + (f"{hours % 24}h" if hours % 24 else "")
    if days < 365 * 2:
        return f"{days}d"
    years = days // 365
    if days < 365 * 8:
        return f"{years}y" + (f"{days % 365}d" if days % 365 else "")
    return f"{years}y"


def ago(text: str | None, now: float) -> str:
    moment = seconds(text)
    return "<unknown>" if moment is None else duration(now - moment)


def age(tree: Tree, now: float) -> str:
    return ago(get(tree, "metadata", "creationTimestamp"), now)


def at(*path: str | int, default: Any = "") -> Cell:
    def cell(tree: Tree, now: float) -> Any:
        value = get(tree, *path)
        return default if value is None else value

    return cell


def count(*path: str) -> Cell:
    return lambda tree, now: len(get(tree, *path) or ())


def format_selector(selector: Tree | None) -> str:
    """metav1.FormatLabelSelector."""
    if selector is None:
        return NONE
    terms = [f"{k}={v}" for k, v in (selector.get("matchLabels") or {}).items()]
    for e in selector.get("matchExpressions") or ():
        if e["operator"] in ("In", "NotIn"):
            values = ",".join(sorted(e.get("values") or ()))
            terms.append(f"{e['key']} {e['operator'].lower()} ({values})")
        else:
            terms.append(("!" if e["operator"] == "DoesNotExist" else "") + e["key"])
    return ",".join(sorted(terms, key=_selector_key)) or NONE


def _selector_key(term: str) -> str:
    """labels.Selector orders its requirements by key."""
    return term.lstrip("!").partition("=")[0].partition(" ")[0]


def selector(tree: Tree, now: float) -> str:
    return format_selector(get(tree, "spec", "selector"))


def labels_text(labels: Tree | None) -> str:
    return ",".join(f"{k}={v}" for k, v in sorted((labels or {}).items())) or NONE


def some(found: list[str], empty: str) -> str:
    """A list cut after three items."""
    more = f" + {len(found) - SHOWN} more..." if len(found) > SHOWN else ""
    return (",".join(found[:SHOWN]) + more) or empty


def granted(tree: Tree) -> list[str]:
    """Addresses and host names of a load balancer's status, in order, each once."""
    found = (i.get("ip") or i.get("hostname") for i in get(tree, "status", "loadBalancer", "ingress") or ())
    return sorted({f for f in found if f})


NAME = Column("Name", S, 0, at("metadata", "name", default=""), "name")
AGE = Column("Age", S, 0, age)
