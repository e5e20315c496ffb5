"""Our own Gateway API definitions against the published ones, node by node; what differs is a table with reasons."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from seaway.api.gateway.definitions import definitions
from seaway.api.gateway.names import GROUP_NAME

BUNDLES = Path(__file__).resolve().parents[4] / "shared" / "reference" / "gateway-api-v1.6.1"
Tree = dict[str, Any]
RULES = "x-kubernetes-validations"


def published(channel: str) -> dict[str, Tree]:
    """name -> definition, of a bundle's."""
    file = BUNDLES / f"{channel}.yaml"
    if not file.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{file} is not here")
        pytest.skip(f"{file} is not here")
    documents = (d for d in yaml.load_all(file.read_text(), yaml.CSafeLoader) if d)
    found = (d for d in documents if d["kind"] == "CustomResourceDefinition")
    return {d["metadata"]["name"]: d for d in found if d["spec"]["group"] == GROUP_NAME}


def bare(expression: str) -> str:
    """A rule without the spaces that say nothing."""
    return re.sub(r"\s*([()?:&|])\s*", r"\1", re.sub(r"\s+", " ", expression))


def nodes(schema: Tree, path: str = "") -> Iterator[tuple[str, Tree]]:
    """(path, what is said there) of a schema and of all that is in it; each rule is a fact of its own."""
    said = {k: v for k, v in schema.items() if k not in ("properties", "items", "additionalProperties", "description", RULES)}
    for rule in schema.get(RULES, ()):
        said[f"rule: {rule['message']}"] = (bare(rule["rule"]), sorted(rule.keys() - {"message", "rule"}))
    yield path, said
    for name, node in (schema.get("properties") or {}).items():
        yield from nodes(node, f"{path}.{name}" if path else name)
    for name, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(schema.get(name), dict):
            yield from nodes(schema[name], path + mark)


@dataclass(frozen=True)
class Difference:
    """What is said at a path of a version by them and by us; `key` is empty where one of both has no such path."""

    channel: str
    resource: str
    version: str
    path: str
    key: str
    theirs: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.channel} {self.resource} {self.version} {self.path} {self.key}: {self.theirs!r}, and ours {self.ours!r}"


def versions(definition: Tree) -> dict[str, Tree]:
    return {v["name"]: v for v in definition["spec"]["versions"]}


def schema(version: Tree) -> Tree:
    found: Tree = version["schema"]["openAPIV3Schema"]
    return found


def differences(channel: str) -> Iterator[Difference]:
    """Between the schemas of a bundle and ours."""
    bundle = published(channel)
    for definition in definitions():
        name = definition["metadata"]["name"]
        for version, ours in versions(definition).items():
            found, own = dict(nodes(schema(versions(bundle[name])[version]))), dict(nodes(schema(ours)))
            for path in sorted({*found, *own}):
                where = (channel, name.partition(".")[0], version, path)
                if path not in own or path not in found:
                    yield Difference(*where, "", path in found, path in own)
                    continue
                for key in sorted({*found[path], *own[path]}):
                    if found[path].get(key) != own[path].get(key):
                        yield Difference(*where, key, found[path].get(key), own[path].get(key))


NAMES = "rule: Rule name must be unique within the route"
PARENTS = "rule: sectionName (or port )?must be (specified|unique) when parentRefs includes 2 or more references to the same parent"
OLD = "v1alpha2"
# (channel, path, key, version, reason): regular expressions but for the reason.
KNOWN = (
    ("standard", r"spec\.rules\[\]\.sessionPersistence.*", "", ".*", "experimental, GEP-1619: session affinity by cookie is served"),
    ("standard", r"spec\.rules\[\]\.retry.*", "", ".*", "experimental, GEP-1731: retries are served"),
    ("experimental", r"spec\.(useDefaultGateways|defaultScope)", "", ".*", "GEP-3793: there are no default Gateways here"),
    ("experimental", r".*\.filters\[\]\.externalAuth.*", "", ".*", "GEP-1494: nothing here asks an authorization service yet"),
    ("experimental", r".*\.filters\[\]", r"rule: filter\.externalAuth .*", ".*", "as above"),
    ("experimental", r".*\.filters\[\]\.type", "enum", ".*", "as above"),
    ("experimental", r".*\.(add|set|headers)\[\]\.value", "pattern", ".*", "stricter than standard, whose objects are to be taken"),
    ("experimental", r"spec\.rules", NAMES, "v1.*", "stricter than standard, whose objects are to be taken"),
    (".*", r"spec\.parentRefs", PARENTS, ".*", "what either channel takes is taken (references.py)"),
    ("standard", r"spec\.rules", f"maxItems|{NAMES}", OLD, "as the experimental channel has it: standard does not serve the version"),
)


