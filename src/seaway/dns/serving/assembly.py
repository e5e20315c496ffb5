"""What every answering process is made of: blocks, tables, engines and upstreams of each port, as the settings say."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from seaway.dns import tally as tallies
from seaway.dns import wire
from seaway.dns.access import Clients
from seaway.dns.answer import Answer
from seaway.dns.resolving.blocks import Blocks, Plan
from seaway.dns.resolving.counting import LABELS, METRIC_TYPES, Sink
from seaway.dns.resolving.course import Question
from seaway.dns.resolving.engine import Engine, Zone
from seaway.dns.settings import AccessRule, Forward, Kubernetes, Settings, Upstream
from seaway.dns.table import Table
from seaway.dns.tally import SIZES, Row, Tally
from seaway.dns.upstreams import resolvconf
from seaway.dns.upstreams.connections import BothWays, StreamWay
from seaway.dns.upstreams.datagrams import Ids, Loop, UdpWay
from seaway.dns.upstreams.exchange import Relay, Way
from seaway.dns.zone.denials import Denials
from seaway.dns.zone.outline import Outline

PART = 100_000  # bytes of counts in a message
PROBES = (0.2, 1.0, 5.0)  # seconds after the start at which loops are looked for: a packet may be lost


class Upstreams:
    """The relays of all blocks of a port."""

    def __init__(self, relays: dict[Plan, list[Relay]]) -> None:
        self._relays = relays

    def ask(self, plan: Plan, number: int, question: Question, then: Callable[[Answer | None], None]) -> None:
        self._relays[plan][number].ask(question, plan.rules(question.name), then)

    def are_down(self, plan: Plan, name: bytes) -> bool:
        chosen = plan.forward_for(name)
        return chosen is not None and self._relays[plan][chosen[0]].choice.all_down


class Port:
    """The blocks of one port, as one process answers them."""

    def __init__(self, blocks: Blocks, engine: Engine, table: Table, clients: Clients) -> None:
        self.blocks, self.engine, self.table, self.clients = blocks, engine, table, clients
        self.sinks: list[Sink] = []


def kubernetes_of(settings: Settings) -> Kubernetes | None:
    """The one `kubernetes` there is: blocks that name it name the same."""
    return next((b.kubernetes for b in settings.blocks if b.kubernetes), None)


class Assembly:
    """`streams`: whether the askers come by TCP, so that upstreams are asked again by TCP for what UDP cut short."""

    def __init__(self, settings: Settings, loop: Loop, streams: bool, read: Callable[[str], str | None]) -> None:
        self.settings, self.loop, self.tally = settings, loop, Tally()
        self._streams, self._read = streams, read
        kubernetes = kubernetes_of(settings)
        self.outline = Outline(kubernetes or Kubernetes(zones=()))
        self.ports: dict[tuple[str, int], Port] = {}
        self.denials: list[tuple[Port, Sink, Denials]] = []
        self._hosts: dict[Plan, str | None] = {}
        self._ids = Ids()
        self._relays: dict[Plan, list[Relay]] = {}

    def build(self, zone: Zone) -> None:
        groups: dict[tuple[str, int], list[Plan]] = {}
        for block in self.settings.blocks:
            plan = Plan(block, self.outline if block.kubernetes else None)
            if block.autopath and block.autopath.file:
                plan.searches = self._searches(block.autopath.file)
            groups.setdefault((block.transport, block.port), []).append(plan)
            if block.hosts:
                self._hosts[plan] = None
        for group, plans in groups.items():
            self.ports[group] = self._port(plans, zone)
        self.read_hosts()

    def _port(self, plans: list[Plan], zone: Zone) -> Port:
        blocks = Blocks(plans)
        table = Table(max(p.cache.entries for p in plans), max(p.cache.denial_entries for p in plans))
        chance = random.SystemRandom()
        relays = {
            plan: [Relay(f, self._way, chance, self.loop, self.tally) for f, _, _ in plan.forwards] for plan in plans
        }
        rules: list[AccessRule] = [r for p in plans for r in p.block.access]
        clients = Clients(self.settings.client_limit, tuple(rules))
        self._relays.update(relays)
        engine = Engine(blocks, table, zone, Upstreams(relays), self.loop, self.tally)
        return Port(blocks, engine, table, clients)

    def _way(self, upstream: Upstream, forward: Forward) -> Way:
        stream = StreamWay(upstream, self.loop, self._ids, forward.tls, forward.expire, forward.source)
        if upstream.tls or forward.force_tcp:
            return stream
        udp = UdpWay(upstream, self.loop, self._ids, forward.source)
        return BothWays(udp, stream) if self._streams else udp

    def _searches(self, path: str) -> tuple[bytes, ...]:
        names = []
        for text in resolvconf.read(self._read(path) or "").searches:
            try:
                names.append(wire.from_text(text))
            except ValueError:
                continue
        return tuple(names)

    def watch_loops(self, token: bytes, tell: Callable[[str, int], None]) -> None:
        """Sends each upstream a question that only this server knows, and listens for it. `token` is the same in all the
        server's processes: the probe of one comes in at another."""
        for plan, relay in ((p, r) for p, relays in self._relays.items() for r in relays):
            if not plan.block.loop:
                continue
            for target in relay.choice.targets:
                upstream = target.upstream
                told = f"{upstream.host}-{upstream.port}".replace(":", "-").replace(".", "-").encode()
                name = bytes((len(told),)) + told + bytes((len(token),)) + token + plan.zones[0]
                for port in self.ports.values():
                    port.engine.probes[name] = partial(tell, upstream.host, upstream.port)
                for delay in PROBES:
                    self.loop.later(delay, partial(relay.loop_probe, target, name))

    def looped(self, host: str, port: int) -> None:
        for relay in (r for relays in self._relays.values() for r in relays):
            for target in relay.choice.targets:
                if (target.upstream.host, target.upstream.port) == (host, port):
                    relay.choice.exclude(target)

    def void(self, owners: list[bytes] | None) -> None:
        """What the zone said of these is no longer so; None: of all."""
        for port in self.ports.values():
            port.engine.void(owners)

    def second(self) -> None:
        for port in self.ports.values():
            port.clients.second()
            if len(port.table.counted) > LABELS:
                port.engine.counting.fold_dropped(port.table, port.sinks)

    def read_hosts(self) -> None:
        """The hosts files, where they changed."""
        changed = False
        for plan, before in self._hosts.items():
            hosts = plan.block.hosts
            text = self._read(hosts.file) if hosts and hosts.file else ""
            if plan.hosts and (text != before or before is None):
                plan.hosts.load(text or "")
                self._hosts[plan] = text or ""
                changed = True
        if changed:
            for port in self.ports.values():
                port.table.clear()

    @property
    def hosts_interval(self) -> float:
        """Seconds between looks at the hosts files; 0: never."""
        return min((p.block.hosts.reload for p in self._hosts if p.block.hosts and p.block.hosts.reload), default=0.0)

    # counts

    def counts(self) -> list[bytes]:
        """All counts so far, in parts that fit a message."""
        self._fold()
        rows = self.tally.rows()
        parts: list[list[Row]] = [[]]
        size = 0
        for row in rows:
            if size > PART:
                parts.append([])
                size = 0
            parts[-1].append(row)
            size += 40 + len(row[0]) + sum(len(v) for v in row[1])
        return [tallies.pack(part) for part in parts]

    def _fold(self) -> None:
        """What the hot path counted in its images goes to the tally."""
        positive = denials = evictions = 0
        for port in self.ports.values():
            for sink in port.sinks:
                port.engine.counting.fold(sink)
                for image in sink.hot.values():
                    if image.hits != image.told:
                        port.engine.counting.count(image.labels, sink, image.hits - image.told)
                        image.told = image.hits
            port.engine.counting.fold_dropped(port.table, port.sinks)
            sizes = port.table.sizes()
            positive, denials, evictions = positive + sizes[0], denials + sizes[1], evictions + port.table.evictions
        self.tally.set("cache_entries", ("success",), positive)
        self.tally.set("cache_entries", ("denial",), denials)
        self.tally.set("evictions", (), evictions)
        self.tally.set("autopath", (), sum(plan.walked for port in self.ports.values() for plan in port.blocks.plans))
        self._fold_denied()
        self._fold_cache()

    def _fold_cache(self) -> None:
        """Hits are what was said of forwarded names and not missed."""
        said = {"success": 0.0, "denial": 0.0}
        for (what, labels), number in self.tally.numbers.items():
            if what == "responses" and labels[2] == "forward":
                said["denial" if labels[1] == "NXDOMAIN" else "success"] += number
        missed = self.tally.numbers.get(("cache_misses", ()), 0.0)
        self.tally.set("cache_requests", (), sum(said.values()))
        self.tally.set("cache_hits", ("success",), max(said["success"] - missed, 0.0))
        self.tally.set("cache_hits", ("denial",), max(said["denial"] - max(missed - said["success"], 0.0), 0.0))

    def _fold_denied(self) -> None:
        for port, sink, denials in self.denials:
            zone, proto = wire.to_text(port.blocks.plans[0].zones[0]), sink.proto
            for (kind, size, said), number in denials.take().items():
                text = METRIC_TYPES.get(int.from_bytes(kind, "big"), "other")
                self.tally.add("requests", (zone, proto, sink.family, text), number)
                self.tally.add("responses", (zone, "NXDOMAIN", "kubernetes"), number)
                self.tally.histogram("request_size", (zone, proto), SIZES).observe(size, number)
                self.tally.histogram("response_size", (zone, proto), SIZES).observe(said, number)


def read_file(path: str) -> str | None:
    """A file's text; None where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read(1 << 20)
    except OSError:
        return None
