"""A registry as text (Prometheus exposition format 0.0.4); pure."""

from __future__ import annotations

from seaway.metrics.families import Family, Registry, number

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def escaped(text: str) -> str:
    """A label's value between its quotes."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def family_lines(family: Family) -> list[str]:
    """HELP, TYPE and a line a sample; nothing of a family that has none."""
    lines = []
    for sample in family.samples():
        pairs = [*zip(family.label_names, sample.labels, strict=True), *sample.extra]
        shown = ",".join(f'{name}="{escaped(value)}"' for name, value in pairs)
        name = f"{family.name}{sample.suffix}"
        lines.append(f"{name}{{{shown}}} {number(sample.value)}" if shown else f"{name} {number(sample.value)}")
    if not lines:
        return []
    told = family.help.replace("\\", "\\\\").replace("\n", "\\n")
    return [f"# HELP {family.name} {told}", f"# TYPE {family.name} {family.kind}", *lines]


def render(registry: Registry) -> str:
    return "".join(f"{line}\n" for family in registry.families() for line in family_lines(family))
