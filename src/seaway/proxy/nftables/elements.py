"""What Services put into the maps and sets: (map, key) -> value with its comment; sets have the value ''; pure."""

from __future__ import annotations

from typing import Any

from seaway.proxy.nftables import affinity
from seaway.proxy.nftables.layout import comment
from seaway.proxy.table import Answer, Backend, Facts, Refusal, ServiceTable, Split, Target, Way

Elements = dict[tuple[str, str], str]


def text_key(key: tuple[str | int, ...]) -> str:
    return " . ".join(map(str, key))


def of_facts(facts: Facts) -> Elements:
    """The sets that are the node's."""
    return {
        (name, value): ""
        for name, values in (
            ("node-ips", facts.node_addresses),
            ("cluster-cidrs", facts.cluster_cidrs),
            ("service-cidrs", facts.service_cidrs),
        )
        for value in map(_plain, values)
    }


def of_way(key: Any, way: Way | None) -> Elements:
    """The elements of an address (three parts) or of a node port (two)."""
    found: Elements = {}
    if way is None:
        return found
    text = text_key(key)
    _answer(found, "nodeport-" if len(key) == 2 else "", text, way.answer)
    if way.sources:
        found[("restricted", text)] = comment(way.answer.title)
        for source in way.sources:
            found[("allowed", f"{text} . {_plain(source)}")] = ""
    return found


def _plain(source: str) -> str:
    """A range of one address as the kernel lists it."""
    address, _, length = source.partition("/")
    return address if length == ("128" if ":" in address else "32") else source


def _answer(found: Elements, way: str, key: str, value: Answer) -> None:
    lookup, refusals = ("service-nodeports", "no-endpoint-nodeports") if way else ("service-ips", "no-endpoints")
    said = comment(value.title)
    if isinstance(value, Refusal):
        found[(refusals, key)] = f"{said} : " + ("goto refuse-now" if value.verdict == "reject" else "drop")
        return
    if isinstance(value, Split) and not value.local:
        found[(refusals, key)] = f"{said} : drop"
    if value.affinity:
        found[(lookup, key)] = f"{said} : goto {affinity.chain_of(value)}"
        return
    if isinstance(value, Split):
        found[(lookup, key)] = f"{said} : goto {way}local-{len(value.local)}-of-{len(value.everywhere)}"
        groups: tuple[tuple[str, tuple[Backend, ...]], ...] = (("slot", value.everywhere), ("local-slot", value.local))
    else:
        masquerade = "-masq" if value.masquerade else ""
        found[(lookup, key)] = f"{said} : goto {way}n{len(value.backends)}{masquerade}"
        groups = (("slot", value.backends),)
    for slot, backends in groups:
        for number, (address, port) in enumerate(backends):
            found[(f"{way}{slot}-{number}", key)] = f" : {address} . {port}"


def of_table(table: ServiceTable) -> Elements:
    """Every element."""
    found = of_facts(table.facts)
    for key, way in (*table.vips.items(), *table.node_ports.items()):
        found.update(of_way(key, way))
    found.update({("cluster-ips", a): "" for a in table.cluster_ips})
    found.update({("hairpin", f"{a} . {a}"): "" for a in table.hairpins})
    return found


def shape(way: Way | None) -> tuple[set[int], set[tuple[int, int]]]:
    """The endpoint counts, and under policy Local the pairs (here, everywhere), whose chains a way goes to."""
    answer = way.answer if way is not None else None
    if answer is None or isinstance(answer, Refusal) or answer.affinity:
        return set(), set()
    if isinstance(answer, Target):
        return {len(answer.backends)}, set()
    return {len(answer.everywhere)}, {(len(answer.local), len(answer.everywhere))}


def stays(way: Way | None) -> tuple[str, Answer] | None:
    """(title, answer) where clients stay with their endpoint."""
    if way is None or isinstance(way.answer, Refusal) or not way.answer.affinity:
        return None
    return way.answer.title, way.answer
