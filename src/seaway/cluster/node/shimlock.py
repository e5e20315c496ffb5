"""A pod has one shim: the one that has `shim.lock` in the pod's folder. A folder goes only when nobody has it."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import time

from seaway.cluster.fabric import linux

TRIES = 100
DYING_TRIES = 10  # as long, the children of one that has died may still seem to be one that answers
PAUSE = 0.02


def take(folder: str) -> int:
    """The lock, kept as long as the descriptor is open. An agent that is killed after it has asked for a shim, and before that
    answers, leaves the next agent to ask again: the second ends. One that has just died keeps the lock until its last child
    has gone."""
    path = os.path.join(folder, "shim.lock")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for tries in range(TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            if tries > DYING_TRIES and _answers(os.path.join(folder, "shim.sock")):
                raise OSError(f"another shim holds {path}") from None
            time.sleep(PAUSE)
    else:
        raise OSError(f"another shim holds {path}")
    # The file may have gone with the pod's folder while we waited: then nobody would ever find us.
    if not os.path.exists(path) or not os.path.samestat(os.stat(path), os.fstat(fd)):
        raise OSError(f"{path} is gone, and with it its pod")
    return fd


def _answers(path: str) -> bool:
    """Whether a shim listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sock:
        try:
            with linux.socket_path(path) as short:
                sock.connect(short)
        except OSError:
            return False
        return True


def remove(folder: str) -> bool:
    """Removes a folder that no shim has, with the lock held, so that none begins in it. False: one has it."""
    try:
        lock = os.open(os.path.join(folder, "shim.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        shutil.rmtree(folder, ignore_errors=True)
        return True
    finally:
        os.close(lock)
