"""The iptables plane: upstream's names and layout; differences end where a cold start does, on both backends."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_nftables import GOLDEN, PLACES, changing, everything, service, table

from seaway.proxy import plan
from seaway.proxy.iptables import names, render, rules
from seaway.proxy.iptables.tool import read
from seaway.proxy.table import CLUSTER, NODE_PORT, Facts, Split, Target, Way, between


def test_chains_have_the_names_that_kube_proxy_gives_them() -> None:
    assert names.SVC + names.port_hash("ns1/svc1:p80", "tcp") == "KUBE-SVC-XPGD46QRK7WJZT7O"
    assert names.SEP + names.port_hash("ns1/svc1:p80", "tcp", "10.180.0.1:80") == "KUBE-SEP-SXIVWICOYRO3J4NJ"


@pytest.mark.parametrize("family", [4, 6])
def test_golden_of_a_cold_start(family: int) -> None:
    services = [*everything(family), service(family, 9, 2, affinity=60), service(family, 10, 2, node_port=30010, local=True, affinity=60)]
    texts, _ = render.whole(table(family, *services), {}, render.LARGE)
    path = GOLDEN.parent / "iptables" / f"family-{family}.txt"
    if os.environ.get("GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(texts))
    assert "".join(texts) == path.read_text()


def test_one_endpoint_change_touches_its_own_chains_only() -> None:
    services = [service(4, n, 2) for n in range(1, 100)]
    old = table(4, *services)
    _, state = render.whole(old, {}, render.LARGE)
    (text,) = render.change(state, between(old, table(4, *services[:-1], service(4, 99, 3))))
    lines = text.splitlines()
    assert len(lines) == 10 and not any("KUBE-SERVICES" in line for line in lines), text
    assert render.change(state, between(old, old)) == []


def replay(text: str, held: dict[str, dict[str, list[str]]]) -> None:
    """iptables-restore --noflush in a few lines; what the tool would refuse fails here."""
    for line in text.splitlines():
        verb, _, rest = line.partition(" ")
        if line.startswith("*"):
            chains = held.setdefault(line[1:], {})
        elif line.startswith(":"):
            chains[verb[1:]] = []
        elif line != "COMMIT":
            chain, _, rule = rest.partition(" ")
            if verb == "-X":
                named = [c for c, rules in chains.items() if any(r.endswith(f"-j {chain}") for r in rules)]
                assert not named and not chains.pop(chain), (line, named)
            elif verb == "-D":
                chains[chain].remove(rule)
            else:
                target = rule.rpartition("-j ")[2].partition(" ")[0]
                assert target in chains or not target.startswith("KUBE-"), line
                chains[chain].insert(0 if verb == "-I" else len(chains[chain]), rule)


def plain(held: dict[str, dict[str, list[str]]]) -> dict[str, dict[str, list[str]]]:
    """The rules of shared chains in any order; the chains of Services as they are, for order is chance there."""
    return {t: {c: r if c.startswith(names.OF_SERVICES) else sorted(r) for c, r in chains.items()} for t, chains in held.items()}


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("seed", range(6))
def test_the_texts_of_random_changes_replay_to_a_cold_start(family: int, seed: int) -> None:
    chooser, held, old = random.Random(seed), {}, table(family)
    texts, state = render.whole(old, {}, 7)
    for text in texts:
        replay(text, held)
    for _ in range(25):
        new = table(family, *changing(chooser, family))
        for text in render.change(state, between(old, new), chooser.choice((1, 3, 100))):
            replay(text, held)
        old = new
    cold: dict[str, dict[str, list[str]]] = {}
    for text in render.whole(old, {}, 7)[0]:
        replay(text, cold)
    assert plain(held) == plain(cold)
    assert {t: {c: len(r) for c, r in chains.items()} for t, chains in held.items()} == state.expected()
    # A start over what another process has left ends there too.
    left: dict[str, dict[str, list[str]]] = {}
    for text in render.whole(table(family, *changing(chooser, family)), {}, 7)[0]:
        replay(text, left)
    for text in render.whole(old, {t: {c: len(r) for c, r in chains.items()} for t, chains in left.items()}, 7)[0]:
        replay(text, left)
    assert plain(left) == plain(cold)


def test_a_title_cannot_break_out_of_its_comment() -> None:
    assert names.comment('n/s:"\n-j ACCEPT') == '-m comment --comment "n/s:-j ACCEPT"'


def test_several_pod_ranges_are_told_apart_by_a_chain() -> None:
    place = PLACES[4]._replace(cluster_cidrs=("10.1.0.0/16", "10.2.0.0/16"))
    text = "".join(render.whole(plan.table(4, [plan.part(service(4, 1, 1), place)], place), {}, 7)[0])
    assert "-A KUBE-OUTSIDERS -s 10.1.0.0/16 -j RETURN\n-A KUBE-OUTSIDERS -s 10.2.0.0/16 -j RETURN\n-A KUBE-OUTSIDERS -j KUBE-MARK-MASQ" in text
    assert "--dport 80 -j KUBE-OUTSIDERS" in text


@pytest.mark.parametrize("family", [4, 6])
def test_golden_of_pods_that_are_told_by_their_interface(family: int) -> None:
    texts = []
    for link in ("cni0", "veth*"):
        place = PLACES[family]._replace(cluster_cidrs=(), pod_link=link)
        parts = [plan.part(service(family, 1, 2, local=True, node_port=30001), place)]
        texts += render.whole(plan.table(family, parts, place), {}, render.LARGE)[0]
    path = GOLDEN.parent / "iptables" / f"interface-{family}.txt"
    if os.environ.get("GOLDEN"):
        path.write_text("".join(texts))
    assert "".join(texts) == path.read_text()


def test_node_ports_are_the_nodes_addresses_or_all_of_them() -> None:
    assert render.fixed(Facts(4, frozenset({"172.30.0.2"})))["nat"]["KUBE-SERVICES"][-1].endswith(" -d 172.30.0.2/32 -j KUBE-NODEPORTS")
    assert render.fixed(Facts(4, every_address=True))["nat"]["KUBE-SERVICES"][-1].endswith(" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS")


KERNEL = """
import asyncio, random, subprocess, sys
sys.path.insert(0, %r)
from test_iptables import changing, plain, table
from seaway.proxy.iptables.plane import IptablesPlane
from seaway.proxy.iptables.tool import Iptables
from seaway.proxy.table import between
backend = sys.argv[1]
tool, chooser = Iptables(backend), random.Random(3)
for family in (4, 6):
    tool.restore(family, "*nat\\n:OTHER - [0:0]\\n-A PREROUTING -j OTHER\\nCOMMIT\\n")
    before = tool.save(family)
    plane, old = IptablesPlane(tool), table(family)
    plane.whole(old)
    for _ in range(12):
        new = table(family, *changing(chooser, family))
        plane.change(family, between(old, new))
        old = new
    warm = tool.save(family)
    assert asyncio.run(plane.audit(family, lambda: old, lambda: True)) == ""
    IptablesPlane(tool).whole(table(family, *changing(chooser, family)))
    plane.whole(old)
    assert plain(tool.save(family)) == plain(warm), family
    for hurt in ("*nat\\n-F KUBE-SERVICES\\nCOMMIT\\n", "*filter\\n-F FORWARD\\nCOMMIT\\n"):
        tool.restore(family, hurt)
        assert asyncio.run(plane.audit(family, lambda: old, lambda: True)), hurt
        assert plain(tool.save(family)) == plain(warm), hurt
    plane.cleanup()
    after = tool.save(family)
    assert {c: r for t in after.values() for c, r in t.items() if r} == {"PREROUTING": ["-j OTHER"]}, after
    assert not any(c.startswith("KUBE-") for t in after.values() for c in t)
