"""Zero failed requests on routes that nobody touches, whatever becomes of the others; tests/soak plays the same at length."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from clusters import Cluster
from untouched import Play, wrong


def test_no_request_on_an_untouched_route_fails_while_others_come_change_and_go(cluster: Cluster, tmp_path: Path) -> None:
    play = Play(cluster, tmp_path, 300)
    play.prepare()
    counted: dict[str, Any] = {}
    with play.load(counted):
        asyncio.run(play.come_change_and_go())
        asyncio.run(play.rotate(4))
        play.replace_endpoints()
    assert not wrong(counted), (tmp_path / "load.err").read_text()[-3000:]
    assert min(one["counts"]["right"] for one in counted.values()) > 100, counted
    assert len(counted["secure, new 0"]["serials"]) >= 3, "new connections have had new certificates"
