"""Server blocks: imports and snippets put in their places, keys and directives told apart (caddyfile/parse.go); pure."""

from __future__ import annotations

import posixpath
from itertools import pairwise
from typing import NamedTuple

from seaway.dns.corefile.outside import Outside
from seaway.dns.corefile.plugins import PLUGINS, REMOVED
from seaway.dns.corefile.problems import CorefileError, meant
from seaway.dns.corefile.tokens import Token, replaced, tokens

IMPORT_LIMIT = 10000  # caddy's cap of snippet expansions: an import that brings itself in ends here
TOKEN_LIMIT = 1_000_000


class ServerBlock(NamedTuple):
    """Keys as written, and the words of each directive, its own first, in the order of the file."""

    keys: tuple[Token, ...]
    directives: tuple[tuple[Token, ...], ...]


class Blocks(NamedTuple):
    """A Corefile's server blocks, and a sentence for each import that found no file."""

    blocks: tuple[ServerBlock, ...]
    ignored: tuple[str, ...]


def server_blocks(text: str, file: str, outside: Outside) -> Blocks:
    parser = _Parser(tokens(text, file), file, outside)
    found = []
    while parser.more():
        block = parser.block()
        if block is not None:
            found.append(block)
    return Blocks(tuple(found), tuple(dict.fromkeys(parser.ignored)))


