"""registry.k8s.io/pause: waits for its end, and reaps."""

from __future__ import annotations

import os
import signal


def main(argv: list[str]) -> int:
    ended = signal.sigwait  # SIGTERM and SIGINT end it, SIGCHLD is reaped
    wanted = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    while True:
        number = ended(wanted)
        if number != signal.SIGCHLD:
            return 0
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
