"""A directive and its properties as lines: a word with its arguments, which knows where it stands; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from seaway.dns.corefile.problems import CorefileError, meant
from seaway.dns.corefile.tokens import Token


class Line(NamedTuple):
    """A directive's or a property's word and what stands after it in its line."""

    directive: str
    token: Token
    args: tuple[str, ...]

    @property
    def word(self) -> str:
        return self.token.text

    @property
    def place(self) -> str:
        return f"{self.token.file}:{self.token.line}"

    def error(self, message: str) -> CorefileError:
        """`Corefile:7: kubernetes: message`"""
        return self.token.error(f"{self.directive}: {message}", self.directive)

    def takes(self, least: int, most: int | None, what: str) -> tuple[str, ...]:
        """The arguments, if there are as many as there may be; `what` says them: `ttl SECONDS`."""
        if len(self.args) < least or (most is not None and len(self.args) > most):
            given = " ".join((self.word, *self.args))
            raise self.error(f"write {what}, not {given!r}")
        return self.args

    def alone(self) -> None:
        if self.args:
            raise self.error(f"{self.word} takes no argument, not {' '.join(self.args)!r}")

    def unknown(self, known: Iterable[str], why: str = "") -> CorefileError:
        hint = f"; {why}" if why else meant(self.word, known)
        return self.token.error(f"unknown property '{self.word}' in {self.directive}{hint}", self.directive)

    def ignored(self, why: str) -> str:
        """A sentence for Settings.ignored."""
        return f"{self.place}: {self.directive}: {why}"


class Directive(NamedTuple):
    """A directive with the properties between its braces."""

    line: Line
    properties: tuple[Line, ...] = ()

    @property
    def args(self) -> tuple[str, ...]:
        return self.line.args

    def no_properties(self) -> None:
        if self.properties:
            raise self.properties[0].unknown((), f"{self.line.directive} has none")


def directive(name: str, tokens: tuple[Token, ...]) -> Directive:
    """The words of one directive, its own first, as lines. Blocks inside a block have no meaning to any plugin that is read."""
    braces = [i for i, t in enumerate(tokens) if t.text == "{" and i]
    if not braces:
        return Directive(Line(name, tokens[0], tuple(t.text for t in tokens[1:])))
    opening = braces[0]
    if tokens[opening].first:
        raise tokens[opening].error(f"the {{ of {name} must stand in its line", name)
    body, rest = tokens[opening + 1 : -1], tokens[-1]
    if rest.text != "}":
        raise rest.error(f"{rest.text!r} stands after the }} that ends {name}; begin a new line", name)
    if body and not rest.first:
        raise rest.error(f"the }} that ends {name} must stand in a line of its own", name)
    lines: list[list[Token]] = []
    for token in body:
        if token.text in ("{", "}"):
            raise token.error(f"{name} has no blocks inside its block: unexpected {token.text!r}", name)
        if token.first or not lines:
            lines.append([])
        lines[-1].append(token)
    head = Line(name, tokens[0], tuple(t.text for t in tokens[1:opening]))
    return Directive(head, tuple(Line(name, line[0], tuple(t.text for t in line[1:])) for line in lines))
