"""What a Corefile refers to and does not hold itself, as an interface, so that reading stays a function of values; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol


class Outside(Protocol):
    """The world around a Corefile. `OSError` is the answer of what is not there."""

    @property
    def environment(self) -> Mapping[str, str]:
        """For {$NAME} and {%NAME%}."""

    def text(self, path: str) -> str:
        """The content of a file."""

    def matching(self, pattern: str) -> Sequence[str]:
        """The paths that a pattern with at most one * and one ? names, sorted; of a plain path itself, if it is there."""

    def addresses(self, host: str) -> Sequence[str]:
        """The addresses of a host, as the system resolves it; empty where it has none."""

    def interface(self, name: str) -> Sequence[str]:
        """The addresses of a network interface; empty where there is no such interface."""


@dataclass(frozen=True)
class Given:
    """A world of values: for tests, and for a Corefile that stands alone."""

    files: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    interfaces: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def text(self, path: str) -> str:
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.files[path]

    def matching(self, pattern: str) -> Sequence[str]:
        depth = pattern.count("/")  # a * does not reach over a /
        return sorted(p for p in self.files if p.count("/") == depth and fnmatchcase(p, pattern))

    def addresses(self, host: str) -> Sequence[str]:
        return self.hosts.get(host, ())

    def interface(self, name: str) -> Sequence[str]:
        return self.interfaces.get(name, ())
