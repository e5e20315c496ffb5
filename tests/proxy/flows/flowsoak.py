"""A soak of the proxy in one mode: its process among random changes of Services, endpoints and policies, then killed again and
again, then replaced by other modes and back, while connections through Services that nobody touches go on.

    unshare --net --pid --fork --mount-proc --kill-child .venv/bin/python tests/proxy/flows/flowsoak.py nftables 60 0.1

writes one JSON line at its end: connections and failures, held connections and which were cut, the memory of the process that
lived longest, and what was wrong with the kernel's state. `flowsoak.py proxy MODE` is that process; it is told everything on
standard input.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import flowcgroup
from flowscenes import HELD, PODS, TCP, THROUGH, another, held, service
from flowstage import Stage

from seaway.client.fake import FakeApi
from seaway.proxy.modes import leftovers, open_plane
from seaway.proxy.process import Proxy
from seaway.proxy.userspace import plane as userspace

Tree = dict[str, Any]
# Many soaks share few processors: a process may stand still for seconds, which is no loss, and take as long to take over.
PATIENCE, TAKEOVER = 10.0, 20.0
AUDIT = 5.0  # seconds between two audits: what they need is to be seen in minutes, and not to grow
KEPT = 200  # events that the proxy's API remembers: its memory is not to be that of its past
CHANGING, KILLING = 0.6, 0.8  # of the time: changes only, then kills as well, then other modes as well
# What a mode is replaced by, where it is played: IPVS on another kernel.
OTHERS = ("nftables", "iptables", "ebpf", "userspace")
OTHERS_UML = ("ipvs", "iptables", "userspace")
# Two Services that share no endpoint: IPVS knows an answer by client and endpoint alone.
UNTOUCHED: dict[str, Tree] = {
    "web": service(1, {"a": "ready", "x": "ready"}),
    "local": {
        "ways": 2,
        "spec": {"externalTrafficPolicy": "Local", "ports": [{**TCP, "nodePort": 30002}]},
        "endpoints": {"b": "ready", "y": "ready"},
    },
}


# The process that is soaked


class ShortApi(FakeApi):
    """One that forgets what everybody has seen long ago."""

    def _send(self, *event: Any) -> None:
        super()._send(*event)
        if len(self.events) > 2 * KEPT:
            del self.events[:KEPT]


def _memory() -> int:
    """PSS of this process in bytes."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


async def _compared(stage: Stage, proxy: Proxy) -> list[str]:
    """What the kernel holds against what a cold start gives; nothing is left afterwards."""
    warm = held(stage.settings)
    tables = [proxy.table(family) for family in (4, 6)]
    proxy.plane.cleanup()
    plane = open_plane(stage.settings)
    for table in tables:
        plane.whole(table)
    cold = held(stage.settings)
    plane.cleanup()
    return [f"missing: {x}" for x in sorted(set(cold) - set(warm))] + [f"leaked: {x}" for x in sorted(set(warm) - set(cold))]


async def _proxy(mode: str) -> None:
    """Its first line is all there is; then changes, and questions that are answered."""
    userspace.TAKEOVER = TAKEOVER
    stage = Stage(mode, False, ShortApi())
    stage.settings = stage.settings._replace(sync_period=AUDIT)
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print("loaded", flush=True)
    for name, short in json.loads(await lines.readline()).items():
        stage.put(name, short)
    async with stage.proxy() as proxy:
        while line := await lines.readline():
            told: Tree = json.loads(line)
            found: Any = None
            match told["do"]:
                case "put":
                    stage.put(told["name"], told["short"])
                    continue
                case "remove":
                    stage.remove(told["name"])
                    continue
                case "retire":
                    break
                case "settled":
                    await stage.settled(proxy)
                    ledgers = [await proxy.plane.audit(f, lambda f=f: proxy.table(f), lambda: True) for f in (4, 6)]
                    found = [wrong for wrong in ledgers if wrong]
                case "memory":
                    found = _memory()
                case "leftovers":
                    leftovers(stage.settings)  # it waited for connections that have ended
                    found = leftovers(stage.settings)
                case "compare":
                    found = await _compared(stage, proxy)
            print(json.dumps(found), flush=True)
    await asyncio.gather(*stage.retiring)


