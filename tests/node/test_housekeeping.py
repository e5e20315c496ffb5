"""What is left of pods that are no more: a folder goes when no shim has it, and the shim that has it ends first."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seaway.cluster.node import housekeeping, shimlock


def lock(folder: Path) -> int:
    fd = os.open(folder / "shim.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return fd


class Beginner:
    """A shim that has the lock, listens only after a while, and ends when it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lock, self.stopped = folder, lock(folder), False

    async def run(self, after: float) -> None:
        await asyncio.sleep(after)
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.setblocking(False)
            listener.bind(str(self.folder / "shim.sock"))
            listener.listen(1)
            client, _ = await loop.sock_accept(listener)
            with client:
                request = json.loads(await loop.sock_recv(client, 1 << 16))
                assert request["op"] == "stop"
                await loop.sock_sendall(client, json.dumps({"id": request["id"]}).encode())
                self.stopped = True
                await asyncio.sleep(0.05)  # its last child goes
        os.close(self.lock)


def test_a_shim_that_begins_in_a_folder_that_goes_is_ended_first(tmp_path: Path) -> None:
    folder = tmp_path / "pod"
    folder.mkdir()

    async def run() -> Beginner:
        beginner = Beginner(folder)
        _, gone = await asyncio.gather(beginner.run(0.1), housekeeping.clear(str(folder)))
        assert gone
        return beginner

    assert asyncio.run(run()).stopped
    assert not folder.exists()


def test_a_folder_is_kept_while_a_shim_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "TRIES", 3)
    held = lock(tmp_path)
    assert not asyncio.run(housekeeping.clear(str(tmp_path)))
    assert tmp_path.exists()
    os.close(held)
    assert asyncio.run(housekeeping.clear(str(tmp_path)))
    assert not tmp_path.exists()
    assert asyncio.run(housekeeping.clear(str(tmp_path))), "what is gone is clear"


def test_tidying_leaves_what_pods_of_the_node_have(tmp_path: Path) -> None:
    for uid in ("worked-on", "known", "left"):
        (tmp_path / "pods" / uid).mkdir(parents=True)
    removed: list[str] = []
    agent: Any = SimpleNamespace(
        folder=str(tmp_path),
        workers={"worked-on": None},
        pods=SimpleNamespace(all=lambda: [{"metadata": {"uid": "known"}}]),
        cgroups=SimpleNamespace(pods=lambda: {"known", "only-groups"}, remove=removed.append),
    )
    asyncio.run(housekeeping.tidy(agent))
    assert sorted(os.listdir(tmp_path / "pods")) == ["known", "worked-on"]
    assert sorted(removed) == ["left", "only-groups"]


def test_a_second_shim_ends_at_once_where_the_first_answers(tmp_path: Path) -> None:
    held = lock(tmp_path)
    path = tmp_path / "shim.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen(8)
        began = time.monotonic()
        with pytest.raises(OSError, match="another shim holds"):
            shimlock.take(str(tmp_path))
        assert time.monotonic() - began < shimlock.TRIES * shimlock.PAUSE
    os.close(held)
    os.close(shimlock.take(str(tmp_path)))


def test_a_shim_whose_folder_went_while_it_waited_does_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = lock(tmp_path)

    def goes(_: float) -> None:
        (tmp_path / "shim.lock").unlink()
        os.close(held)

    monkeypatch.setattr(shimlock.time, "sleep", goes)
    with pytest.raises(OSError, match="is gone, and with it its pod"):
        shimlock.take(str(tmp_path))
