"""Server-side apply and managedFields: transcripts of small objects, and rules that hold for any sequence of writes."""

from __future__ import annotations

import random
from typing import Any

import pytest

from seaway.cluster.apiserver import apply, managed
from seaway.cluster.apiserver.fieldsets import difference, has, intersection, paths, shown, union, without
from seaway.cluster.apiserver.fieldtypes import builtin, of
from seaway.cluster.apiserver.managed import Managers, manager
from seaway.cluster.apiserver.typedvalues import Invalid, compare, field_set, merge, remove

POD, SERVICE = builtin("io.k8s.api.core.v1.Pod"), builtin("io.k8s.api.core.v1.Service")
CONFIGMAP = builtin("io.k8s.api.core.v1.ConfigMap")
EMPTY: dict[str, Any] = {"metadata": {}}


def applied(live: dict, config: dict, managers: Managers, name: str, kind=CONFIGMAP, force: bool = False) -> apply.Applied:
    return apply.apply(live, config, kind, managers, manager(name, "Apply", "v1"), "v1", "now", force, {})


def owners(managers: Managers, *steps: str) -> set[str]:
    return {m.name for m, owned in managers.items() if has(owned.fields, *steps)}


def data(**values: str) -> dict:
    return {"metadata": {"name": "a"}, "data": values}


def live(tree: dict) -> dict:
    return {**tree, "metadata": {**tree["metadata"], "uid": "u"}}


# sets


def test_sets_know_what_is_a_member_and_what_only_leads_to_one() -> None:
    fields = {"f:a": {}, "f:b": {".": {}, "f:c": {}}, "f:d": {"f:e": {}}}
    assert has(fields, "f:a") and has(fields, "f:b") and has(fields, "f:b", "f:c") and has(fields, "f:d", "f:e")
    assert not has(fields, "f:d") and not has(fields, "f:x") and not has(fields, "f:a", "f:x")


@pytest.mark.parametrize("seed", range(20))
def test_set_operations_agree_with_sets_of_paths(seed: int) -> None:
    draw = random.Random(seed)

    def tree(depth: int) -> dict:
        if depth == 0:
            return {}
        found = {f"f:{c}": tree(depth - 1) for c in "abc" if draw.random() < 0.5}
        return {".": {}, **found} if found and depth < 3 and draw.random() < 0.5 else found

    a, b = tree(3), tree(3)
    left, right = set(paths(a)), set(paths(b))
    assert set(paths(union(a, b))) == left | right
    assert set(paths(difference(a, b))) == left - right
    assert set(paths(intersection(a, b))) == left & right
    below = {p for p in left for q in right if p[: len(q)] == q}
    assert set(paths(without(a, b))) == left - below


def test_paths_are_shown_as_upstream_shows_them() -> None:
    path = ("f:spec", "f:ports", 'k:{"port":80,"protocol":"TCP"}', "f:nodePort")
    assert shown(path) == '.spec.ports[port=80,protocol="TCP"].nodePort'
    assert shown(("f:metadata", "f:finalizers", 'v:"x/y"')) == '.metadata.finalizers[="x/y"]'


# values


def test_keyed_lists_are_compared_by_key_and_a_default_key_may_be_left_out() -> None:
    old = {"spec": {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "TCP"}]}}
    new = {"spec": {"ports": [{"port": 81}, {"port": 80, "nodePort": 1}]}}
    change = compare(old, new, SERVICE)
    assert [shown(p) for p in paths(change.added)] == ['.spec.ports[port=80,protocol="TCP"].nodePort']
    assert not change.modified and len(list(paths(change.removed))) == 2, "only the protocols go"


def test_atomic_values_are_one_field() -> None:
    value = {"spec": {"nodeSelector": {"a": "b"}, "containers": [{"name": "c", "command": ["x", "y"]}]}}
    found = [shown(p) for p in paths(field_set(value, POD))]
    assert found == [
        '.spec.containers[name="c"]',
        '.spec.containers[name="c"].command',
        '.spec.containers[name="c"].name',
        ".spec.nodeSelector",
    ]


def test_a_merged_list_follows_the_applied_order_and_keeps_the_others_in_place() -> None:
    def names(*found: str) -> dict:
        return {"spec": {"containers": [{"name": n} for n in found]}}

    for before, config, want in (("cde", "dc", "dec"), ("ab", "ba", "ba"), ("abc", "x", "abcx"), ("", "ab", "ab")):
        merged = merge(names(*before), names(*config), POD)
        assert "".join(c["name"] for c in merged["spec"]["containers"]) == want


def test_removing_the_last_element_leaves_nothing() -> None:
    value = {"spec": {"containers": [{"name": "c"}], "hostname": "h"}}
    fields = {"f:spec": {"f:containers": {'k:{"name":"c"}': {}}}}
    assert remove(value, fields, POD) == {"spec": {"containers": None, "hostname": "h"}}


