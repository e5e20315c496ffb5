"""The tables of the labs about entry points, as tests read them."""

from __future__ import annotations

import re

from seaway.labs.entries import NOTICED


def cells(said: str) -> dict[str, dict[str, str]]:
    """The rows of the table by their first cell, by column."""
    lines = said.splitlines()
    under = next(n for n, line in enumerate(lines) if re.fullmatch("-+(  -+)+", line))
    starts = [m.span() for m in re.finditer("-+", lines[under])]
    rows = [[line[start:end].strip() for start, end in starts] for line in (lines[under - 1], *lines[under + 1 : lines.index("", under)])]
    return {" ".join(row[:2]) if rows[0][1] == "Envoys" else row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[1:]}


def held_by_the_killed(rows: dict[str, dict[str, str]], said: str, event: str = "an Envoy is killed", slack: float = 0.0) -> None:
    """With two Envoys, the end of one costs the connections that it held, and new ones until that is noticed; with one, more."""
    row = rows[f"{event} 2"]
    cut, _, held = row["connections cut"].partition(" of ")
    assert int(cut) <= int(held or "0") and row["cut elsewhere"] == "0", said
    assert int(row["lost"]) - int(row["on new ones"]) <= int(cut), said
    assert row["new ones failed for"] == "-" or float(row["new ones failed for"].removesuffix(" s")) < NOTICED + slack, said
    alone = rows[f"{event} 1"]
    assert int(alone["lost"]) > 0 and alone["connections cut"] == "10 of 10", said
