"""docs/policies.md: its examples are applied and their statuses are those that it tells; its tables are the schemas'."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import policyfields
import pytest
import yaml
from routingworld import RESOURCES, World, documents
from test_policy_fields import WORLD

from seaway.cluster.apiserver import structural
from seaway.routing.gateway.frontend import GATEWAY_API
from seaway.routing.ingress.frontend import INGRESS
from seaway.routing.policies import schemas
from seaway.routing.policies.frontend import POLICIES

Tree = dict[str, Any]
PAGE = (Path(__file__).resolve().parents[3] / "docs" / "policies.md").read_text()
SECTIONS = {s.partition("\n")[0]: s for s in PAGE.split("\n## ")[1:] if "```yaml" in s}
SAID = re.compile(r"^\| ([a-z-]+) \| (Gateway|IngressClass) (\w+) \| (not )?`(\w+)`(?:, `(\w+)`)?(?:: (.*))? \|$", re.M)
FIELD = re.compile(r"^\| `([^`|]+)` \| (.+?) \| (?:`([^`]*)`)? ?\| `([^`]+)` \|$", re.M)


@pytest.mark.parametrize("title", SECTIONS)
def test_the_pages_policies_say_what_it_tells(title: str) -> None:
    trees = [t for block in re.findall(r"```yaml\n(.*?)```", SECTIONS[title], re.S) for t in documents(block)]
    world = World([GATEWAY_API, POLICIES, INGRESS]).apply(*WORLD)
    for tree in trees:
        schema = structural.compiled(policyfields.schemas()[tree["kind"]])
        schema.default(tree["spec"])
        assert not schema.validate(tree["spec"]), tree["metadata"]["name"]
        world.apply(tree)
    world.settle()
    said = set()
    for tree in trees:
        meta = tree["metadata"]
        status = world.status(RESOURCES[tree["kind"]], meta.get("namespace", "default"), meta["name"])
        assert status is not None
        for entry in status.tree["ancestors"]:
            where = meta["name"], entry["ancestorRef"]["kind"], entry["ancestorRef"]["name"]
            for c in entry["conditions"]:
                good = c["type"] == "Accepted" and c["status"] == "True"
                reason = "" if good or c["type"] != "Accepted" else c["reason"]
                said.add((*where, "not " if c["status"] == "False" else "", c["type"], reason, "" if good else c["message"]))
    assert said == set(SAID.findall(SECTIONS[title]))


@pytest.mark.parametrize("name", policyfields.ALL)
def test_the_pages_tables_are_the_schemas(name: str) -> None:
    """Each field is there, with its default; its example is taken where it stands."""
    fields = policyfields.ALL[name]
    schema = policyfields.schemas()[fields.kind]
    rows = {row[0]: row[1:] for row in FIELD.findall(SECTIONS[fields.kind])}
    assert {f"spec.{field}" for field in rows} == set(policyfields.leaves(schema))
    for field, (what, default, example) in rows.items():
        assert len(what) > 5
        assert yaml.safe_load(default or "null") == _node(schema, field).get("default"), field
        tree = policyfields.placed(fields.good[f"spec.{field}"], f"spec.{field}", yaml.safe_load(example))
        assert not schemas.judged(RESOURCES[fields.kind], tree["spec"])[1], field


def _node(schema: Tree, field: str) -> Tree:
    for step in field.split("."):
        schema = schema["properties"][step.rstrip("[]")]
        for _ in range(step.count("[]")):
            schema = schema["items"]
    return schema
