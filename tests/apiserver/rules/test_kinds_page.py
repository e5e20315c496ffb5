"""docs/kinds.md names every kind that is served, its versions, and what happens with it."""

from __future__ import annotations

import re
from pathlib import Path

from seaway.api import kinds
from seaway.cluster.apiserver.rules.table import RULES

PAGE = Path(__file__).parents[3] / "docs" / "kinds.md"
TWINS = {"events.events.k8s.io"}  # judged in the form that is stored
ELSEWHERE = {"customresourcedefinitions.apiextensions.k8s.io"}  # custom resources come with issue 12
WORDS = ("acted on", "stored and validated", "answered")


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_the_page_names_every_kind_and_version_and_no_other() -> None:
    named = [(name, version) for name, versions, *_ in rows() for version in re.split(r", *", versions)]
    served = {(k.kind, f"{k.group}/{k.version}" if k.group else k.version) for k in kinds.builtin()}
    assert len(named) == len(set(named))
    assert set(named) == served


def test_every_row_says_what_happens_and_by_whom() -> None:
    for name, _, what, who in rows():
        assert what.startswith(WORDS), name
        assert bool(who) or what.startswith("stored"), name


def test_every_kind_that_is_kept_has_rules() -> None:
    kept = {k.group_resource for k in kinds.builtin() if "list" in k.verbs}
    assert kept - set(RULES) <= TWINS | ELSEWHERE
    assert set(RULES) <= kept
