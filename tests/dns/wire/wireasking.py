"""One question to a server by one transport, and what is wrong with the answer: dnspython reads it, not our own code."""

from __future__ import annotations

import random
import re
import socket
import struct
import time
from collections import Counter
from typing import Any

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
from wirecases import ZONE, Question

WAIT = 2.0
TRANSPORTS = (("udp", 4), ("udp", 6), ("tcp", 4), ("tcp", 6))
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
CODES = {"ok": "NOERROR", "nodata": "NOERROR"}
TYPES = {"A", "AAAA", "CNAME", "SRV", "PTR", "TXT", "SOA", "NS", "MX", "HINFO"}
TIMERS = (7200, 1800, 86400)


class Asker:
    """Sockets to one server: a datagram socket and a connection a family and source address, used again."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._sockets: dict[tuple[str, int, str, str], socket.socket] = {}

    def close(self) -> None:
        for one in self._sockets.values():
            one.close()

    def _socket(self, key: tuple[str, int, str, str]) -> socket.socket:
        transport, family, source, to = key
        if key not in self._sockets:
            made = socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
            made.settimeout(WAIT)
            if source:
                made.bind((source, 0))
            made.connect((to or LOOPBACK[family], self.port))
            self._sockets[key] = made
        return self._sockets[key]

    def _drop(self, key: tuple[str, int, str, str]) -> None:
        self._sockets.pop(key).close()

    def exchange(self, packet: bytes, transport: str, family: int, source: str = "", to: str = "", wait: float = WAIT) -> bytes:
        """The reply's bytes; empty: none came in time, or the connection was closed."""
        key = (transport, family, source, to)
        for attempt in (1, 2):
            used = self._socket(key)
            used.settimeout(wait)
            try:
                if transport == "udp":
                    used.send(packet)
                    end = time.monotonic() + wait
                    while time.monotonic() < end:
                        reply = used.recv(65535)
                        if reply[:2] == packet[:2]:
                            return reply
                    return b""
                used.sendall(struct.pack("!H", len(packet)) + packet)
                return _read(used, struct.unpack("!H", _read(used, 2))[0])
            except TimeoutError:
                self._drop(key)
                return b""
            except (ConnectionError, EOFError):
                self._drop(key)  # an idle connection ends; one that has just been made does not
                if attempt == 2:
                    return b""
        return b""


