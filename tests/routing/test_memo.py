"""The memo of decisions: what is decided anew, what is not, and what is told."""

from __future__ import annotations

import random
from typing import Any

import pytest

from seaway.api.tree import Key
from seaway.routing.incremental import Memo, Outcome, View

MADE: list[str] = []


@pytest.fixture(autouse=True)
def nothing_made() -> None:
    MADE.clear()


def parity(view: View, name: str) -> int:
    MADE.append(f"parity {name}")
    return int(view.fact(name) or 0) % 2


def word(view: View, name: str) -> str:
    MADE.append(f"word {name}")
    return "odd" if view.ask(parity, name) else "even"


def both(view: View, a: str, b: str) -> tuple[str, str]:
    MADE.append(f"both {a} {b}")
    return view.ask(word, a), view.ask(word, b)


def chosen(view: View, switch: str) -> Any:
    """Reads only what the switch names."""
    MADE.append(f"chosen {switch}")
    return view.ask(guarded, view.fact(switch))


def guarded(view: View, name: str) -> int:
    found = view.fact(name)
    if found == "bad":
        raise ValueError(f"{name} is bad")
    return int(found or 0)


def memo(**facts: Any) -> Memo:
    found = Memo()
    for name, value in facts.items():
        put(found, name, value)
    return found


def put(found: Memo, name: str, value: Any) -> None:
    found.put(("fact", name), value)


def values(outcomes: list[Outcome]) -> list[tuple[Any, Any]]:
    return [(o.old, o.new) for o in outcomes]


def test_a_root_is_decided_once_and_told_once() -> None:
    found = memo(x=1)
    found.root(word, "x")
    assert values(found.settle()) == [(None, "odd")]
    assert found.settle() == [] and found.decided == 2


def test_a_change_decides_what_hangs_on_it_and_no_more() -> None:
    found = memo(x=1, y=1)
    found.root(word, "x")
    found.root(word, "y")
    found.settle()
    MADE.clear()
    put(found, "x", 2)
    assert values(found.settle()) == [("odd", "even")]
    assert MADE == ["parity x", "word x"]


def test_a_value_in_between_that_comes_out_equal_ends_it() -> None:
    found = memo(x=1)
    found.root(word, "x")
    found.settle()
    MADE.clear()
    put(found, "x", 3)
    assert found.settle() == [] and MADE == ["parity x"]


def test_the_same_input_again_changes_nothing() -> None:
    found = memo(x=[1])
    found.root(guarded, "none")
    found.settle()
    put(found, "x", [1])
    assert found.settle() == [] and found.decided == 1


def test_a_decision_is_shared_by_all_who_ask() -> None:
    found = memo(x=1)
    found.root(both, "x", "x")
    found.root(word, "x")
    found.settle()
    assert MADE.count("word x") == 1


def test_absence_is_read_and_its_end_noticed() -> None:
    found = Memo()
    found.root(word, "later")
    assert values(found.settle()) == [(None, "even")]
    put(found, "later", 1)
    assert values(found.settle()) == [("even", "odd")]
    put(found, "later", None)
    assert values(found.settle()) == [("odd", "even")]


def test_what_is_read_no_more_is_forgotten_and_changes_nothing() -> None:
    found = memo(switch="a", a=1, b=2)
    found.root(chosen, "switch")
    found.settle()
    put(found, "switch", "b")
    assert values(found.settle()) == [(1, 2)]
    assert found.known(guarded, "a") is None
    MADE.clear()
    put(found, "a", 7)
    assert found.settle() == [] and MADE == []


def test_nothing_is_left_of_roots_that_are_unrooted() -> None:
    found = memo(x=1)
    found.root(both, "x", "y")
    found.settle()
    assert found.unroot(both, "x", "y") == ("odd", "even")
    assert found.unroot(both, "x", "y") is None
    assert set(found._nodes) == {("fact", "x")}
    put(found, "x", None)
    assert not found._nodes


def test_a_root_that_comes_back_is_told_anew() -> None:
    found = memo(x=1)
    found.root(word, "x")
    found.root(both, "x", "x")  # keeps the decision when it is no root
    found.settle()
    found.unroot(word, "x")
    found.root(word, "x")
    assert values(found.settle()) == [(None, "odd")]


