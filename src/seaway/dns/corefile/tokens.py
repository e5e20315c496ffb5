"""A Corefile as words: the lexer of github.com/coredns/caddy, caddyfile/lexer.go; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from seaway.dns.corefile.problems import CorefileError

_REFERENCES = (re.compile(r"\{%(.+?)%\}"), re.compile(r"\{\$(.+?)\}"))


class Token(NamedTuple):
    """A word. `first`: the first of its line. A word in quotes may hold spaces, line breaks, braces and #."""

    text: str
    file: str
    line: int
    first: bool = False

    def error(self, message: str, directive: str = "") -> CorefileError:
        return CorefileError(self.file, self.line, message, directive)


def tokens(text: str, file: str) -> list[Token]:
    """The words of a file. Quotes matter at the start of a word only, inside them `\\"` is a quote; # ends a line anywhere."""
    text = text.removeprefix("\ufeff")
    found: list[Token] = []
    at, line, fresh = 0, 1, True
    while at < len(text):
        c = text[at]
        if c == "\n":
            line, fresh, at = line + 1, True, at + 1
        elif c.isspace():
            at += 1
        elif c == "#":
            at = _line_end(text, at)
        elif c == '"':
            word, end = _quoted(text, at + 1)
            if end > len(text):
                raise CorefileError(file, line, 'a " without the " that ends it')
            found.append(Token(word, file, line, fresh))
            line, fresh, at = line + word.count("\n"), False, end
        else:
            end = at
            while end < len(text) and not text[end].isspace() and text[end] != "#":
                end += 1
            word = text[at:end]
            if word == "\\" and text[end:].lstrip(" \t\r").startswith(("\n", "#")):
                raise CorefileError(file, line, "a Corefile's lines cannot be continued by \\; write all of it in one line")
            found.append(Token(word, file, line, fresh))
            fresh, at = False, end
    return found


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _quoted(text: str, at: int) -> tuple[str, int]:
    """A word up to its closing quote, and where the text goes on; beyond its end: no quote closes it."""
    word = []
    while at < len(text) and text[at] != '"':
        if text.startswith('\\"', at):
            at += 1
        elif text[at] == "\\" and at + 1 < len(text):  # a backslash keeps itself, and what follows it cannot end the word
            word.append("\\")
            at += 1
        word.append(text[at])
        at += 1
    return "".join(word), at + 1


def replaced(token: Token, environment: Mapping[str, str]) -> Token:
    """With {%NAME%} and {$NAME} replaced; what is not set is empty."""
    text = token.text
    if "{" in text:
        for reference in _REFERENCES:
            text = reference.sub(lambda m: environment.get(m[1], ""), text)
    return token._replace(text=text)
