"""Reading container logs (CRI form: `time stream F|P text`): tail, since, timestamps, follow."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from seaway.api.tree import seconds
from seaway.cluster.node.lifecycle import Container

BLOCK = 1 << 16
POLL = 0.1
# What a waiting container's reason is told as (kubelet validateContainerLogStatus).
REASONS = {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}


def attempt(pod: str, name: str, state: Container | None, waiting: str, previous: bool) -> int | str:
    """Which attempt of a container a log is of; a text where there is none (kubelet validateContainerLogStatus).
    `waiting` is the reason of a container that waits, empty for one that does not."""
    if previous:
        # While a container waits for its next attempt, its last one is the previous.
        found = -1 if state is None else state.attempt if waiting and state.status == "exited" else state.attempt - 1
        return found if found >= 0 else f'previous terminated container "{name}" in pod "{pod}" not found'
    if state is not None:
        return state.attempt
    return f'container "{name}" in pod "{pod}" is waiting to start: {REASONS.get(waiting, waiting)}'


def options(query: Mapping[str, str], now: float) -> tuple[Shown, int | None]:
    """(what is shown, how many lines of the end) of a request that the API server has checked."""
    since = seconds(query["sinceTime"]) if query.get("sinceTime") else None
    if query.get("sinceSeconds"):
        since = now - float(query["sinceSeconds"])
    tail = int(query["tailLines"]) if query.get("tailLines") else None
    limit = int(query["limitBytes"]) if query.get("limitBytes") else None
    return Shown(query.get("timestamps") in ("1", "true"), since, limit, query.get("stream", "All")), tail


@dataclass(slots=True)
class Shown:
    """Which lines are shown, and how. `limit` counts down the bytes that are left (None: all)."""

    timestamps: bool
    since: float | None
    limit: int | None
    stream: str = "All"
    begun: bool = False  # in the middle of a line: the part before had no end

    def line(self, raw: bytes) -> bytes:
        """A log line as the client sees it; empty for one that is not shown."""
        when, _, rest = raw.partition(b" ")
        stream, _, rest = rest.partition(b" ")
        tag, _, text = rest.partition(b" ")
        if self.stream not in ("All", "") and stream.decode().lower() != self.stream.lower():
            return b""
        if self.since is not None and (seconds(_short(when.decode())) or 0) < self.since:
            return b""
        end = b"" if tag == b"P" else b"\n"
        out = (when + b" " if self.timestamps and not self.begun else b"") + text + end
        self.begun = tag == b"P"
        if self.limit is not None:
            out = out[: self.limit]
            self.limit -= len(out)
        return out


def _short(when: str) -> str:
    """Nine digits of a second are three more than datetime reads."""
    return when[:26] + "Z" if len(when) > 27 else when


def tail_start(path: str, lines: int) -> int:
    """Where the last `lines` lines begin."""
    size = os.path.getsize(path)
    found, at, rest = 0, size, b""
    with open(path, "rb") as f:
        while at > 0:
            step = min(BLOCK, at)
            at -= step
            f.seek(at)
            rest = f.read(step) + rest
            found = rest.count(b"\n")
            if found > lines:
                break
    if lines == 0:
        return size
    cut = rest.split(b"\n")
    keep = cut[-lines - 1 :] if len(cut) > lines + 1 else cut
    return size - len(b"\n".join(keep))


async def read(
    path: str, tail: int | None, shown: Shown, follow: bool, over: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """The log in chunks; with `follow` until `over()` says that the container has ended."""
    with open(path, "rb") as f:
        if tail is not None:
            f.seek(tail_start(path, tail))
        rest = b""
        while True:
            ended = over()
            data = f.read(BLOCK)
            if data:
                *lines, rest = (rest + data).split(b"\n")
                out = b"".join(shown.line(line) for line in lines if line)
                if out:
                    yield out
                if shown.limit is not None and shown.limit <= 0:
                    return
                continue
            if not follow or ended:
                return
            if not os.path.exists(path) or os.stat(path).st_ino != os.fstat(f.fileno()).st_ino:
                f.close()
                f = open(path, "rb")  # rotated
                rest = b""
                continue
            await asyncio.sleep(POLL)
