"""What a plugin's reader knows of the block that it reads for; pure."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field

from seaway.dns.corefile.lines import Directive, Line
from seaway.dns.corefile.outside import Outside
from seaway.dns.settings import Name


@dataclass(slots=True)
class Scope:
    """A server block while it is read. `root`: where relative paths begin. `ignored` gathers sentences."""

    zones: tuple[Name, ...]
    outside: Outside
    root: str = ""
    ignored: list[str] = field(default_factory=list)

    def path(self, text: str) -> str:
        return posixpath.join(self.root, text) if self.root else text

    def ignore(self, line: Line, why: str) -> None:
        self.ignored.append(line.ignored(why))


def only(directives: Sequence[Directive]) -> Directive:
    """The one of a plugin that a block may hold once."""
    if len(directives) > 1:
        first, second = directives[0].line, directives[1].line
        raise second.error(f"only one {second.directive} may stand in a block; the first is at {first.place}")
    return directives[0]
