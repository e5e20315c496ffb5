"""Scenes: the whole proxy at work in the node's namespace, behind an API in memory, with clients that keep going while things
change. Played like the cases, in namespaces of their own.

    unshare --net --pid --fork --mount-proc --kill-child .venv/bin/python tests/proxy/flows/flowscenes.py udp nftables

A scene writes one JSON line {"scene", "changes"} at its end, or fails with what was wrong.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Container
from pathlib import Path
from typing import Any

import flowcgroup
from flowagent import TALK
from flowstage import Stage

from seaway.proxy.configuration import Settings
from seaway.proxy.iptables.tool import Iptables
from seaway.proxy.ipvs.device import Device
from seaway.proxy.ipvs.netlink import Ipvs
from seaway.proxy.ipvs.settool import Ipset
from seaway.proxy.modes import leftovers, open_plane
from seaway.proxy.planes import Plane

Tree = dict[str, Any]
UDP = {"protocol": "UDP", "port": 80, "targetPort": 8080}
TCP = {"protocol": "TCP", "port": 80, "targetPort": TALK}
PODS = ("a", "b", "c", "x", "y")


def _udp(endpoints: Tree) -> Tree:
    return {"ways": 1, "spec": {"ports": [{**UDP, "nodePort": 30001}]}, "endpoints": endpoints}


def service(number: int, endpoints: Tree) -> Tree:
    return {"ways": number, "spec": {"ports": [{**TCP, "nodePort": 30000 + number}]}, "endpoints": endpoints}


async def udp(stage: Stage) -> None:
    """A flow whose socket never changes goes where the Service goes: endpoint changed, none left, one again, Service gone, and a
    Service that appears under a running flow."""
    stage.put("web", _udp({"a": "ready"}))
    # Not too often: an answer that is on its way while its flow is forgotten pins the flow (see conntrack: VIP -> client).
    flow = {"kind": "flow", "protocol": "udp", "every": 0.1}
    async with stage.proxy() as proxy:
        await stage.go(
            [
                {**flow, "from": "pod-c", "to": "cluster.1:80"},
                {**flow, "from": "pod-b", "to": "cluster.1:80", "connected": True},
                {**flow, "from": "node", "to": "cluster.1:80"},
                {**flow, "from": "outside", "to": "node:30001"},
                {**flow, "from": "outside-two", "to": "balancer.1:80"},
            ]
        )
        await stage.meet(lambda word: word == "a", "the first endpoint")
        stage.put("web", _udp({"x": "ready"}))
        await stage.meet(lambda word: word == "x", "another endpoint")
        stage.put("web", _udp({}))
        await stage.meet(lambda word: word in ("ECONNREFUSED", "silence", "EPERM"), "no endpoint")
        stage.put("web", _udp({"a": "dying", "y": "ready"}))
        await stage.meet(lambda word: word == "y", "an endpoint again")
        stage.remove("web")
        await stage.meet(lambda word: word not in PODS, "no Service")
        await stage.settled(proxy)
        await stage.halt()
    stage.remove("marker")
    # Without the Service the flow leaves for the network; conntrack pins it there until the Service comes.
    stage.settings = stage.settings._replace(service_cidrs=())
    async with stage.proxy():
        late = {**flow, "every": 0.5}
        await stage.go([{**late, "from": "pod-c", "to": "cluster.2:80"}, {**late, "from": "node", "to": "cluster.3:80"}])
        await stage.meet(lambda word: word == "network", "the network")
        for number in (2, 3):
            stage.put(f"late{number}", {"address": number, "spec": {"ports": [UDP]}, "endpoints": {"a": "ready"}})
        await stage.meet(lambda word: word == "a", "the Service that came")


HOLD = {"kind": "hold"}
HELD = [
    {**HOLD, "from": "pod-c", "to": "cluster.1:80"},
    {**HOLD, "from": "pod-a", "to": "cluster.1:80"},
    {**HOLD, "from": "node", "to": "cluster.1:80"},
    {**HOLD, "from": "outside", "to": "node:30001"},
    {**HOLD, "from": "outside-two", "to": "balancer.1:80"},
    {**HOLD, "from": "other-node-pod", "to": "external.1:80"},
]


async def tcp(stage: Stage) -> None:
    """Open connections survive everything: their endpoint's end, the Service's deletion (but for IPVS, where it ends them), the
    proxy's death and return."""
    stage.put("web", service(1, {"a": "ready"}))
    async with stage.proxy() as proxy:
        await stage.go(HELD)
        await stage.meet(lambda word: word == "a", "connections")
        stage.put("web", service(1, {"x": "ready", "a": "terminating"}))
        await stage.settled(proxy)
        await stage.go_on(0.2)
        stage.put("web", service(1, {}))
        await stage.settled(proxy)
        await stage.go_on(0.2)
        if stage.mode != "ipvs":
            stage.remove("web")
            await stage.settled(proxy)
            await stage.go_on(0.2)
    await stage.go_on(0.2)
    stage.put("web", service(1, {"b": "ready"}))
    async with stage.proxy() as proxy:
        await stage.settled(proxy)
        await stage.go_on(0.3)
        if stage.mode == "ipvs":
            for stream in await stage.peek():
                if [word for _, word in stream["went"]] != ["a"]:
                    raise AssertionError(f"a connection was cut: {stream}")
            stage.remove("web")
            await stage.meet(lambda word: word not in PODS, "the end with the Service")
            return
    for stream in await stage.halt():
        if [word for _, word in stream["went"]] != ["a"]:
            raise AssertionError(f"a connection was cut: {stream}")


