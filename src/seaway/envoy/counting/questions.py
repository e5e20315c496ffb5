"""What a proxy asks about a request, read, and the answer to it; pure.

A question has a descriptor a limit (`translation.limits` writes them): the first entry says how large the limit is and of what,
the others who it is that is counted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from seaway.envoy.counting.buckets import Buckets, Limit, Verdict

Entries = Sequence[tuple[str, str]]
LIMIT, SPARED, NO = "limit", "spared", "denied"
# RATE/SECONDS+BURST RULE. Numbers are bounded, so that no arithmetic overflows.
_LIMIT = re.compile(r"([1-9][0-9]{0,9})/([1-9][0-9]{0,9})s\+([0-9]{1,10}) (.*)", re.DOTALL)
MOST_DESCRIPTORS = 32
MOST_HITS = 1_000_000


def text(limit: Limit, of: str) -> str:
    """How the first entry of a descriptor says a limit; `of`: the rule that is counted."""
    return f"{limit.requests}/{limit.seconds}s+{limit.burst} {of}"


def read(entries: Entries) -> tuple[bytes, Limit] | None:
    """The bucket that a descriptor means and its limit; None where it means none, or none for this client."""
    if not entries or entries[0][0] != LIMIT:
        return None
    found = _LIMIT.fullmatch(entries[0][1])
    if found is None:
        return None
    if any(name == SPARED and value != NO for name, value in entries[1:]):
        return None
    # A digest, so that what a client writes into a header costs no memory. Lengths keep apart what is written next to another.
    key = hashlib.blake2b(digest_size=16)
    for name, value in entries:
        for part in (name.encode(), value.encode("utf-8", "surrogatepass")):
            key.update(len(part).to_bytes(4, "big") + part)
    return key.digest(), Limit(int(found[1]), int(found[2]), int(found[3]))


class Answer(NamedTuple):
    """`verdicts` are those of the descriptors in their order, None for one that limits nothing."""

    allowed: bool
    verdicts: tuple[Verdict | None, ...]

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What the client is told: the state of the bucket that has least left, and when to come back where it is refused."""
        known = [v for v in self.verdicts if v is not None]
        if not known:
            return ()
        # Of buckets that refuse, the one that takes longest.
        tight = min(known, key=lambda v: (v.allowed, v.remaining if v.allowed else -v.seconds))
        wait = str(max(0, -int(-tight.seconds // 1)))
        found = (
            ("x-ratelimit-limit", str(tight.size)),
            ("x-ratelimit-remaining", str(tight.remaining if tight.allowed else 0)),
            ("x-ratelimit-reset", wait),
        )
        return found if self.allowed else (*found, ("retry-after", wait))


def answer(buckets: Buckets, descriptors: Iterable[Entries], hits: int, now: float) -> Answer:
    """Takes what a request takes. The same bucket named twice is taken from once."""
    read_all = [read(entries) for entries in descriptors][:MOST_DESCRIPTORS]
    wanted = tuple(dict.fromkeys(found for found in read_all if found is not None))
    verdicts = dict(zip(wanted, buckets.take(wanted, min(hits or 1, MOST_HITS), now), strict=True))
    return Answer(all(v.allowed for v in verdicts.values()), tuple(verdicts[f] if f else None for f in read_all))
