"""What a container says at its end: its termination message, from the file it wrote or the end of its log
(terminationMessagePath, terminationMessagePolicy)."""

from __future__ import annotations

import os

FILE_LIMIT, LOG_LIMIT, LOG_LINES = 4096, 2048, 80  # pkg/kubelet/container: MaxContainerTerminationMessage...
READ = 1 << 16


def choose(policy: str, code: int, written: bytes, logged: bytes) -> str:
    """The message: what was written, else (where the policy says so, and it has failed) the end of the log, in CRI form."""
    if written:
        return written[:FILE_LIMIT].decode("utf-8", "replace")
    if policy != "FallbackToLogsOnError" or code == 0:
        return ""
    lines = []
    for line in logged.split(b"\n")[-LOG_LINES - 1 :]:
        parts = line.split(b" ", 3)  # time, stream, F or P, text
        if len(parts) == 4:
            lines.append(parts[3] + (b"\n" if parts[2] == b"F" else b""))
    return b"".join(lines)[-LOG_LIMIT:].decode("utf-8", "replace")


def prepare(path: str) -> str:
    """The file that a container's message goes to, which every user may write."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb"):
        pass
    os.chmod(path, 0o666)
    return path


def read(policy: str, code: int, path: str, log: str) -> str:
    """The message of a container that has ended."""
    return choose(policy, code, _end(path, FILE_LIMIT, True), _end(log, READ, False))


def _end(path: str, limit: int, first: bool) -> bytes:
    """The first or last bytes of a file; nothing where there is none. Never follows a link: a container writes there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    with os.fdopen(fd, "rb") as f:
        size = os.fstat(fd).st_size
        if not first and size > limit:
            f.seek(size - limit)
        return f.read(limit)
