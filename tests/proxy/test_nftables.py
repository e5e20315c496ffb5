"""The plan and its rendering: golden files, differences equal to cold starts, on values and on the real kernel."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from seaway.proxy import plan
from seaway.proxy.nftables import elements, layout, render
from seaway.proxy.plan import Place
from seaway.proxy.table import CLUSTER, Facts, Refusal, ServiceTable, Split, Target, Way, between
from seaway.services.resolve import Endpoint, Port, Resolved

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "nftables"
PLACES = {
    4: Place("here", "", ("172.30.0.2",), ("10.244.0.0/16",), ("10.96.0.0/16",)),
    6: Place("here", "", ("fd00:172:30::2",), ("fd00:10:244::/56",), ("fd00:10:96::/112",)),
}
ADDRESS = {4: "10.96.0.{}", 6: "fd00:10:96::{}"}
POD = {4: "10.244.0.{}", 6: "fd00:10:244::{}"}


def service(family: int, number: int, endpoints: int, *, node_port: int = 0, local: bool = False, node: str = "here",
            affinity: int = 0) -> Resolved:
    backends = tuple(Endpoint(POD[family].format(i + 1), 8080, True, True, False, node, "", (), ()) for i in range(endpoints))
    port = Port("http", "TCP", 80, node_port, backends)
    kind = "NodePort" if node_port else "ClusterIP"
    return Resolved("shop", f"s{number}", family, kind, ADDRESS[family].format(number), (), (), (), affinity, False, local, 0, (port,))


def table(family: int, *services: Resolved) -> ServiceTable:
    return plan.table(family, [plan.part(s, PLACES[family]) for s in services], PLACES[family])


class Rendering:
    """A kernel's history: the text of each change, all its transactions in one."""

    def __init__(self, family: int) -> None:
        self.family, self.table, self.state = family, None, None

    def to(self, wanted: ServiceTable) -> str:
        if self.table is None:
            texts, self.state = render.cold(wanted)
        else:
            texts = render.change(self.state, between(self.table, wanted))
        self.table = wanted
        return "".join(texts)


def cold(wanted: ServiceTable) -> str:
    return Rendering(wanted.family).to(wanted)


def test_no_endpoints_anywhere_is_refused_and_none_here_is_dropped() -> None:
    nothing = plan.part(service(4, 1, 0, node_port=30001), PLACES[4])
    assert {v.answer.verdict for v in (*nothing.vips.values(), *nothing.node_ports.values())} == {"reject"}
    elsewhere = plan.part(service(4, 1, 2, node_port=30001, local=True, node="there"), PLACES[4])
    (outside,) = [w.answer for w in elsewhere.node_ports.values()]
    assert isinstance(outside, Split) and not outside.local and len(outside.everywhere) == 2
    assert isinstance(elsewhere.vips[("10.96.0.1", "tcp", 80)].answer, Target)


def test_node_ports_are_masqueraded_unless_local_keeps_the_source() -> None:
    (way,) = plan.part(service(4, 1, 2, node_port=30001), PLACES[4]).node_ports.values()
    assert isinstance(way.answer, Target) and way.answer.masquerade
    (way,) = plan.part(service(4, 1, 2, node_port=30001, local=True), PLACES[4]).node_ports.values()
    target = way.answer
    assert isinstance(target, Split) and target.local == target.everywhere


