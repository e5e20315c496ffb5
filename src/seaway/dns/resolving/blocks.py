"""Server blocks as a worker uses them: names as bytes, the longest zone found first; pure."""

from __future__ import annotations

from collections.abc import Iterable

from seaway.dns import wire
from seaway.dns.access import Rules
from seaway.dns.relayed import LARGEST_TTL
from seaway.dns.resolving.plugins import HostsPlugin, LogPlugin
from seaway.dns.rewriting import Rewriter
from seaway.dns.settings import Block, Cache, Forward, Name
from seaway.dns.zone.outline import Outline

# No `cache` plugin: nothing is kept, no TTL is bounded.
NO_CACHE = Cache(
    entries=0, denial_entries=0, servfail_ttl=0, min_ttl=0, denial_min_ttl=0, max_ttl=LARGEST_TTL, denial_max_ttl=LARGEST_TTL
)


class Plan:
    """A block with its plugins. `searches` are set by who has read the resolv.conf that autopath names."""

    def __init__(self, block: Block, outline: Outline | None) -> None:
        self.block, self.outline = block, outline
        self.zones = tuple(wire.name_of(z) for z in block.zones)
        self.access = Rules(block.access, self.zones)
        self.rewriting = Rewriter(block.rewrites) if block.rewrites else None
        self.hosts = HostsPlugin(block.hosts, block.zones) if block.hosts else None
        self.log = LogPlugin(block) if block.logs else None
        kubernetes = block.kubernetes
        self.cluster = tuple(wire.name_of(z) for z in kubernetes.zones) if kubernetes else ()
        self.falls = self._optional(kubernetes.fallthrough if kubernetes else None)
        self.cache = block.cache or NO_CACHE
        self.kept = self._zones(self.cache.zones) if block.cache else ()
        self.not_kept = tuple(self._optional(z) for z in (self.cache.disable_success, self.cache.disable_denial))
        self.forwards = [(f, wire.name_of(f.origin), [wire.name_of(e) for e in f.excepted]) for f in block.forwards]
        self.autopath = self._zones(block.autopath.zones) if block.autopath else ()
        plain = not (block.rewrites or block.hosts or block.autopath)
        self._direct = plain and len(block.forwards) == 1 and block.forwards[0].origin == () and not block.forwards[0].excepted
        self.walked = 0  # search paths that were walked to a name that exists
        self.searches: tuple[bytes, ...] = ()  # what follows the cluster's own domains in a pod's search path

    def _zones(self, zones: tuple[Name, ...]) -> tuple[bytes, ...]:
        return tuple(wire.name_of(z) for z in zones) or self.zones

    def _optional(self, zones: tuple[Name, ...] | None) -> tuple[bytes, ...]:
        """The zones of a fallthrough: none where it is not said, all where it names none."""
        return () if zones is None else tuple(wire.name_of(z) for z in zones) or (b"\0",)

    def rules(self, name: bytes) -> Cache:
        """The bounds of a forwarded answer."""
        if self.kept == (b"\0",) or any(wire.is_below(name, zone) for zone in self.kept):
            return self.cache
        return NO_CACHE

    def is_kept(self, name: bytes, denial: bool) -> bool:
        """Whether the `cache` plugin keeps a forwarded answer."""
        zones = self.not_kept[1 if denial else 0]
        if self.kept == (b"\0",) and not zones:
            return True
        below = any(wire.is_below(name, zone) for zone in self.kept)
        return below and not any(wire.is_below(name, zone) for zone in zones)

    def forward_for(self, name: bytes, skip: int = 0) -> tuple[int, Forward] | None:
        """The first `forward` from `skip` on that takes a name: its number and itself."""
        for i, (forward, origin, excepted) in enumerate(self.forwards[skip:], skip):
            if wire.is_below(name, origin) and not any(wire.is_below(name, e) for e in excepted):
                return i, forward
        return None

    def is_direct(self, name: bytes) -> bool:
        """Whether the first `forward` and nothing else has to do with a name."""
        return self._direct and not name.endswith(self.cluster)

    def denies_alone(self) -> bool:
        """Whether an unknown Service is NXDOMAIN whatever else stands in the block: the outline's short way may be taken."""
        block = self.block
        if not self.outline or self.autopath or self.rewriting or self.access or block.logs or block.hinfo_for_any:
            return False
        origins = self.outline.origins
        falls = any(wire.is_below(o, zone) or wire.is_below(zone, o) for o in origins for zone in self.falls)
        if falls or not all(self.hosts is None or self.hosts.passes(wire.to_name(o)) for o in origins):
            return False
        return not any(wire.is_below(n, o) for n in self.hosts_names() for o in origins)

    def hosts_names(self) -> Iterable[bytes]:
        return self.hosts.names() if self.hosts else ()


class Blocks:
    """The blocks of one port."""

    def __init__(self, plans: Iterable[Plan]) -> None:
        self.plans = tuple(plans)
        self._by_zone = {zone: plan for plan in self.plans for zone in plan.zones}
        self._only = (self.plans[0], b"\0") if list(self._by_zone) == [b"\0"] else None

    def find(self, name: bytes) -> tuple[Plan, bytes] | None:
        """The block whose zone is the longest above a name, and that zone."""
        if self._only is not None:
            return self._only
        by_zone = self._by_zone
        at = 0
        while True:
            plan = by_zone.get(name[at:])
            if plan is not None:
                return plan, name[at:]
            size = name[at]
            if not size:
                return None
            at += 1 + size

    def denies_alone(self, origins: tuple[bytes, ...]) -> bool:
        """Whether the short way holds for every name below these zones."""
        for origin in origins:
            found = self.find(b"\x03svc" + origin)
            if found is None or not found[0].denies_alone():
                return False
            if any(z != origin and wire.is_below(z, origin) for plan in self.plans for z in plan.zones):
                return False  # a block of its own for names below
        return bool(origins)
