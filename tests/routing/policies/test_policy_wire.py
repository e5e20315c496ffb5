"""What comes of each field is seen at an Envoy: by a case of tests/gateway/cases that says it, or by a test that fields/wire.yaml names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import policyfields
import yaml

ROOT = Path(__file__).resolve().parents[3]
WIRE: dict[str, dict[str, str]] = yaml.safe_load((policyfields.FOLDER / "wire.yaml").read_text())
# Of references, whose only value is the default.
FIXED = re.compile(r"\.(users|secretRefs\[\]|backendRef|caCertificateRefs\[\])\.(group|kind)$")


def leaves(tree: Any, path: str = "spec") -> Iterator[str]:
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from leaves(value, f"{path}.{name}")
    elif isinstance(tree, list):
        for value in tree:
            yield from leaves(value, f"{path}[]")
    else:
        yield path


def policies(tree: Any) -> Iterator[tuple[str, Any]]:
    """All policies that a case has, in steps too."""
    if isinstance(tree, dict):
        if tree.get("kind") in policyfields.schemas() and "spec" in tree:
            yield tree["kind"], tree["spec"]
        for value in tree.values():
            yield from policies(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from policies(value)


def test_each_field_is_played_on_an_envoy() -> None:
    said: dict[str, set[str]] = {kind: set() for kind in policyfields.schemas()}
    for file in sorted((ROOT / "tests" / "gateway" / "cases").glob("*.yaml")):
        text = file.read_text()
        for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if "policy.seaway.dev" in text else ():
            for kind, spec in policies(document):
                said[kind].update(leaves(spec))
    for kind, schema in policyfields.schemas().items():
        named = WIRE[kind]
        assert not named.keys() & said[kind], "said by a case: it need not be named"
        lacking = {leaf for leaf in policyfields.leaves(schema) if not FIXED.search(leaf)} - said[kind] - named.keys()
        assert not lacking, (kind, lacking)


def test_the_tests_that_are_named_are_there() -> None:
    for named in WIRE.values():
        for place in named.values():
            path, _, name = place.partition("::")
            assert f"def {name}(" in (ROOT / path).read_text(), place