def _read(used: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = used.recv(count - len(found))
        if not more:
            raise EOFError
        found += more
    return found


def packet(question: Question) -> bytes:
    row = question.row
    if "packet" in row:
        return _packed(row["packet"])
    cls = dns.rdataclass.from_text(row.get("class", "IN"))
    kind = dns.rdatatype.from_text(question.type)
    options: dict[str, Any] = {}
    if row.get("edns") or row.get("do") or "version" in row:
        options = {"use_edns": row.get("version", 0), "payload": row.get("edns") or 1232, "want_dnssec": bool(row.get("do"))}
    query = dns.message.make_query(question.name, kind, cls, **options)
    query.id = random.randrange(65536)
    if not row.get("rd", True):
        query.flags &= ~dns.flags.RD
    if row.get("cd"):
        query.flags |= dns.flags.CD
    if "opcode" in row:
        query.set_opcode(dns.opcode.from_text(row["opcode"]))
    return query.to_wire()


def _packed(parts: list[str]) -> bytes:
    """Hexadecimal digits, and `name:web.x.` for a name in wire form."""
    found = struct.pack("!H", random.randrange(65536))
    for part in parts:
        found += dns.name.from_text(part[5:]).to_wire() if part.startswith("name:") else bytes.fromhex(part)
    return found


def _rows(section: list[Any]) -> list[tuple[str, str, str, int]]:
    """(owner, type, data, TTL) of a section, an entry a record."""
    return [(str(s.name), dns.rdatatype.to_text(s.rdtype), str(r), s.ttl) for s in section for r in s]


def wanted_row(entry: Any, question: Question) -> tuple[str, str, str]:
    words = str(entry).split(" ")
    if len(words) > 2 and words[1] in TYPES:
        return words[0].lower(), words[1], " ".join(words[2:]).lower()
    return question.name.lower(), question.type, str(entry).lower()


def _same(wanted: list[tuple[str, str, str]], found: list[tuple[str, str, str, int]]) -> bool:
    """As multisets; the weight of an SRV record may be left open (`*`)."""
    def open_weight(rows: list[tuple[str, str, str]], all_open: bool) -> Counter[tuple[str, str, str]]:
        return Counter((o, t, re.sub(r"^(\d+) (\d+|\*) ", r"\1 * ", d) if t == "SRV" and all_open else d) for o, t, d in rows)

    any_open = any(t == "SRV" and d.split(" ")[1] == "*" for _, t, d in wanted)
    lower = [(o.lower(), t, d.lower()) for o, t, d, _ in found]
    return open_weight(wanted, any_open) == open_weight(lower, any_open)


def ours(name: str) -> bool:
    lower = name.lower()
    return lower.endswith((ZONE, "in-addr.arpa.", "ip6.arpa."))


def check(question: Question, query: bytes, reply: bytes, transport: str) -> list[str]:
    """What is wrong with a reply."""
    row = question.row
    if row.get("silence"):
        return [f"an answer of {len(reply)} bytes where there must be none"] if reply else []
    if not reply:
        return ["no answer"]
    try:
        answer = dns.message.from_wire(reply)
    except dns.exception.DNSException as e:
        if "packet" not in row:
            return [f"unreadable: {type(e).__name__}: {e} {reply.hex()}"]
        code = reply[3] & 15
        wrong = [] if reply[2] & 0x80 else ["QR is not set"]
        return wrong + _code(row, dns.rcode.to_text(code))  # type: ignore[arg-type]
    wrong = [] if answer.flags & dns.flags.QR else ["QR is not set"]
    if reply[:2] != query[:2]:
        wrong.append("another id")
    code = answer.rcode()
    wrong += _code(row, dns.rcode.to_text(code))
    if "packet" in row:
        return wrong
    return wrong + _head(question, query, answer, reply, transport) + _sections(question, answer, transport)


def _code(row: dict[str, Any], code: str) -> list[str]:
    wanted = row.get("is", "ok")
    allowed = [CODES.get(w, w.upper()) for w in (wanted if isinstance(wanted, list) else [wanted])]
    return [] if code in allowed else [f"rcode {code}, not {' or '.join(allowed)}"]


def _head(question: Question, query: bytes, answer: dns.message.Message, reply: bytes, transport: str) -> list[str]:
    row, wrong = question.row, []
    # RFC 1035 4.1.2 and 0x20: the question comes back byte for byte, in the asker's case.
    end = 12 + len(dns.name.from_text(question.name).to_wire()) + 4
    unread = not answer.question and answer.rcode() in (dns.rcode.NOTIMP, dns.rcode.FORMERR)
    if reply[12:end] != query[12:end] and not unread:
        wrong.append(f"the question is not echoed: {[str(q) for q in answer.question]}")
    if bool(answer.flags & dns.flags.RD) != row.get("rd", True):
        wrong.append("RD is not the query's")
    if row.get("cd") and not answer.flags & dns.flags.CD:
        wrong.append("CD is not copied (RFC 4035 3.2.2)")
    if answer.flags & dns.flags.AD:
        wrong.append("AD is set, nothing was validated")
    aa = row.get("aa", True if ours(question.name) and answer.rcode() in (0, 3) and row.get("class", "IN") == "IN" else None)
    for name, wanted, flag in (("AA", aa, dns.flags.AA), ("RA", row.get("ra"), dns.flags.RA)):
        if wanted is not None and bool(answer.flags & flag) != wanted:
            wrong.append(f"{name} is {bool(answer.flags & flag)}")
    tc = bool(answer.flags & dns.flags.TC)
    # By TCP nothing is cut, but for what is more than a message may hold (`least`).
    wanted_tc = row.get("tc", False) if transport == "udp" else "least" in row
    if wanted_tc != "any" and tc != wanted_tc:
        wrong.append(f"TC is {tc}")
    asked = dns.message.from_wire(query)
    if row.get("edns_reply") != "any":
        if (answer.edns >= 0) != (asked.edns >= 0):
            wrong.append("OPT in the answer exactly if there is one in the query (RFC 6891 6.1.1)")
        if asked.edns >= 0 and answer.edns > 0:
            wrong.append(f"EDNS version {answer.edns}")
        if row.get("do") and not answer.ednsflags & dns.flags.DO:
            wrong.append("DO is not copied (RFC 3225 3)")
    if transport == "udp":
        limit = min(max(asked.payload, 512), 1232) if asked.edns >= 0 else 512
        if len(reply) > row.get("size", limit):
            wrong.append(f"{len(reply)} bytes by UDP, the limit is {limit}")
    return wrong


def _sections(question: Question, answer: dns.message.Message, transport: str) -> list[str]:
    row, wrong = question.row, []
    kind = row.get("is", "ok")
    found = _rows(answer.answer)
    truncated = bool(answer.flags & dns.flags.TC)
    lower = question.name.lower()
    for owner, *_ in found:
        if owner.lower() == lower and owner != question.name:
            wrong.append(f"the asker's case is not echoed: {owner}")
    if "answer" in row and row["answer"] != "any" and not truncated:
        wanted = [wanted_row(e, question) for e in row["answer"]]
        if not _same(wanted, found):
            wrong.append(f"answer {sorted(' '.join((o, t, d)) for o, t, d, _ in found)}, not {sorted(' '.join(w) for w in wanted)}")
    elif "count" in row and not truncated and len(found) != row["count"]:
        wrong.append(f"{len(found)} records in the answer, not {row['count']}")
    elif kind not in ("ok",) and "answer" not in row and found:
        wrong.append(f"answer {found}, where none is due")
    elif kind == "ok" and "answer" not in row:
        raise AssertionError(f"{question}: say what the answer is")
    ttl = row.get("ttl", 5 if ours(question.name) else None)
    if transport == "tcp" and len(found) < row.get("least", 0):
        wrong.append(f"{len(found)} records in the answer, not {row['least']} at least")
    if ttl is not None:
        low, high = ttl if isinstance(ttl, list) else (ttl, ttl)
        for owner, rtype, _, seen in found:
            if not low <= seen <= high:
                wrong.append(f"TTL of {owner} {rtype} is {seen}, not {ttl}")
    wrong += _negative(question, answer, 5 if ttl is None or isinstance(ttl, list) else ttl)
    if "authority" in row:
        got = [(o.lower(), t, d.lower()) for o, t, d, _ in _rows(answer.authority)]
        if sorted(got) != sorted(wanted_row(e, question) for e in row["authority"]):
            wrong.append(f"authority {got}")
    extra = {(o.lower(), t, d.lower()) for o, t, d, _ in _rows(answer.additional)}
    if "additional" in row:
        allowed = {wanted_row(e, question) for e in row["additional"]}
        if extra - allowed:
            wrong.append(f"additional {sorted(extra - allowed)} is not what the answer speaks of")
    return wrong


def _negative(question: Question, answer: dns.message.Message, ttl: int) -> list[str]:
    """A negative answer says how long it holds, and of which zone: an SOA record above the name asked for (RFC 2308)."""
    kind, row = question.row.get("is", "ok"), question.row
    if not row.get("soa", kind in ("nodata", "nxdomain") and ours(question.name)):
        return []
    records = [(s, r) for s in answer.authority for r in s if s.rdtype == dns.rdatatype.SOA]
    if len(records) != 1:
        return [f"{len(records)} SOA records in the authority section"]
    owner, soa = records[0]
    wrong = []
    zone = str(owner.name).lower()
    if not question.name.lower().endswith(zone):
        wrong.append(f"the SOA record is {zone}'s, which does not hold the name")
    if (str(soa.mname).lower(), str(soa.rname).lower()) != (f"ns.dns.{zone}", f"hostmaster.{zone}"):
        wrong.append(f"SOA {soa.mname} {soa.rname}")
    if (soa.refresh, soa.retry, soa.expire) != TIMERS or soa.serial == 0:
        wrong.append(f"SOA timers {soa}")
    if soa.minimum != ttl or owner.ttl != min(ttl, 300):
        wrong.append(f"SOA minimum {soa.minimum} TTL {owner.ttl}, not {ttl}")
    return wrong
