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
MODES = ("nftables", "iptables")
Running = dict[str, tuple[subprocess.Popen[bytes], Path]]


@pytest.fixture(scope="module", params=MODES)
def scenes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """All scenes of a mode, side by side."""
    running: Running = {}
    try:
        for name in SCENES:
            folder = tmp_path_factory.mktemp(name)
            argv = [sys.executable, str(HERE / "flowscenes.py"), name, request.param]
            running[name] = (flowrun.start(argv, folder), folder)
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
