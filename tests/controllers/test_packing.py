"""Where endpoints go: the reconciler's three steps, minimal writes, no rebalancing, recycled slices."""

from __future__ import annotations

import pytest

from seaway.controllers.packing import Draft, Drafts, identity, pack, port_key, recycle, same

HTTP = [{"name": "http", "port": 80, "protocol": "TCP"}]
LABELS = {"kubernetes.io/service-name": "web"}


def endpoint(number: int, **change: object) -> dict:
    return {"addresses": [f"10.0.0.{number}"], "conditions": {"ready": True}, "nodeName": "n",
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": f"p{number}", "uid": f"u{number}"}, **change}


def tree(name: str, numbers: range | list[int], labels: dict | None = None, **change: object) -> dict:
    return {"metadata": {"name": name, "labels": LABELS if labels is None else labels}, "ports": HTTP,
            "endpoints": [endpoint(i, **change) for i in numbers]}


def wanted(numbers: range | list[int], **change: object) -> dict:
    entries = [endpoint(i, **change) for i in numbers]
    return {identity(e): e for e in entries}


def sizes(drafts: list[Draft]) -> dict[str, int] | list[int]:
    return {d.name: len(d.endpoints) for d in drafts}


# (limit, sizes of the slices that are there, who goes (slice: how many of its first), how many come)
# -> (updated: name -> size, unchanged names, deleted names, sizes of new ones)
CASES: dict[str, tuple] = {
    "nothing there, less than one": (10, [], {}, 4, ({}, [], [], [4])),
    "nothing there, exactly one": (10, [], {}, 10, ({}, [], [], [10])),
    "nothing there, more than one": (10, [], {}, 25, ({}, [], [], [10, 10, 5])),
    "one that goes writes one": (10, [10, 10, 10], {1: 1}, 0, ({"b": 9}, ["a", "c"], [], [])),
    "an emptied one is deleted": (10, [10, 3], {1: 3}, 0, ({}, ["a"], ["b"], [])),
    "thin ones are not merged": (10, [10, 10], {0: 8, 1: 8}, 0, ({"a": 2, "b": 2}, [], [], [])),
    "the one written anyway is topped up though another is fuller": (10, [10, 9], {0: 5}, 1, ({"a": 6}, ["b"], [], [])),
    "the fullest of those written is topped up first": (10, [10, 10], {0: 5, 1: 2}, 3, ({"a": 6, "b": 10}, [], [], [])),
    "what is left after topping up goes into an untouched one": (10, [10, 6], {0: 1}, 3, ({"a": 10, "b": 8}, [], [], [])),
    "the untouched one that ends closest to full": (10, [4, 7, 8], {}, 3, ({"b": 10}, ["a", "c"], [], [])),
    "only one untouched one takes them, never two": (10, [8, 8], {}, 3, ({}, ["a", "b"], [], [3])),
    "a full limit of new ones is a new slice": (10, [0], {}, 10, ({}, ["a"], [], [10])),
    "what full new slices leave fits into an untouched one": (10, [7], {}, 13, ({"a": 10}, [], [], [10])),
    "and is a slice of its own where it does not fit": (10, [8], {}, 13, ({}, ["a"], [], [10, 3])),
    "an empty slice takes the first": (10, [0], {}, 1, ({"a": 1}, [], [], [])),
    "nothing changes": (10, [10, 4], {}, 0, ({}, ["a", "b"], [], [])),
    "as many come as go": (10, [10, 10], {0: 2}, 2, ({"a": 10}, ["b"], [], [])),
    "a deleted one is not topped up": (10, [10, 2], {1: 2}, 1, ({}, ["a"], ["b"], [1])),
    "a limit of one": (1, [1, 1], {0: 1}, 2, ({}, ["b"], ["a"], [1, 1])),
}


@pytest.mark.parametrize("case", CASES)
def test_endpoints_are_placed_with_the_fewest_writes(case: str) -> None:
    limit, there, go, come, (updated, unchanged, deleted, created) = CASES[case]
    trees, kept, at = [], [], 1
    for i, size in enumerate(there):
        numbers = list(range(at, at + size))
        trees.append(tree("abc"[i], numbers))
        kept += numbers[go.get(i, 0) :]
        at += size
    found = pack(trees, wanted([*kept, *range(200, 200 + come)]), HTTP, limit, LABELS)
    assert sizes(found.update) == updated
    assert sorted(d.name for d in found.unchanged) == unchanged
    assert [t["metadata"]["name"] for t in found.delete] == deleted
    assert [len(d.endpoints) for d in found.create] == created
    # Nobody is listed twice, nobody is lost, and who had a place keeps it.
    listed = [identity(e) for d in (*found.create, *found.update, *found.unchanged) for e in d.endpoints]
    assert len(listed) == len(set(listed)) == len(kept) + come
    for draft in (*found.update, *found.unchanged):
        before = {identity(e) for e in draft.old["endpoints"]}  # type: ignore[index]
        stay = before & set(wanted(kept))
        assert stay <= {identity(e) for e in draft.endpoints}


def test_an_endpoint_in_two_slices_stays_in_one() -> None:
    found = pack([tree("a", [1, 2]), tree("b", [2, 3])], wanted([1, 2, 3]), HTTP, 10, LABELS)
    assert (sizes(found.update), [d.name for d in found.unchanged]) == ({"b": 1}, ["a"])


def test_an_endpoint_listed_twice_in_one_slice_is_listed_once() -> None:
    twice = tree("a", [1, 1])
    assert sizes(pack([twice], wanted([1]), HTTP, 10, LABELS).update) == {"a": 1}


def test_a_slice_over_a_lowered_limit_is_left_as_it_is() -> None:
    found = pack([tree("a", range(1, 11))], wanted(range(1, 12)), HTTP, 5, LABELS)
    assert [d.name for d in found.unchanged] == ["a"] and [len(d.endpoints) for d in found.create] == [1]


@pytest.mark.parametrize("labels", [{}, {**LABELS, "more": "x"}, {"kubernetes.io/service-name": "other"}])
def test_other_labels_are_a_reason_to_write_and_to_be_topped_up(labels: dict) -> None:
    found = pack([tree("a", [1], labels=labels), tree("b", range(2, 10))], wanted(range(1, 11)), HTTP, 10, LABELS)
    assert sizes(found.update) == {"a": 2} and [d.name for d in found.unchanged] == ["b"]


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({}, False),
        ({"hints": {"forZones": [{"name": "z"}]}}, False),
        ({"nodeName": "m"}, True),
        ({"nodeName": None}, True),
        ({"zone": "z"}, True),
        ({"conditions": {"ready": False}}, True),
        ({"conditions": {"ready": True, "serving": True}}, True),
        ({"targetRef": {"kind": "Pod", "namespace": "shop", "name": "p1", "uid": "other"}}, True),
        ({"targetRef": {"kind": "Pod", "namespace": "shop", "name": "p1", "uid": "u1", "resourceVersion": "7"}}, False),
    ],
)
def test_what_makes_an_endpoint_another_state_of_itself(change: dict, differs: bool) -> None:
    assert identity(endpoint(1, **change)) == identity(endpoint(1))
    assert same(endpoint(1), endpoint(1, **change)) is not differs
    found = pack([tree("a", [1], **change)], wanted([1]), HTTP, 10, LABELS)
    assert bool(found.update) == differs and not (found.create or found.delete)


