"""Golden files of the Ingress front end: objects in NAME.in.yaml, all that comes of them in NAME.out.yaml.
`GOLDEN=1 pytest -k golden` rewrites the latter; a person reads the difference."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from routingtext import rendered
from routingworld import World, read

from seaway.routing.fleets import Addresses
from seaway.routing.ingress.frontend import INGRESS

GOLDEN = Path(__file__).parent / "golden"


def world_of(path: Path) -> World:
    world = World([INGRESS]).apply(*read(path))
    return world.fact(
        "addresses", "IngressClass", "", "seaway", value=Addresses((("IPAddress", "203.0.113.7"),))
    ).settle()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.in.yaml")), ids=lambda p: p.name.removesuffix(".in.yaml"))
def test_golden_ingress(path: Path) -> None:
    text = rendered(world_of(path))
    out = path.with_name(path.name.replace(".in.", ".out."))
    if os.environ.get("GOLDEN"):
        out.write_text(text)
    assert text == out.read_text()
