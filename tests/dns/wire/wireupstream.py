"""A name server for the forwarder to ask: a table of names, by UDP and TCP, with a count of what it was asked."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from collections import Counter
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset

Tree = dict[str, Any]


class Upstream:
    """`table` maps a name to {type: [data], ttl: seconds, is: rcode or silence}; an unknown name is NXDOMAIN."""

    def __init__(self, address: tuple[str, int], table: Tree, zone: str) -> None:
        self.table = {k.lower(): v for k, v in table.items()}
        self.zone = zone
        self.asked: Counter[str] = Counter()  # `name type`
        self.by: dict[str, set[str]] = {}  # `name type` to the transports
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(address)
        self._tcp = socket.create_server(address)
        for run in (self._datagrams, self._connections):
            threading.Thread(target=run, daemon=True).start()

    def answer(self, packet: bytes, by_udp: bool) -> bytes:
        try:
            query = dns.message.from_wire(packet)
        except dns.exception.DNSException:
            return b""
        if query.flags & dns.flags.QR or not query.question:
            return b""
        asked = query.question[0]
        name = str(asked.name).lower()
        key = f"{name} {dns.rdatatype.to_text(asked.rdtype)}"
        self.asked[key] += 1
        self.by.setdefault(key, set()).add("udp" if by_udp else "tcp")
        if self.table.get(name, {}).get("is") == "silence":
            return b""
        reply = dns.message.make_response(query, recursion_available=True, our_payload=1232)
        at, seen = name, set()
        while at not in seen:
            seen.add(at)
            row = self.table.get(at)
            if row is None:
                reply.set_rcode(dns.rcode.NXDOMAIN)
                break
            if "is" in row:
                reply.set_rcode(dns.rcode.from_text(row["is"]))
                break
            kind = dns.rdatatype.to_text(asked.rdtype)
            target = row.get("CNAME") if kind != "CNAME" else None
            # The question's own spelling in the answer, as servers do.
            owner = str(asked.name) if at == name else at
            if target:
                reply.answer.append(dns.rrset.from_text(owner, row.get("ttl", 300), "IN", "CNAME", target))
                at = target
                continue
            if kind in row:
                data = row[kind] if isinstance(row[kind], list) else [row[kind]]
                reply.answer.append(dns.rrset.from_text(owner, row.get("ttl", 300), "IN", kind, *data))
            break
        if reply.rcode() == dns.rcode.NXDOMAIN or (reply.rcode() == dns.rcode.NOERROR and not reply.answer):
            text = f"ns.{self.zone} host.{self.zone} 7 3600 600 86400 60"
            reply.authority.append(dns.rrset.from_text(self.zone, 60, "IN", "SOA", text))
        limit = max(512, query.payload if query.edns >= 0 else 512)
        if by_udp:
            try:
                return reply.to_wire(max_size=limit)
            except dns.exception.TooBig:
                reply.answer.clear()
                reply.flags |= dns.flags.TC
        return reply.to_wire(max_size=65535)

    def _datagrams(self) -> None:
        while True:
            packet, peer = self._udp.recvfrom(65535)
            if reply := self.answer(packet, True):
                self._udp.sendto(reply, peer)

    def _connections(self) -> None:
        watched = selectors.DefaultSelector()
        watched.register(self._tcp, selectors.EVENT_READ)
        kept: dict[Any, bytes] = {}
        while True:
            for key, _ in watched.select():
                one: Any = key.fileobj
                if one is self._tcp:
                    made, _ = self._tcp.accept()
                    watched.register(made, selectors.EVENT_READ)
                    kept[made] = b""
                    continue
                try:
                    more = one.recv(65535)
                except ConnectionError:
                    more = b""
                kept[one] += more
                while len(kept[one]) > 1 and len(kept[one]) >= 2 + (size := struct.unpack_from("!H", kept[one])[0]):
                    packet, kept[one] = kept[one][2 : 2 + size], kept[one][2 + size :]
                    if reply := self.answer(packet, False):
                        one.sendall(struct.pack("!H", len(reply)) + reply)
                if not more:
                    watched.unregister(one)
                    kept.pop(one)
                    one.close()
