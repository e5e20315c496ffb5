"""How long backends may take, and when another is tried (ingress-nginx, annotations/proxy)."""

from __future__ import annotations

import re
from typing import NamedTuple

from seaway.routing.ingress.annotations.reading import Reader
from seaway.routing.ingress.annotations.values import Unreadable, whole
from seaway.routing.ir import Retry

READ = 60  # nginx's own default
TRIES = 3
CODE = re.compile(r"http_(403|404|429|500|502|503|504)\Z")
WORDS = ("error", "timeout", "invalid_header", "updating", "non_idempotent", "off")


class Timeouts(NamedTuple):
    """In seconds, 0 where nothing is said. `read`: of silence, in either direction."""

    connect: int = 0
    read: int = 0


def timeouts(reader: Reader) -> Timeouts:
    connect = reader.get("proxy-connect-timeout", whole(1, 86400), 0)
    read = reader.get("proxy-read-timeout", whole(1, 86400 * 30), 0)
    send = reader.get("proxy-send-timeout", whole(1, 86400 * 30), 0)
    return Timeouts(connect, max(read or READ, send) if send else read)


def _cases(text: str) -> tuple[str, ...]:
    found = tuple(text.split())
    for word in found:
        if word not in WORDS and not CODE.match(word):
            raise Unreadable(f"{word[:100]} is not one of {', '.join(WORDS)} and http_CODE")
    return found


def retry(reader: Reader) -> Retry | None:
    """When another endpoint is tried; None: as without annotations."""
    tries = reader.get("proxy-next-upstream-tries", whole(0, 100), None)
    cases = reader.get("proxy-next-upstream", _cases, None)
    if tries is None and cases is None:
        return None
    tries, cases = TRIES if tries is None else tries or 10, cases if cases is not None else ("error", "timeout")
    codes = tuple(int(match[1]) for word in cases if (match := CODE.match(word)))
    lost = any(word in cases for word in ("error", "timeout", "invalid_header"))
    attempts = 0 if "off" in cases else min(tries - 1, 10)
    return Retry(attempts, codes, connect=lost, idempotent="non_idempotent" not in cases)
