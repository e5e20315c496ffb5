"""What an upstream answered, as an `Answer`: strictly walked, its OPT taken out, its TTLs found; pure."""

from __future__ import annotations

from seaway.dns.answer import Answer
from seaway.dns.settings import Cache
from seaway.dns.wire import AAAA, AD, FIXED, HEADER, NOERROR, NXDOMAIN, OPT, RA, SERVFAIL, SOA, TC, A, skip_name

LARGEST_TTL = 0x7FFFFFFF  # RFC 2181 8


class Unusable(ValueError):
    """A reply that cannot be read."""


def truncated(message: bytes) -> bool:
    return bool(message[2] & 0x02)


def has_additional(message: bytes) -> bool:
    """Whether it has additional records, of which an OPT would be one."""
    return message[10:12] != b"\0\0"


def answers(message: bytes, question: bytes) -> bool:
    """Whether a message is a reply to the question (as sent, letter by letter)."""
    return len(message) >= 12 + len(question) and message[2] & 0x80 != 0 and message.startswith(question, 12)


def read(message: bytes, question: bytes, rules: Cache, now: float) -> Answer:
    """The reply to `question`; Unusable where it does not hold what it says. `until` is when it ends by `rules`."""
    start = at = 12 + len(question)
    if len(message) < start:
        raise Unusable("no question")
    _, flags, questions, an, ns, ar = HEADER.unpack_from(message)
    if questions != 1:
        raise Unusable("not one question")
    ttls: list[int] = []
    least, negative = LARGEST_TTL, -1
    run: list[tuple[int, int, int]] = []  # offset, size, type: records of addresses in a row
    end = number = 0  # of what goes to the asker, where an OPT record cuts it short
    try:
        for i in range(an + ns + ar):
            begin = at
            at = at + 2 if message[at] >= 0xC0 else skip_name(message, at)  # most names are pointers
            kind, _, ttl, length = FIXED.unpack_from(message, at)
            if kind == OPT:
                # RFC 6891 6.1.1: one, in the additional section. Its first octet of TTL makes rcodes of 12 bits, none of which
                # is an answer to what we ask.
                if end or i < an + ns or ttl >> 24:
                    raise Unusable("OPT out of place")
                end, number = begin, i - an - ns
            elif not end:
                ttls.append(at + 4 - start)
                ttl = ttl if ttl <= LARGEST_TTL else 0
                if i < an or (kind == SOA and i < an + ns):
                    least = min(least, ttl)
                if kind == SOA and an <= i < an + ns and length >= 20:
                    negative = min(ttl, int.from_bytes(message[at + 6 + length : at + 10 + length], "big"))
                if i < an and kind in (A, AAAA):
                    run.append((begin - start, at + 10 + length - begin, kind))
            at += 10 + length
            if at > len(message):
                raise Unusable("records beyond its end")
    except Unusable:
        raise
    except Exception as e:
        raise Unusable("cut short") from e
    # What stands behind an OPT may point behind it, and would point astray without it: beside the answer, it is left out.
    body = message[start : end or at]
    code = flags & 15
    ttl = least if an else negative
    keep = lifetime(code, an, ttl, rules)
    if ttls and keep and not keep == ttl == least:
        body = _bounded(body, ttls, int(keep))
    return Answer(
        (flags & (RA | AD)) | (flags & TC) | code,
        (an, ns, number if end else ar),
        body,
        _run(run),
        (),
        tuple(ttls),
        now,
        now + keep,
    )


def _bounded(body: bytes, ttls: list[int], keep: int) -> bytes:
    """No TTL outlives the time that the reply is kept, as CoreDNS has it; the least is at least that."""
    out = bytearray(body)
    for at in ttls:
        out[at : at + 4] = keep.to_bytes(4, "big")
    return bytes(out)


def _run(found: list[tuple[int, int, int]]) -> tuple[int, int, int]:
    if len(found) < 2:
        return (0, 0, 0)
    start, size, kind = found[0]
    for i, row in enumerate(found):
        if row != (start + i * size, size, kind):
            return (0, 0, 0)
    return (start, size, len(found))


def lifetime(code: int, answered: int, ttl: int, rules: Cache) -> float:
    """Seconds that a reply may be kept (RFC 2308 5: a denial without SOA is not kept at all); 0: not."""
    if code == NOERROR and answered:
        return float(max(min(ttl, rules.max_ttl), rules.min_ttl))
    if code in (NOERROR, NXDOMAIN):
        return float(max(min(ttl, rules.denial_max_ttl), rules.denial_min_ttl)) if ttl >= 0 else 0.0
    return rules.servfail_ttl if code == SERVFAIL else 0.0
