"""The first process: it opens the sockets, forks the others, forks anew who dies, and takes new settings without losing a query.

A *generation* is a control process, workers and a streams process that share one `Settings`. On new settings the next
generation's control process starts beside the old one; when its zone is whole the others start on the same sockets, and the old
generation ends.
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
from collections.abc import Callable, Iterable

from seaway.dns.serving import control, own, sockets, streams, worker
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
    """A role, what it runs, its process. `own`: the sockets that it keeps. `deaths`: how often it died lately."""

    def __init__(self, name: str, main: Callable[[], None], own: Iterable[socket.socket]) -> None:
        self.name, self._main, self._own = name, main, {s.fileno() for s in own}
        self.pid = 0
        self.started = 0.0
        self.deaths = 0

    def fork(self, all_sockets: Iterable[socket.socket]) -> None:
        """A process of its own, which closes the sockets of others: a port must not stay open by one that does not read."""
        self.started = time.monotonic()
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self.pid = pid
            return
        code = 1
        try:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            for sock in all_sockets:
                if sock.fileno() not in self._own:
                    sock.close()
            own.call_process(f"dns {self.name}")
            if os.getppid() == parent:
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
    """The processes of one `Settings`. `whole` is readable when the zone has come. `ending`: no more ready, whoever is asked."""

    def __init__(self, settings: Settings, kubeconfig: str, number: int, pages: dict[str, socket.socket]) -> None:
        self.settings, self.number, self.ending = settings, number, False
        self.links = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(number + 1)]
        self.whole, said = os.pipe()
        self._said = said
        ends = [a for a, _ in self.links]

        def run() -> None:
            control.main(settings, kubeconfig, ends, pages, said, again=first.deaths > 0, ending=self.ending)

        first = Child("control", run, (*ends, *pages.values()))
        self.children = [first]

    def answer_on(self, opened: dict[Place, socket.socket]) -> None:
        """Makes those who answer, not yet their processes. Sockets of workers that are no more go to those that are."""
        settings, token = self.settings, secrets.token_hex(8).encode()
        for i in range(self.number):
            read = [((p.transport, p.port), s) for p, s in opened.items() if not p.stream and p.worker % self.number == i]
            link = self.links[i][1]
            main = _worker(settings, read, link, token)
            self.children.append(Child(f"worker {i}", main, (link, *(s for _, s in read))))
        flows = [((p.transport, p.port), s) for p, s in opened.items() if p.stream]
        link = self.links[-1][1]
        self.children.append(
            Child("streams", lambda: streams.main(settings, flows, link, token), (link, *(s for _, s in flows)))
        )

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
        self._pages: dict[str, socket.socket] = {}
        self._generation: Generation | None = None
        self._next: Generation | None = None
        self._due: dict[Child, float] = {}
        self._next_by = 0.0
        self._refused: str = ""
        self._impossible: Settings | None = None  # refused when all was ready for them: not tried again

    def run(self) -> int:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        sockets.check_free(self._places(self._settings), sockets.pages(self._settings))
        self._open(self._settings, later=True)
        if self._ground:
            self._ground.settled(self._settings)
        gc.collect()
        gc.freeze()  # pages that are not touched stay shared
        self._generation = self._made(self._settings)
        self._generation.answer_on(self._answering(self._settings))
        self._start(self._generation)
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

    def _places(self, settings: Settings) -> list[Place]:
        return sockets.places(settings, self._number(settings))

    def _open(self, settings: Settings, later: bool) -> None:
        """Opens what is missing. On a port that is answered on, another socket would take queries at once: with `later` only,
        when there is somebody to read them."""
        for place in self._places(settings):
            if place in self._opened or place._replace(must=not place.must) in self._opened:
                continue
            try:
                if later or not any(p.port == place.port and p.stream == place.stream for p in self._opened):
                    self._opened[place] = sockets.opened(place)
                else:
                    sockets.opened(place._replace(port=0)).close()  # whether there is such an address
            except sockets.BadAddress as e:
                if place.must:
                    raise
                log.info("%s: left to who has it", e)
        for address in sockets.pages(settings):
            if address not in self._pages:
                self._pages[address] = sockets.page(address)

    def _answering(self, settings: Settings) -> dict[Place, socket.socket]:
        """What is open of the places that the settings name; of workers that there were, too: closing one would lose what it
        holds."""
        wanted = {p._replace(worker=0, must=True) for p in self._places(settings)}
        return {p: s for p, s in self._opened.items() if p._replace(worker=0, must=True) in wanted}

    def _close_rest(self, settings: Settings) -> None:
        """Closes what the settings do not name."""
        wanted, pages = self._answering(settings), sockets.pages(settings)
        for place in [p for p in self._opened if p not in wanted]:
            sock = self._opened.pop(place)
            sockets.take_no_more(place, sock)
            sock.close()
        for address in [a for a in self._pages if a not in pages]:
            self._pages.pop(address).close()

    def _made(self, settings: Settings) -> Generation:
        pages = {a: self._pages[a] for a in sockets.pages(settings)}
        return Generation(settings, self._kubeconfig, self._number(settings), pages)

    # children

    def _all(self) -> list[Child]:
        return [c for g in (self._generation, self._next) if g for c in g.children]

    def _sockets(self) -> list[socket.socket]:
        links = [end for g in (self._generation, self._next) if g for pair in g.links for end in pair]
        return [*self._opened.values(), *self._pages.values(), *links]

    def _start(self, generation: Generation) -> None:
        for child in generation.children:
            if not child.pid and child not in self._due:
                child.fork(self._sockets())

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
                    child.fork(self._sockets())

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
            if fresh in (self._settings, self._impossible):
                self._refused = self._refused if fresh == self._impossible else ""
                return
            self._open(fresh, later=False)
        except (ValueError, OSError) as e:
            self._refuse(str(e))
            return
        log.info("new settings: taken as soon as the names are there")
        self._next = self._made(fresh)
        self._start(self._next)
        self._next_by = time.monotonic() + PATIENCE

    def _refuse(self, why: str) -> None:
        if why != self._refused:
            self._refused = why
            log.error("the new settings are not taken: %s", why)
        self._close_rest(self._settings)

    def _turn(self) -> None:
        """The next generation takes over when its zone is whole."""
        fresh, old = self._next, self._generation
        if fresh is None or old is None:
            return
        if not select.select([fresh.whole], [], [], 0)[0]:
            if time.monotonic() > self._next_by:
                self._drop(fresh, f"the API has not told all names within {PATIENCE:.0f} s")
            return
        try:
            self._open(fresh.settings, later=True)
        except OSError as e:
            self._impossible = fresh.settings
            self._drop(fresh, str(e))
            return
        fresh.answer_on(self._answering(fresh.settings))
        self._close_rest(fresh.settings)  # before the others begin: what is left over ends with those who read it
        self._start(fresh)
        self._generation, self._next, self._settings = fresh, None, fresh.settings
        self._refused, self._impossible = "", None
        if self._ground:
            self._ground.changed(fresh.settings)
        self._stop(old)
        log.info("new settings: taken")

    def _drop(self, fresh: Generation, why: str) -> None:
        self._next = None
        self._stop(fresh)
        self._refuse(why)

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
                    log.warning("%s does not end: killed", child.name)
                    child.kill(signal.SIGKILL)
                    end = time.monotonic() + LAST
                else:
                    time.sleep(0.005)

    def _end(self) -> int:
        """Unready at once, answering for a while yet (lameduck), then no more."""
        current = self._generation
        if current is not None:
            current.ending = True
            current.children[0].kill(signal.SIGTERM)
        if self._next is not None:
            self._stop(self._next)
            self._next = None
        if current is not None:
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
