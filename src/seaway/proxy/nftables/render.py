"""The text of a change, and of making good what differs; pure.

A transaction names new sets and chains first, then takes elements away and puts others in (a key with another value would be
EEXIST), then takes away the chains that nothing names any more. Where there is much, it is several transactions; no element is
without its chain, and no key without a value, between two of them.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple

from seaway.proxy.nftables import elements
from seaway.proxy.nftables.affinity import Objects, objects
from seaway.proxy.nftables.elements import Elements
from seaway.proxy.nftables.layout import (
    TABLE,
    count_chains,
    family_name,
    skeleton,
    slot_chains,
    split_chains,
)
from seaway.proxy.table import Answer, Change, Delta, Facts, ServiceTable, Way

LARGE = 20_000  # elements in one transaction
Key = tuple[str, str]


class Held(NamedTuple):
    """What the kernel says it holds of a family (`listing`): chains with their number of rules, sets, elements."""

    chains: dict[str, int]
    sets: set[str]
    elements: Elements


class State:
    """What has been made for one family, but for the elements: they follow from the table. Slots, counts and pairs are kept once
    made, being few. `staying` are the answers with session affinity by title, `made` their chains and sets."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.slots = 0
        self.counts: set[int] = set()
        self.pairs: set[tuple[int, int]] = set()
        self.staying: dict[str, dict[Hashable, Answer]] = {}
        self.made: dict[str, Objects] = {}

    @property
    def f(self) -> str:
        return family_name(self.facts.family)

    def shapes(self, ways: Iterable[Way | None]) -> list[str]:
        """Makes the slots, counts and pairs that ways need and that are not there."""
        counts: set[int] = set()
        pairs: set[tuple[int, int]] = set()
        for way in ways:
            own, split = elements.shape(way)
            counts |= own
            pairs |= split
        family, lines = self.facts.family, []
        for number in range(self.slots, max(counts, default=0)):
            lines += slot_chains(family, number)
        self.slots = max(self.slots, max(counts, default=0))
        for count in sorted(counts - self.counts):
            lines += count_chains(family, count)
        for local, everywhere in sorted(pairs - self.pairs):
            lines += split_chains(self.facts, local, everywhere)
        self.counts |= counts
        self.pairs |= pairs
        return lines

    def affinity(self, changes: Mapping[Hashable, Change]) -> tuple[list[str], list[str]]:
        """Chains and sets of the titles that changes touch: (lines before the elements, lines after them)."""
        touched: set[str] = set()
        for key, (old, new) in changes.items():
            before, after = elements.stays(old), elements.stays(new)
            if before is not None:
                touched.add(before[0])
                self.staying.get(before[0], {}).pop(key, None)
            if after is not None:
                touched.add(after[0])
                self.staying.setdefault(after[0], {})[key] = after[1]
        first: list[str] = []
        last: list[str] = []
        for title in sorted(touched):
            wanted = objects(self.facts, self.staying.get(title, {}).values())
            make, remove = exchange(self.f, self.made.get(title, Objects({}, {})), wanted)
            first += make
            last += remove
            if wanted.chains:
                self.made[title] = wanted
            else:
                self.made.pop(title, None)
                self.staying.pop(title, None)
        return first, last

    def expected(self) -> tuple[dict[str, int], set[str]]:
        """All chains with their number of rules, and all sets and maps."""
        family = self.facts.family
        lines = skeleton(self.facts)
        for number in range(self.slots):
            lines += slot_chains(family, number)
        for count in self.counts:
            lines += count_chains(family, count)
        for local, everywhere in self.pairs:
            lines += split_chains(self.facts, local, everywhere)
        for made in self.made.values():
            lines += exchange(self.f, Objects({}, {}), made)[0]
        chains: dict[str, int] = {}
        sets: set[str] = set()
        for line in lines:
            _, what, _, _, name = line.split(" ", 5)[:5]
            if what == "chain":
                chains[name] = 0
            elif what == "rule":
                chains[name] += 1
            elif what in ("set", "map"):
                sets.add(name)
        return chains, sets


def exchange(f: str, old: Objects, new: Objects) -> tuple[list[str], list[str]]:
    """(what makes the new objects, what removes the old ones that are not among them)."""
    make = [f"add set {f} {TABLE} {name} {{ {kind} }}" for name, kind in new.sets.items() if name not in old.sets]
    for name, rules in new.chains.items():
        if name not in old.chains:
            make.append(f"add chain {f} {TABLE} {name}")
            make += [f"add rule {f} {TABLE} {name} {rule}" for rule in rules]
    gone = [name for name in old.chains if name not in new.chains]
    remove = [f"flush chain {f} {TABLE} {name}" for name in gone]
    remove += [f"delete chain {f} {TABLE} {name}" for name in reversed(gone)]
    remove += [f"delete set {f} {TABLE} {name}" for name in old.sets if name not in new.sets]
    return make, remove


def _element_lines(f: str, verb: str, chosen: Iterable[tuple[Key, str]]) -> list[str]:
    by_map: dict[str, list[str]] = {}
    for (name, key), value in sorted(chosen):
        by_map.setdefault(name, []).append(key + (value if verb == "add" else ""))
    return [f"{verb} element {f} {TABLE} {name} {{ {', '.join(keys)} }}" for name, keys in by_map.items()]