print("well")
"""


@pytest.mark.kernel
@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_the_kernel_holds_after_changes_what_a_cold_start_gives_and_others_rules_stay(backend: str) -> None:
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    assert shutil.which(f"iptables-{backend}-restore", path=path), "tools/setup dev installs iptables"
    flags = ["--net"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--net"]
    code = KERNEL % str(Path(__file__).parent)
    done = subprocess.run(["unshare", *flags, sys.executable, "-c", code, backend], capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert done.stdout.strip() == "well", done.stderr


BOUNDED = """
import subprocess, sys
sys.path.insert(0, %r)
from test_iptables import plain, service, table
from seaway.proxy.configuration import Settings
from seaway.proxy.iptables.plane import IptablesPlane
from seaway.proxy.iptables.tool import Iptables
from seaway.proxy.kernel import KernelError
from seaway.proxy.modes import leftovers, open_plane, settled
from seaway.proxy.table import between
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)  # the legacy tool's lock
nft, many = Iptables("nft"), [service(4, n, 2, node_port=30000 + n) for n in range(1, 101)]
assert nft.bounded
plane, some = IptablesPlane(nft), table(4, *many)
plane.whole(table(4))
plane.change(4, between(table(4), some))
warm = nft.save(4)
plane.change(4, between(some, table(4)))
plane.whole(some)
assert plain(nft.save(4)) == plain(warm) and sum(c.startswith("KUBE-SVC") for c in warm["nat"]) == 100
try:
    plane.whole(table(4, *[service(4, n, 2, node_port=20000 + n) for n in range(1, 251)]))
    raise AssertionError("there is no bound")
