"""An answer, kept as bytes that any asker's question fits in front of, and the images sent for it; pure.

An image is a reply without its id. The body's names point at the question (offset 12) or into the body itself; both hold for
every asker, whatever letters are capitals, since the question is as long for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from seaway.dns import wire
from seaway.dns.wire import AA, CD, FIXED, HEADER, NOERROR, NXDOMAIN, QR, RD, TC, Query

TURNS = 16  # orders of the same addresses that are kept as images


class Answer(NamedTuple):
    """`flags`: AA, RA, AD and the rcode. `counts`: records of the answer, authority and additional sections in `body`.
    `run`: (offset, size, number) of equally long address records that may take turns. `ttls`: the offsets of what counts
    down, `born` when they were right, `until` when the answer ends (monotonic seconds; inf: it goes by a watch event).
    `owners`: what it was made of: when one of them changes, it is void. `target`: the CNAME's end where it is not here."""

    flags: int
    counts: tuple[int, int, int]
    body: bytes
    run: tuple[int, int, int] = (0, 0, 0)
    owners: tuple[bytes, ...] = ()
    ttls: tuple[int, ...] = ()
    born: float = 0.0
    until: float = inf
    target: bytes = b""

    @property
    def rcode(self) -> int:
        return self.flags & 15

    @property
    def is_positive(self) -> bool:
        return self.rcode == NOERROR and self.counts[0] > 0

    @property
    def is_denial(self) -> bool:
        return self.rcode == NXDOMAIN or (self.rcode == NOERROR and not self.counts[0])


def failure(code: int, owners: tuple[bytes, ...] = ()) -> Answer:
    """An rcode and nothing else."""
    return Answer(code, (0, 0, 0), b"", owners=owners)


def of_records(
    flags: int,
    answers: Sequence[bytes],
    authority: Sequence[bytes] = (),
    additional: Sequence[bytes] = (),
    owners: tuple[bytes, ...] = (),
) -> Answer:
    """From records on the wire; address records that open the answer section may take turns."""
    number = 0
    if len(answers) > 1:
        size = len(answers[0])
        kind = answers[0][2:4]
        if size in (16, 28) and kind in (b"\0\x01", b"\0\x1c"):
            while number < len(answers) and len(answers[number]) == size and answers[number][2:4] == kind:
                number += 1
    run = (0, len(answers[0]), number) if number > 1 else (0, 0, 0)
    body = b"".join((*answers, *authority, *additional))
    return Answer(flags, (len(answers), len(authority), len(additional)), body, run, owners)


def turned(answer: Answer, turn: int) -> bytes:
    """The body with its addresses in the order of a turn."""
    start, size, number = answer.run
    if number < 2 or not (at := turn % number):
        return answer.body
    body, cut, end = answer.body, start + at * size, start + number * size
    return body[:start] + body[cut:end] + body[start:cut] + body[end:]


def aged(answer: Answer, now: float) -> Answer:
    """The answer with its TTLs as they stand now: 0 at its end."""
    if not answer.ttls:
        return answer
    passed = int(now - answer.born)
    if passed <= 0:
        return answer
    body = bytearray(answer.body)
    for at in answer.ttls:
        left = int.from_bytes(body[at : at + 4], "big") - passed
        body[at : at + 4] = max(left, 0).to_bytes(4, "big")
    return answer._replace(body=bytes(body), born=answer.born + passed)


def image(query: Query, answer: Answer, limit: int, turn: int = 0) -> bytes:
    """The reply to a query, without the id, within `limit` bytes; what does not fit is cut, and TC says so."""
    body = turned(answer, turn)
    extra = wire.opt(query)
    flags = QR | answer.flags | (query.flags & (RD | CD))
    an, ns, ar = answer.counts
    room = limit - 12 - len(query.question) - len(extra)
    if len(body) > room:
        an, ns, ar, size = cut(answer, body, room)
        if an < answer.counts[0] or (ns < answer.counts[1] and not answer.counts[0]):
            flags |= TC  # RFC 2181 9: additional records may be left out without a word
        body = body[:size]
    head = HEADER.pack(0, flags, 1, an, ns, ar + (1 if extra else 0))[2:]
    return head + query.question + body + extra


