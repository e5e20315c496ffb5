"""How annotations are read: by name, with a default, noting what is wrong; and what is said of those that nobody reads."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import TypeVar

from seaway.routing.ingress.annotations.names import CLOSING, IGNORED, PREFIX, REFUSED, SUPPORTED
from seaway.routing.ingress.annotations.values import Unreadable
from seaway.routing.ingress.problems import (
    ANNOTATION,
    CLOSED,
    IGNORED_ANNOTATION,
    REFUSED_ANNOTATION,
    UNKNOWN_ANNOTATION,
    Problem,
)

T = TypeVar("T")
D = TypeVar("D")


def field(name: str) -> str:
    return f"metadata.annotations[{PREFIX}{name}]"


class Reader:
    """`closed`: why nobody may pass, where an annotation that keeps requests away cannot be carried out. `namespace`: the
    Ingress's."""

    def __init__(self, annotations: Mapping[str, str], namespace: str = "") -> None:
        self._given = {k[len(PREFIX) :]: str(v) for k, v in annotations.items() if k.startswith(PREFIX)}
        self.namespace = namespace
        self.problems: list[Problem] = []
        self.closed = ""

    def has(self, name: str) -> bool:
        return name in self._given

    def get(self, name: str, parse: Callable[[str], T], default: D, instead: str = "it is not read") -> T | D:
        """The value of an annotation. One that is empty, or cannot be read, counts as not given (`instead` says what that
        means)."""
        text = self._given.get(name, "").strip()
        if not text:
            return default
        try:
            return parse(text)
        except Unreadable as e:
            self._unreadable(name, text, f"{e}; {instead}")
            return default

    def secured(self, name: str, parse: Callable[[str], T], default: D) -> T | D:
        """The value of an annotation that keeps requests away: one that cannot be read lets none pass."""
        if name not in self._given:
            return default
        text = self._given[name].strip()
        try:
            if not text:
                raise Unreadable("must not be empty")
            return parse(text)
        except Unreadable as e:
            self.close(name, f'Invalid value: "{text[:100]}": {e}')
            return default

    def close(self, name: str, why: str) -> None:
        said = f"{field(name)}: {why}"
        self.closed = self.closed or said
        self.problems.append(Problem(CLOSED, f"{said}; all requests of the Ingress are answered with 500"))

    def ignore(self, name: str, why: str) -> None:
        self.problems.append(Problem(IGNORED_ANNOTATION, f"{field(name)}: {why}"))

    def wrong(self, name: str, why: str) -> None:
        self._unreadable(name, self._given.get(name, ""), why)

    def _unreadable(self, name: str, text: str, why: str) -> None:
        self.problems.append(Problem(ANNOTATION, f'{field(name)}: Invalid value: "{text[:100]}": {why}'))

    def rest(self) -> None:
        """Tells of the annotations that nobody reads, and closes where that would let more pass."""
        for name in sorted(self._given):
            if name in SUPPORTED:
                continue
            if name in CLOSING:
                self.close(name, f"Forbidden: {CLOSING[name]}")
            elif name in REFUSED:
                self.problems.append(Problem(REFUSED_ANNOTATION, f"{field(name)}: Forbidden: {REFUSED[name]}"))
            elif name in IGNORED:
                self.ignore(name, f"ignored: {IGNORED[name]}")
            else:
                near = difflib.get_close_matches(name, SUPPORTED, 1, 0.8)
                meant = f"; {PREFIX}{near[0]} is one" if near else ""
                self.problems.append(
                    Problem(UNKNOWN_ANNOTATION, f"{field(name)}: ignored: ingress-nginx has no such annotation{meant}")
                )
