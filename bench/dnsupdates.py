"""A thousand changes a second while queries run: is every answer the state before or after, and does p99 hold; for `bench/dns.py`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import dnsapi
import dnsnames
import uvloop
from dnschanges import SERVICES, SLICES, Asked, host
from dnsnames import MOVING
from dnsservers import PORTS, Api, answers, echo, ending, wait
from dnswire import Answer, client, exchange, share
from rig import row

from seaway.labs.frame import table


@dataclass
class State:
    """What was written to one object: when each version was sent, and when it was acknowledged."""

    sent: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    newest: int = -1  # that an answer has shown


@dataclass
class Checked:
    """What the checker found."""

    answers: int = 0
    wrong: list[str] = field(default_factory=list)
    back: int = 0
    ages: list[float] = field(default_factory=list)  # of states that were over when the query was sent


HALF = 250  # headless Services with endpoints that change, and as many whose port changes


class Moving:
    """Services that change, and what their answers may be. Version v of headless ones is two addresses, of others a port."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.states = [State() for _ in range(2 * HALF)]
        self.stop = False
        self.sent, self.took = 0, 1.0

    def setup(self) -> None:
        asked = Asked(self.api)
        for n, state in enumerate(self.states):
            ip = "None" if n < HALF else f"10.96.{210 + (n >> 8)}.{n & 255}"
            asked.send("POST", SERVICES, dnsnames.service(MOVING, f"move-{n}", ip, 1000))
            if n < HALF:
                asked.send("POST", SLICES, dnsnames.endpoint_slice(MOVING, f"move-{n}", list(self.values(n, 0))))
            state.sent.append(time.monotonic())
            state.done.append(time.monotonic())

    @staticmethod
    def values(number: int, version: int) -> tuple[Any, ...]:
        if number < HALF:
            return tuple(sorted(f"10.{78 + k}.{version >> 8}.{version & 255}" for k in (0, 1)))
        return (1000 + version,)

    def change(self, number: int, version: int) -> tuple[str, str, Any]:
        """(resource, key, patch)."""
        if number < HALF:
            found = dnsnames.endpoint_slice("", "", list(self.values(number, version)))["endpoints"]
            return "endpointslices.discovery.k8s.io", f"{MOVING}/move-{number}-abcde", {"endpoints": found}
        ports = dnsnames.service("", "", "", self.values(number, version)[0])["spec"]["ports"]
        return "services", f"{MOVING}/move-{number}", {"spec": {"ports": ports}}

    async def write(self, pace: int, seconds: float) -> None:
        """Round and round, at an even pace; an object has at most one write on its way."""
        reader, writer = await asyncio.open_unix_connection(dnsapi.door(self.api.folder))
        answered = asyncio.ensure_future(self._acknowledged(reader))
        began, turn = time.monotonic(), 0
        while not self.stop and (now := time.monotonic() - began) < seconds:
            while turn < now * pace:
                number = turn % len(self.states)
                state = self.states[number]
                turn += 1
                if len(state.done) < len(state.sent):
                    continue
                resource, key, patch = self.change(number, len(state.sent))
                state.sent.append(time.monotonic())
                writer.write(json.dumps({"id": number + 1, "resource": resource, "key": key, "patch": patch}).encode() + b"\n")
            await asyncio.sleep(0.001)
        self.took = time.monotonic() - began
        writer.write_eof()
        await asyncio.wait_for(answered, 10)
        writer.close()

    async def _acknowledged(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            if not int(line):
                sys.exit("bench: an object that changes is not there")
            self.states[int(line) - 1].done.append(time.monotonic())
            self.sent += 1

    def check(self, port: int, found: Checked, pace: float) -> None:
        """Asks until `stop`."""
        chance, sock, number = random.Random(6), client(port), 0
        while not self.stop:
            time.sleep(1 / pace)
            which = chance.randrange(2 * HALF)
            state, number = self.states[which], number + 1 & 0xFFFF
            name, kind = (host(f"move-{which}"), "A") if which < HALF else (f"_http._tcp.{host(f'move-{which}')}", "SRV")
            before, known = time.monotonic(), state.newest
            try:
                told = exchange(sock, number, name, kind)
            except TimeoutError:
                found.wrong.append(f"{name}: no answer in 2 s")
                continue
            found.answers += 1
            version = self.version(which, told)
            if told.code != "NOERROR" or version is None or version >= len(state.sent):
                found.wrong.append(f"{name}: {told}")
                continue
            found.back += version < known
            state.newest = max(known, version)
            if version + 1 < len(state.done) and state.done[version + 1] < before:
                found.ages.append(before - state.done[version + 1])

    def version(self, number: int, told: Answer) -> int | None:
        """Which version an answer is, wholly; None: none."""
        if not told.values:
            return None
        if number < HALF:
            parts = told.values[0].split(".")
            at = int(parts[2]) * 256 + int(parts[3])
        else:
            at = told.values[0] - 1000
        return at if told.values == self.values(number, at) else None


@contextlib.contextmanager
def moving(api: Api, moves: Moving, pace: int, seconds: float, found: Checked) -> Iterator[None]:
    """Writes and checks beside what is done within."""
    moves.stop = False
    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(lambda: uvloop.run(moves.write(pace, seconds)))
        checking = pool.submit(moves.check, PORTS["seaway"], found, 300)
        try:
            yield
        finally:
            moves.stop = True
            writing.result()
            checking.result()


@dataclass
class Paced:
    """Runs of one server at a fixed rate: p99 of each, and how long its busiest process waited for its turn on the processor."""

    ends: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    lost: int = 0


def updates(bench: Any, api: Api, pace: int, goal: float, changes_a_second: int = 1000, seconds: float = 10.0) -> None:
    """At full rate: are the answers true? At a fixed rate: does p99 hold, and what of it would any server have?"""
    seconds = min(seconds, max(bench.seconds * 3, 2.0))
    moves, found, rows = Moving(api), Checked(), []
    moves.setup()
    time.sleep(1)
    file = bench.queries("mixed", 1, 1)
    bench.perf("seaway", file, 10.0, once=True)
    for beside in (False, True):
        moves.sent = 0
        with moving(api, moves, changes_a_second, seconds, found) if beside else contextlib.nullcontext():
            one = bench.perf("seaway", file, seconds)
        rows.append((f"{moves.sent / moves.took if beside else 0:,.0f}", f"{one.rate:,.0f}", f"{one.each:,.0f}", str(one.lost)))
    print(f"\nThe mix as fast as it goes, {seconds:g} s each\n\n{table(('changes / s', 'q / s', 'q / CPU s', 'lost'), rows)}")
    runs: dict[tuple[str, bool], Paced] = {(server, beside): Paced() for beside in (False, True) for server in ("seaway", "echo")}
    with ending(echo(bench.folder)) as bench.servers["echo"]:
        wait(bench.servers["echo"], lambda: answers(PORTS["echo"]), "the echo")
        for _ in range(bench.rounds):
            for (server, beside), told in runs.items():
                moves.sent = 0
                with moving(api, moves, changes_a_second, bench.seconds, found) if beside else contextlib.nullcontext():
                    before = bench.servers[server].turns()
                    one = bench.perf(server, file, bench.seconds, pace=pace)
                    after = bench.servers[server].turns()
                told.done.append(moves.sent / moves.took if beside else 0)
                told.rates.append(one.rate)
                told.ends.append(share(one.times, 0.99))
                told.times += one.times
                told.lost += one.lost
                told.waits.append(waited(before, after))
    del bench.servers["echo"]
    rows = []
    for (server, _), told in runs.items():
        ms = [share(told.times, 0.5), statistics.median(told.ends), min(told.ends), max(told.ends)]
        p50, p99, least, most = (f"{t * 1000:.2f}" for t in ms)
        rows.append((server, f"{statistics.median(told.done):,.0f}", f"{statistics.median(told.rates):,.0f}", p50, p99, f"{least} - {most}",
                     f"{statistics.median(told.waits) * 1e6:.0f}", str(told.lost)))
    columns = ("", "changes / s", "q / s", "p50, ms", "p99, ms", "spread of p99", "wait for a turn, us", "lost")
    print(f"\n{pace:,} queries of the mix a second, medians of {bench.rounds} rounds of {bench.seconds:g} s\n\n{table(columns, rows)}\n")
    print("Half of the changes are endpoints of headless Services, half ports of others; written in the API server's storage, durable")
    print("and one by one: as many requests would need the CPU of the load. echo: a server of six lines in the place of ours, on the")
    print("same CPU, while our processes follow the changes or have none. A turn: the mean of the process that had most of them.\n")
    for line in found.wrong[:5]:
        print(f"  wrong: {line}")
    row("answers checked while their Services change", f"{found.answers:,}", f"{len(found.wrong)} neither before nor after, {found.back} went back", not found.wrong and not found.back)
    late = f"p50 {share(found.ages, 0.5) * 1000:.1f} ms, p99 {share(found.ages, 0.99) * 1000:.1f} ms, most {max(found.ages, default=0) * 1000:.1f} ms"
    row("of them the state before, after the API's answer to the write", f"{len(found.ages) / max(found.answers, 1):.1%}", late, None)
    ms = {key: statistics.median(told.ends) * 1000 for key, told in runs.items()}
    beside = f"goal {goal * 1000:g} ms; without: {ms['seaway', False]:.2f} ms; echo: {ms['echo', True]:.2f}, without {ms['echo', False]:.2f} ms"
    row(f"p99 at {pace:,} q/s with changes", f"{ms['seaway', True]:.2f} ms", beside, ms["seaway", True] <= goal * 1000)


def waited(before: dict[int, tuple[int, int]], after: dict[int, tuple[int, int]]) -> float:
    """Seconds that a turn was waited for, on the average, by the process that had most of them."""
    turns, waits = max((after[pid][1] - before[pid][1], after[pid][0] - before[pid][0]) for pid in after if pid in before)
    return waits / max(turns, 1) / 1e9