def images(query: Query, answer: Answer, limit: int) -> list[bytes]:
    """An image a turn, at most TURNS of them."""
    first = image(query, answer, limit)
    number = min(answer.run[2], TURNS)
    if number < 2 or len(first) > 700:
        number = min(number, 4)  # long ones are kept in few orders: they are rare, and memory is not
    return [first, *(image(query, answer, limit, turn) for turn in range(1, number))]


def cut(answer: Answer, body: bytes, room: int) -> tuple[int, int, int, int]:
    """(answer, authority, additional) records that fit in `room` bytes, and their size. Whole record sets are not kept
    together: as CoreDNS, as many records as fit."""
    kept = [0, 0, 0]
    at = 0
    for section, count in enumerate(answer.counts):
        for _ in range(count):
            end = wire.skip_name(body, at)
            end += 10 + FIXED.unpack_from(body, end)[3]
            if end > room:
                return kept[0], kept[1], kept[2], at
            kept[section] += 1
            at = end
    return kept[0], kept[1], kept[2], at


def minimal(answer: Answer) -> Answer:
    """Without what stands beside the answer (the `minimal` plugin)."""
    an, ns, ar = answer.counts
    if not an or not (ns or ar):
        return answer
    size = cut(answer._replace(counts=(an, 0, 0)), answer.body, len(answer.body))[3]
    ttls = tuple(t for t in answer.ttls if t < size)
    return answer._replace(counts=(an, 0, 0), body=answer.body[:size], ttls=ttls)


def joined(first: Answer, target: bytes, rest: Answer) -> Answer:
    """A CNAME and what its target's question was answered with: `rest`'s records are written anew, since their owner is
    the target and no longer the question."""
    records = wire_records(rest, target)
    flags = (first.flags & AA) | (rest.flags & TC) | NOERROR
    body = first.body + b"".join(records)
    counts = (first.counts[0] + len(records), 0, 0)
    until = min(first.until, rest.until)
    ttls = (*first.ttls, *_ttls(body, len(first.body), len(records))) if rest.ttls or first.ttls else ()
    return Answer(flags, counts, body, owners=(*first.owners, *rest.owners), ttls=ttls, born=rest.born, until=until)


def wire_records(answer: Answer, question_name: bytes, section: int = 0) -> list[bytes]:
    """A section's records with names written out in full: owner, and the data of types that hold names."""
    message = b"\0" * 12 + question_name + b"\0" * 4 + answer.body
    at = 12 + len(question_name) + 4
    found = []
    for _ in range(sum(answer.counts[:section])):
        at = wire.skip_name(message, at)
        at += 10 + FIXED.unpack_from(message, at)[3]
    for _ in range(answer.counts[section]):
        owner, at = expand(message, at)
        kind, cls, ttl, length = FIXED.unpack_from(message, at)
        data = message[at + 10 : at + 10 + length]
        if kind in (wire.CNAME, wire.PTR, wire.NS):
            data = expand(message, at + 10)[0]
        elif kind == wire.MX:
            data = data[:2] + expand(message, at + 12)[0]
        elif kind == wire.SRV:
            data = data[:6] + expand(message, at + 16)[0]
        elif kind == wire.SOA:
            primary, end = expand(message, at + 10)
            mailbox, end = expand(message, end)
            data = primary + mailbox + message[end : at + 10 + length]
        found.append(owner + FIXED.pack(kind, cls, ttl, len(data)) + data)
        at += 10 + length
    return found


def _ttls(body: bytes, at: int, count: int) -> list[int]:
    found = []
    for _ in range(count):
        at = wire.skip_name(body, at)
        found.append(at + 4)
        at += 10 + FIXED.unpack_from(body, at)[3]
    return found


def expand(message: bytes, at: int) -> tuple[bytes, int]:
    """A name that may be compressed, written out, and the offset after it; ValueError where its pointers run in circles."""
    parts, after, jumps, total = [], 0, 0, 1
    while size := message[at]:
        if size >= 0xC0:
            after = after or at + 2
            target = ((size & 0x3F) << 8) | message[at + 1]
            jumps += 1
            if target >= at or jumps > 64:  # only backwards (RFC 1035 4.1.4: a prior occurrence)
                raise ValueError("a compression pointer that does not point back")
            at = target
            continue
        if size > 63:
            raise ValueError("a reserved label type")
        parts.append(message[at : at + 1 + size])
        total += 1 + size
        if total > 255:
            raise ValueError("a name over 255 bytes")
        at += 1 + size
    return b"".join(parts) + b"\0", after or at + 1
