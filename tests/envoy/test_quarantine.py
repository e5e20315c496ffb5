"""A proxy that refuses rules is played against the quarantine: the bad ones are found, all others end up served."""

from __future__ import annotations

import random

import pytest

from seaway.envoy.quarantine import ACTION, RULE, Quarantine


def play(rules: list[str], bad: dict[str, str], accepted: set[str] = frozenset()) -> tuple[Quarantine[str, str], int]:  # type: ignore[assignment]
    """Until there is nothing to try; `bad`: rule -> what of it is refused (its action, or the rule itself). Gives the rounds."""
    quarantine: Quarantine[str, str] = Quarantine()
    served: set[str] = set()
    for turn in range(200):
        bans = quarantine.bans
        refused = [r for r in rules if r in bad and not (bans.get(r) == RULE or (bans.get(r) == ACTION and bad[r] == ACTION))]
        version = f"{turn}:{sorted(bans.items())}"
        suspects = [r for r in rules if r not in accepted and r not in served and bans.get(r) != RULE]
        if not refused:
            served = {r for r in rules if r not in bans}
        more = quarantine.refused("table", version, suspects, "bad") if refused else quarantine.accepted("table")
        if not more:
            assert not refused, "a resource stays refused"
            return quarantine, turn
    raise AssertionError("it does not come to an end")


def test_one_bad_rule_among_a_thousand_is_found_in_a_few_rounds() -> None:
    rules = [f"r{i}" for i in range(1000)]
    quarantine, rounds = play(rules, {"r500": ACTION})
    assert set(quarantine.bad) == {"r500"} and quarantine.bans == {"r500": ACTION}
    assert rounds < 40


def test_the_only_rule_that_differs_is_it_at_once() -> None:
    rules = [f"r{i}" for i in range(1000)]
    quarantine, rounds = play(rules, {"r7": ACTION}, set(rules) - {"r7"})
    assert set(quarantine.bad) == {"r7"} and rounds == 1


def test_a_rule_whose_match_is_refused_is_left_out() -> None:
    quarantine, _ = play(["a", "b"], {"b": RULE})
    assert quarantine.bans == {"b": RULE}


@pytest.mark.parametrize("seed", range(20))
def test_any_set_of_bad_rules_is_found_and_no_other(seed: int) -> None:
    chooser = random.Random(seed)
    rules = [f"r{i}" for i in range(chooser.randrange(1, 60))]
    bad = {r: chooser.choice([ACTION, RULE]) for r in rules if chooser.random() < 0.15}
    quarantine, _ = play(rules, bad)
    assert set(quarantine.bad) == set(bad)


def test_a_rule_that_was_changed_gets_another_chance() -> None:
    quarantine, _ = play(["a", "b"], {"b": ACTION})
    assert quarantine.changed(["b"]) and not quarantine.bans
    assert not quarantine.changed(["a"])


def test_the_same_refusal_twice_is_one() -> None:
    quarantine: Quarantine[str, str] = Quarantine()
    assert quarantine.refused("table", "1", ["a", "b"], "bad")
    assert not quarantine.refused("table", "1", ["a", "b"], "bad")


def test_a_bad_rule_that_comes_during_a_trial_is_not_blamed_on_the_trial() -> None:
    quarantine: Quarantine[str, str] = Quarantine()
    quarantine.refused("table", "1", ["a", "b"], "bad")
    quarantine.accepted("table")  # a and b are let in again
    quarantine.refused("table", "2", ["a", "b", "c"], "bad")
    assert not quarantine.bad and set(quarantine.bans) == {"a", "b", "c"}


@pytest.mark.parametrize("bad", [{"a": ACTION}, {"b": RULE}, {"a": ACTION, "c": RULE}])
def test_versions_say_what_is_in_them_and_come_again(bad: dict[str, str]) -> None:
    """A proxy is not asked twice about a version that it refused: the second refusal of it counts all the same."""
    quarantine: Quarantine[str, str] = Quarantine()
    rules, served = ["a", "b", "c"], set[str]()
    for _ in range(50):
        bans = quarantine.bans
        refused = [r for r in bad if not (bans.get(r) == RULE or (bans.get(r) == ACTION and bad[r] == ACTION))]
        version = ",".join(f"{r}:{bans.get(r, 'in')}" for r in rules)
        suspects = [r for r in rules if r not in served and bans.get(r) != RULE]
        served = served if refused else {r for r in rules if r not in bans}
        if not (quarantine.refused("table", version, suspects, "bad") if refused else quarantine.accepted("table")):
            break
    assert set(quarantine.bad) == set(bad) and not quarantine.trying


def test_each_bad_rule_has_its_own_message() -> None:
    quarantine: Quarantine[str, str] = Quarantine()
    quarantine.refused("one", "1", ["a"], "a is bad")
    quarantine.refused("two", "1", ["b"], "b is bad")
    assert quarantine.bad == {"a": "a is bad", "b": "b is bad"}
