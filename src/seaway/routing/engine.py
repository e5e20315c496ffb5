"""The engine: objects go in as they change, what changes for each fleet and what statuses are wanted come out.

It keeps state and does no I/O. What it holds in the end depends on the objects alone, never on the order in which they came.
"""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from seaway.api.tree import Key
from seaway.routing import backends
from seaway.routing.certificates import certificate, trust
from seaway.routing.fleets import FleetSpec
from seaway.routing.incremental import Memo, View
from seaway.routing.ir import Cluster, Fleet, Pieces, Socket
from seaway.routing.merge import FleetState
from seaway.routing.parts import Part, Parts

Tree = dict[str, Any]


class Status(NamedTuple):
    """A status that is wanted: of `tree` only what is ours (a route's `parents` of our controller). `events`: what else its
    user should read, as (type, reason, message); each is told once, as long as it stands."""

    resource: str
    namespace: str
    name: str
    tree: Tree
    events: tuple[tuple[str, str, str], ...] = ()


class Index(NamedTuple):
    """Keys of a resource's objects under values that `of` reads from them. `presence`: only whether there are any is asked, by
    `View.has`; that costs its readers nothing when one of many comes or goes."""

    name: str
    resource: str
    of: Callable[[Tree], Iterable[str]]
    presence: bool = False


class FrontEnd(NamedTuple):
    """What a front end reads and decides. `parts` and `statuses`: a decision for every object of a resource,
    `decide(view, namespace, name)`; a status decision gives None where the object is none of ours. `counts`: names that an object
    counts for; how many do is a fact of that name. `fleets`: the fleet that an object asks for."""

    resources: tuple[str, ...]
    indexes: tuple[Index, ...]
    parts: dict[str, Callable[[View, str, str], Parts]]
    statuses: dict[str, Callable[[View, str, str], Status | None]]
    counts: dict[str, Callable[[View, str, str], tuple[tuple[str, ...], ...]]] = {}
    fleets: dict[str, Callable[[View, str, str], FleetSpec | None]] = {}


class Changes(NamedTuple):
    """What has come of the changes since the last time. `fleets`: what they do, None where that is nothing any more; `specs`:
    what they are to be, None where nobody wants them any more. `released`: objects (resource, namespace, name) that are none
    of ours, told once. `undecided`: the failures by which it is not known what fleets are to do; what they did stays."""

    fleets: dict[Fleet, Pieces | None]
    specs: dict[Fleet, FleetSpec | None]
    statuses: list[Status]
    released: list[tuple[str, str, str]]
    failures: dict[str, Exception]
    undecided: frozenset[str] = frozenset()


SHARED = FrontEnd(
    ("services", "endpointslices", "secrets", "configmaps", "namespaces"),
    (
        Index(
            backends.SLICES_OF_SERVICE,
            "endpointslices",
            lambda t: [
                f"{t['metadata'].get('namespace')}/{(t['metadata'].get('labels') or {}).get('kubernetes.io/service-name')}"
            ],
        ),
    ),
    {},
    {},
)
UNREAD = ("managedFields", "resourceVersion", "selfLink", "annotations")


def shaped(resource: str, tree: Tree) -> Tree:
    """An object without what no decision reads, so that a write of a status or a heartbeat changes nothing here. Services keep
    their status: load balancers' addresses are in it."""
    meta = {k: v for k, v in tree["metadata"].items() if k not in UNREAD}
    annotations = {
        k: v
        for k, v in (tree["metadata"].get("annotations") or {}).items()
        if not k.startswith("kubectl.kubernetes.io/last-applied")
    }
    if annotations:
        meta["annotations"] = annotations
    found = {**tree, "metadata": meta}
    if resource != "services":
        found.pop("status", None)
    return found


def _values(index: Index, tree: Tree | None) -> set[str]:
    """What an object is listed under. One that is not as its schema says (stored before that became stricter) is listed nowhere;
    its own decisions fail, and are told of."""
    try:
        return set(index.of(tree)) if tree is not None else set()
    except (AttributeError, LookupError, TypeError, ValueError):
        return set()


def _title(decision: tuple[Any, ...]) -> str:
    return f"{getattr(decision[0], '__name__', decision[0])} {decision[1:]}"


Content = Callable[[View, str], Any]
CONTENTS: dict[Content, str] = {backends.endpoints: "endpoints", certificate: "certificates", trust: "trusts"}


