"""The annotations of Ingresses that are understood, read typed. A value that cannot be read is a problem and counts as not
given; nothing of it reaches a proxy as text."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from seaway.routing.ingress.problems import ANNOTATION, Problem

PREFIX = "nginx.ingress.kubernetes.io/"
# strconv.ParseBool, which ingress-nginx reads flags with.
FLAGS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


class Annotations(msgspec.Struct, frozen=True):
    """`ssl_redirect`: from http to https where the host has TLS, as ingress-nginx does unless told otherwise;
    `force_ssl_redirect`: also where it has none (TLS ends before the proxies)."""

    ssl_redirect: bool = True
    force_ssl_redirect: bool = False
    problems: tuple[Problem, ...] = ()


def read(annotations: Mapping[str, str]) -> Annotations:
    problems: list[Problem] = []

    def flag(name: str, default: bool) -> bool:
        text = annotations.get(PREFIX + name)
        if text is None:
            return default
        if text.strip() in FLAGS:
            return FLAGS[text.strip()]
        said = f'metadata.annotations[{PREFIX}{name}]: Invalid value: "{text[:100]}": must be true or false'
        problems.append(Problem(ANNOTATION, f"{said}; {str(default).lower()} is taken"))
        return default

    return Annotations(flag("ssl-redirect", True), flag("force-ssl-redirect", False), tuple(problems))