class _Parser:
    def __init__(self, words: list[Token], file: str, outside: Outside) -> None:
        self.words, self.at, self.file, self.outside = words, 0, file, outside
        self.snippets: dict[str, list[Token]] = {}
        self.ignored: list[str] = []
        self.imports = 0

    def more(self) -> bool:
        return self.at < len(self.words)

    def end(self, missing: str) -> CorefileError:
        last = self.words[-1]
        return last.error(f"the file ends before {missing}")

    def block(self) -> ServerBlock | None:
        """The next block; None for a snippet, which is remembered."""
        keys = self.keys()
        if len(keys) == 1 and keys[0].text.startswith("(") and keys[0].text.endswith(")"):
            self.snippet(keys[0])
            return None
        if not keys:
            braces = self.more() and self.words[self.at].text == "{"
            if braces:
                raise self.words[self.at].error("a server block begins with its zones, like .:53 {")
            return None
        opened = self.more() and self.words[self.at].text == "{"
        start = self.at
        if opened:
            self.at += 1
        directives = self.directives(opened, self.words[start] if opened else keys[0])
        return ServerBlock(tuple(keys), tuple(directives))

    def keys(self) -> list[Token]:
        """Keys stand in one line; a comma at the end carries them over to the next."""
        keys: list[Token] = []
        comma = False
        while self.more():
            token = replaced(self.words[self.at], self.outside.environment)
            if token.text == "import" and token.first and not comma:
                if keys:
                    break
                self.bring_in()
                continue
            if token.text == "{":
                if comma:
                    raise token.error("a key must follow the comma before {")
                break
            if keys and token.first and not comma:
                break
            if token.text == "}" and not keys:
                raise token.error("unexpected }: no block is open here")
            self.at += 1
            text = token.text
            comma = text.endswith(",")
            for part in text.split(","):
                if part:
                    keys.append(token._replace(text=part))
        if comma:
            raise self.end("the key that must follow the comma")
        return keys

    def snippet(self, key: Token) -> None:
        name = key.text[1:-1]
        if name in self.snippets:
            raise key.error(f"the snippet ({name}) is declared twice; give one of them another name")
        if not self.more() or self.words[self.at].text != "{":
            raise key.error(f"the body of the snippet ({name}) must follow it in braces")
        body: list[Token] = []
        depth = 1
        for index in range(self.at + 1, len(self.words)):
            token = self.words[index]
            depth += {"{": 1, "}": -1}.get(token.text, 0)
            if not depth:
                break
            body.append(token if body else token._replace(first=True))
        else:
            raise self.end(f"the }} of the snippet ({name})")
        for import_, argument in pairwise(body):
            named = replaced(argument, self.outside.environment).text
            if import_.text == "import" and import_.first and named == name:
                raise import_.error(f"the snippet ({name}) imports itself")
        self.at = index + 1
        self.snippets[name] = body

    def directives(self, braces: bool, opening: Token) -> list[tuple[Token, ...]]:
        found: list[tuple[Token, ...]] = []
        while self.more():
            token = self.words[self.at]
            if token.text == "}":
                if not braces:
                    raise token.error("unexpected }: the block was not opened by a { after its keys")
                self.at += 1
                return found
            if token.text == "import":
                self.bring_in()
                continue
            found.append(self.directive())
        if braces:
            raise opening.error("this { has no }")
        return found

    def directive(self) -> tuple[Token, ...]:
        name = replaced(self.words[self.at], self.outside.environment)
        if name.text not in PLUGINS:
            raise _unknown(name)
        found, depth = [name], 0
        self.at += 1
        while self.more():
            token = self.words[self.at]
            if token.text == "{":
                depth += 1
            elif token.first and not depth:
                break
            elif token.text == "}" and not depth:
                raise token.error(f"the }} that ends the block must stand in a line of its own, not behind {name.text}")
            elif token.text == "}":
                depth -= 1
            elif token.text == "import" and token.first:
                self.bring_in()
                continue
            found.append(replaced(token, self.outside.environment))
            self.at += 1
        if depth:
            raise name.error(f"the {{ of {name.text} has no }}", name.text)
        return tuple(found)

    def bring_in(self) -> None:
        """Puts what an import names in its place; the next word is then the first of what was brought in."""
        at = self.words[self.at]
        line = [replaced(t, self.outside.environment) for t in self.line_after(self.at)]
        if not line or not line[0].text:
            raise at.error("import takes a snippet's name, a file or a pattern", "import")
        if len(line) > 1:
            raise at.error(f"import takes one argument, not {len(line)}: snippets have no parameters", "import")
        self.imports += 1
        if self.imports > IMPORT_LIMIT or len(self.words) > TOKEN_LIMIT:
            raise at.error(f"more than {IMPORT_LIMIT} imports: one of them brings itself in", "import")
        wanted = line[0].text
        brought = self.snippets.get(wanted)
        if brought is None:
            brought = self.files(wanted, at)
        self.words[self.at : self.at + 2] = brought
        if self.more() and not self.words[self.at].first:
            self.words[self.at] = self.words[self.at]._replace(first=True)

    def line_after(self, at: int) -> list[Token]:
        found = []
        for token in self.words[at + 1 :]:
            if token.first:
                break
            found.append(token)
        return found

    def files(self, wanted: str, at: Token) -> list[Token]:
        """The words of the files that a path, relative to the file that names it, or a pattern brings in."""
        pattern = posixpath.normpath(posixpath.join(posixpath.dirname(at.file), wanted))
        if pattern.count("*") > 1 or pattern.count("?") > 1 or ("[" in pattern and "]" in pattern):
            raise at.error(f"import {wanted}: a pattern may have one * and one ?, and no [ ]", "import")
        paths = self.outside.matching(pattern)
        if not paths and ("*" in pattern or "?" in pattern):
            self.ignored.append(f"{at.file}:{at.line}: import {wanted}: no file matches")
        elif not paths:
            known = meant(wanted, self.snippets)
            raise at.error(f"import {wanted}: there is neither a snippet nor a file of this name{known}", "import")
        found: list[Token] = []
        for path in paths:
            try:
                found += tokens(self.outside.text(path), path)
            except (OSError, UnicodeDecodeError) as e:
                raise at.error(f"import {wanted}: {path} cannot be read: {_reason(e)}", "import") from None
        return found


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return "it is not text in UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror or str(error)


def _unknown(name: Token) -> CorefileError:
    if name.text in REMOVED:
        return name.error(f"unknown directive '{name.text}'; {REMOVED[name.text]}", name.text)
    if name.text == "{":
        return name.error("unexpected {: a block's { stands in the line of its keys, a directive's in its own")
    hint = meant(name.text, PLUGINS)
    if not hint and ("." in name.text or ":" in name.text):
        hint = "; if it is a zone, end the line before it with a comma"
    return name.error(f"unknown directive '{name.text}'{hint}", name.text)
