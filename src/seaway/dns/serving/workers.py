"""The control process's ends of the links: each worker's questions are answered in turn, each change told to all."""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import socket
from collections import deque
from collections.abc import Callable, Iterator

from seaway.dns import link, tally
from seaway.dns.answer import Answer, cut
from seaway.dns.tally import Row
from seaway.dns.wire import TC
from seaway.dns.zone.store import Changes

log = logging.getLogger("dns")
QUEUED = 20_000  # messages that wait for a worker that does not read: then it is told all anew
COUNTING = 1.0  # seconds for the workers to tell their counts
OWNERS = 300  # a message: as many of the longest names as it has room for


class Worker:
    """One link. Messages keep their order: nothing overtakes a change."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop, owner: Workers) -> None:
        self._sock, self._loop, self._owner = sock, loop, owner
        self._queue: deque[bytes] = deque()
        self.nonce: int | None = None
        self.parts: dict[int, list[Row]] = {}
        sock.setblocking(False)
        loop.add_reader(sock.fileno(), self._readable)

    def say(self, message: link.FromControl) -> None:
        data = link.encode(message)
        if not self._queue and self._sent(data):
            return
        if len(self._queue) >= QUEUED:
            self._queue.clear()
            self._owner.tell_names(self)
            return
        if not self._queue:
            self._loop.add_writer(self._sock.fileno(), self._flush)
        self._queue.append(data)

    def _sent(self, data: bytes) -> bool:
        try:
            self._sock.send(data)
            return True
        except BlockingIOError:
            return False
        except OSError as e:
            if e.errno == errno.EMSGSIZE:
                log.error("an answer of %d bytes is more than a message takes", len(data))
                return True
            return e.errno != errno.ENOBUFS

    def _flush(self) -> None:
        while self._queue and self._sent(self._queue[0]):
            self._queue.popleft()
        if not self._queue:
            self._loop.remove_writer(self._sock.fileno())

    def _readable(self) -> None:
        for _ in range(64):
            try:
                size = self._sock.recv_into(self._owner.room)
            except OSError:
                return
            if not size:
                self._loop.remove_reader(self._sock.fileno())
                return
            self._owner.take(self, link.from_worker(self._owner.room[:size]))


class Workers:
    """All of them. `answer`, `names` and `serial` come from the zone; nothing is said before it is synced. `again`: the workers
    were served before, so that what they ask meanwhile waits for the zone; at the first start it is a failure at once."""

    def __init__(
        self,
        sockets: list[socket.socket],
        answer: Callable[[bytes, int], Answer | None],
        names: Callable[[], list[bytes]],
        addresses: Callable[[bytes], bytes],
        serial: Callable[[], int],
        again: bool,
    ) -> None:
        self._answer, self._names, self._addresses, self._serial = answer, names, addresses, serial
        self._early: list[tuple[Worker, link.Ask]] | None = [] if again else None
        self.synced = False
        self.room = memoryview(bytearray(1 << 18))  # for one message at a time, of whichever worker
        self.looped: set[tuple[str, int]] = set()
        self._tokens = itertools.count(1)
        self._counting: dict[int, tuple[set[Worker], list[list[Row]], asyncio.Event]] = {}
        loop = asyncio.get_running_loop()
        self._workers = [Worker(s, loop, self) for s in sockets]

    def sync(self) -> None:
        """The zone is whole: those who wait for it are told."""
        self.synced = True
        for worker in self._workers:
            self.tell_names(worker, worker.nonce or 0)
        early, self._early = self._early or [], None
        for worker, asked in early:
            self.take(worker, asked)

    def tell_names(self, worker: Worker, nonce: int | None = None) -> None:
        names = self._names()
        number = worker.nonce or 0 if nonce is None else nonce
        chunks = [names[i : i + link.NAMES] for i in range(0, len(names), link.NAMES)] or [[]]
        for i, chunk in enumerate(chunks):
            addresses = [self._addresses(key) for key in chunk]
            worker.say(link.Names(number, chunk, addresses, self._serial(), i == 0, i == len(chunks) - 1))

    def change(self, changes: Changes) -> None:
        if not self.synced:
            return
        serial = self._serial()
        for come, gone, owners in _parts(changes):
            addresses = [self._addresses(key) for key in come]
            for worker in self._workers:
                worker.say(link.Change(come, addresses, gone, owners, serial))

    def take(self, worker: Worker, message: link.FromWorker) -> None:
        if isinstance(message, link.Ask):
            if self._early is not None and len(self._early) < QUEUED:
                self._early.append((worker, message))
                return
            worker.say(_told(message, self._answer(message.name, message.kind)))
        elif isinstance(message, link.Hello):
            worker.nonce = message.nonce
            if self.synced:
                self.tell_names(worker)
        elif isinstance(message, link.Looped):
            self._loop(message)
        else:
            waiting = self._counting.get(message.token)
            if waiting is None:
                return
            workers, parts, done = waiting
            parts.append(tally.unpack(message.part))
            if message.last:
                workers.discard(worker)
                if not workers:
                    done.set()

    def _loop(self, message: link.Looped) -> None:
        if (message.host, message.port) not in self.looped:
            self.looped.add((message.host, message.port))
            log.error(
                "a loop: upstream %s, port %d, leads back to this server; nothing is forwarded there "
                "(its address may be this server's own, or that of a resolver that asks it; name another)",
                message.host,
                message.port,
            )
        for worker in self._workers:
            worker.say(message)

    async def counts(self) -> list[Row]:
        """The counts of all workers that answer in time, added up."""
        token, done = next(self._tokens), asyncio.Event()
        waiting = (set(self._workers), list[list[Row]](), done)
        self._counting[token] = waiting
        for worker in self._workers:
            worker.say(link.Count(token))
        try:
            await asyncio.wait_for(done.wait(), COUNTING)
        except TimeoutError:
            pass
        del self._counting[token]
        return tally.added(waiting[1])


def _parts(changes: Changes) -> Iterator[tuple[list[bytes], list[bytes], list[bytes]]]:
    """In messages of a size that a socket takes: what void is, first; names that came last."""
    owners, come, gone = sorted(changes.owners), sorted(changes.come), sorted(changes.gone)
    for at in range(0, max(len(owners), len(come), len(gone)), OWNERS):
        end = at + OWNERS
        yield come[at:end], gone[at:end], owners[at:end]


def _told(ask: link.Ask, answer: Answer | None) -> link.Told:
    if answer is None:
        return link.Told(ask.name, ask.kind, known=False)
    if len(answer.body) > link.LARGEST // 2:
        answer = shortened(answer)
    return link.Told(
        ask.name, ask.kind, True, answer.flags, answer.counts, answer.body, answer.run, answer.owners, answer.target
    )


def shortened(answer: Answer) -> Answer:
    """The records that a message of 64 KiB has room for; more than that no protocol of ours can say (RFC 1035 4.2.2)."""
    an, ns, ar, size = cut(answer, answer.body, 65_000)
    start, each, number = answer.run
    run = (start, each, min(number, an)) if an > 1 else (0, 0, 0)
    flags = answer.flags | (TC if an < answer.counts[0] else 0)  # RFC 2181 9, by TCP as well
    return answer._replace(flags=flags, counts=(an, ns, ar), body=answer.body[:size], run=run)