class _Held:
    """What a fleet has, of which its needs follow."""

    def __init__(self) -> None:
        self.sockets: dict[str, Socket] = {}
        self.clusters: dict[str, Cluster] = {}
        self.tls: set[tuple[Content, str]] = set()


class Engine:
    def __init__(self, front_ends: Iterable[FrontEnd]) -> None:
        self.memo = Memo()
        self._front_ends = (SHARED, *front_ends)
        self._indexes: dict[str, list[Index]] = defaultdict(list)
        self._listed: dict[str, dict[str, list[Key]]] = defaultdict(lambda: defaultdict(list))  # sorted
        self._relisted: set[tuple[Index, str]] = set()
        self._parts: dict[str, Callable[[View, str, str], Parts]] = {}
        self._statuses: dict[str, Callable[[View, str, str], Status | None]] = {}
        self._counts: dict[str, Callable[[View, str, str], tuple[tuple[str, ...], ...]]] = {}
        self._specs: dict[str, Callable[[View, str, str], FleetSpec | None]] = {}
        self._unwanted: list[FleetSpec] = []
        self._counted: Counter[tuple[str, ...]] = Counter()
        for end in self._front_ends:
            self._counts.update(end.counts)
            self._specs.update(end.fleets)
            for index in end.indexes:
                self._indexes[index.resource].append(index)
            self._parts.update(end.parts)
            self._statuses.update(end.statuses)
        self._fleets: dict[Fleet, FleetState] = {}
        self._gone: list[tuple[Any, ...]] = []
        self._held: dict[Fleet, _Held] = defaultdict(_Held)
        self._users: dict[tuple[Content, str], set[Fleet]] = defaultdict(set)  # who needs a content
        self._moved: dict[tuple[Content, str], set[Fleet]] = defaultdict(set)  # whose need or content has changed

    @property
    def resources(self) -> list[str]:
        """All that it wants to be told of."""
        return sorted({r for end in self._front_ends for r in end.resources})

    def change(self, resource: str, key: Key, tree: Tree | None) -> None:
        """An object is there, has changed, or is gone."""
        name = ("object", resource, key)
        old = self.memo.value(name)
        new = shaped(resource, tree) if tree is not None else None
        for index in self._indexes[resource]:
            before, after = _values(index, old), _values(index, new)
            listed = self._listed[index.name]
            for value in before ^ after:
                keys = listed[value]
                at = bisect.bisect_left(keys, key)
                if value in after:
                    keys.insert(at, key)
                else:
                    del keys[at]
                self._relisted.add((index, value))
        self.memo.put(name, new)
        for table in (self._parts, self._counts, self._specs, self._statuses):
            decide = table.get(resource)
            if decide is None:
                continue
            if new is not None:
                self.memo.root(decide, *key)
                continue
            last = self.memo.unroot(decide, *key)
            if table is self._parts:
                self._gone.append((decide, *key, last))
            elif table is self._counts:
                self._count(last or (), ())
            elif table is self._specs and last is not None:
                self._unwanted.append(last)

    def fact(self, *name: Any, value: Any) -> None:
        """Something that is no object, and that decisions read by `view.fact`."""
        self.memo.put(("fact", *name), value)

    def settle(self) -> Changes:
        """What has come of all changes since the last time."""
        for index, value in self._relisted:
            keys = self._listed[index.name][value]
            self.memo.put(("index", index.name, value), (bool(keys) if index.presence else tuple(keys)) or None)
            if not keys:
                del self._listed[index.name][value]
        self._relisted.clear()
        touched: set[Fleet] = set()
        for decide, namespace, name, last in self._gone:
            self._merge((decide, namespace, name), last or (), (), touched)
        self._gone.clear()
        for decide in dict.fromkeys(self._parts.values()):
            for outcome in self.memo.settle(decide):
                self._merge(outcome.root, outcome.old or (), outcome.new, touched)
        fleets: dict[Fleet, Pieces | None] = {}
        for fleet in sorted(touched):
            pieces = Pieces()
            self._fleets[fleet].take(pieces)
            self._follow(fleet, pieces)
            fleets[fleet] = pieces
            if self._fleets[fleet].empty:
                del self._fleets[fleet]
                fleets[fleet] = None
        self._contents(fleets)
        for decide in dict.fromkeys(self._counts.values()):
            for outcome in self.memo.settle(decide):
                self._count(outcome.old or (), outcome.new)
        specs: dict[Fleet, FleetSpec | None] = {spec.fleet: None for spec in self._unwanted}
        self._unwanted.clear()
        for make in dict.fromkeys(self._specs.values()):
            for outcome in self.memo.settle(make):
                if outcome.old is not None:
                    specs.setdefault(outcome.old.fleet, None)
                if outcome.new is not None:
                    specs[outcome.new.fleet] = outcome.new
        statuses: list[Status] = []
        released: list[tuple[str, str, str]] = []
        for resource, judge in self._statuses.items():
            for outcome in self.memo.settle(judge):
                if outcome.new is not None:
                    statuses.append(outcome.new)
                else:
                    released.append((resource, str(outcome.root[1]), str(outcome.root[2])))
        failures = {_title(n): e for n, e in self.memo.failures.items()}
        doing = {*self._parts.values(), *self._specs.values(), *CONTENTS}
        undecided = frozenset(_title(n) for n in self.memo.failures if n[0] in doing)
        return Changes(fleets, specs, statuses, released, failures, undecided)

    # how

    def _count(self, old: tuple[tuple[str, ...], ...], new: tuple[tuple[str, ...], ...]) -> None:
        self._counted.subtract(old)
        self._counted.update(new)
        for name in {*old, *new}:
            self.memo.put(("fact", *name), self._counted[name] or None)
            if not self._counted[name]:
                del self._counted[name]

    def _merge(self, owner: tuple[Any, ...], old: Parts, new: Parts, touched: set[Fleet]) -> None:
        before: dict[Fleet, Part] = {p.fleet: p for p in old}
        after: dict[Fleet, Part] = {p.fleet: p for p in new}
        for fleet in before.keys() | after.keys():
            state = self._fleets.setdefault(fleet, FleetState())
            state.change(owner, before.get(fleet), after.get(fleet))
            touched.add(fleet)

    def _follow(self, fleet: Fleet, pieces: Pieces) -> None:
        """Which certificates, authorities and endpoints a fleet now needs, from its sockets and clusters."""
        held = self._held[fleet]
        held.sockets = {n: s for n, s in {**held.sockets, **pieces.sockets}.items() if s is not None}
        secured = False  # whether TLS to a backend is another
        for name, cluster in pieces.clusters.items():
            before = held.clusters.get(name)
            secured = secured or (before.tls if before else None) != (cluster.tls if cluster else None)
            if cluster is None:
                held.clusters.pop(name, None)
            else:
                held.clusters[name] = cluster
        for name, cluster in pieces.clusters.items():
            self._want(backends.endpoints, fleet, name, cluster is not None and not cluster.external)
        if pieces.sockets or secured:
            tls = {name: c.tls for name, c in held.clusters.items() if c.tls is not None}
            chains = [c.tls for socket in held.sockets.values() for c in socket.chains if c.tls is not None]
            served = {n for c in chains for n in c.certificates}
            checked = {c.client.trust for c in chains if c.client is not None}
            wanted: set[tuple[Content, str]] = {
                *((certificate, n) for n in served | {t.certificate for t in tls.values()} if n),
                *((trust, n) for n in checked | {t.trust for t in tls.values()} if n),
            }
            for decide, name in held.tls ^ wanted:
                self._want(decide, fleet, name, (decide, name) in wanted)
            held.tls = wanted
        if not held.sockets and not held.clusters:
            del self._held[fleet]

    def _want(self, decide: Content, fleet: Fleet, name: str, wanted: bool) -> None:
        users = self._users[decide, name]
        if wanted and fleet not in users:
            users.add(fleet)
            self.memo.root(decide, name)
            self._moved[decide, name].add(fleet)
        elif not wanted and fleet in users:
            users.discard(fleet)
            self._moved[decide, name].add(fleet)
        if not users:
            self.memo.unroot(decide, name)
            del self._users[decide, name]

    def _contents(self, fleets: dict[Fleet, Pieces | None]) -> None:
        """What certificates, authorities and endpoints hold now, for all who need them."""
        for decide in CONTENTS:
            for outcome in self.memo.settle(decide):
                self._moved[outcome.root[0], outcome.root[1]] |= self._users[outcome.root[0], outcome.root[1]]  # type: ignore[index]
        for (decide, name), moved in self._moved.items():
            users = self._users.get((decide, name), set())
            value = self.memo.known(decide, name)
            for fleet in moved:
                pieces = fleets.setdefault(fleet, Pieces())  # None: the fleet is no more
                if pieces is not None:
                    getattr(pieces, CONTENTS[decide])[name] = value if fleet in users else None
        self._moved.clear()
