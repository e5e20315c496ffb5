"""What happens to traffic while things change: the proxy at work on the real kernel, with clients that keep going."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import flowcgroup
import flowrun
import pytest
import uml

HERE = Path(__file__).resolve().parent
MODES = ("nftables", "iptables", "userspace", *(["ebpf"] if flowcgroup.possible() else []))
KERNELS = tuple(m for m in MODES if m != "userspace")  # modes whose state outlives the process
IPVS = ("udp", "tcp", "churn")  # in User-mode Linux, whose only CPU takes its time
Running = dict[str, tuple[subprocess.Popen[bytes], Path]]


def _side_by_side(scenes: Iterable[tuple[str, str]], make: pytest.TempPathFactory) -> Iterator[Running]:
    """Scenes of modes, all at once: they mostly wait."""
    running: Running = {}
    try:
        for scene, mode in scenes:
            folder = make.mktemp(f"{scene}-{mode}")
            argv = [sys.executable, str(HERE / "flowscenes.py"), scene, mode]
            running[f"{scene} {mode}"] = (flowrun.start(argv, folder), folder)
        yield running
    finally:
        for process, _ in running.values():
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """The scenes in IPVS mode, on their own kernel, beside the others."""
    assert uml.missing() == ""
    folder = tmp_path_factory.mktemp("ipvs")
    job = [sys.executable, str(HERE / "umlscenes.py"), "ipvs/legacy", *IPVS]
    process = uml.start(folder, job, 150, ("ip_vs", "br_netfilter"))
    try:
        yield process, folder
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module", autouse=True)
def early(request: pytest.FixtureRequest) -> None:
    """The longest begins first."""
    if any("elsewhere" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("elsewhere")


@pytest.fixture(scope="module", params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def scenes(mode: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    yield from _side_by_side([(scene, mode) for scene in ("udp", "tcp", "churn")], tmp_path_factory)


@pytest.fixture(scope="module")
def upheavals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    wanted = [("switch", "nftables"), *(("kill", kernel) for kernel in KERNELS)]
    yield from _side_by_side(wanted, tmp_path_factory)


def _played(running: Running, name: str) -> None:
    process, folder = running[name]
    status = process.wait(120)
    last = (folder / "err").read_text().strip().splitlines()[-1:]
    assert status == 0 and name.split()[0] in (folder / "out").read_text(), last


@pytest.mark.kernel
def test_udp_flows_go_where_the_service_goes(mode: str, scenes: Running) -> None:
    _played(scenes, f"udp {mode}")


@pytest.mark.kernel
def test_open_tcp_connections_survive_everything(mode: str, scenes: Running) -> None:
    _played(scenes, f"tcp {mode}")


@pytest.mark.kernel
def test_nothing_fails_while_all_other_services_change_and_the_proxy_restarts(mode: str, scenes: Running) -> None:
    _played(scenes, f"churn {mode}")


@pytest.mark.kernel
def test_a_proxy_in_another_mode_takes_over_and_nobody_notices(upheavals: Running) -> None:
    _played(upheavals, "switch nftables")


@pytest.mark.kernel
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_proxy_killed_in_the_middle_of_syncs_loses_and_leaks_nothing(kernel: str, upheavals: Running) -> None:
    _played(upheavals, f"kill {kernel}")


@pytest.mark.kernel
@pytest.mark.parametrize("scene", IPVS)
def test_the_same_holds_in_ipvs_mode(scene: str, elsewhere: tuple[subprocess.Popen[bytes], Path]) -> None:
    process, folder = elsewhere
    process.wait(170)
    told: dict[str, dict[str, Any]] = {t["played"]: t for t in map(json.loads, (folder / "out").read_text().splitlines())}
    assert set(told) == set(IPVS), (folder / "err").read_text()[-1500:]
    assert told[scene]["status"] == 0 and json.loads(told[scene]["out"])["scene"] == scene, told[scene]["err"][-1500:]