@pytest.mark.parametrize("change", [{"addresses": ["10.0.0.9"]}, {"hostname": "h"}, {"targetRef": {"name": "p9", "namespace": "shop"}}, {"targetRef": None}])
def test_what_makes_an_endpoint_another(change: dict) -> None:
    assert identity(endpoint(1, **change)) != identity(endpoint(1))


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (None, [], True),
        ([{"name": "a", "port": 1}, {"name": "b", "port": 2}], [{"name": "b", "port": 2}, {"name": "a", "port": 1}], True),
        ([{"port": 1}], [{"name": "", "port": 1, "protocol": "TCP"}], True),
        ([{"port": 1, "protocol": "UDP"}], [{"port": 1}], False),
        ([{"port": 1, "appProtocol": "h2c"}], [{"port": 1}], False),
        ([{"name": "a", "port": 1}], [{"name": "b", "port": 1}], False),
    ],
)
def test_port_sets_are_equal_whatever_their_order(one: list | None, other: list | None, equal: bool) -> None:
    assert (port_key(one) == port_key(other)) is equal


@pytest.mark.parametrize(
    ("creates", "usable", "deletes", "left"),
    [(1, "ab", "ab", (0, ["a"], ["b"])), (2, "ab", "ab", (0, ["a", "b"], [])), (3, "ab", "ab", (1, ["a", "b"], [])),
     (1, "b", "ab", (0, ["b"], ["a"])), (1, "", "ab", (1, [], ["a", "b"])), (0, "ab", "ab", (0, [], ["a", "b"]))],
)
def test_a_create_and_a_delete_become_an_update(creates: int, usable: str, deletes: str, left: tuple) -> None:
    trees = {n: tree(n, [1]) for n in deletes}
    drafts = Drafts(create=[Draft(None, HTTP, [endpoint(i)]) for i in range(creates)], delete=list(trees.values()))
    recycle(drafts, [trees[n] for n in usable])
    made, updated, gone = left
    assert len(drafts.create) == made
    assert sorted(d.name for d in drafts.update) == updated
    assert [t["metadata"]["name"] for t in drafts.delete] == gone
