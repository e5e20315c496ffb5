"""A ledger after any changes is the table of a cold start, and tells exactly the difference."""

from __future__ import annotations

import random

import pytest
from test_plan import HERE, A, B, service

from seaway.proxy import plan
from seaway.proxy.ledger import Ledger
from seaway.proxy.plan import Place
from seaway.proxy.table import Facts, ServicePart, ServiceTable, between

FACTS = plan.facts(4, HERE)


def some(chooser: random.Random, name: str) -> ServicePart | None:
    """A Service that shares addresses and node ports with others, or none."""
    if chooser.random() < 0.3:
        return None
    return plan.part(
        service(*chooser.sample([A, B], chooser.randrange(3)), name=name, cluster_ip=f"10.96.0.{chooser.randrange(3)}",
                external_ips=(f"192.0.2.{chooser.randrange(3)}",), load_balancer_ips=(), external_local=chooser.random() < 0.5), HERE)


@pytest.mark.parametrize("seed", range(20))
def test_changes_end_at_a_cold_start_and_their_differences_add_up(seed: int) -> None:
    chooser, ledger, parts = random.Random(seed), Ledger(), {}
    table = ServiceTable(FACTS)
    for _ in range(40):
        changes = {name: some(chooser, name) for name in chooser.sample("abcdef", chooser.randrange(1, 4))}
        delta = ledger.change(changes)
        parts = {k: v for k, v in {**parts, **changes}.items() if v is not None}
        new = ledger.table(FACTS)
        assert delta == between(table, new)
        assert new == plan.table(4, [parts[k] for k in sorted(parts)], HERE)
        table = new


def test_the_second_claimant_gets_the_address_when_the_first_lets_go() -> None:
    ledger = Ledger()
    first, second = (plan.part(service(e, name=n, cluster_ip=c), HERE) for e, n, c in ((A, "a", "10.96.0.1"), (B, "b", "10.96.0.2")))
    ledger.change({"b": second})
    key = ("192.0.2.1", "tcp", 80)
    assert ledger.change({"a": first}).vips[key] == (second.vips[key], first.vips[key])
    assert ledger.change({"a": None}).vips[key] == (first.vips[key], second.vips[key])
    assert not ledger.change({"b": second}), "what says nothing new is no change"


def test_facts_follow_the_node_ports_own_addresses() -> None:
    place = Place("here", "", ("172.30.0.2",), (), (), True, ("192.0.2.9", "fd00::9"), 1 << 20)
    assert plan.facts(4, place) == Facts(4, frozenset({"192.0.2.9"}), (), (), True, 1 << 20)
    assert plan.facts(6, place).node_addresses == {"fd00::9"}
