"""Stored custom objects as the schema of now has them."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver.custom import objects
from seaway.cluster.apiserver.custom.conversion import Conversions
from seaway.cluster.apiserver.custom.definition import Definition
from seaway.cluster.apiserver.storage import Entry, encode

Tree = dict[str, Any]
NAMES = {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"}


def definition(*versions: str, since: int = 10, **fields: Tree) -> Definition:
    properties = {"spec": {"type": "object", "properties": {"a": {"type": "string"}, **fields}}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": properties}}
    told = [
        {"name": name, "served": True, "storage": name == (versions or ("v1",))[0], "schema": schema}
        for name in versions or ("v1",)
    ]
    spec = {"group": "example.com", "scope": "Namespaced", "names": NAMES, "versions": told}
    tree: Tree = {"metadata": {"name": "things.example.com", "uid": "u", "generation": 1}, "spec": spec}
    tree["status"] = {"acceptedNames": NAMES, "conditions": [{"type": "Established", "status": "True"}]}
    return Definition(tree, since, Conversions())


def entry(rv: int, api_version: str = "example.com/v1", **spec: Any) -> Entry:
    meta = {"name": "x", "namespace": "n", "uid": "o", "generation": 1, "resourceVersion": str(rv)}
    return Entry("n/x", rv, encode({"kind": "Thing", "apiVersion": api_version, "metadata": meta, "spec": spec}))


def test_what_was_written_by_the_schema_of_now_leaves_as_it_is_stored() -> None:
    kind, stored = definition().storage.kind, entry(11, a="1")
    assert objects.is_current(kind, stored)
    assert objects.data(kind, stored) is stored.data


def test_an_older_object_is_looked_at_once() -> None:
    kind, stored = definition().storage.kind, entry(9, a="1")
    assert not objects.is_current(kind, stored)
    assert objects.data(kind, stored) == stored.data
    assert objects.is_current(kind, stored)


def test_an_older_object_is_pruned_and_given_defaults_each_time_it_is_read() -> None:
    kind = definition(b={"type": "string", "default": "new"}).storage.kind
    stored = entry(9, a="1", gone=True)
    for _ in range(2):
        assert objects.opened(kind, stored)["spec"] == {"a": "1", "b": "new"}
    assert not objects.is_current(kind, stored)


def test_another_version_is_shown_by_its_name_and_kept_by_the_stored_one() -> None:
    found = definition("v1", "v2")
    kind, stored = found.versions["v2"].kind, entry(11, a="1")
    tree = objects.opened(kind, stored)
    assert tree["apiVersion"] == "example.com/v2"
    assert objects.stored(kind, tree)["apiVersion"] == "example.com/v1"
    assert not objects.is_current(kind, stored)


def test_an_object_of_an_earlier_storage_version_is_not_taken_for_one_of_now() -> None:
    kind = definition("v2", "v1").storage.kind
    stored = entry(11, "example.com/v1", a="1")
    assert not objects.is_current(kind, stored)
    assert objects.opened(kind, stored)["apiVersion"] == "example.com/v2"
