"""Every rule of cluster DNS as data (the YAML files here), asked over the wire of the real program: UDP and TCP, IPv4 and IPv6,
read by dnspython, and once more by dig."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from wirecases import read, waiting, waits
from wirenet import sibling

GROUPS = list(read())
WAITING = waiting()
PLAY = Path(__file__).parent / "wireplay.py"
pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def played() -> dict[str, dict]:
    """Group to what was found, and "" to what the programs logged."""
    found: dict[str, dict] = {"": {"log": ""}}
    for line in sibling(str(PLAY), []):
        row = json.loads(line)
        if "group" in row:
            found[row["group"]] = row
        else:
            found[""]["log"] += row["log"]
    return found


@pytest.mark.parametrize("group", GROUPS, ids=[g.id for g in GROUPS])
def test_every_answer_is_the_one_of_the_rules(group, played: dict[str, dict]) -> None:
    if reason := waits(group, WAITING):
        pytest.skip(reason)
    row = played[group.id]
    assert row["asked"] >= 3 * row["questions"] / 2, "asked by one transport only"
    assert not row["bad"], "\n".join(row["bad"])


def test_no_program_wrote_a_traceback(played: dict[str, dict]) -> None:
    assert not played[""]["log"]


def test_there_are_cases_enough_and_what_waits_is_there() -> None:
    assert sum(len(s.questions) for g in GROUPS for s in g.steps) > 400
    known = {g.id for g in GROUPS} | {g.file for g in GROUPS}
    unknown = {w for w in WAITING if not w.startswith("load: ")} - known
    assert not unknown, unknown
