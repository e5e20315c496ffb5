"""A proxy that refuses rules is played against the quarantine: the bad ones are found, all others end up served."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import pytest

from seaway.envoy.quarantine import ACTION, RULE, Quarantine

Search = Quarantine[str, str]


def refuses(inside: str, how: str | None, bad: Mapping[str, str]) -> bool:
    """Whether a rule is refused as it stands in a resource: of a bad match that answers 500 the match, of a bad action nothing."""
    return inside in bad and not (how == bad[inside] == ACTION)


def play(
    shards: Mapping[str, Sequence[str]], bad: Mapping[str, str], good: frozenset[str] = frozenset(), seed: int = 0
) -> tuple[Search, int]:
    """Until there is nothing to try; `bad`: rule -> what of it is refused (its action, or the rule itself). Resources are taken, or
    refused, in any order. Gives how often what is left out changed."""
    chooser = random.Random(seed)
    search: Search = Quarantine()
    proven = {(rule, "") for rule in good}
    bans = search.take()
    fresh, refused, rounds = set(shards), set[str](), 0
    for _ in range(5000):
        if fresh:
            name = chooser.choice(sorted(fresh))
            fresh.discard(name)
            inside = [(r, bans.get(r, "")) for r in shards[name] if bans.get(r) != RULE]
            refused.discard(name)
            if any(refuses(r, how, bad) for r, how in inside):
                refused.add(name)
            else:
                proven.update(inside)
        again = False
        if not fresh or chooser.random() < 0.3:  # several may be looked at in one, when all of them show the same bans
            for name in sorted(refused - fresh):
                inside = [(r, bans.get(r, "")) for r in shards[name] if bans.get(r) != RULE]
                again = search.refused(name, [r for r, how in inside if (r, how) not in proven], f"{name} is bad") or again
        if not again and not fresh and not refused:
            again = search.accepted()
            if not again:
                return search, rounds
        if again:
            before, bans = bans, search.take()
            rounds += 1
            fresh |= {n for n, own in shards.items() if any(before.get(r) != bans.get(r) for r in own)}
        assert again or fresh or not refused, "a resource stays refused"
    raise AssertionError("it does not come to an end")


def test_one_bad_rule_among_a_thousand_is_found_in_a_few_rounds() -> None:
    search, rounds = play({"table": [f"r{i}" for i in range(1000)]}, {"r500": ACTION})
    assert set(search.bad) == {"r500"} and search.bans == {"r500": ACTION}
    assert rounds < 40


def test_the_only_rule_that_was_never_taken_is_it_at_once() -> None:
    rules = [f"r{i}" for i in range(1000)]
    search, rounds = play({"table": rules}, {"r7": ACTION}, frozenset(rules) - {"r7"})
    assert set(search.bad) == {"r7"} and rounds == 1


def test_a_rule_whose_match_is_refused_is_left_out() -> None:
    search, _ = play({"table": ["a", "b"]}, {"b": RULE})
    assert search.bans == {"b": RULE}


@pytest.mark.parametrize("seed", range(20))
def test_any_set_of_bad_rules_is_found_and_no_other(seed: int) -> None:
    chooser = random.Random(seed)
    rules = [f"r{i}" for i in range(chooser.randrange(1, 60))]
    bad = {r: chooser.choice([ACTION, RULE]) for r in rules if chooser.random() < 0.15}
    search, _ = play({"table": rules}, bad, seed=seed)
    assert search.bans == bad and not search.trying and not search.names


@pytest.mark.parametrize("seed", range(40))
def test_rules_that_are_in_many_resources_at_once_are_found_as_well(seed: int) -> None:
    """A host in shards: a regex is in all of them, another rule in one; each is refused, and taken, for itself and in any order."""
    chooser = random.Random(seed)
    rules = [f"r{i}" for i in range(chooser.randrange(2, 40))]
    everywhere = {r for r in rules if chooser.random() < 0.2}
    shards = {f"s{n}": [r for i, r in enumerate(rules) if r in everywhere or i % 4 == n] for n in range(4)}
    bad = {r: chooser.choice([ACTION, RULE]) for r in rules if chooser.random() < 0.2}
    search, _ = play(shards, bad, frozenset(r for r in rules if r not in bad and chooser.random() < 0.5), seed)
    assert search.bans == bad and not search.trying and not search.names


def test_a_rule_that_was_changed_gets_another_chance() -> None:
    search, _ = play({"table": ["a", "b"]}, {"b": ACTION})
    assert search.changed(["b"]) and not search.bans and not search.bad
    assert not search.changed(["a"])


def test_a_second_refusal_in_one_look_says_nothing_new_of_what_is_left_out_for_the_first() -> None:
    search: Search = Quarantine()
    assert search.refused("one", ["a", "b"], "bad") and search.refused("two", ["a", "b", "late"], "bad")
    assert set(search.take()) == {"a", "b"}, "the next version of the second shows whether it was one of these"


def test_a_rule_that_comes_during_a_trial_is_not_blamed_on_the_trial() -> None:
    search: Search = Quarantine()
    search.refused("table", ["a", "b"], "bad")
    search.take()
    assert search.accepted() and not search.take(), "a and b are let in again"
    search.refused("table", ["a", "b", "c"], "bad")
    assert not search.bad and set(search.bans) == {"a", "b", "c"}
    search.take()
    assert search.accepted() and set(search.bans) == {"c"}, "each group for itself"


def test_what_is_refused_beside_a_trial_does_not_end_it() -> None:
    search: Search = Quarantine()
    search.refused("one", ["a", "b"], "bad")
    search.take()
    assert search.accepted() and not search.take()
    search.refused("two", ["x"], "bad")
    assert set(search.bad) == {"x"} and search.trying and search.bans == {"x": ACTION}


def test_a_rule_that_comes_with_a_match_that_is_refused_is_not_blamed_for_it() -> None:
    search: Search = Quarantine()
    search.refused("table", ["a"], "bad")
    assert search.take() == {"a": ACTION}
    search.refused("table", ["a", "late"], "bad")  # the match that answers 500 is refused, and nobody knows yet
    assert search.take() == {"a": ACTION, "late": RULE} and set(search.bad) == {"a"}
    search.refused("table", ["a"], "bad")
    assert search.take() == {"a": RULE, "late": RULE} and search.accepted() and search.take() == {"a": RULE}


def test_each_bad_rule_has_its_own_message() -> None:
    search: Search = Quarantine()
    search.refused("one", ["a"], "a is bad")
    search.refused("two", ["b"], "b is bad")
    assert search.bad == {"a": "a is bad", "b": "b is bad"}