def known(one: Difference) -> tuple[str, ...] | None:
    """The entry of the table that tells of a difference."""
    for entry in KNOWN:
        told = (one.channel, one.path, one.key, one.version)
        if all(re.fullmatch(pattern, text) for pattern, text in zip(entry, told, strict=False)):
            return entry
    return None


def test_each_difference_from_the_published_schemas_is_known_and_has_a_reason() -> None:
    found = [d for channel in ("standard", "experimental") for d in differences(channel)]
    unknown = [str(d) for d in found if known(d) is None]
    assert not unknown, "\n".join(unknown)
    used = {known(d) for d in found}
    assert used == set(KNOWN), [entry for entry in KNOWN if entry not in used]


def test_rules_come_in_the_published_order() -> None:
    """It is the order that a refusal names them in."""
    bundle = published("standard")
    for definition in definitions():
        for version, ours in versions(definition).items():
            theirs = dict(nodes(schema(versions(bundle[definition["metadata"]["name"]])[version])))
            for path, said in nodes(schema(ours)):
                order = [key for key in theirs.get(path, {}) if key.startswith("rule: ") and key in said]
                assert [key for key in said if key in order] == order, (definition["metadata"]["name"], version, path)


def test_nothing_that_standard_serves_is_judged_more_strictly() -> None:
    """Where we differ from a version that standard serves, we take more: fields that it does not know, and other parents."""
    bundle = published("standard")
    for d in differences("standard"):
        if versions(bundle[f"{d.resource}.{GROUP_NAME}"])[d.version]["served"]:
            assert (d.ours is True and d.key == "") or d.path == "spec.parentRefs", str(d)


@pytest.mark.parametrize("channel", ["standard", "experimental"])
def test_names_columns_and_versions_are_the_published_ones(channel: str) -> None:
    bundle = published(channel)
    own = {d["metadata"]["name"]: d for d in definitions()}
    assert own.keys() == bundle.keys()
    for name, definition in own.items():
        theirs, ours = bundle[name]["spec"], definition["spec"]
        assert {k: v for k, v in theirs.items() if k != "versions"} == {k: v for k, v in ours.items() if k != "versions"}
        assert list(versions(bundle[name])) == list(versions(definition))
        for version, said in versions(bundle[name]).items():
            mine = versions(definition)[version]
            age = [{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]  # the server's own, where none is said
            assert said.get("additionalPrinterColumns", age) == mine["additionalPrinterColumns"], (name, version)
            for key in ("storage", "subresources", "deprecated"):
                assert said.get(key) == mine.get(key), (name, version, key)
            # Versions that only the experimental channel serves are served here.
            assert mine["served"] and (said["served"] or (channel == "standard" and mine["deprecated"])), (name, version)


def test_they_say_whose_they_are_and_copy_no_description() -> None:
    texts = set(descriptions([*published("standard").values(), *published("experimental").values()]))
    for definition in definitions():
        annotations = definition["metadata"]["annotations"]
        assert list(annotations) == ["api-approved.kubernetes.io"]
        assert annotations["api-approved.kubernetes.io"].startswith("unapproved, ")
        assert not [t for t in descriptions(definition) if any(t.rstrip(".") in text for text in texts)]


def descriptions(value: Any) -> Iterator[str]:
    """Every description in a tree."""
    if isinstance(value, dict):
        if isinstance(value.get("description"), str):
            yield value["description"]
        for inner in value.values():
            yield from descriptions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from descriptions(inner)


def test_the_generated_manifests_are_fresh() -> None:
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, str(root / "tools" / "gatewayapi.py"), "--check"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