CONNECT = {"kind": "connect", "every": 0.01}
THROUGH = [
    {**CONNECT, "from": "pod-c", "to": "cluster.1:80"},
    {**CONNECT, "from": "pod-a", "to": "cluster.1:80"},
    {**CONNECT, "from": "node", "to": "cluster.1:80"},
    {**CONNECT, "from": "outside", "to": "node:30001"},
    {**CONNECT, "from": "outside-two", "to": "balancer.1:80"},
    {**CONNECT, "from": "pod-b", "to": "external.2:80"},
    {**CONNECT, "from": "outside", "to": "node:30002"},
]


def another(names: Container[str], chooser: random.Random) -> tuple[str, Tree | None]:
    """A random change of a Service that nobody connects to, where `names` are there: its name and what it is now, None for gone."""
    number = chooser.randrange(10, 40)
    name = f"other{number}"
    if name in names and chooser.random() < 0.3:
        return name, None
    states = ["ready", "ready", "terminating", "unready", "dying"]
    endpoints = {p: chooser.choice(states) for p in "abcxy" if chooser.random() < 0.6}
    spec: Tree = {"ports": [{**TCP, "nodePort": 30000 + number}]}
    for field in ("externalTrafficPolicy", "internalTrafficPolicy"):
        if chooser.random() < 0.4:
            spec[field] = "Local"
    if chooser.random() < 0.3:
        spec["sessionAffinity"] = "ClientIP"
    if chooser.random() < 0.2:
        spec["loadBalancerSourceRanges"] = ["203.0.113.0/24"]
    return name, {"ways": number, "spec": spec, "endpoints": endpoints}


def _changes(stage: Stage, chooser: random.Random) -> None:
    """One random change of some other Service."""
    name, short = another(stage.slices, chooser)
    if short is None:
        stage.remove(name)
    else:
        stage.put(name, short)