except KernelError as e:
    assert "--iptables-backend legacy" in str(e), e
wanted = Settings(mode="iptables")
plane = open_plane(wanted)
wanted = settled(wanted, plane)
assert wanted.backend == "legacy"
plane.whole(table(4, *[service(4, n, 2, node_port=20000 + n) for n in range(1, 251)]))
assert leftovers(wanted) == ["removed the chains of iptables-nft that another mode has left"]
assert not any(c.startswith("KUBE") for c in nft.save(4).get("nat", ())) and plane.backend == "legacy"
assert sum(c.startswith("KUBE-SVC") for c in Iptables("legacy").save(4)["nat"]) == 250
print("well")
"""


@pytest.mark.kernel
def test_in_a_user_namespace_the_nft_tool_gets_small_texts_and_the_legacy_one_is_taken() -> None:
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    command = ["unshare", "--user", "--map-root-user", "--net", "--mount", sys.executable, "-c", BOUNDED % str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert done.stdout.strip() == "well", done.stderr


CLEANUP = """
import subprocess, sys
sys.path.insert(0, %r)
from test_iptables import service, table
from seaway.proxy.configuration import Settings
from seaway.proxy.kernel import Nftables
from seaway.proxy.iptables.tool import Iptables
from seaway.proxy.modes import open_plane
from seaway.proxy.run import main
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)  # the legacy tool's lock
for mode, backend in (("nftables", ""), ("iptables", "nft"), ("iptables", "legacy")):
    open_plane(Settings(mode=mode, backend=backend)).whole(table(4, service(4, 1, 2)))
tools = [Iptables("nft"), Iptables("legacy")]
there = lambda: (bool(Nftables().list(4)), *(any(c.startswith("KUBE") for t in tool.save(4).values() for c in t) for tool in tools))
assert there() == (True, True, True), there()
assert main(["--cleanup", "--proxy-mode", sys.argv[1]]) == 0
assert there() == (False, False, False), there()
assert main(["--cleanup"]) == 0  # where nothing is, nothing is wrong
print("well")
"""


@pytest.mark.kernel
@pytest.mark.parametrize("mode", ["nftables", "iptables"])
def test_cleanup_removes_what_every_mode_has_made(mode: str) -> None:
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    command = ["unshare", "--user", "--map-root-user", "--net", "--mount", sys.executable, "-c", CLEANUP % str(Path(__file__).parent), mode]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert done.stdout.strip() == "well", done.stderr


def test_a_listing_is_read() -> None:
    held = read("# Generated\n*nat\n:PREROUTING ACCEPT [0:0]\n:X - [0:0]\n-A PREROUTING -j X\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n")
    assert held == {"nat": {"PREROUTING": ["-j X"], "X": []}, "filter": {"INPUT": []}}


def test_a_cluster_ip_with_endpoints_of_its_own_takes_no_chain_from_policy_local() -> None:
    """Relays: one for the ClusterIP, another for the ways from outside."""
    relays = (("172.30.0.2", 40000), ("172.30.0.2", 40001))
    ways = {
        ("10.96.0.1", "tcp", 80): Way(Target(relays[:1], False, "shop/web:http"), CLUSTER),
        ("tcp", 30080): Way(Split(relays[1:], relays[1:], "shop/web:http"), NODE_PORT),
    }
    found = rules.of_port(Facts(4, frozenset({"172.30.0.2"})), "shop/web:http", "tcp", ways).chains
    ends = {name[:9]: chain[-1].rpartition("-j ")[2] for name, chain in found.items() if name.startswith(("KUBE-SVI", "KUBE-SVL", "KUBE-SVC"))}
    assert ends["KUBE-SVI-"] != ends["KUBE-SVL-"] == ends["KUBE-SVC-"]
