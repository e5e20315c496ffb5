"""Whole Corefiles, as distributions and operators write them, beside the settings and the description that they become.

`GOLDEN=1 pytest -k golden` rewrites golden/*/settings.txt; a person reads the difference."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import pytest

from seaway.dns.corefile import describe, read
from seaway.dns.corefile.outside import Given
from seaway.dns.corefile.plugins import PLUGINS
from seaway.dns.settings import Settings

GOLDEN = Path(__file__).parent / "golden"
HOME = "/etc/coredns"


def outside(case: Path) -> Given:
    files = {f"{HOME}/{p.relative_to(case)}": p.read_text() for p in case.rglob("*") if p.is_file()}
    return Given(files, interfaces={"lo": ("127.0.0.1", "::1")})


def settings(name: str) -> Settings:
    return read((GOLDEN / name / "Corefile").read_text(), outside(GOLDEN / name), f"{HOME}/Corefile")


def shown(value: object, depth: int = 0) -> list[str]:
    """The fields that are not at their defaults, one a line."""
    lines = []
    for one in dataclasses.fields(value):  # type: ignore[arg-type]
        field, default = getattr(value, one.name), one.default
        if field == default or one.name == "ignored":
            continue
        items = field if isinstance(field, tuple) and field and dataclasses.is_dataclass(field[0]) else (field,)
        for item in items:
            if dataclasses.is_dataclass(item):
                lines += ["  " * depth + one.name + ":", *shown(item, depth + 1)]
            else:
                lines.append("  " * depth + f"{one.name}: {item!r}")
    return lines


@pytest.mark.parametrize("name", sorted(p.name for p in GOLDEN.iterdir()))
def test_a_whole_corefile_becomes_these_settings_golden(name: str) -> None:
    found = settings(name)
    text = "\n".join([*shown(found), "", *describe(found), ""])
    path = GOLDEN / name / "settings.txt"
    if os.environ.get("GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("name", ["kubeadm", "kind", "k3s", "eks", "nodelocal"])
def test_the_default_corefiles_have_nothing_that_is_not_supported(name: str) -> None:
    assert [s for s in settings(name).ignored if "no file matches" not in s] == []


def test_what_is_ignored_names_its_place_and_why() -> None:
    ignored = settings("aks").ignored
    assert ignored == (
        "/etc/coredns/Corefile:19: template is not supported: no answers are made from templates; such names go to the next plugin",
    )


def test_every_plugin_of_coredns_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[3] / "docs" / "corefile.md").read_text()
    assert [name for name in PLUGINS if f"`{name}`" not in text] == []
    left_out = text[text.index("Every other plugin") : text.index("A block with `view`")]
    assert {name for name, why in PLUGINS.items() if why and name != "view"} == set(re.findall(r"`(\w+)`", left_out))


def test_a_snippet_in_several_blocks_is_named_once() -> None:
    found = read("(a) {\ndnssec\n}\na.test {\nimport a\n}\nb.test {\nimport a\n}\n")
    assert found.ignored == ("Corefile:2: dnssec is not supported: answers are not signed",)