async def churn(stage: Stage, seconds: float = 4.0) -> None:
    """Constant connections through Services that nobody touches, while all others change and the proxy restarts: none fails;
    what the kernel holds in the end is what a cold start would give."""
    chooser = random.Random(7)
    _untouched(stage)
    began = time.monotonic()
    rounds = 3
    for turn in range(1, rounds + 1):
        async with stage.proxy() as proxy:
            if turn == 1:
                await stage.go(THROUGH)
            while time.monotonic() < began + seconds * turn / rounds:
                for _ in range(chooser.randrange(1, 5)):
                    _changes(stage, chooser)
                await asyncio.sleep(chooser.random() * 0.03)
            await stage.settled(proxy)
            for family in (4, 6):
                wrong = await proxy.plane.audit(family, lambda f=family: proxy.table(f), lambda: True)
                if wrong:
                    raise AssertionError(f"the kernel does not hold what it should: {wrong}")
    failed = [s for s in await stage.halt() if s["went"] or s["count"] < 20]
    if failed:
        raise AssertionError(f"connections failed: {failed}")


ORDER = ("nftables", "iptables", "ebpf", "userspace", "iptables", "nftables", "ebpf", "nftables")
# Where there is IPVS, in User-mode Linux: there is no nftables there.
ORDER_IPVS = ("iptables", "ipvs", "userspace", "ipvs", "iptables")


async def switch(stage: Stage) -> None:
    """A proxy in another mode takes over, again and again: no new connection fails, open ones go on to their end. What another
    mode has left goes when the newcomer holds."""
    for number in (1, 2):
        stage.put(f"web{number}", service(number, {"a": "ready", "x": "ready"}))
    order = ORDER if stage.mode == "nftables" else ORDER_IPVS
    for turn, mode in enumerate(m for m in order if m != "ebpf" or flowcgroup.possible()):
        async with stage.proxy(mode) as proxy:
            if not stage.streams:
                await stage.go(THROUGH + HELD)
                await stage.meet_some()
            await stage.settled(proxy)
            await stage.go_on(0.25)
            # A change after the take-over reaches the kernel, and the audit finds nothing to mend.
            stage.put("web2", service(2, {"b": "ready", "xy"[turn % 2]: "ready"}))
            await stage.settled(proxy)
            await stage.go_on(0.25)
            for family in (4, 6):
                wrong = await proxy.plane.audit(family, lambda f=family: proxy.table(f), lambda: True)
                if wrong:
                    raise AssertionError(f"{mode}: the kernel does not hold what it should: {wrong}")
    failed = []
    for stream in await stage.halt():
        words = [word for _, word in stream["went"]]
        good = len(words) == 1 and words[0] in PODS if stream["name"].startswith("hold") else not words
        if not good or stream["count"] < 50:
            failed.append(stream)
    if failed:
        raise AssertionError(f"streams failed: {failed}")
    others = leftovers(stage.settings._replace(mode=order[-1]))
    if "ipvs" in order:  # it waits for its connections: the held ones have ended only now
        others = leftovers(stage.settings._replace(mode=order[-1]))
    if others:
        raise AssertionError(f"left by other modes: {others}")


def _untouched(stage: Stage) -> None:
    """The Services whose connections must not notice anything."""
    stage.put("web", service(1, {"a": "ready", "x": "ready"}))
    local = {"externalTrafficPolicy": "Local", "ports": [{**TCP, "nodePort": 30002}]}
    stage.put("local", {"ways": 2, "spec": local, "endpoints": {"a": "ready", "b": "ready", "x": "ready"}})


async def victim(stage: Stage, seed: float) -> None:
    """A proxy among changes without a pause, until somebody kills it."""
    chooser = random.Random(seed)
    _untouched(stage)
    for _ in range(60):
        _changes(stage, chooser)
    async with stage.proxy():
        print("works", flush=True)
        while True:
            for _ in range(chooser.randrange(1, 8)):
                _changes(stage, chooser)
            await asyncio.sleep(chooser.random() * 0.01)


