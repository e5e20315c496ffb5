"""docs/ingress.md: each section's YAML is applied, and each request of its table is answered as the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from evaluate import Answer, evaluate
from ingressobjects import endpoints, fleet, ingress_class, secret, service
from routingworld import World, documents

from seaway.routing.ingress import problems
from seaway.routing.ingress.frontend import INGRESS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "ingress.md").read_text()
SECTIONS = {s.partition("\n")[0]: s for s in PAGE.split("\n## ")[1:] if "```yaml" in s}
ROW = re.compile(r"^\| `(https?)://([^/`]+)(/[^`]*)` \| (.*) \|$", re.M)


def world_of(section: str) -> World:
    """The section's objects, with the Services and Secrets that they name."""
    trees = [t for block in re.findall(r"```yaml\n(.*?)```", section, re.S) for t in documents(block)]
    world = World([INGRESS]).apply(ingress_class())
    for name in set(re.findall(r"service: \{name: ([\w-]+)", section)):
        world.apply(service(name, {"name": "http", "port": 80}), endpoints(name, "10.0.0.1", name="http"))
    for tree in trees:
        for entry in tree["spec"].get("tls") or ():
            world.apply(secret(entry["secretName"], ",".join(entry["hosts"])))
    return world.apply(*trees).settle()


def said(answer: Answer) -> str:
    if answer.code == -1:
        return "no connection"
    if answer.location:
        return f"{answer.code} to `{answer.location}`"
    return f"`{answer.cluster.split('/')[1]}`" if answer.clusters else str(answer.code)


@pytest.mark.parametrize("title", SECTIONS)
def test_the_pages_examples_answer_as_it_says(title: str) -> None:
    world = world_of(SECTIONS[title])
    assert not [s.events for s in world.statuses.values() if s.events]
    rows = ROW.findall(SECTIONS[title])
    assert rows
    for scheme, host, path, expected in rows:
        assert said(evaluate(fleet(world), host, path, scheme=scheme)) == expected, (host, path)


def test_the_page_names_every_reason() -> None:
    reasons = {v for k, v in vars(problems).items() if k.isupper()}
    assert reasons == set(re.findall(r"`([A-Z]\w+)`", PAGE.split("Reasons:")[1]))
