"""The objects under published/: enough of them, of every kind, and each breaks a rule that its definition has."""

from __future__ import annotations

from collections import Counter

from published_objects import FILES, breaks_a_rule_of, cases, changes, definitions, rules, served

CASES = list(cases())
# Rules that nothing can break: what would is refused by the schema, and then no rules are looked at.
SHADOWED = {"type must be one of ['Exact', 'PathPrefix', 'RegularExpression']": "an enum says the same"}


def test_a_hundred_valid_and_a_hundred_invalid_objects_cover_every_kind_and_version() -> None:
    valid = Counter(c.gvk for c in CASES if not c.breaks)
    invalid = Counter(c.gvk for c in CASES if c.breaks)
    assert sum(valid.values()) >= 100 and sum(invalid.values()) >= 100, (sum(valid.values()), sum(invalid.values()))
    missing = [gvk for channel in FILES for gvk in served(channel) if gvk not in valid]
    assert not missing, "served and without an object that is valid"
    kinds = {kind for _, kind in invalid}
    assert {kind for channel in FILES for _, kind in served(channel)} <= kinds


def test_each_invalid_object_breaks_a_rule_that_its_definition_has() -> None:
    schemas = {channel: served(channel) for channel in FILES}
    lies = [f"{case}: {why}" for case in CASES if case.breaks and (why := breaks_a_rule_of(case, schemas[case.channel][case.gvk]))]
    assert not lies, "\n".join(lies)


def test_every_rule_in_cel_is_broken_by_an_object() -> None:
    wanted = {message for channel in FILES for message in rules(definitions(channel))}
    said = [c.says for c in CASES if c.breaks == "rule"]
    said += [step["says"] for change in changes()["changes"] for step in change["steps"] if "says" in step]
    missing = [message for message in sorted(wanted) if message not in SHADOWED and not any(s in message for s in said)]
    assert not missing, "\n".join(missing)
