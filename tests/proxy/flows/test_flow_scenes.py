"""What happens to traffic while things change: the proxy at work on the real kernel, with clients that keep going."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import flowrun
import pytest
from flowscenes import SCENES

HERE = Path(__file__).resolve().parent
MODES = ("nftables", "iptables", "userspace")
ALONE = ("switch", "kill")  # scenes that are not played for every mode
Running = dict[str, tuple[subprocess.Popen[bytes], Path]]


def _start(scene: str, mode: str, folder: Path) -> tuple[subprocess.Popen[bytes], Path]:
    return flowrun.start([sys.executable, str(HERE / "flowscenes.py"), scene, mode], folder), folder


@pytest.fixture(scope="module", params=MODES)
def scenes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """All scenes of a mode, side by side."""
    running: Running = {}
    try:
        for name in SCENES:
            if name not in ALONE:
                running[name] = _start(name, request.param, tmp_path_factory.mktemp(name))
        yield running
    finally:
        for process, _ in running.values():
            process.kill()
            process.wait()


def _played(scenes: Running, name: str) -> None:
    process, folder = scenes[name]
    status = process.wait(90)
    last = (folder / "err").read_text().strip().splitlines()[-1:]
    assert status == 0 and name in (folder / "out").read_text(), last


@pytest.mark.kernel
def test_udp_flows_go_where_the_service_goes(scenes: Running) -> None:
    _played(scenes, "udp")


@pytest.mark.kernel
def test_open_tcp_connections_survive_everything(scenes: Running) -> None:
    _played(scenes, "tcp")


@pytest.mark.kernel
def test_nothing_fails_while_all_other_services_change_and_the_proxy_restarts(scenes: Running) -> None:
    _played(scenes, "churn")


def _alone(scene: str, mode: str, folder: Path) -> None:
    running = {scene: _start(scene, mode, folder)}
    try:
        _played(running, scene)
    finally:
        running[scene][0].kill()
        running[scene][0].wait()


@pytest.mark.kernel
def test_a_proxy_in_another_mode_takes_over_and_nobody_notices(tmp_path: Path) -> None:
    _alone("switch", "nftables", tmp_path)


@pytest.mark.kernel
@pytest.mark.parametrize("mode", ["nftables", "iptables"])
def test_a_proxy_killed_in_the_middle_of_syncs_loses_and_leaks_nothing(mode: str, tmp_path: Path) -> None:
    _alone("kill", mode, tmp_path)