@pytest.mark.parametrize("family", [4, 6])
def test_golden_renderings(family: int) -> None:
    """A first rendering, then one endpoint less, scaled to zero, removed."""
    kernel, texts = Rendering(family), []
    steps = [[service(family, 1, 3, node_port=30001), service(family, 2, 0)], [service(family, 1, 2, node_port=30001), service(family, 2, 0)],
             [service(family, 1, 0, node_port=30001)], []]
    for services in steps:
        texts.append(kernel.to(table(family, *services)))
    found = "\n# ---- next change ----\n".join(texts)
    path = GOLDEN / f"family-{family}.nft"
    if os.environ.get("GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found)
    assert found == path.read_text()


def test_nothing_is_written_when_nothing_changed() -> None:
    kernel = Rendering(4)
    assert kernel.to(table(4, service(4, 1, 3))) and kernel.to(table(4, service(4, 1, 3))) == ""


def test_one_endpoint_change_touches_its_own_elements_only() -> None:
    services = [service(4, n, 2) for n in range(1, 100)]
    kernel = Rendering(4)
    kernel.to(table(4, *services))
    lines = [line for line in kernel.to(table(4, *services[:-1], service(4, 99, 1))).splitlines() if " element " in line]
    assert lines and all("10.96.0.99" in line and "10.96.0.98" not in line for line in lines)


KERNEL = """
import random, subprocess, sys
sys.path.insert(0, {tests!r})
from test_nftables import changing, elements, render, table
from seaway.proxy.nftables import listing
from seaway.proxy.kernel import KernelError, Nftables
from seaway.proxy.nftables.plane import NftablesPlane
from seaway.proxy.table import between
kernel, chooser = Nftables(), random.Random(3)
for family in (4, 6):
    plane, old = NftablesPlane(kernel, 40), table(family)
    plane.whole(old)
    for _ in range(25):
        new = table(family, *changing(chooser, family))
        plane.change(family, between(old, new))
        old = new
    held, _ = listing.read(kernel.list(family))
    assert held.elements == elements.of_table(old), family
    assert (held.chains, held.sets) == plane._states[family].expected()
    # Another process takes over, with another table: what is right already is not touched.
    old = table(family, *changing(chooser, family))
    taken = render.repair(old, held)
    assert taken and not any("delete table" in text for text in taken[0])
    NftablesPlane(kernel).whole(old)
    held, _ = listing.read(kernel.list(family))
    assert held.elements == elements.of_table(old), family
    assert render.repair(old, held)[0] == []
    try:
        kernel.nft("add element nonsense")
        raise SystemExit("a wrong text was taken")
    except KernelError as e:
        assert str(e)
    plane.cleanup()
rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
assert rules.strip() == "", rules
print("well")
"""


def changing(chooser: random.Random, family: int) -> list[Resolved]:
    """Some Services at random, with and without everything that there is."""
    return [
        service(family, n, chooser.randrange(6), node_port=chooser.choice([0, 30000 + n]), local=chooser.random() < 0.4,
                node=chooser.choice(["here", "there"]), affinity=chooser.choice([0, 0, 60, 90]))
        for n in range(1, 30) if chooser.random() < 0.7]


@pytest.mark.kernel
def test_the_kernel_holds_after_changes_what_a_cold_sync_gives() -> None:
    """In a network namespace of its own, rootless where we are not root."""
    flags = ["--net"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--net"]
    code = KERNEL.format(tests=str(Path(__file__).parent))
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    done = subprocess.run(["unshare", *flags, sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert done.stdout.strip() == "well", done.stderr
    assert json.dumps(done.returncode) == "0"


def everything(family: int) -> list[Resolved]:
    """Each kind of answer once: policy Local here and elsewhere, an external and a balancer address, UDP, nothing."""
    far = {4: "10.244.9.1", 6: "fd00:10:244:9::1"}[family]
    outer = {4: ("192.0.2.1", "172.30.255.1"), 6: ("2001:db8::1", "fd00:172:30:255::1")}[family]
    near = Endpoint(POD[family].format(1), 8080, True, True, False, "here", "", (), ())
    other = Endpoint(far, 8080, True, True, False, "there", "", (), ())

    def made(number: int, *ports: Port, external: tuple = (), balancers: tuple = (), local: bool = False) -> Resolved:
        return Resolved("shop", f"s{number}", family, "LoadBalancer", ADDRESS[family].format(number), external, balancers,
                        (), 0, False, local, 0, ports)

    return [
        made(1, Port("http", "TCP", 80, 30001, (near, other)), external=outer[:1], balancers=outer[1:]),
        made(2, Port("http", "TCP", 80, 30002, (near, other)), local=True),
        made(3, Port("http", "TCP", 80, 30003, (other,)), local=True),
        made(4, Port("dns", "UDP", 53, 0, (near,)), Port("", "SCTP", 5, 0, ())),
    ]


@pytest.mark.parametrize("family", [4, 6])
def test_golden_of_each_kind_of_answer(family: int) -> None:
    wanted = elements.of_table(table(family, *everything(family)))
    found = "\n".join(render._element_lines(layout.family_name(family), "add", wanted.items())) + "\n"
    path = GOLDEN / f"answers-{family}.nft"
    if os.environ.get("GOLDEN"):
        path.write_text(found)
    assert found == path.read_text()


@pytest.mark.parametrize("family", [4, 6])
def test_golden_of_pods_that_are_told_by_their_interface(family: int) -> None:
    place = PLACES[family]._replace(cluster_cidrs=(), pod_link="veth*")
    parts = [plan.part(service(family, 1, 2, local=True, node_port=30001, affinity=stays), place) for stays in (0, 60)]
    found = "".join(render.cold(plan.table(family, parts[:1], place))[0] + render.cold(plan.table(family, parts[1:], place))[0])
    path = GOLDEN / f"interface-{family}.nft"
    if os.environ.get("GOLDEN"):
        path.write_text(found)
    assert found == path.read_text() and "@cluster-cidrs" not in found


def replay(text: str, held: dict) -> None:
    """A kernel in eight lines: elements as sets of keys; what it would refuse fails here."""
    for line in text.splitlines():
        verb, what, rest = line.split(" ", 2)
        if what == "table" and verb == "delete":
            held.clear()
        if what != "element":
            continue
        name, _, inner = rest.split(" ", 2)[2].partition(" { ")
        for entry in inner.removesuffix(" }").split(", "):
            key, _, value = entry.partition(" : ")
            key = key.partition(" comment ")[0]
            if verb == "add":
                assert (name, key) not in held, "EEXIST: a key with another value must be deleted first"
                held[(name, key)] = value
            else:
                del held[(name, key)]


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("seed", range(6))
def test_the_texts_of_random_changes_replay_to_a_cold_rendering(family: int, seed: int) -> None:
    """The texts themselves are applied, so that a wrong text shows although the state is right."""
    chooser, held, kernel = random.Random(seed), {}, Rendering(family)
    for _ in range(25):
        replay(kernel.to(table(family, *changing(chooser, family))), held)
    anew: dict = {}
    replay(cold(kernel.table), anew)
    assert held == anew
    wanted = elements.of_table(kernel.table)
    assert held == {key: value.partition(" : ")[2] for key, value in wanted.items()}


@pytest.mark.parametrize("seed", range(4))
def test_a_rule_never_names_a_chain_or_map_that_is_not_there_yet(seed: int) -> None:
    chooser, made, kernel = random.Random(seed), set(), Rendering(4)
    for _ in range(15):
        for line in kernel.to(table(4, *changing(chooser, 4))).splitlines():
            words = line.replace(",", " ").split()
            if words[:2] in (["add", "chain"], ["add", "map"], ["add", "set"]):
                made.add(words[4])
            elif words[:2] in (["delete", "chain"], ["delete", "set"]):
                made.remove(words[4])
            elif words[:2] in (["add", "rule"], ["add", "element"]):
                named = [words[i + 1] for i, w in enumerate(words) if w in ("goto", "jump")]
                named += [w[1:] for w in words if w.startswith("@")]
                assert {words[4], *named} <= made, line


def test_a_first_rendering_replaces_the_table_in_one_transaction() -> None:
    assert cold(table(6)).splitlines()[:2] == ["add table ip6 seaway", "delete table ip6 seaway"]


def test_chains_are_as_few_as_endpoint_counts_and_not_as_services() -> None:
    few, many = (cold(table(4, *(service(4, n, 3) for n in range(1, k)))) for k in (2, 200))
    assert few.count("add chain") == many.count("add chain")


def test_the_packet_mark_is_touched_in_the_masquerade_bit_only() -> None:
    """Foreign marks must survive: policy routing, Calico and WireGuard live by them."""
    text = cold(table(4, service(4, 1, 3, node_port=30001)))
    settings = {line.partition("meta mark set ")[2].partition(" masquerade")[0] for line in text.splitlines()
                if "mark set" in line}
    assert settings == {"meta mark | 0x4000", "meta mark ^ 0x4000"}


def test_a_title_cannot_break_out_of_its_comment() -> None:
    evil = Way(Refusal("drop", 'n/s:"; } flush ruleset #\n'), CLUSTER)
    ((_, value),) = elements.of_table(ServiceTable(Facts(4), {("10.96.0.1", "tcp", 80): evil})).items()
    assert value == ' comment "n/s:flushruleset" : drop'
