"""What all labs share: the stage that they play on, and the form of their results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from seaway.cluster import launch
from seaway.cluster.config import ClusterConfig
from seaway.cluster.place import Place

# name -> (module with run(stage, options) -> Result, what it shows)
LABS = {
    "endpointslices": (
        "seaway.labs.endpointslices",
        "bytes on the watch for one change and a rolling update: Endpoints against EndpointSlices",
    ),
    "termination": (
        "seaway.labs.termination",
        "requests lost while pods are replaced under load: no hook, a signal handler, a preStop sleep",
    ),
    "proxy-modes": (
        "seaway.labs.proxymodes",
        "what the number of Services costs a connection and a change: iptables against nftables and eBPF",
    ),
    "ndots": (
        "seaway.labs.ndots",
        "queries and time for a name outside the cluster: ndots 5 and 1, a dot at the end, autopath",
    ),
    "ingress-hop": (
        "seaway.labs.ingresshop",
        "an ingress proxy straight to pods, and through the Service's address: load, time, what an ending pod costs",
    ),
    "ingress-cost": (
        "seaway.labs.ingresscost",
        "load balancer addresses and proxies' memory: one for each Service against one entry point",
    ),
    "ingress-nodes": (
        "seaway.labs.ingressnodes",
        "nodes for the entry point alone: label, taint, DaemonSet; one joins, one is drained, under load",
    ),
    "ingress-failure": (
        "seaway.labs.ingressfailure",
        "requests lost when an Envoy, its node, the controller or the API server fails, with one Envoy and with two",
    ),
}


@dataclass(frozen=True, slots=True)
class Options:
    """`quick`: the smallest sizes that still show the effect; `runs`: how often what varies is repeated;
    `price_per_address`: of a load balancer's address, for ingress-cost; 0: nobody said."""

    quick: bool = False
    runs: int = 3
    price_per_address: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """A table with its sentences, and a picture as SVG text. `numbers` are for programs: name -> value."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    picture: str
    numbers: dict[str, float]


class Stage:
    """`bring_up` starts a cluster of a configuration; it ends with the `with` block."""

    def __init__(self, say: Callable[[str], None], bring_up: Callable[[ClusterConfig], Place]) -> None:
        self.say, self._bring_up = say, bring_up

    @contextmanager
    def cluster(self, config: ClusterConfig) -> Iterator[Place]:
        where = self._bring_up(config)
        try:
            yield where
        finally:
            launch.down(where)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain table: the first column to the left, numbers to the right."""
    widths = [max(len(str(row[i])) for row in (columns, *rows)) for i in range(len(columns))]

    def line(row: Sequence[str]) -> str:
        cells = [
            str(c).ljust(w) if i == 0 else str(c).rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([line(columns), "  ".join("-" * w for w in widths), *map(line, rows)])


def human(size: float) -> str:
    """Bytes for people: 1.5 kB, 20 MB, 4 GB (powers of ten, as network figures are)."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:.0f} {unit}" if size >= 100 or unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    raise AssertionError
