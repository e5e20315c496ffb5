"""The first process: it opens the sockets, forks the others, forks anew who dies, and takes new settings without losing a query.

A *generation* is a control process, workers and a streams process that share one `Settings`. On new settings the next
generation starts beside the old one on the same sockets; when its zone is whole the old one ends.
"""

from __future__ import annotations

import gc
import logging
import os
import random
import secrets
import select
import signal
import socket
import time
from collections.abc import Callable

from seaway.dns.serving import control, sockets, streams, worker
from seaway.dns.serving.ground import Ground
from seaway.dns.serving.sockets import Place
from seaway.dns.settings import Settings

log = logging.getLogger("dns")
SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
MOST_WORKERS = 4
PATIENCE = 60.0  # seconds for a new generation's zone
LAST = 3.0  # seconds for a process to end before it is killed
BACKOFF = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)


class Child:
    """A role, what it runs, its process. `deaths`: how often it died lately."""

    def __init__(self, name: str, main: Callable[[], None]) -> None:
        self.name, self._main = name, main
        self.pid = 0
        self.started = 0.0
        self.deaths = 0

    def fork(self) -> None:
        self.started = time.monotonic()
        pid = os.fork()
        if pid:
            self.pid = pid
            return
        code = 1
        try:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            self._main()
            code = 0
        except BaseException:
            log.exception("%s fails", self.name)
        finally:
            os._exit(code)

    def kill(self, number: int) -> None:
        if self.pid:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    def wait_before_next(self) -> float:
        """Seconds before it is forked again: it may die at once, again and again."""
        if time.monotonic() - self.started > 10:
            self.deaths = 0
        self.deaths += 1
        return BACKOFF[min(self.deaths - 1, len(BACKOFF) - 1)]


class Generation:
    """The processes of one `Settings`. `whole` is readable when the zone has come."""

    def __init__(self, settings: Settings, kubeconfig: str, number: int, opened: dict[Place, socket.socket]) -> None:
        self.settings = settings
        links = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(number + 1)]
        self.links = links
        self.whole, said = os.pipe()
        self._said = said
        token = secrets.token_hex(8).encode()
        ends = [a for a, _ in links]
        self.children = [Child("control", lambda: control.main(settings, kubeconfig, ends, said))]
        for i in range(number):
            own = [((p.transport, p.port), s) for p, s in opened.items() if not p.stream and p.worker == i]
            self.children.append(Child(f"worker {i}", _worker(settings, own, links[i][1], token)))
        flows = [((p.transport, p.port), s) for p, s in opened.items() if p.stream]
        self.children.append(Child("streams", lambda: streams.main(settings, flows, links[number][1], token)))

    def start(self, names: tuple[str, ...] = ()) -> None:
        for child in self.children:
            if not child.pid and (not names or child.name in names):
                child.fork()

    def close(self) -> None:
        for pair in self.links:
            for end in pair:
                end.close()
        os.close(self.whole)
        os.close(self._said)


def _worker(
    settings: Settings, own: list[tuple[tuple[str, int], socket.socket]], link: socket.socket, token: bytes
) -> Callable[[], None]:
    return lambda: worker.main(settings, own, link, token)