def held(settings: Settings) -> list[str]:
    """What the kernel holds for Services, in an order of its own."""
    if settings.mode in ("iptables", "ipvs"):
        tool = Iptables(settings.backend)
        kept = {(f, t, c): rules for f in (4, 6) for t, chains in tool.save(f).items() for c, rules in chains.items()}
        found = [f"{place} {rule}" for place, rules in kept.items() for rule in ("", *rules)]
        return sorted(found + (_held_by_ipvs() if settings.mode == "ipvs" else []))
    found = []
    for entry in json.loads("".join(_printed("nft", "-j", "list", "ruleset")))["nftables"]:
        for kind in ("map", "set"):
            if kind in entry and "timeout" not in entry[kind].get("flags", []):
                elements = entry[kind].get("elem", [])
                if settings.mode == "userspace":  # values have ports of the process's own
                    elements = [e[0] if isinstance(e, list) else e for e in elements]
                elements = sorted(json.dumps(e, sort_keys=True) for e in elements)
                found += [f"{entry[kind]['family']} {entry[kind]['name']} {e}" for e in elements]
    return sorted(found)


def _held_by_ipvs() -> list[str]:
    """Virtual servers with the endpoints that get connections, sets, addresses."""
    kernel, device = Ipvs(), Device()
    device.open()
    found = [f"{name} {member}" for name, members in Ipset().held().items() for member in ("", *members)]
    for family in (4, 6):
        found += [f"address {a}" for a in device.held(family)]
        for place, how in kernel.servers(family).items():
            found.append(f"{place} {how}")
            found += [f"{place} {d.end}" for d in kernel.destinations(family, place) if d.weight]
    return found


def _printed(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


async def kill(stage: Stage, rounds: float = 5) -> None:
    """SIGKILL in the middle of syncs, again and again: connections through Services that are there all the time do not fail,
    and the next proxy ends with exactly what a cold start gives: nothing is missing, nothing has leaked."""
    chooser = random.Random(11)
    _untouched(stage)
    async with stage.proxy() as proxy:
        await stage.settled(proxy)
    await stage.go(THROUGH)
    for turn in range(int(rounds)):
        argv = [sys.executable, str(Path(__file__).resolve()), "victim", f"{stage.mode}/{stage.settings.backend}", str(turn)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout
            # Killed while it takes over, or later among its changes.
            await asyncio.to_thread(process.stdout.readline if turn % 2 else lambda: None)
            await asyncio.sleep(chooser.uniform(0.0, 0.3) if turn % 2 else chooser.uniform(0.5, 1.2))
            process.kill()
    for number in range(10, 14):
        stage.put(f"other{number}", service(number, {"b": "ready", "y": "ready"}))
    async with stage.proxy() as proxy:
        await stage.settled(proxy)
        await stage.go_on(0.2)
        warm = held(stage.settings)
        failed = [s for s in await stage.halt() if s["went"] or s["count"] < 20]
        if failed:
            raise AssertionError(f"connections failed: {failed}")
        tables = [proxy.table(family) for family in (4, 6)]
        proxy.plane.cleanup()
    plane: Plane = open_plane(stage.settings)
    for table in tables:
        plane.whole(table)
    cold = held(stage.settings)
    if warm != cold:
        raise AssertionError(f"missing {sorted(set(cold) - set(warm))[:5]}, leaked {sorted(set(warm) - set(cold))[:5]}")


SCENES = {"udp": udp, "tcp": tcp, "churn": churn, "switch": switch, "kill": kill}


async def _play(scene: str, mode: str, more: list[str]) -> None:
    stage = Stage(mode, scene != "victim")
    await {**SCENES, "victim": victim}[scene](stage, *map(float, more))
    stage.end()
    for task in stage.retiring:
        task.cancel()
    await asyncio.gather(*stage.retiring, return_exceptions=True)
    print(json.dumps({"scene": scene, "changes": stage.api.version}), flush=True)


if __name__ == "__main__":
    asyncio.run(_play(sys.argv[1], sys.argv[2], sys.argv[3:]))