def test_roots_of_one_function_can_be_settled_alone() -> None:
    found = memo(x=1)
    found.root(word, "x")
    found.root(parity, "x")
    assert [o.root for o in found.settle(parity)] == [(parity, "x")]
    assert [o.root for o in found.settle()] == [(word, "x")]


def test_a_root_that_another_has_asked_for_is_told_all_the_same() -> None:
    found = memo(x=1)
    found.root(both, "x", "x")
    found.root(word, "x")
    assert values(found.settle(both)) == [(None, ("odd", "odd"))]
    assert values(found.settle(word)) == [(None, "odd")]
    put(found, "x", 2)
    found.settle(both)
    assert values(found.settle(word)) == [("odd", "even")]


def test_a_decision_that_fails_keeps_what_it_had_and_hurts_no_other() -> None:
    found = memo(x=1, y=1)
    found.root(guarded, "x")
    found.root(guarded, "y")
    found.settle()
    put(found, "x", "bad")
    put(found, "y", 2)
    assert values(found.settle()) == [(1, 2)]
    assert list(found.failures) == [(guarded, "x")] and found.known(guarded, "x") == 1


def test_what_failed_is_decided_again_when_what_it_read_changes() -> None:
    found = memo(x="bad")
    found.root(guarded, "x")
    found.settle()
    put(found, "x", 3)
    assert values(found.settle()) == [(None, 3)] and not found.failures
    put(found, "x", "bad")
    found.settle()
    put(found, "x", 3)
    assert found.settle() == [] and not found.failures


def test_a_failure_deep_below_is_everybodys_who_asked() -> None:
    found = memo(switch="x", x=1)
    found.root(chosen, "switch")
    found.root(guarded, "x")
    found.settle()
    put(found, "x", "bad")
    found.settle()
    assert len(found.failures) == 2
    # The second asker must not take the value from before for good.
    put(found, "switch", "y")
    assert values(found.settle()) == [(1, 0)] and list(found.failures) == [(guarded, "x")]
    put(found, "switch", "x")
    found.settle()
    assert len(found.failures) == 2
    put(found, "x", 5)
    assert sorted(values(found.settle())) == [(0, 5), (1, 5)] and not found.failures


def test_objects_and_indexes_are_inputs_too() -> None:
    found = Memo()
    found.put(("object", "things", Key("a", "b")), {"metadata": {}})
    found.put(("index", "of things", "v"), (Key("a", "b"),))
    found.put(("index", "presence", ""), True)
    view = found.view
    assert view.get("things", "a", "b") == {"metadata": {}} and view.get("things", "a", "c") is None
    assert view.find("of things", "v") == (("a", "b"),) and view.find("of things", "w") == ()
    assert view.has("presence") and not view.has("presence", "other")


def total(view: View, level: int, at: int) -> int:
    """A decision over a pyramid of others, each of which may look elsewhere."""
    if level == 0:
        return guarded(view, f"f{at}")
    left = view.ask(total, level - 1, at)
    right = view.ask(total, level - 1, (at + (left % 3)) % 8)
    return left + 2 * right


@pytest.mark.parametrize("seed", range(20))
def test_after_any_changes_it_holds_what_a_new_memo_decides(seed: int) -> None:
    chance = random.Random(seed)
    found, facts, told = Memo(), {}, {}
    roots: set[tuple[int, int]] = set()
    for _ in range(60):
        for _ in range(chance.randrange(1, 4)):
            name = f"f{chance.randrange(8)}"
            facts[name] = chance.choice([None, "bad", *range(6)])
            put(found, name, facts[name])
        root = (chance.randrange(4), chance.randrange(8))
        if root in roots and chance.random() < 0.4:
            roots.discard(root)
            assert found.unroot(total, *root) == told.pop(root, None)
        else:
            roots.add(root)
            found.root(total, *root)
        for outcome in found.settle():
            assert told.get(outcome.root[1:]) == outcome.old
            told[outcome.root[1:]] = outcome.new
        fresh = memo(**facts)
        for wanted in roots:
            fresh.root(total, *wanted)
        expected = {o.root[1:]: o.new for o in fresh.settle()}
        assert {r[1:] for r in found.failures} == {r[1:] for r in fresh.failures}
        for wanted, value in expected.items():
            assert told[wanted] == value
