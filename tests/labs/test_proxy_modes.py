"""The proxy-modes lab: its pure parts, and a small run with real packets."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

from seaway.client.errors import Unavailable
from seaway.labs import chart, manyservices, proxymodes, proxyrig
from seaway.labs.frame import Options, Stage
from seaway.labs.rates import quickest, rates
from seaway.proxy import plan
from seaway.services.resolve import resolve

NS = "{http://www.w3.org/2000/svg}"


def round_of(bare: float, tracked: float, mine: float, busy: float = 1.0) -> dict:
    """CPU seconds of a connection at three places; the machine gives a share of itself."""
    places = {("bare", 0, "direct"): bare, ("conntrack", 0, "direct"): tracked, ("nftables", 10, "last"): mine}
    return {place: (1 / cpu / busy, cpu) for place, cpu in places.items()}


def test_ratios_are_those_of_a_round_and_a_bad_round_does_not_count() -> None:
    found = rates([round_of(1, 2, 4), round_of(1, 2, 4, busy=3), round_of(1, 2, 400)])["nftables", 10, "last"]
    assert (found.of_bare, found.of_tracked) == (0.25, 0.5)
    assert (found.cpu, found.cpu_of_bare, found.cpu_of_tracked) == (0.25, 0.25, 0.5)
    assert rates([round_of(1, 2, 4)])["bare", 0, "direct"].of_tracked == 2


def test_of_a_kernel_that_is_interrupted_the_quickest_twentieth_counts() -> None:
    def once(busy: float) -> dict:
        return {place: rate for place, (rate, _) in round_of(1, 2, 4, busy).items()}

    rounds = [once(busy) for busy in [1] * 12 + [7, 9, 30] * 6]
    freak = {place: 100.0 for place in rounds[0]}
    found = quickest([freak, *rounds])["nftables", 10, "last"]
    assert (found.rate, found.of_bare, found.of_tracked) == (0.25, 0.25, 0.5)


def test_what_grows_evenly_is_a_straight_line() -> None:
    svg = chart.lines("t", (10, 1000, 5000), {"steep": [10, 1000, 5000], "flat": [7, 7, 7]})
    steep, flat = (
        [tuple(map(float, p.split(","))) for p in e.attrib["points"].split()] for e in xml.fromstring(svg).iter(f"{NS}polyline")
    )
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.pairwise(steep)]
    assert slopes[0] == pytest.approx(slopes[1], rel=0.01) and slopes[0] < 0
    assert len({y for _, y in flat}) == 1


def test_labels_of_lines_that_end_together_do_not_cover_each_other() -> None:
    svg = chart.lines("t", (1, 2), {name: [5, end] for name, end in (("a", 5.0), ("b", 5.01), ("c", 1.0))}, lambda v: f"<{v}>")
    found = {e.text: float(e.attrib["y"]) for e in xml.fromstring(svg).iter(f"{NS}text") if (e.text or "").startswith("<5.0")}
    assert found["<5.0>"] - found["<5.01>"] >= 12, "the higher one stands higher"


def test_pictures_under_each_other_are_one_picture() -> None:
    one = chart.lines("a", (1, 2), {"s": [0, 0]})
    found = xml.fromstring(chart.under(one, one))
    assert found.attrib["height"] == str(2 * chart.HEIGHT) and len(list(found.iter(f"{NS}polyline"))) == 2


def test_the_lab_says_what_fell_what_grew_and_what_is_left_out() -> None:
    taken = round_of(1, 1, 1)
    taken |= {("iptables-legacy", n, "last"): (1 / cost, cost) for n, cost in ((10, 1.0), (1000, 4.0))}
    taken |= {("nftables", n, "last"): (1.0, 1.0) for n in (10, 1000)}
    changes = {("iptables-legacy", 10): 0.002, ("iptables-legacy", 1000): 0.2, ("nftables", 10): 0.001, ("nftables", 1000): 0.001}
    found = proxymodes.result((10, 1000), rates([taken]), changes, {"ebpf": "needs root"})
    assert found.rows[1] == ("iptables-legacy, 1,000", "0", "0", "0.25", "200.0 ms")
    assert found.numbers["ratio/nftables/1000"] == 1.0 and found.numbers["change/iptables-legacy/1000"] == 0.2
    told = "\n".join(found.notes)
    assert "iptables-legacy: 1,000 Services instead of 10 leave 25% of the connections; a change takes 100.0 times as long." in told
    assert "Left out: ebpf (needs root)." in told
    assert len(list(xml.fromstring(found.picture).iter(f"{NS}polyline"))) == 4


def test_services_have_addresses_of_their_own_also_at_44000() -> None:
    numbers = (0, 1, 254, 255, 256, 43_998, 43_999)
    ips = [manyservices.cluster_ip(n) for n in range(44_000)]
    ends = [a for n in range(44_000) for g in (0, 1) for a in manyservices.endpoints(n, g)]
    assert len(set(ips)) == 44_000 and len(set(ends)) == 3 * 44_000, "a change keeps the first endpoint"
    assert not set(ends) & {*proxyrig.CLIENT, *proxyrig.SERVER}
    where = manyservices.place(manyservices.settings("nftables"))
    for n in numbers:
        resolved = resolve(manyservices.service(n), [manyservices.slice_of(n, manyservices.endpoints(n))], 4)
        assert resolved is not None
        (way,) = plan.part(resolved, where).vips.values()
        assert [a for a, _ in way.answer.backends] == list(manyservices.endpoints(n)), "both, in the kernel's order"  # type: ignore[union-attr]


def test_a_mode_that_cannot_be_measured_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxyrig, "group_root", lambda: "")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert proxyrig.missing("ebpf") == "needs root and a cgroup hierarchy of version 2"
    assert "open files" in proxyrig.missing("userspace", 1 << 40) and proxyrig.missing("nftables") == ""


class FakeRig:
    """A rig of a kernel that refuses eBPF at any size."""

    def __init__(self, mode: str, services: int) -> None:
        self.mode, self.services = mode, services

    def __enter__(self) -> FakeRig:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def ready(self) -> float:
        if self.mode == "ebpf":
            raise Unavailable("the node in mode ebpf has ended: Operation not permitted")
        return 0.1

    def changes(self, count: int, within: float) -> list[float]:
        return [0.001] * count

    def connect(self, target: str, seconds: float) -> tuple[float, float]:
        return 1000.0, 0.001


def test_a_mode_that_the_kernel_refuses_is_left_out_with_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxymodes, "Rig", FakeRig)
    monkeypatch.setattr(proxyrig, "missing", lambda mode: "no tool" if mode == "iptables-legacy" else "")
    said: list[str] = []
    found = proxymodes.run(Stage(said.append, lambda _: pytest.fail("no cluster is needed")), Options(quick=True))
    assert {row[0].split(",")[0] for row in found.rows} == {"iptables-nft", "nftables"}
    assert {"Left out: iptables-legacy (no tool).",
            "Left out: ebpf (the node in mode ebpf has ended: Operation not permitted)."} <= set(found.notes)
    assert "iptables-legacy is left out: no tool" in said


@pytest.mark.kernel
def test_new_connections_cost_more_among_many_services_in_iptables_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxymodes, "WITHIN", 0.5)
    stage = Stage(lambda _: None, lambda _: pytest.fail("no cluster is needed"))
    found, changes, _ = proxymodes.measure(stage, ("iptables-nft", "nftables"), (10, 1500), 4)
    result = proxymodes.result((10, 1500), found, changes, {})
    iptables, nftables = (
        result.numbers[f"ratio/{mode}/1500"] / result.numbers[f"ratio/{mode}/10"] for mode in ("iptables-nft", "nftables")
    )
    assert iptables < 0.85 and nftables > iptables + 0.05, result.rows
    assert all(0 < change < 5 for change in changes.values())


@pytest.mark.kernel
@pytest.mark.parametrize("mode", ["nftables", *(["ebpf"] if not proxyrig.missing("ebpf") else [])])
def test_a_node_that_has_ended_is_told_and_leaves_nothing(mode: str) -> None:
    with proxyrig.Rig(mode, 3) as rig:
        for target in ("direct", "first", "last"):
            rate, cpu = rig.connect(target, 0.02)
            assert rate > 0 and cpu > 0
        assert len(rig.changes(3, 5)) == 3
        pid = rig._process.pid
        born = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert born
        rig._process.kill()
        with pytest.raises(Unavailable, match=f"the node in mode {mode} has ended"):
            rig.connect("last", 0.02)
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in born):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not list(Path(proxyrig.group_root() or "/nonexistent").glob(f"seaway-rig-{os.getpid()}-*"))


@pytest.mark.kernel
def test_a_proxy_is_measured_from_its_lists_to_the_kernel() -> None:
    bench = Path(__file__).resolve().parents[2] / "bench" / "proxy.py"
    command = [sys.executable, str(bench), "--only", "sync", "--modes", "nftables", "--sizes", "600", "--changes", "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    rows = {line.split("  ")[0]: re.split("  +", line) for line in done.stdout.splitlines()}
    _, cold, cpu, change, p99, times, *_ = rows["nftables, 600"]
    assert all(float(figure.split()[0]) > 0 for figure in (cold, cpu, change, p99)) and times == "5"
    assert rows["kube-proxy's layout, 600"][1].endswith(" s"), "all of it was loaded"


@pytest.mark.kernel
def test_ipvs_is_measured_against_direct_connections_of_the_same_kernel() -> None:
    bench = Path(__file__).resolve().parents[2] / "bench"
    program = "import proxyuml; print(proxyuml.measure(['ipvs'], (3,), 2, 0.05)['ipvs', 3, 'last'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, cwd=bench)
    assert done.returncode == 0, done.stderr
    (ratio,) = re.findall(r"of_tracked=([\d.]+)", done.stdout)
    assert 0 < float(ratio) < 100 and "ipvs, 3 Services, in User-mode Linux: programmed in" in done.stderr
