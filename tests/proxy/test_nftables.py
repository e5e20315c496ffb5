"""The plan and its rendering: golden files, differences equal to cold starts, on values and on the real kernel."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from seaway.proxy import nftables, plan
from seaway.proxy.plan import Place
from seaway.proxy.table import Refusal, ServiceTable, Target
from seaway.services.resolve import Endpoint, Port, Resolved

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "nftables"
PLACES = {
    4: Place("here", "", ("172.30.0.2",), ("10.244.0.0/16",), ("10.96.0.0/16",)),
    6: Place("here", "", ("fd00:172:30::2",), ("fd00:10:244::/56",), ("fd00:10:96::/112",)),
}
ADDRESS = {4: "10.96.0.{}", 6: "fd00:10:96::{}"}
POD = {4: "10.244.0.{}", 6: "fd00:10:244::{}"}


def service(family: int, number: int, endpoints: int, *, node_port: int = 0, local: bool = False, node: str = "here") -> Resolved:
    backends = tuple(Endpoint(POD[family].format(i + 1), 8080, True, True, False, node, "", (), ()) for i in range(endpoints))
    port = Port("http", "TCP", 80, node_port, backends)
    kind = "NodePort" if node_port else "ClusterIP"
    return Resolved("shop", f"s{number}", family, kind, ADDRESS[family].format(number), (), (), (), 0, False, local, 0, (port,))


def table(family: int, *services: Resolved) -> ServiceTable:
    return plan.table(family, [plan.part(s, PLACES[family]) for s in services], PLACES[family])


def test_no_endpoints_anywhere_is_refused_and_none_here_is_dropped() -> None:
    nothing = plan.part(service(4, 1, 0, node_port=30001), PLACES[4])
    assert {v.verdict for v in (*nothing.vips.values(), *nothing.node_ports.values()) if isinstance(v, Refusal)} == {"reject"}
    elsewhere = plan.part(service(4, 1, 2, node_port=30001, local=True, node="there"), PLACES[4])
    (outside,) = elsewhere.node_ports.values()
    assert isinstance(outside, Refusal) and outside.verdict == "drop"
    assert isinstance(elsewhere.vips[("10.96.0.1", "tcp", 80)], Target)


def test_node_ports_are_masqueraded_unless_local_keeps_the_source() -> None:
    for local in (False, True):
        (target,) = plan.part(service(4, 1, 2, node_port=30001, local=local), PLACES[4]).node_ports.values()
        assert isinstance(target, Target) and target.masquerade == (not local)


@pytest.mark.parametrize("family", [4, 6])
def test_golden_renderings(family: int) -> None:
    """A first rendering, then one endpoint less, scaled to zero, removed."""
    state, texts = nftables.State(family), []
    steps = [[service(family, 1, 3, node_port=30001), service(family, 2, 0)], [service(family, 1, 2, node_port=30001), service(family, 2, 0)],
             [service(family, 1, 0, node_port=30001)], []]
    for services in steps:
        text, state = nftables.render(state, table(family, *services))
        texts.append(text)
    found = "\n# ---- next change ----\n".join(texts)
    path = GOLDEN / f"family-{family}.nft"
    if os.environ.get("GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found)
    assert found == path.read_text()


def test_nothing_is_written_when_nothing_changed() -> None:
    text, state = nftables.render(nftables.State(4), table(4, service(4, 1, 3)))
    assert text and nftables.render(state, table(4, service(4, 1, 3)))[0] == ""


def test_one_endpoint_change_touches_its_own_elements_only() -> None:
    services = [service(4, n, 2) for n in range(1, 100)]
    _, state = nftables.render(nftables.State(4), table(4, *services))
    text, _ = nftables.render(state, table(4, *services[:-1], service(4, 99, 1)))
    elements = [line for line in text.splitlines() if " element " in line]
    assert elements and all("10.96.0.99" in line and "10.96.0.98" not in line for line in elements)


@pytest.mark.parametrize("seed", range(10))
def test_differences_end_where_a_cold_start_does(seed: int) -> None:
    chooser = random.Random(seed)
    state = nftables.State(4)
    for _ in range(30):
        services = [service(4, n, chooser.randrange(6), node_port=chooser.choice([0, 30000 + n])) for n in range(1, 20) if chooser.random() < 0.7]
        _, state = nftables.render(state, table(4, *services))
    cold = nftables.render(nftables.State(4), table(4, *services))[1]
    assert state.elements == cold.elements


KERNEL = """
import json, random, subprocess, sys
sys.path.insert(0, {tests!r})
from test_nftables import nftables, service, table
from seaway.proxy.kernel import KernelError, Nftables
kernel, chooser = Nftables(), random.Random(3)
def dump(family):
    name = nftables.family_name(family)
    text = subprocess.run(["nft", "-j", "list", "table", name, "seaway"], capture_output=True, text=True, check=True).stdout
    found = {{}}
    for entry in json.loads(text)["nftables"]:
        for kind in ("map", "set"):
            if kind in entry and entry[kind].get("elem"):
                found[entry[kind]["name"]] = sorted(json.dumps(e, sort_keys=True) for e in entry[kind]["elem"])
    return found
for family in (4, 6):
    state = nftables.State(family)
    for _ in range(15):
        services = [service(family, n, chooser.randrange(6), node_port=chooser.choice([0, 30000 + n])) for n in range(1, 30) if chooser.random() < 0.7]
        text, state = nftables.render(state, table(family, *services))
        if text:
            kernel.nft(text)
    warm = dump(family)
    text, _ = nftables.render(nftables.State(family), table(family, *services))
    kernel.nft(text)
    assert dump(family) == warm, family
    try:
        kernel.nft("add element nonsense")
        raise SystemExit("a wrong text was taken")
    except KernelError as e:
        assert str(e)
    kernel.nft(nftables.cleanup(family))
rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
assert rules.strip() == "", rules
print("well")
"""


@pytest.mark.kernel
def test_the_kernel_holds_after_changes_what_a_cold_sync_gives() -> None:
    """In a network namespace of its own, rootless where we are not root."""
    flags = ["--net"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--net"]
    code = KERNEL.format(tests=str(Path(__file__).parent))
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    done = subprocess.run(["unshare", *flags, sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert done.stdout.strip() == "well", done.stderr
    assert json.dumps(done.returncode) == "0"
