"""The published CRDs of Gateway API and cert-manager: no problems, and what is read from them and written back stays."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from seaway.cluster.apiserver import structural

REFERENCE = Path(__file__).resolve().parents[4] / "shared" / "reference"
Tree = dict[str, Any]


def versions() -> Iterator[tuple[str, Tree, bool]]:
    """Every version of every published CRD: a name, its schema, whether it has the status subresource."""
    for path in sorted([*REFERENCE.glob("gateway-api-*/*.yaml"), *REFERENCE.glob("cert-manager/*.yaml")]):
        for document in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader):
            if document and document.get("kind") == "CustomResourceDefinition":
                for version in document["spec"]["versions"]:
                    name = f"{path.stem}/{document['metadata']['name']}/{version['name']}"
                    yield name, version["schema"]["openAPIV3Schema"], "status" in version.get("subresources", {})


@pytest.fixture(scope="module")
def published() -> list[tuple[str, Tree, bool]]:
    if not REFERENCE.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail("../shared is not there")
        pytest.skip("the published CRDs are in ../shared, which is not there")
    return list(versions())


def test_published_schemas_have_no_problems(published: list[tuple[str, Tree, bool]]) -> None:
    assert len(published) > 40
    found = {name: structural.problems(schema, "schema", status) for name, schema, status in published}
    assert {k: v for k, v in found.items() if v} == {}


def test_published_schemas_say_what_an_empty_object_lacks(published: list[tuple[str, Tree, bool]]) -> None:
    for name, schema, _ in published:
        tree = {"apiVersion": "x/v1", "kind": "X", "metadata": {"name": "a"}, "bogus": {"a": 1}}
        compiled = structural.compiled(schema)
        assert compiled.prune(tree) == ["bogus"], name
        compiled.default(tree)
        lacking = [f for f in schema.get("required", ()) if f not in tree]
        told = {c.field: c.reason for c in compiled.validate(tree)}
        assert {k for k, v in told.items() if v == "FieldValueRequired"} >= set(lacking), name
        again = copy.deepcopy(tree)
        assert compiled.prune(again) == []
        compiled.default(again)
        assert again == tree, name
