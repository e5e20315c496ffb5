"""What a worker counts of its replies, and under which labels: little at each reply, the rest when somebody asks; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from seaway.dns import wire
from seaway.dns.answer import Answer
from seaway.dns.presentation import TYPES, rcode_word
from seaway.dns.table import Hot, Labels, Table
from seaway.dns.tally import DURATIONS, SIZES, Histogram, Tally
from seaway.dns.wire import Query

LABELS = 4096  # kinds of replies that are counted apart before they are added up
SOURCES = ("", "kubernetes", "forward")  # the plugin that knew, in metrics
METRIC_TYPES = {
    TYPES[t]: t
    for t in "A AAAA MX SOA CNAME PTR TXT NS SRV DS DNSKEY RRSIG NSEC NSEC3 HTTPS SVCB IXFR AXFR ANY HINFO NAPTR CAA".split()
}


class Sink(Protocol):
    """Where replies go. `proto` udp, tcp or tls; `family` 1 or 2, as CoreDNS's metrics number them."""

    proto: str
    family: str
    limit: int
    hot: Hot
    counted: dict[Labels, int]

    def send(self, reply: bytes, address: tuple[object, ...]) -> None: ...


class Counting:
    """A port's counts, on their way to the tally."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._same: dict[Labels, Labels] = {}
        self._durations: dict[bytes, Histogram] = {}

    @staticmethod
    def labels(query: Query, answer: Answer, zone: bytes, size: int) -> Labels:
        """What a reply is counted under."""
        source = 1 if answer.flags & wire.AA else 2 if answer.ttls else 0
        kind = query.kind if query.kind in METRIC_TYPES else 0
        asked = len(query.question) + (23 if query.edns else 12)
        return (zone, kind, answer.flags & 15, source, asked, size, query.do)

    def same(self, labels: Labels) -> Labels:
        """One value for all that are alike, since each image holds it."""
        if len(self._same) > LABELS:
            self._same.clear()
        return self._same.setdefault(labels, labels)

    def took(self, zone: bytes) -> Histogram:
        found = self._durations.get(zone)
        if found is None:
            text = wire.to_text(zone) if zone else "dropped"
            found = self._durations[zone] = self._tally.histogram("duration", (text,), DURATIONS)
        return found

    def fold(self, sink: Sink) -> None:
        """A sink's counts go to the tally."""
        for labels, number in sink.counted.items():
            self.count(labels, sink, number)
        sink.counted.clear()

    def fold_dropped(self, table: Table, sinks: Sequence[Sink]) -> None:
        """What a table's images that went had counted goes to the tally."""
        for labels, number in table.counted.items():
            self.count(labels, sinks[0], number)
        table.counted.clear()

    def count(self, labels: Labels, sink: Sink, number: int) -> None:
        """`number` replies of the same labels."""
        zone, kind, rcode, source, asked, size, do = labels
        tally, text = self._tally, wire.to_text(zone) if zone else "dropped"
        tally.add("requests", (text, sink.proto, sink.family, METRIC_TYPES.get(kind, "other")), number)
        tally.add("responses", (text, rcode_word(rcode), SOURCES[source]), number)
        if do:
            tally.add("do", (text,), number)
        tally.histogram("request_size", (text, sink.proto), SIZES).observe(asked, number)
        tally.histogram("response_size", (text, sink.proto), SIZES).observe(size, number)

