"""Must-show of the gateway: 0 failed requests on untouched routes while 3,000 others come, change and go, and everything is replaced."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from clusters import Cluster
from untouched import Play, wrong

ROUTES = 3000


@pytest.mark.soak
def test_no_request_on_an_untouched_route_fails_beside_3000_others_while_envoys_and_the_controller_are_replaced(tmp_path: Path) -> None:
    with Cluster("--nodes", "2") as cluster:
        play = Play(cluster, tmp_path, ROUTES)
        play.prepare()
        counted: dict[str, Any] = {}
        with play.load(counted):
            asyncio.run(play.come_change_and_go())
            asyncio.run(play.rotate(30))
            for _ in range(2):
                play.replace_endpoints()
            play.replace_envoys()
            play.kill_the_controller()
        print(counted)
        assert not wrong(counted), (tmp_path / "load.err").read_text()[-3000:]
        assert min(one["counts"]["right"] for one in counted.values()) > 1000, counted
        assert len(counted["secure, new 0"]["serials"]) > 20