def _transactions(
    f: str, first: list[str], groups: Iterable[tuple[Elements, Elements]], last: list[str], large: int
) -> list[str]:
    """Texts, one a transaction. `groups` are elements (gone, fresh) that belong together."""
    texts: list[list[str]] = [first]
    gone: Elements = {}
    fresh: Elements = {}

    def flush() -> None:
        texts[-1] += _element_lines(f, "delete", gone.items()) + _element_lines(f, "add", fresh.items())
        gone.clear()
        fresh.clear()

    for old, new in groups:
        gone.update({k: v for k, v in old.items() if new.get(k) != v})
        fresh.update({k: v for k, v in new.items() if old.get(k) != v})
        if len(gone) + len(fresh) >= large:
            flush()
            texts.append([])
    flush()
    texts[-1] += last
    return ["\n".join(lines) + "\n" for lines in texts if lines]


def all_ways(table: ServiceTable) -> dict[Hashable, Way]:
    """By addresses and by node ports."""
    found: dict[Hashable, Way] = {key: way for key, way in table.vips.items()}
    for port, way in table.node_ports.items():
        found[port] = way
    return found


def cold(table: ServiceTable, large: int = LARGE) -> tuple[list[str], State]:
    """The whole table anew; it replaces what is there in one transaction, unless there is too much for one."""
    state = State(table.facts)
    f, ways = state.f, all_ways(table)
    lines = [f"add table {f} {TABLE}", f"delete table {f} {TABLE}", *skeleton(table.facts)]
    lines += state.shapes(ways.values())
    first, last = state.affinity({k: (None, way) for k, way in ways.items()})
    shared = elements.of_facts(table.facts) | elements.of_table(
        ServiceTable(table.facts, {}, {}, table.cluster_ips, table.hairpins)
    )
    # One after the other: all at once they would take more room than what is kept of them.
    groups: Iterator[tuple[Elements, Elements]] = (({}, elements.of_way(key, way)) for key, way in ways.items())
    return _transactions(f, lines + first, chain([({}, shared)], groups), last, large), state


def change(state: State, delta: Delta, large: int = LARGE) -> list[str]:
    """A change of some Services; the state moves on."""
    changes: dict[Hashable, Change] = {key: both for key, both in delta.vips.items()}
    for port, both in delta.node_ports.items():
        changes[port] = both
    lines = state.shapes(new for _, new in changes.values())
    first, last = state.affinity(changes)
    fresh_ips, gone_ips = delta.cluster_ips
    fresh_hairpins, gone_hairpins = delta.hairpins

    def members(ips: Iterable[str], hairpins: Iterable[str]) -> Elements:
        found = {("cluster-ips", a): "" for a in ips}
        found.update({("hairpin", f"{a} . {a}"): "" for a in hairpins})
        return found

    groups = [(members(gone_ips, gone_hairpins), members(fresh_ips, fresh_hairpins))]
    groups += [(elements.of_way(key, old), elements.of_way(key, new)) for key, (old, new) in changes.items()]
    return _transactions(state.f, lines + first, groups, last, large)


_SLOT = re.compile(r"^slot-(\d+)$")
_COUNT = re.compile(r"^n(\d+)$")
_PAIR = re.compile(r"^local-(\d+)-of-(\d+)$")


def taken_over(table: ServiceTable, held: Held) -> State | None:
    """The state of a kernel that an earlier process of the same layout has left; None where it has another, or lacks a part."""
    state = State(table.facts)
    state.slots = max((int(m[1]) + 1 for name in held.chains if (m := _SLOT.match(name))), default=0)
    state.counts = {int(m[1]) for name in held.chains if (m := _COUNT.match(name))}
    state.pairs = {(int(m[1]), int(m[2])) for name in held.chains if (m := _PAIR.match(name))}
    chains, sets = state.expected()
    whole = all(held.chains.get(name) == rules for name, rules in chains.items()) and sets <= held.sets
    return state if whole else None


def repair(table: ServiceTable, held: Held, large: int = LARGE) -> tuple[list[str], State] | None:
    """What makes the kernel's state that of a table without a moment of less, and the state then; None where only a cold start
    will do: rules of the shared chains have changed."""
    state = taken_over(table, held)
    if state is None:
        return None
    ways = all_ways(table)
    lines = state.shapes(ways.values())
    state.affinity({k: (None, way) for k, way in ways.items()})
    chains: dict[str, tuple[str, ...]] = {}
    sets: dict[str, str] = {}
    for made in state.made.values():
        chains.update(made.chains)
        sets.update(made.sets)
    there = Objects(
        {name: "" for name in held.sets if name.startswith("clients-")},
        {name: () for name in held.chains if name.startswith(("affinity-", "endpoint-"))},
    )
    if any(name in chains and held.chains[name] != len(chains[name]) for name in there.chains):
        return None
    first, last = exchange(state.f, there, Objects(sets, chains))
    wanted = elements.of_table(table)
    by_key: dict[str, tuple[Elements, Elements]] = {}
    for source, side in ((held.elements, 0), (wanted, 1)):
        other = wanted if side == 0 else held.elements
        for (name, key), value in source.items():
            if other.get((name, key)) != value:
                by_key.setdefault(key, ({}, {}))[side][(name, key)] = value
    return _transactions(state.f, lines + first, list(by_key.values()), last, large), state
