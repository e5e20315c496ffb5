"""Mail addresses as Go's mail.ParseAddress accepts them (RFC 5322: display names, quotes, comments, groups); pure."""

from __future__ import annotations

import re

from seaway.cluster.apiserver.rules import addresses

VISIBLE = "!-~\\u0080-\\U0010ffff"
# An atom has no specials; a dot is one of its characters here.
ATOM = re.compile(rf"(?:(?![()<>\[\]:;@\\,\"])[{VISIBLE}])+")
QUOTED = re.compile(rf"\"((?:\\[{VISIBLE} \t]|(?![\\\"])[{VISIBLE} \t])*)\"")
LITERAL = re.compile(rf"\[((?:(?![\[\]\\])[{VISIBLE}])*)\]")
BLANKS = re.compile(r"[ \t]*")
ENCODED = re.compile(r"=\?([^?]+)\?(?:[bB]\?[A-Za-z0-9+/]*={0,2}|[qQ]\?[^?]*)\?=")
CHARSETS = frozenset(("utf-8", "iso-8859-1", "us-ascii"))


class _Malformed(ValueError):
    """A text that is no address."""


def is_address(text: str) -> bool:
    """One address: `a@b.example`, `Name <a@b.example>`, a group of one."""
    reader = _Reader(text)
    try:
        found = reader.address(groups=True)
        reader.comments()
    except _Malformed:
        return False
    return found == 1 and reader.rest == ""


class _Reader:
    """Reads from the front of a text; a method that fails raises _Malformed."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    @property
    def rest(self) -> str:
        return self.text[self.at :]

    def _take(self, character: str) -> bool:
        taken = self.text.startswith(character, self.at)
        self.at += taken
        return taken

    def _read(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self.text, self.at)
        if found is None:
            raise _Malformed
        self.at = found.end()
        return found

    def comments(self) -> None:
        """Blanks and comments, which nest."""
        self._read(BLANKS)
        while self._take("("):
            depth = 1
            while depth:
                if self.at >= len(self.text):
                    raise _Malformed
                character = self.text[self.at]
                if character == "\\" and self.at + 1 < len(self.text):
                    self.at += 1
                depth += (character == "(") - (character == ")")
                self.at += 1
            self._read(BLANKS)

    def address(self, groups: bool) -> int:
        """How many addresses were read: those of a group count each."""
        self._read(BLANKS)
        start = self.at
        try:
            self._spec()
        except _Malformed:
            self.at = start
        else:
            self._read(BLANKS)
            if self.text.startswith("(", self.at):
                self.comments()
            return 1
        if not self.text.startswith("<", self.at):
            self._phrase()
        self._read(BLANKS)
        if groups and self._take(":"):
            return self._group()
        if not self._take("<"):
            raise _Malformed
        self._spec()
        if not self._take(">"):
            raise _Malformed
        return 1

    def _group(self) -> int:
        self._read(BLANKS)
        if self._take(";"):
            self.comments()
            return 0
        found = 0
        while True:
            found += self.address(groups=False)
            self.comments()
            if self._take(";"):
                self.comments()
                return found
            if not self._take(","):
                raise _Malformed

    def _spec(self) -> None:
        """local@domain"""
        self._read(BLANKS)
        if self.text.startswith('"', self.at):
            if not self._read(QUOTED)[1]:
                raise _Malformed
        else:
            self._dotted()
        if not self._take("@"):
            raise _Malformed
        self._read(BLANKS)
        if not self.text.startswith("[", self.at):
            self._dotted()
        elif not _is_ip(self._read(LITERAL)[1]):
            raise _Malformed

    def _dotted(self) -> None:
        atom = self._read(ATOM)[0]
        if atom.startswith(".") or atom.endswith(".") or ".." in atom:
            raise _Malformed

    def _phrase(self) -> None:
        """A display name: words up to what is none. Any first word is needed."""
        words = 0
        while True:
            if words:
                self.comments()
            self._read(BLANKS)
            try:
                self._word()
            except _Malformed:
                if words == 0:
                    raise
                return
            words += 1

    def _word(self) -> None:
        if self.text.startswith('"', self.at):
            self._read(QUOTED)
            return
        encoded = ENCODED.fullmatch(self._read(ATOM)[0])
        if encoded is not None and encoded[1].lower() not in CHARSETS:
            raise _Malformed


def _is_ip(text: str) -> bool:
    """As net.ParseIP: no zone, no leading zeros."""
    found = addresses.sloppy(text)
    if found is None or "%" in text:
        return False
    return (
        all(part == "0" or not part.startswith("0") for part in text.rpartition(":")[2].split(".")) or "." not in text
    )
