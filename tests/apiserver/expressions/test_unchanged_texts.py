"""The rule `self == oldSelf` of a text is judged as the library has it, without the library."""

from __future__ import annotations

import pytest

from seaway.cluster.apiserver.expressions import rules
from seaway.cluster.apiserver.expressions.declarations import declare
from seaway.cluster.apiserver.expressions.unchanged import Unchanged, is_unchanged

FIXED = {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "Value is immutable"}]}
SCHEMA = {"type": "object", "properties": {"name": FIXED}}


@pytest.mark.parametrize(("new", "old"), [("a", "a"), ("a", "b"), ("", "b"), ("é" * 11, "é" * 11), ("x" * 253, "x" * 21), ("", "")])
def test_it_comes_to_what_the_library_makes_of_it_at_the_same_price(new: str, old: str) -> None:
    decl = declare(FIXED, False)
    assert decl is not None
    (rule,) = rules.of_place(FIXED, decl)
    assert rule.program is not None and rule.transition
    told = {"self": new, "oldSelf": old}
    assert Unchanged().run(told) == rule.program.run(told)


def test_objects_are_judged_by_it() -> None:
    compiled = rules.compiled(SCHEMA)
    assert compiled.root is not None and isinstance(compiled.root.properties["name"].rules[0].program, Unchanged)
    assert compiled.judge({"name": "a"}) == ([], []) and compiled.judge({"name": "a"}, {"name": "a"}) == ([], [])
    (cause,), _ = compiled.judge({"name": "a"}, {"name": "b"})
    assert (cause.field, cause.message) == ("name", 'Invalid value: "a": Value is immutable')


@pytest.mark.parametrize("change", [{"type": "integer"}, {"format": "date-time"}, {"x-kubernetes-validations": []}])
def test_other_places_are_the_librarys(change: dict[str, object]) -> None:
    assert is_unchanged(FIXED) and not is_unchanged({**FIXED, **change})