class Supervisor:
    """Runs until SIGTERM. `load` reads the settings anew; ValueError or OSError: they cannot be taken. `ground`: what a node's
    cache stands on."""

    def __init__(self, settings: Settings, kubeconfig: str, load: Callable[[], Settings], ground: Ground | None = None) -> None:
        self._ground = ground
        self._settings, self._kubeconfig, self._load = settings, kubeconfig, load
        self._opened: dict[Place, socket.socket] = {}
        self._generation: Generation | None = None
        self._next: Generation | None = None
        self._due: dict[Child, float] = {}
        self._next_by = 0.0
        self._refused: str = ""

    def run(self) -> int:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self._open(self._settings)
        if self._ground:
            self._ground.settled(self._settings)
        gc.collect()
        gc.freeze()  # pages that are not touched stay shared
        self._generation = self._made(self._settings)
        self._generation.start()
        look = self._next_look()
        while True:
            got = signal.sigtimedwait(SIGNALS, self._wait())
            number = got.si_signo if got else 0
            if number in (signal.SIGTERM, signal.SIGINT):
                return self._end()
            self._reap()
            self._fork_due()
            if number == signal.SIGHUP or time.monotonic() >= look:
                look = self._next_look()
                self._look()
            self._turn()
            if self._ground:
                self._ground.keep()

    def _wait(self) -> float:
        return 0.05 if self._due or self._next else 1.0

    def _number(self, settings: Settings) -> int:
        return settings.workers or min(len(os.sched_getaffinity(0)), MOST_WORKERS)

    def _open(self, settings: Settings) -> list[Place]:
        """Opens what is missing; what is open."""
        wanted = sockets.places(settings, self._number(settings))
        for place in wanted:
            if place in self._opened:
                continue
            try:
                self._opened[place] = sockets.opened(place)
            except sockets.BadAddress as e:
                if place.must:
                    raise
                log.info("%s: left to who has it", e.strerror)
        return wanted

    def _made(self, settings: Settings) -> Generation:
        number = self._number(settings)
        own = {p: self._opened[p] for p in sockets.places(settings, number) if p in self._opened}
        return Generation(settings, self._kubeconfig, number, own)

    # children

    def _all(self) -> list[Child]:
        return [c for g in (self._generation, self._next) if g for c in g.children]

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            child = next((c for c in self._all() if c.pid == pid), None)
            if child is not None:
                child.pid = 0
                log.warning("%s ended (%s)", child.name, _said(status))
                self._due[child] = time.monotonic() + child.wait_before_next()

    def _fork_due(self) -> None:
        for child, when in list(self._due.items()):
            if time.monotonic() >= when:
                del self._due[child]
                if child in self._all():
                    child.fork()

    # new settings

    def _next_look(self) -> float:
        """When the settings are read again: servers of one file spread themselves around its interval."""
        settings = self._settings
        if not settings.reload:
            return float("inf")
        spread = random.SystemRandom().uniform(-settings.reload_jitter, settings.reload_jitter)
        return time.monotonic() + max(settings.reload + spread, 1.0)

    def _look(self) -> None:
        if self._next is not None:
            return
        try:
            fresh = self._load()
            if fresh == self._settings:
                self._refused = ""
                return
            self._open(fresh)
        except (ValueError, OSError) as e:
            if str(e) != self._refused:
                self._refused = str(e)
                log.error("the new settings are not taken: %s", e)
            return
        log.info("new settings: taken as soon as the names are there")
        self._next = self._made(fresh)
        self._next.start(("control",))
        self._next_by = time.monotonic() + PATIENCE

    def _turn(self) -> None:
        """The next generation takes over when its zone is whole."""
        fresh, old = self._next, self._generation
        if fresh is None or old is None:
            return
        if not select.select([fresh.whole], [], [], 0)[0]:
            if time.monotonic() > self._next_by:
                log.error("the new settings are not taken: the API has not told all names within %d s", PATIENCE)
                self._next = None
                self._stop(fresh)
            return
        fresh.start()
        self._generation, self._next, self._settings = fresh, None, fresh.settings
        if self._ground:
            self._ground.changed(fresh.settings)
        self._stop(old)
        wanted = set(sockets.places(fresh.settings, self._number(fresh.settings)))
        for place in [p for p in self._opened if p not in wanted]:
            self._opened.pop(place).close()
        log.info("new settings: taken")

    def _stop(self, generation: Generation) -> None:
        """Ends a generation's processes: first who answers, so that what they ask is still told."""
        answering, rest = generation.children[1:], generation.children[:1]
        for group, number in ((answering, signal.SIGTERM), (rest, signal.SIGKILL)):
            for child in group:
                child.kill(number)
            self._await(group)
        for child in generation.children:
            self._due.pop(child, None)
        generation.close()

    def _await(self, group: list[Child]) -> None:
        end = time.monotonic() + LAST
        for child in group:
            while child.pid:
                try:
                    pid, _ = os.waitpid(child.pid, os.WNOHANG)
                except ChildProcessError:
                    pid = child.pid
                if pid:
                    child.pid = 0
                elif time.monotonic() > end:
                    child.kill(signal.SIGKILL)
                    end = time.monotonic() + LAST
                else:
                    time.sleep(0.005)

    def _end(self) -> int:
        """Unready at once, answering for a while yet (lameduck), then no more."""
        current = self._generation
        if self._next is not None:
            self._stop(self._next)
        if current is not None:
            current.children[0].kill(signal.SIGTERM)
            end = time.monotonic() + self._settings.lameduck
            while (left := end - time.monotonic()) > 0:
                got = signal.sigtimedwait(SIGNALS, min(left, 0.5))
                if got and got.si_signo == signal.SIGINT:
                    break
                self._reap()
                self._fork_due()
            self._stop(current)
        return 0


def _said(status: int) -> str:
    return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"code {os.WEXITSTATUS(status)}"
