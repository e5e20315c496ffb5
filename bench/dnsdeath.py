"""An upstream that dies: the time of each answer; for `bench/dns.py`."""

from __future__ import annotations

import contextlib
import signal
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import dnsnames
from dnsservers import PORTS, Tree
from dnswire import client, query, read, share
from rig import row

from seaway.labs.frame import table


class Paced:
    """Queries at a fixed pace, whether answers come or not: the time of each answer."""

    def __init__(self, port: int) -> None:
        self._sock = client(port)
        self._sent: dict[int, float] = {}
        self.times: list[tuple[float, float, str]] = []  # (when it was asked, seconds, code)
        self._stop = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        self._sock.settimeout(0.5)
        while not self._stop:
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                data = self._sock.recv(4096)
                now = time.monotonic()
                at = self._sent.pop(struct.unpack_from("!H", data)[0], None)
                if at is not None:
                    self.times.append((at, now - at, read(data).code))

    def ask(self, names: Iterator[str], pace: float, seconds: float) -> None:
        began = time.monotonic()
        for turn in range(int(pace * seconds)):
            if (left := began + turn / pace - time.monotonic()) > 0:
                time.sleep(left)
            number = len(self.times) + len(self._sent) & 0xFFFF
            while number in self._sent:
                number = number + 1 & 0xFFFF
            self._sent[number] = time.monotonic()
            self._sock.send(query(number, next(names), "A"))

    def end(self) -> list[tuple[float, float, str]]:
        """All of it; those without an answer within 6 s are counted as such."""
        deadline = time.monotonic() + 6
        while self._sent and time.monotonic() < deadline:
            time.sleep(0.05)
        self._stop = True
        self._reader.join()
        return self.times + [(at, 6.0, "no answer") for at in self._sent.values()]


def known() -> Iterator[str]:
    n = 0
    while True:
        n += 1
        yield f"k{n % 200}.{dnsnames.SHORT}"


def fresh(mark: str) -> Iterator[str]:
    n = 0
    while True:
        n += 1
        yield f"n{n}-{mark}.{dnsnames.SHORT}"


def death(bench: Any, above: Tree, pace: float = 500.0) -> None:
    """200 names with a TTL of a second (a cache keeps them a little longer), 500 queries a second; then the upstream is silent,
    or its process is gone: those names, and names that were never asked before."""
    seconds, rows, good = max(bench.seconds, 2.0), [], {}
    port = PORTS["seaway"]

    def tell(what: str, times: list[tuple[float, float, str]]) -> None:
        took = [t for _, t, _ in times]
        codes: dict[str, int] = {}
        for _, _, code in times:
            codes[code] = codes.get(code, 0) + 1
        rows.append((what, str(len(times)), f"{share(took, 0.5) * 1000:.1f}", f"{share(took, 0.99) * 1000:.1f}", f"{max(took) * 1000:.1f}",
                     f"{sum(t <= 0.050 for t in took) / len(took):.1%}", ", ".join(f"{c} {n}" for c, n in sorted(codes.items()))))
        stale = [t for _, t, c in times if c == "NOERROR"]
        good[what] = len(stale) == len(times) and share(stale, 0.999) <= 0.050 and max(stale) < 1.0

    def run(what: str, names: Iterator[str], span: float, rate: float) -> None:
        paced = Paced(port)
        paced.ask(names, rate, span)
        tell(what, paced.end())

    for what, number in (("silent", signal.SIGSTOP), ("gone", signal.SIGKILL)):
        run(f"before ({what})", known(), 2.0, pace)
        above.signal(number)
        run(f"{what}: names asked before", known(), seconds + 5, pace)
        run(f"{what}: new names", fresh(what), 2.0, 20)
        if what == "silent":
            above.signal(signal.SIGCONT)
            run("back: new names, from the first second on", fresh("back"), 4.0, 20)
            time.sleep(1)
    print(f"\nThe upstream dies; {pace:.0f} q/s of names with a TTL of 1 s, 20 q/s of new ones\n\n"
          f"{table(('ms', 'queries', 'median', 'p99', 'most', 'within 50 ms', 'answers'), rows)}\n")
    for what in ("silent", "gone"):
        row(f"{what}: names asked before", "", "goal: each answered, 99.9 % within 50 ms, none after a second", good[f"{what}: names asked before"])
