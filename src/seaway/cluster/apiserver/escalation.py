"""Nobody grants what they do not have: rules that cover others, and what is missing; pure
(pkg/registry/rbac/validation)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Tree = dict[str, Any]
FIELDS = (
    ("APIGroups", "apiGroups"),
    ("Resources", "resources"),
    ("NonResourceURLs", "nonResourceURLs"),
    ("ResourceNames", "resourceNames"),
    ("Verbs", "verbs"),
)


def _single(rule: Tree) -> list[Tree]:
    """A rule as rules of one verb on one thing each."""
    found: list[Tree] = []
    for verb in rule.get("verbs") or ():
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                base: Tree = {"verbs": [verb], "apiGroups": [group], "resources": [resource]}
                names = rule.get("resourceNames") or ()
                found += [{**base, "resourceNames": [name]} for name in names] if names else [base]
        found += [{"verbs": [verb], "nonResourceURLs": [url]} for url in rule.get("nonResourceURLs") or ()]
    return found


def _all_in(wanted: Iterable[str], have: Iterable[str]) -> bool:
    have = set(have)
    return "*" in have or set(wanted) <= have


def _resources(wanted: Iterable[str], have: Iterable[str]) -> bool:
    """`*` covers everything, `*/status` the status of anything."""
    have = set(have)
    if "*" in have:
        return True
    return all(r in have or ("/" in r and f"*/{r.partition('/')[2]}" in have) for r in wanted)


def _urls(wanted: Iterable[str], have: Iterable[str]) -> bool:
    have = list(have)
    return all(any(u == h or (h.endswith("*") and u.startswith(h.rstrip("*"))) for h in have) for u in wanted)


def _covers(owner: Tree, rule: Tree) -> bool:
    if not _all_in(rule["verbs"], owner.get("verbs") or ()):
        return False
    if rule.get("nonResourceURLs"):
        return _urls(rule["nonResourceURLs"], owner.get("nonResourceURLs") or ())
    names = owner.get("resourceNames") or ()
    return (
        _all_in(rule["apiGroups"], owner.get("apiGroups") or ())
        and _resources(rule["resources"], owner.get("resources") or ())
        and (not names or bool(rule.get("resourceNames") and set(rule["resourceNames"]) <= set(names)))
    )


def missing(owner: Iterable[Tree], rules: Iterable[Tree]) -> list[Tree]:
    """The parts of `rules` that no rule of the owner covers, one verb on one thing each."""
    owner = list(owner)
    return [part for rule in rules for part in _single(rule) if not any(_covers(own, part) for own in owner)]


def _compact(rules: Iterable[Tree]) -> list[Tree]:
    """Verbs on the same plain resource together again."""
    found: list[Tree] = []
    known: dict[tuple[str, str], Tree] = {}
    for rule in rules:
        if rule.get("resourceNames") or rule.get("nonResourceURLs"):
            found.append(rule)
            continue
        key = (rule["apiGroups"][0], rule["resources"][0])
        if key in known:
            known[key]["verbs"] = [*known[key]["verbs"], *rule["verbs"]]
        else:
            known[key] = dict(rule)
            found.append(known[key])
    return found


def describe(rule: Tree) -> str:
    """A rule as upstream's CompactString writes it."""
    parts = []
    for name, field in FIELDS:
        values = rule.get(field)
        if values:
            parts.append(f"{name}:[{' '.join(_quoted(v) for v in values)}]")
    return "{" + ", ".join(parts) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def refusal(user: str, groups: Iterable[str], lacking: Iterable[Tree]) -> str:
    """The sentence of a 403 for rights that the user would grant and does not have."""
    lines = sorted({describe(rule) for rule in _compact(lacking)})
    shown = " ".join(_quoted(g) for g in groups)
    return (
        f"user {_quoted(user)} (groups=[{shown}]) is attempting to grant RBAC permissions not currently held:\n"
        + "\n".join(lines)
    )
