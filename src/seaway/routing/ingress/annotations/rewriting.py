"""Paths and hosts (ingress-nginx, annotations/rewrite, alias and xforwardedprefix)."""

from __future__ import annotations

import re
from typing import NamedTuple

from seaway.routing.ingress.annotations.reading import Reader
from seaway.routing.ingress.annotations.values import Unreadable, flag, header_value, hosts, path

# parser.RegexPathWithCapture: nothing but $1 to $9 stands for something else.
TARGET = re.compile(r"/?([-._~a-zA-Z0-9/:]|\$[1-9])*\Z")


class Rewriting(NamedTuple):
    """`target`: what the whole path becomes, with $1 for the first group of the rule's path."""

    use_regex: bool = False
    target: str = ""
    prefix: str = ""
    aliases: tuple[str, ...] = ()
    app_root: str = ""


def _target(text: str) -> str:
    if not TARGET.match(text) or len(text) > 1024:
        raise Unreadable("must be a path of letters, digits and -._~/:, with $1 to $9 for groups")
    return text if text.startswith("/") or text.startswith("$") else f"/{text}"


def rewriting(reader: Reader) -> Rewriting:
    return Rewriting(
        reader.get("use-regex", flag, False, "false is taken"),
        reader.get("rewrite-target", _target, "", "paths stay as they are"),
        reader.get("x-forwarded-prefix", header_value, ""),
        reader.get("server-alias", hosts, ()),
        reader.get("app-root", path, ""),
    )


def groups(pattern: str) -> int:
    """How many groups a regex has that count."""
    bare = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "", pattern)
    return len(re.findall(r"\((?!\?)|\(\?P?<", bare))


def most_group(target: str) -> int:
    return max((int(n) for n in re.findall(r"\$([1-9])", target)), default=0)


def substitution(target: str) -> str:
    """A target as a replacement of RE2."""
    return re.sub(r"\$([1-9])", r"\\\1", target)
