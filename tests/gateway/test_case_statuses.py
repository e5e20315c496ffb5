"""The statuses of all cases, by the pure engine; the cases themselves can be read, and say what they must."""

from __future__ import annotations

from pathlib import Path

import casefile
import pytest
from casefile import Played
from purely import play

PENDING = casefile.pending("pure")
CASES = [played for played in casefile.everything() if played.case.only != "cluster" and any(s.statuses for s in (played.case, *played.case.then))]


def parameter(played: Played) -> object:
    reason = PENDING.get(played.name)
    return pytest.param(played, id=played.name, marks=[pytest.mark.xfail(reason=reason, strict=True)] if reason else [])


@pytest.mark.parametrize("played", [parameter(p) for p in CASES])
def test_statuses_of_a_case_by_the_engine_alone(played: Played) -> None:
    found = play(played)
    assert not found, "\n".join([f"{played.name}: {played.case.about}", *found])


def test_every_feature_has_a_case() -> None:
    """The features that the class says it supports, but for those of a mesh."""
    from seaway.routing.gateway.features import FEATURES

    there = {f for p in casefile.everything() for f in ([p.case.feature] if isinstance(p.case.feature, str) else p.case.feature)}
    assert {f for f in FEATURES if not f.startswith("Mesh")} <= there


def test_a_key_that_nobody_knows_is_an_error(tmp_path: Path) -> None:
    good = "feature: X\nrequests: [{ask: {host: a.test}, want: {status: 200}}]\n"
    for bad, said in (
        (good.replace("status", "statsu"), "statsu"), (good.replace("host", "hots"), "hots"), (good + "requets: []\n", "requets"),
        ("feature: X\n", "nothing must come"), (good.replace("{status: 200}", "{}"), "wants nothing"),
        ("feature: X\nstatuses: [{of: Gateway/g, Acepted: True Accepted}]\n", "Acepted"),
        ("feature: X\nstatuses: [{of: Gateway/g, Accepted: Yes Accepted}]\n", "STATUS REASON"),
        ("feature: X\nstatuses: [{Accepted: True Accepted}]\n", "whose it is"),
    ):
        file = tmp_path / "case.yaml"
        file.write_text(bad)
        with pytest.raises(ValueError, match=said):
            casefile.read(file)
    file.write_text(good)
    assert casefile.read(file).name == "case"
