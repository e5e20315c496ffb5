"""Label and field selectors: text or LabelSelector in, predicates out.

The grammar and the messages are those of k8s.io/apimachinery/pkg/labels and pkg/fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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


NAME_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
KEY_TEXT = (
    "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. "
    "'example.com/MyName')"
)
PREFIX_TEXT = (
    "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
    "must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def key_problems(key: str) -> list[str]:
    """What is wrong with a label key."""
    parts = key.split("/")
    if len(parts) > 2:
        return [KEY_TEXT]
    found, name = [], parts[-1]
    if len(parts) == 2:
        if not parts[0]:
            found.append("prefix part must be non-empty")
        elif len(parts[0]) > 253:
            found.append("prefix part must be no more than 253 bytes")
        elif not PREFIX.match(parts[0]):
            found.append(PREFIX_TEXT)
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > 63:
        found.append("name part must be no more than 63 bytes")
    if not re.match(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z", name):
        found.append(NAME_TEXT)
    return found


def value_problems(value: str) -> list[str]:
    """What is wrong with a label value."""
    found = ["must be no more than 63 bytes"] if len(value.encode()) > 63 else []
    return found if VALUE.match(value) else [*found, VALUE_TEXT]


_TOKEN = re.compile(r"\s*(?:(?P<symbol>==|!=|[=!,()<>])|(?P<word>[^\s=!,()<>]+))")
OPERATORS = ("in", "notin", "=", "==", "!=", "<", ">")


class _Parser:
    """The grammar of labels.Parse: a token of lookahead, and its own words for what it did not find."""

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        at = 0
        while found := _TOKEN.match(text, at):
            self.tokens.append(found[found.lastgroup or 0])
            at = found.end()
        self.at = 0

    @property
    def ahead(self) -> str:
        """The next token, "" at the end."""
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.ahead
        self.at += 1
        return token

    @staticmethod
    def is_word(token: str) -> bool:
        return bool(token) and token[0] not in "=!,()<>"

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        while self.ahead:
            if self.ahead != "!" and not self.is_word(self.ahead):
                raise SelectorError(f"found '{self.ahead}', expected: !, identifier, or 'end of string'")
            found.append(self.requirement())
            token = self.take()
            if not token:
                break
            if token != ",":
                raise SelectorError(f"found '{token}', expected: ',' or 'end of string'")
            if self.ahead != "!" and not self.is_word(self.ahead):
                raise SelectorError(f"found '{self.ahead}', expected: identifier after ','")
        return found

    def requirement(self) -> Requirement:
        try:
            return self._requirement()
        except SelectorError as e:
            raise SelectorError(f"unable to parse requirement: {e}") from None

    def _requirement(self) -> Requirement:
        absent = self.ahead == "!"
        if absent:
            self.take()
        key = self.take()
        if not self.is_word(key):
            raise SelectorError(f"found '{key}', expected: identifier")
        problems = key_problems(key)
        if problems:
            raise SelectorError(f'<nil>: Invalid value: "{key}": {"; ".join(problems)}')
        if absent or self.ahead in ("", ","):
            return Requirement(key, "DoesNotExist" if absent else "Exists")
        op = self.take()
        if op not in OPERATORS:
            raise SelectorError(f"found '{op}', expected: in, notin, =, ==, !=, gt, lt")
        if op in ("in", "notin"):
            return self._checked(Requirement(key, "In" if op == "in" else "NotIn", self.values()))
        value = self.exact_value()
        names = {"=": "In", "==": "In", "!=": "NotIn", ">": "Gt", "<": "Lt"}
        return self._checked(Requirement(key, names[op], (value,)))

    def exact_value(self) -> str:
        if self.ahead in ("", ","):
            return ""
        token = self.take()
        if not self.is_word(token):
            raise SelectorError(f"found '{token}', expected: identifier")
        return token

    def values(self) -> tuple[str, ...]:
        token = self.take()
        if token != "(":
            raise SelectorError(f"found '{token}' expected: '('")
        if self.ahead == ")":
            self.take()
            return ("",)
        if self.ahead != "," and not self.is_word(self.ahead):
            raise SelectorError(f"found '{self.ahead}', expected: ',', ')' or identifier")
        found = {""} if self.ahead == "," else set()
        while True:
            token = self.take()
            if self.is_word(token):
                found.add(token)
                if self.ahead not in (",", ")"):
                    raise SelectorError(f"found '{self.ahead}', expected: ',' or ')'")
            elif token == ",":
                if self.ahead == ")" or self.ahead == ",":
                    found.add("")
            elif token == ")":
                return tuple(sorted(found))
            else:
                raise SelectorError(f"found '{token}', expected: ',', or identifier")

    @staticmethod
    def _checked(found: Requirement) -> Requirement:
        if found.op in ("Gt", "Lt"):
            try:
                int(found.values[0])
            except ValueError:
                raise SelectorError(
                    f"values[0][{found.key}]: Invalid value: \"{found.values[0]}\": for 'Gt', 'Lt' operators, the value "
                    "must be an integer"
                ) from None
        for i, value in enumerate(found.values):
            problems = value_problems(value)
            if problems:
                raise SelectorError(f'values[{i}][{found.key}]: Invalid value: "{value}": {"; ".join(problems)}')
        return found


def parse_labels(text: str) -> Selector:
    """A labelSelector query parameter (`a=b,c in (d,e),!f`)."""
    return Selector(tuple(_Parser(text).requirements()))


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
    """A fieldSelector query parameter (`metadata.name=a,status.phase!=Running`), as apimachinery/pkg/fields reads it."""
    found = []
    for term in filter(None, _terms(text)):
        parts = re.match(r"(.*?)(!=|==|=)(.*)\Z", term, re.DOTALL)
        if not parts:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
        found.append(FieldTerm(parts[1].strip(), _unescaped(parts[3]).strip(), parts[2] != "!="))
    return tuple(found)


def _terms(text: str) -> list[str]:
    """What stands between commas that no backslash escapes."""
    found, start, escaped = [], 0, False
    for at, c in enumerate(text):
        if escaped:
            escaped = False
        elif c == "\\":
            escaped = True
        elif c == ",":
            found.append(text[start:at])
            start = at + 1
    return [*found, text[start:]]


def _unescaped(value: str) -> str:
    """A value without its backslashes; `,` and `=` stand behind one."""
    found, escaped = [], False
    for c in value:
        if escaped:
            if c not in "\\,=":
                raise SelectorError(f"invalid field selector: invalid escape sequence: \\{c}")
            found.append(c)
            escaped = False
        elif c == "\\":
            escaped = True
        elif c in ",=":
            raise SelectorError(f"invalid field selector: unescaped character in value: {ord(c)}")
        else:
            found.append(c)
    if escaped:
        raise SelectorError("invalid field selector: invalid escape sequence: \\")
    return "".join(found)
