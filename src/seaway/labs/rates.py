"""Rates of interleaved rounds beside each other; pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

Place = tuple[str, int, str]  # mode, Services, target
BARE, TRACKED = ("bare", 0, "direct"), ("conntrack", 0, "direct")


class Rate(NamedTuple):
    """Medians over the rounds: new connections a second and for a CPU second, each also as a ratio to what is direct without
    any rule, and direct where the kernel tracks connections."""

    rate: float
    of_bare: float
    of_tracked: float
    cpu: float
    cpu_of_bare: float
    cpu_of_tracked: float


def rates(rounds: Sequence[dict[Place, tuple[float, float]]]) -> dict[Place, Rate]:
    """`rounds`: (connections a second, CPU seconds of one) by place. A ratio is of one round, the median of all of them."""
    found = {}
    for place in rounds[0]:
        columns = [
            (
                r[place][0],
                r[place][0] / r[BARE][0],
                r[place][0] / r[TRACKED][0],
                1 / r[place][1],
                r[BARE][1] / r[place][1],
                r[TRACKED][1] / r[place][1],
            )
            for r in rounds
        ]
        found[place] = Rate(*(statistics.median(column) for column in zip(*columns, strict=True)))
    return found


class Quickest(NamedTuple):
    """The rate of the quickest twentieth of the rounds, and as a ratio to the same of what is direct: for a kernel that is itself
    interrupted, where most rounds say more of the machine than of it."""

    rate: float
    of_bare: float
    of_tracked: float


def quickest(rounds: Sequence[dict[Place, float]]) -> dict[Place, Quickest]:
    best = {place: sorted(r[place] for r in rounds)[int(0.95 * (len(rounds) - 1))] for place in rounds[0]}
    return {place: Quickest(rate, rate / best[BARE], rate / best[TRACKED]) for place, rate in best.items()}
