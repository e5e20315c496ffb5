"""What a container writes: to its log in CRI form (`time stream F|P text`), and to whoever is attached to it."""

from __future__ import annotations

import os
import time

LOG_LINE, LOG_LIMIT, LOG_FILES = 16384, 10 << 20, 5  # the kubelet's containerLogMaxSize and containerLogMaxFiles


def stamp(now: float) -> str:
    whole = int(now)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int((now - whole) * 1e9):09d}Z"


class LogFile:
    """A container's log; at its limit it is moved to `.1`, that to `.2` and so on, as the kubelet rotates."""

    def __init__(self, path: str, limit: int = LOG_LIMIT) -> None:
        self.path, self.limit = path, limit
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._open()
        self.users = 0

    def _open(self) -> None:
        self.fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self.size = os.fstat(self.fd).st_size

    def write(self, text: bytes) -> None:
        if not text or self.fd < 0:
            return
        try:
            os.write(self.fd, text)
        except OSError:
            return  # a full disk costs log lines, not the pod
        self.size += len(text)
        if self.size > self.limit:
            os.close(self.fd)
            for number in range(LOG_FILES - 2, 0, -1):
                if os.path.exists(f"{self.path}.{number}"):
                    os.replace(f"{self.path}.{number}", f"{self.path}.{number + 1}")
            os.replace(self.path, self.path + ".1")
            self._open()

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Sink:
    """A client that is attached: what it has not taken yet waits here, and the container's output with it."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self.fd, self.pending, self.closing = fd, b"", False

    def put(self, data: bytes) -> bool:
        """Writes what fits; False where nobody reads any more."""
        self.pending += data
        try:
            while self.pending:
                self.pending = self.pending[os.write(self.fd, self.pending) :]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True


class Output:
    """One stream of one container: bytes in, CRI lines and attached clients out."""

    def __init__(self, fd: int, stream: str, file: LogFile) -> None:
        self.fd, self.stream, self.file = fd, stream, file
        self.rest = b""
        self.sinks: list[Sink] = []
        file.users += 1

    @property
    def blocked(self) -> bool:
        """A client has not taken what came before: the container has to wait, as with every container runtime."""
        return any(s.pending for s in self.sinks)

    def feed(self, data: bytes) -> list[Sink]:
        """Passes bytes on; the sinks that turned out to be dead."""
        head = stamp(time.time()).encode() + b" " + self.stream.encode()
        *lines, self.rest = (self.rest + data).split(b"\n")
        text = b"".join(_line(head, line, b"F") for line in lines)
        while len(self.rest) >= LOG_LINE:
            text += head + b" P " + self.rest[:LOG_LINE] + b"\n"
            self.rest = self.rest[LOG_LINE:]
        self.file.write(text)
        return [s for s in self.sinks if not s.put(data)]

    def end(self) -> None:
        """The container's side has closed: an unfinished line is a part, as in containerd."""
        if self.rest:
            self.file.write(_line(stamp(time.time()).encode() + b" " + self.stream.encode(), self.rest, b"P"))
            self.rest = b""
        self.file.users -= 1
        if not self.file.users:
            self.file.close()


def _line(head: bytes, line: bytes, tag: bytes) -> bytes:
    """A line, in parts where it is longer than a log line may be."""
    text = b""
    while len(line) > LOG_LINE:
        text += head + b" P " + line[:LOG_LINE] + b"\n"
        line = line[LOG_LINE:]
    return text + head + b" " + tag + b" " + line + b"\n"
