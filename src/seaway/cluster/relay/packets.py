"""DNS messages as the relay sees them: a header, one question, and the rest, which is nobody's business here; pure."""

from __future__ import annotations

HEADER = 12
QR, TC, RD = 0x80, 0x02, 0x01  # of the third byte
SERVFAIL = 2
NEXT_SERVER = (2, 4, 5)  # SERVFAIL, NOTIMP, REFUSED: another server may know (as glibc has it)
NAME_LIMIT = 255


def question_end(packet: bytes) -> int:
    """Where the one question of a message ends; 0: there is not exactly one, or it cannot be read."""
    if len(packet) < HEADER or packet[4:6] != b"\0\1":
        return 0
    at = HEADER
    while at < len(packet):
        length = packet[at]
        at += 1 + length
        if not length:
            return at + 4 if at + 4 <= len(packet) and at - HEADER <= NAME_LIMIT else 0
        if length > 63:  # RFC 1035 4.1.4: a pointer has nothing to point to yet
            return 0
    return 0


def is_query(packet: bytes) -> bool:
    """A standard query with one question; all else is not forwarded, answers least of all."""
    return len(packet) >= HEADER and not packet[2] & QR and not packet[2] & 0x78 and question_end(packet) > 0


def is_answer(query: bytes, packet: bytes) -> bool:
    """Whether `packet` answers `query`: the same id, the same question but for its case. An error may come without one."""
    if len(packet) < HEADER or packet[:2] != query[:2] or not packet[2] & QR or packet[2] & 0x78:
        return False
    end = question_end(packet)
    if not end:
        return packet[4:6] == b"\0\0" and packet[3] & 15 != 0
    return packet[HEADER:end].lower() == query[HEADER : question_end(query)].lower()


def asks_another(answer: bytes) -> bool:
    """Whether the next server may know better."""
    return answer[3] & 15 in NEXT_SERVER


def with_id(packet: bytes, name: bytes) -> bytes:
    return name + packet[2:]


def failure(query: bytes) -> bytes:
    """SERVFAIL to a query."""
    flags = bytes((QR | query[2] & (0x78 | RD), 0x80 | SERVFAIL))
    return query[:2] + flags + b"\0\1\0\0\0\0\0\0" + query[HEADER : question_end(query)]
