"""Lines to a file from a thread of their own: whoever logs waits for no disk. Memory and disk are bounded: what comes faster
than it can be written is dropped and counted, and a file that is full becomes `.1`, `.2`, ..., the oldest of which go."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections import deque
from collections.abc import Callable

WAITING, HELD = 20_000, 32 << 20  # lines, and bytes of what they are made of
SIZE, KEPT = 100 << 20, 5  # bytes of a file, files besides the current one
PERIOD = 0.2  # seconds that lines are collected for at most


class LineLog:
    """`put` takes a function that makes the line, which is called in the writer's thread. `dropped` counts what was lost;
    `trouble` says why nothing can be written, "" while it can."""

    def __init__(self, path: str, size: int = SIZE, kept: int = KEPT, waiting: int = WAITING) -> None:
        self.path, self._size, self._kept, self._most = path, size, kept, waiting
        self.dropped, self.trouble = 0, ""
        self._lines: deque[tuple[Callable[[], bytes], int]] = deque()
        self._held = self._done = 0  # bytes put, and bytes written: each is changed by one thread alone
        self._wake, self._closed = threading.Event(), False
        self._file = self._opened()
        self._written = os.fstat(self._file.fileno()).st_size
        self._thread = threading.Thread(target=self._run, name="linelog", daemon=True)
        self._thread.start()

    def put(self, line: Callable[[], bytes], size: int = 0) -> bool:
        """False where there are too many already. `size`: bytes that the line keeps alive until it is written."""
        if len(self._lines) >= self._most or self._held - self._done + size > HELD:
            self.dropped += 1
            return False
        self._held += size
        self._lines.append((line, size))
        return True

    def close(self) -> None:
        """Writes what is waiting, and ends."""
        self._closed = True
        self._wake.set()
        self._thread.join(5)
        self._file.close()

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait(PERIOD)
            self._write()
        self._write()

    def _write(self) -> None:
        while self._lines:
            chunk = bytearray()
            while self._lines and len(chunk) < 1 << 20:
                line, size = self._lines.popleft()
                try:
                    chunk += line() + b"\n"
                except Exception:  # one line that cannot be made does not end the log
                    self.dropped += 1
                self._done += size
            try:
                if self._written and self._written + len(chunk) > self._size:
                    self._rotate()
                self._file.write(chunk)
                self._written += len(chunk)
                self.trouble = ""
            except OSError as e:
                self.dropped += chunk.count(b"\n")
                self.trouble = f"{self.path}: {e.strerror}"

    def _rotate(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.path}.{self._kept}")
        for number in range(self._kept - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{self.path}.{number}", f"{self.path}.{number + 1}")
        if self._kept:
            os.rename(self.path, f"{self.path}.1")
        old, self._file = self._file, self._opened()
        old.close()
        if not self._kept:
            self._file.truncate(0)
        self._written = 0

    def _opened(self) -> io.FileIO:
        """The file, for its owner alone where it is new."""
        return open(self.path, "ab", buffering=0, opener=lambda path, flags: os.open(path, flags, 0o600))