def test_types_of_any_schema_are_taken() -> None:
    schema = {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"]},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "plain": {"type": "array", "items": {"type": "string"}},
        },
    }
    kind = of(schema, lambda name: {})
    found = {shown(p) for p in paths(field_set({"items": [{"id": 1, "v": 2}], "free": {"a": {"b": [1]}}, "plain": ["x"]}, kind))}
    assert found == {".items[id=1]", ".items[id=1].id", ".items[id=1].v", ".free.a", ".free.a.b", ".plain"}


# who owns what


def test_who_applies_owns_what_it_says_and_another_value_is_a_conflict() -> None:
    tree, managers = applied(EMPTY, data(a="1", b="2"), {}, "one")
    assert managed.encode(managers)[0]["fieldsV1"] == {"f:data": {"f:a": {}, "f:b": {}}}
    with pytest.raises(managed.Taken) as taken:
        applied(live(tree), data(a="9"), managers, "two")
    error = apply.conflict_error(taken.value)
    assert error.code == 409 and str(error) == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    forced = applied(live(tree), data(a="9"), managers, "two", force=True)
    assert forced.tree["data"] == {"a": "9", "b": "2"}
    assert owners(forced.managers, "f:data", "f:a") == {"two"} and owners(forced.managers, "f:data", "f:b") == {"one"}


def test_a_shared_value_stays_until_the_last_owner_gives_it_up() -> None:
    tree, managers = applied(EMPTY, data(a="1"), {}, "one")
    tree, managers = applied(live(tree), data(a="1"), managers, "two")
    assert owners(managers, "f:data", "f:a") == {"one", "two"}
    tree, managers = applied(tree, {"metadata": {"name": "a"}}, managers, "one")
    assert tree["data"] == {"a": "1"} and owners(managers, "f:data", "f:a") == {"two"}
    tree, managers = applied(tree, {"metadata": {"name": "a"}}, managers, "two")
    assert not tree.get("data") and managers == {}


def test_updaters_are_named_with_their_version_and_subresource() -> None:
    first = live(data(a="1"))
    managers = managed.decode(managed.update(EMPTY, first, CONFIGMAP, manager("w", "Update", "v1", "status"), "v1", "now", {})) or {}
    with pytest.raises(managed.Taken) as taken:
        applied(first, data(a="2", b="3"), managers, "one")
    assert str(apply.conflict_error(taken.value)).endswith('conflict with "w" with subresource "status" using v1: .data.a')


def test_objects_without_a_record_belong_to_before_first_apply() -> None:
    with pytest.raises(managed.Taken) as taken:
        applied(live(data(a="1")), data(a="2"), {}, "one")
    assert [m.name for m in taken.value.fields] == ["before-first-apply"]


def test_kubectl_takes_over_what_it_applied_on_the_client_side() -> None:
    text = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"a":"1"}}'
    tree = {"apiVersion": "v1", **live(data(a="1", b="2"))}
    tree["metadata"]["annotations"] = {apply.LAST_APPLIED: text}
    managers = managed.decode(managed.update(EMPTY, tree, CONFIGMAP, manager("kubectl-client-side-apply", "Update", "v1"), "v1", "t", {})) or {}
    assert applied(tree, data(a="9"), managers, "kubectl").tree["data"] == {"a": "9", "b": "2"}
    with pytest.raises(managed.Taken):
        applied(tree, data(b="9"), managers, "kubectl")
    with pytest.raises(managed.Taken):
        applied(tree, data(a="9"), managers, "another")