class Process:
    """Such a process, from outside."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        assert process.stdin and process.stdout
        self._to, self._from = process.stdin, process.stdout

    @classmethod
    async def load(cls, mode: str) -> Process:
        """Up to where it would begin."""
        argv = [str(Path(__file__).resolve()), "proxy", mode]
        pipe = asyncio.subprocess.PIPE
        found = cls(await asyncio.create_subprocess_exec(sys.executable, *argv, stdin=pipe, stdout=pipe, limit=1 << 24))
        await found._from.readline()
        return found

    def tell(self, told: Tree) -> None:
        self._to.write(json.dumps(told).encode() + b"\n")

    async def ask(self, what: str) -> Any:
        self.tell({"do": what})
        line = await self._from.readline()
        if not line:
            raise AssertionError(f"the proxy has ended, asked for {what}")
        return json.loads(line)

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()

    async def end(self) -> None:
        await self._process.wait()


# The soak


class Soak:
    """What goes on and what has been seen."""

    def __init__(self, mode: str, every: float, seed: float) -> None:
        self.stage = Stage(mode)
        self.mode = mode
        self._chooser = random.Random(seed)
        self._every = every
        self._state = dict(UNTOUCHED)
        self._process: Process | None = None
        self._leaving: list[asyncio.Task[None]] = []
        self._changing: asyncio.Task[None] | None = None
        self.counts = {"changes": 0, "kills": 0, "restarts": 0, "switches": 0}
        self.wrong: list[str] = []

    @property
    def process(self) -> Process:
        assert self._process
        return self._process

    async def _begin(self, mode: str) -> None:
        """A process that begins at once: nobody waits for it here. One that is there before ends as by SIGTERM."""
        found = await Process.load(mode)
        if self._process:
            self._process.tell({"do": "retire"})
            self._leaving.append(asyncio.ensure_future(self._process.end()))
        found.tell(self._state)
        self._process = found

    async def _change(self) -> None:
        while True:
            for _ in range(self._chooser.randrange(1, 5)):
                name, short = another(self._state, self._chooser)
                self.counts["changes"] += 1
                if short is None:
                    del self._state[name]
                    told: Tree = {"do": "remove", "name": name}
                else:
                    self._state[name] = short
                    told = {"do": "put", "name": name, "short": short}
                if self._process:
                    self._process.tell(told)
            await asyncio.sleep(self._chooser.uniform(0.02, 0.4))

    async def settle(self) -> None:
        self.wrong += await self.process.ask("settled")

    async def run(self, seconds: float) -> Tree:
        began = time.monotonic()
        await self._begin(self.mode)
        await self.settle()
        carried = self.mode.startswith("userspace")  # its connections end with its process
        await self.stage.go([{**s, "every": self._every, "patience": PATIENCE} for s in (*THROUGH, *(() if carried else HELD))])
        await self.stage.meet_some()
        self._changing = asyncio.ensure_future(self._change())
        memory = await self._changes_only(began + CHANGING * seconds)
        await self._restarts(began + KILLING * seconds, carried)
        await self._switches(began + seconds)
        self._changing.cancel()
        await asyncio.gather(self._changing, return_exceptions=True)
        await self.settle()
        await asyncio.sleep(1.0)
        streams = await self.stage.halt()
        for what in ("leftovers", "compare"):
            self.wrong += await self.process.ask(what)
        await self.process.kill()
        for task in self._leaving:
            await task
        self.stage.end()
        return {"mode": self.mode, "seconds": time.monotonic() - began, **self.counts, **judged(streams), "memory": memory,
                "wrong": self.wrong}  # fmt: skip

    async def _changes_only(self, end: float) -> list[tuple[float, int]]:
        """(seconds, PSS in bytes) of the first process, as it goes on."""
        began, found = time.monotonic(), []
        pause = max(0.5, (end - began) / 200)
        while time.monotonic() < end:
            await asyncio.sleep(pause)
            found.append((round(time.monotonic() - began, 2), await self.process.ask("memory")))
        await self.settle()
        return found

    async def _restarts(self, end: float, carried: bool) -> None:
        """SIGKILL while it takes over, or later; of the mode whose process carries connections an orderly end."""
        while time.monotonic() < end:
            if carried:
                await self._begin(self.mode)
                await self.settle()
                self.counts["restarts"] += 1
                await asyncio.sleep(self._chooser.uniform(0.0, 3.0))
                continue
            await asyncio.sleep(self._chooser.uniform(0.05, 2.5))
            process, self._process = self.process, None
            await process.kill()
            self.counts["kills"] += 1
            await self._begin(self.mode)
        await self.settle()

    async def _switches(self, end: float) -> None:
        mode, _, backend = self.mode.partition("/")
        others = [m for m in (OTHERS_UML if "ipvs" in mode or backend else OTHERS) if m != mode and (m != "ebpf" or flowcgroup.possible())]
        while time.monotonic() < end:
            for name in (others[self.counts["switches"] // 2 % len(others)], mode):
                await self._begin(f"{name}/{backend}" if backend else name)
                await self.settle()
                self.counts["switches"] += 1
                await asyncio.sleep(self._chooser.uniform(0.5, 3.0))


def judged(streams: list[Tree]) -> Tree:
    """New connections: how many, how many failed and how. Held ones: how many, which did not go on to the end."""
    new = [s for s in streams if s["name"].startswith("connect")]
    kept = [s for s in streams if s["name"].startswith("hold")]
    failed = [f"{s['name']} at {when:.1f} s: {what}" for s in new for when, what in s["went"]]
    cut = [f"{s['name']}: {s['went']}" for s in kept if len(s["went"]) != 1 or s["went"][0][1] not in PODS]
    slowest = max(s["slowest"] for s in new)
    return {"connections": sum(s["count"] for s in new) + len(failed), "failed": failed, "slowest": slowest, "held": len(kept), "cut": cut}


def main(argv: list[str]) -> None:
    if argv[0] == "proxy":
        asyncio.run(_proxy(argv[1]))
        return
    mode, seconds, every, *seed = argv
    soak = Soak(mode, float(every), float(seed[0]) if seed else 1.0)
    print(json.dumps(asyncio.run(soak.run(float(seconds)))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
