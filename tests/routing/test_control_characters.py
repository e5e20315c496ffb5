"""What would end a header or a request's first line never reaches a proxy: the rule's status says where it stands."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.routing.gateway.filters import read
from seaway.routing.gateway.matches import Unsupported

HEADER = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x-a", "value": "good\tvalue é"}, {"name": "x-b", "value": "%s"}]}}
REDIRECT = {"type": "RequestRedirect", "requestRedirect": {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/a%s"}}}
REWRITE = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/a%s"}}}


def filled(tree: Any, text: str) -> Any:
    if isinstance(tree, dict):
        return {k: filled(v, text) for k, v in tree.items()}
    if isinstance(tree, list):
        return [filled(v, text) for v in tree]
    return tree.replace("%s", text) if isinstance(tree, str) else tree


@pytest.mark.parametrize("bad", ["\n", "\r", "\0", "\x7f", "\x1b"])
@pytest.mark.parametrize(
    ("entry", "field"),
    [(HEADER, "filters[0].responseHeaderModifier.set[1].value"), (REDIRECT, "filters[0].requestRedirect.path.replaceFullPath"),
     (REWRITE, "filters[0].urlRewrite.path.replacePrefixMatch")],
)  # fmt: skip
def test_control_characters_are_refused_with_their_field(entry: Any, field: str, bad: str) -> None:
    with pytest.raises(Unsupported) as told:
        read([filled(entry, bad)], "filters", "http", 80, lambda ref: "")
    assert str(told.value).startswith(f"{field}: Invalid value: ")
    read([filled(entry, "good")], "filters", "http", 80, lambda ref: "")


def test_a_space_ends_a_path() -> None:
    with pytest.raises(Unsupported):
        read([filled(REWRITE, " HTTP/1.1")], "filters", "http", 80, lambda ref: "")