@pytest.mark.parametrize(
    ("config", "want"),
    [
        ({"spec": {"nonsense": 1}}, ".spec.nonsense: field not declared in schema"),
        ({"spec": {"containers": "x"}}, ".spec.containers: expected list, got string"),
        ({"spec": {"containers": [{"image": "i"}]}}, 'omits key field "name"'),
        ({"spec": {"containers": [{"name": "c"}, {"name": "c"}]}}, 'duplicate entries for key [name="c"]'),
        ({"spec": {"hostNetwork": "yes"}}, ".spec.hostNetwork: expected boolean, got string"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(config: dict, want: str) -> None:
    with pytest.raises(Invalid) as refused:
        applied(EMPTY, config, {}, "one", POD)
    assert want in str(refused.value)


def test_more_than_ten_updaters_become_ancient_changes() -> None:
    tree, managers = live(data()), {manager("first", "Apply", "v1"): managed.Owned({"f:data": {"f:x": {}}}, "v1", "0")}
    for i in range(14):
        new = {**tree, "data": {**tree["data"], f"k{i}": "v"}}
        entries = managed.update({**tree, "metadata": {**tree["metadata"], "managedFields": managed.encode(managers)}}, new, CONFIGMAP,
                                 manager(f"m{i:02}", "Update", "v1"), "v1", f"{i:02}", {})
        tree, managers = new, managed.decode(entries) or {}
    updaters = [m.name for m in managers if m.operation == "Update"]
    assert len(updaters) == 10 and "ancient-changes" in updaters and "m13" in updaters
    assert all(owners(managers, "f:data", f"f:k{i}") for i in range(14)), "nothing is forgotten"


def test_a_reset_empties_the_record_and_silence_keeps_it() -> None:
    entries = managed.update(EMPTY, data(a="1"), CONFIGMAP, manager("w", "Update", "v1"), "v1", "now", {})
    old = live(data(a="1"))
    old["metadata"]["managedFields"] = entries

    def after(meta: dict) -> list:
        new = {**old, "metadata": {"name": "a", **meta}}
        return managed.update(old, new, CONFIGMAP, manager("x", "Update", "v1"), "v1", "now", {})

    assert after({}) == entries and after({"managedFields": None or entries}) == entries
    assert after({"managedFields": []}) == [] and after({"managedFields": [{}]}) == []
    assert after({"managedFields": [{"manager": "broken"}]}) == entries, "what cannot be read is ignored"


# any sequence of applies

NAMES, KEYS = ("one", "two", "three"), "abc"


def configuration(draw: random.Random) -> dict:
    """A pod with keyed lists in keyed lists, a granular and an atomic map, and an atomic list."""
    spec: dict[str, Any] = {}
    containers = []
    for name in draw.sample(KEYS, draw.randrange(4)):
        container: dict[str, Any] = {"name": name}
        if draw.random() < 0.5:
            container["image"] = draw.choice("xy")
        if draw.random() < 0.5:
            container["env"] = [{"name": n, "value": draw.choice("xy")} for n in draw.sample(KEYS, draw.randrange(1, 3))]
        if draw.random() < 0.4:
            container["command"] = draw.sample("xyz", draw.randrange(1, 3))
        containers.append(container)
    if containers:
        spec["containers"] = containers
    if draw.random() < 0.4:
        spec["nodeSelector"] = {draw.choice(KEYS): draw.choice("xy")}
    tree: dict[str, Any] = {"metadata": {"name": "a"}}
    if draw.random() < 0.5:
        tree["metadata"]["labels"] = {draw.choice(KEYS): draw.choice("xy")}
    if spec:
        tree["spec"] = spec
    return tree


def value_at(tree: Any, path: tuple[str, ...]) -> Any:
    """The value that a path names; KeyError where there is none."""
    import json

    for step in path:
        if step.startswith("f:"):
            tree = tree[step[2:]]
        else:
            keys = json.loads(step[2:])
            tree = next((item for item in tree or () if keys.items() <= item.items()), None)
            if tree is None:
                raise KeyError(step)
    return tree


@pytest.mark.parametrize("seed", range(60))
def test_any_sequence_of_applies_keeps_the_rules_of_ownership(seed: int) -> None:
    draw = random.Random(seed)
    tree: dict[str, Any] = live({"metadata": {"name": "a"}})
    managers: Managers = {manager("seed", "Apply", "v1"): managed.Owned({"f:metadata": {"f:annotations": {"f:x": {}}}}, "v1", "")}
    last: dict[str, dict] = {}
    for _ in range(12):
        name, config = draw.choice(NAMES), configuration(draw)
        before, owned_before = tree, managers
        try:
            tree, managers = applied(tree, config, managers, name, POD)
        except managed.Taken as taken:
            changed = [(m.name, p) for m, fields in taken.fields.items() for p in paths(fields)]
            assert changed and all(m != name for m, _ in changed)
            tree, managers = applied(tree, config, managers, name, POD, force=True)
        last[name] = config
        # What was applied is there, and its manager owns it.
        for path in paths(field_set(config, POD)):
            if path[:2] in (("f:metadata", "f:name"),):
                continue
            assert value_at(tree, path) is not None and name in owners(managers, *path)
            # Who owns the same field wants the same value; the containers of granular fields are shared.
            wanted = value_at(config, path)
            for other, theirs in last.items():
                if other == name or other not in owners(managers, *path):
                    continue
                mine = value_at(theirs, path)
                assert (isinstance(wanted, dict) and path[-1] != "f:nodeSelector") or mine == wanted
        # What is gone had no owner left.
        for m, owned in owned_before.items():
            for path in paths(owned.fields):
                try:
                    value_at(before, path)
                except KeyError:
                    continue
                try:
                    value_at(tree, path)
                except (KeyError, TypeError):
                    assert not owners(managers, *path), (m, path)
        # Saying the same again changes nothing.
        again = applied(tree, config, managers, name, POD)
        assert again.tree == tree and again.managers == managers
    for name in NAMES:
        tree, managers = applied(tree, {"metadata": {"name": "a"}}, managers, name, POD, force=True)
    assert [m.name for m in managers] == ["seed"] and not (tree.get("spec") or {}).get("containers")
