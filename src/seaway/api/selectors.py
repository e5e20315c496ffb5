"""Label and field selectors: text or LabelSelector in, predicates out.

The grammar and the messages are those of k8s.io/apimachinery/pkg/labels and pkg/fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NAME = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)\Z")
VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?\Z")
PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")


class SelectorError(ValueError):
    """A selector that cannot be read; the text says why, in Kubernetes' words."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term. `op` is one of In, NotIn, Exists, DoesNotExist, Gt, Lt."""

    key: str
    op: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        if self.op == "In":
            return value is not None and value in self.values
        if self.op == "NotIn":
            return value is None or value not in self.values
        if self.op == "Exists":
            return value is not None
        if self.op == "DoesNotExist":
            return value is None
        try:
            left, right = int(value or ""), int(self.values[0])
        except ValueError:
            return False
        return left > right if self.op == "Gt" else left < right


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements together; no requirement matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        have = labels or {}
        return all(r.matches(have) for r in self.requirements)


def check_label_key(key: str) -> None:
    prefix, slash, name = key.rpartition("/")
    if (slash and not (PREFIX.match(prefix) and len(prefix) <= 253)) or not NAME.match(name) or len(name) > 63:
        raise SelectorError(f"invalid label key {key!r}")


_TERM = re.compile(
    r"\s*(?P<not>!)?\s*(?P<key>[^\s,!=<>()]+)\s*"
    r"(?:(?P<op>==|!=|=|<|>)\s*(?P<value>[^\s,()]*)|(?P<set>in|notin)\s*\((?P<values>[^)]*)\))?\s*(?:,|\Z)"
)


def parse_labels(text: str) -> Selector:
    """A labelSelector query parameter (`a=b,c in (d,e),!f`)."""
    found: list[Requirement] = []
    at = 0
    text = text.strip()
    while at < len(text):
        term = _TERM.match(text, at)
        if not term:
            raise SelectorError(f"unable to parse requirement: found '{text[at:].strip()}', expected: identifier")
        key, op = term["key"], term["op"]
        check_label_key(key)
        if term["not"]:
            if op or term["set"]:
                raise SelectorError(f"unable to parse requirement: found '{op or term['set']}', expected: ',' or end")
            found.append(Requirement(key, "DoesNotExist"))
        elif term["set"]:
            values = tuple(sorted({v.strip() for v in term["values"].split(",")}))
            found.append(Requirement(key, "In" if term["set"] == "in" else "NotIn", values))
        elif op in ("=", "=="):
            found.append(Requirement(key, "In", (term["value"],)))
        elif op == "!=":
            found.append(Requirement(key, "NotIn", (term["value"],)))
        elif op:
            if not re.fullmatch(r"-?\d+", term["value"]):
                raise SelectorError(
                    f"values[0][{key}]: Invalid value: \"{term['value']}\": for 'Gt', 'Lt' operators, "
                    "the value must be an integer"
                )
            found.append(Requirement(key, "Gt" if op == ">" else "Lt", (term["value"],)))
        else:
            found.append(Requirement(key, "Exists"))
        for value in found[-1].values:
            if not VALUE.match(value) or len(value) > 63:
                raise SelectorError(
                    f'unable to parse requirement: values[0][{key}]: Invalid value: "{value}": a valid label must be '
                    "an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end "
                    "with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
                    "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
                )
        at = term.end()
    return Selector(tuple(found))


def label_selector(tree: Mapping[str, Any] | None) -> Selector | None:
    """A LabelSelector object: None (absent) selects nothing and stays None, an empty one selects everything."""
    if tree is None:
        return None
    found = [Requirement(k, "In", (v,)) for k, v in sorted((tree.get("matchLabels") or {}).items())]
    for term in tree.get("matchExpressions") or ():
        found.append(Requirement(term["key"], term["operator"], tuple(term.get("values") or ())))
    return Selector(tuple(found))


def exact(labels: Mapping[str, str]) -> Selector:
    """The selector of a Service or ReplicationController: these labels with these values."""
    return Selector(tuple(Requirement(k, "In", (v,)) for k, v in sorted(labels.items())))


@dataclass(frozen=True, slots=True)
class FieldTerm:
    path: str
    value: str
    equal: bool


def parse_fields(text: str) -> tuple[FieldTerm, ...]:
    """A fieldSelector query parameter (`metadata.name=a,status.phase!=Running`)."""
    found = []
    for term in filter(None, (t.strip() for t in text.split(","))):
        parts = re.match(r"([^=!]+)(==|!=|=)(.*)\Z", term)
        if not parts:
            raise SelectorError(f"invalid selector: '{term}'; can't understand '{term}'")
        found.append(FieldTerm(parts[1].strip(), parts[3].strip(), parts[2] != "!="))
    return tuple(found)
