"""A memo that records what each decision reads: after a change only what hangs on it is decided anew.

A decision is a pure function `decide(view, *arguments)`. Through the view it reads objects, indexes and other decisions; each
reading is noted. A change of an input marks what read it, directly or through others; `settle` decides the marked roots again,
and stops where a value in between comes out equal.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from seaway.api.tree import Key

Tree = dict[str, Any]
P = ParamSpec("P")
T = TypeVar("T")
Id = tuple[Hashable, ...]


class _Node:
    __slots__ = ("changed", "decide", "deps", "dirty", "failed", "name", "readers", "root", "told", "told_in", "value")

    def __init__(self, name: Id, decide: Callable[..., Any] | None = None) -> None:
        self.name, self.decide = name, decide  # decide is None for an input; else the name is (decide, *arguments)
        self.value: Any = None
        self.changed = 0  # the revision in which the value last changed
        self.dirty = decide is not None
        self.failed = False  # the last try of a decision that is dirty
        self.deps: dict[_Node, int] = {}  # what it read -> when that had changed
        self.readers: set[_Node] = set()
        self.root = False
        self.told: Any = None  # of a root: the value that was told last, and in which revision it had come
        self.told_in = 0


class Outcome(NamedTuple):
    """A root whose value has changed."""

    root: Id
    old: Any
    new: Any


class View:
    """What decisions read through."""

    def __init__(self, memo: Memo) -> None:
        self._memo = memo

    def get(self, resource: str, namespace: str, name: str) -> Tree | None:
        """An object, shaped as the engine keeps it: without status and managed fields."""
        found: Tree | None = self._memo.read(("object", resource, Key(namespace, name)))
        return found

    def find(self, index: str, value: str = "") -> tuple[Key, ...]:
        """The keys of objects that an index of the engine lists under a value, sorted."""
        found: tuple[Key, ...] | None = self._memo.read(("index", index, value))
        return found or ()

    def has(self, index: str, value: str = "") -> bool:
        """Whether an index of presence lists anything under a value."""
        return bool(self._memo.read(("index", index, value)))

    def fact(self, *name: Hashable) -> Any:
        """What the engine or the process has put, None if nothing: which proxies hold what, counts."""
        return self._memo.read(("fact", *name))

    def ask(self, decide: Callable[Concatenate[View, P], T], *arguments: P.args, **_: P.kwargs) -> T:
        """Another decision, made once for all who ask."""
        found: T = self._memo.ask(decide, arguments)
        return found


class Memo:
    def __init__(self) -> None:
        self.view = View(self)
        self.decided = 0  # decisions made, for tests of the cost of a change
        self.failures: dict[
            Id, Exception
        ] = {}  # roots whose last decision failed; decided again when something they read changes
        self._nodes: dict[Id, _Node] = {}
        self._stack: list[_Node] = []
        self._revision = 1
        self._marked: dict[_Node, None] = {}

    # inputs

    def put(self, name: Id, value: Any) -> None:
        """Sets an input; None is absence."""
        node = self._nodes.get(name)
        if node is None:
            if value is None:
                return
            node = self._nodes[name] = _Node(name)
        elif node.value == value:
            return
        self._revision += 1
        node.value, node.changed = value, self._revision
        self._mark(node)
        if value is None and not node.readers:
            del self._nodes[name]

    def value(self, name: Id) -> Any:
        """An input, read by nobody."""
        node = self._nodes.get(name)
        return node.value if node is not None else None

    # reading

    def read(self, name: Id) -> Any:
        node = self._nodes.get(name)
        if node is None:
            node = self._nodes[name] = _Node(name)
        self._note(node)
        return node.value

    def ask(self, decide: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        name = (decide, *arguments)
        node = self._nodes.get(name)
        if node is None:
            node = self._nodes[name] = _Node(name, decide)
        try:
            self._refresh(node)
        finally:
            self._note(node)  # who fails with it is decided again with it
        return node.value

    def _note(self, node: _Node) -> None:
        if self._stack:
            reader = self._stack[-1]
            reader.deps[node] = node.changed
            node.readers.add(reader)

    # roots

    def root(self, decide: Callable[..., Any], *arguments: Hashable) -> None:
        """A decision that is wanted for itself; the next `settle` makes it."""
        name = (decide, *arguments)
        node = self._nodes.get(name)
        if node is None:
            node = self._nodes[name] = _Node(name, decide)
        if not node.root:
            node.root = True
            self._marked[node] = None

    def unroot(self, decide: Callable[..., Any], *arguments: Hashable) -> Any:
        """No longer wanted; gives the value that was told last."""
        name = (decide, *arguments)
        node = self._nodes.get(name)
        if node is None or not node.root:
            return None
        node.root = False
        self._marked.pop(node, None)
        self.failures.pop(name, None)
        told, node.told, node.told_in = node.told, None, 0
        self._drop([node])
        return told

    def known(self, decide: Callable[..., Any], *arguments: Hashable) -> Any:
        """The value that a decision last had, None if it is not kept."""
        node = self._nodes.get((decide, *arguments))
        return node.value if node is not None else None

    def settle(self, only: Callable[..., Any] | None = None) -> list[Outcome]:
        """Decides marked roots (of one function only, if given) and tells which have another value now."""
        outcomes = []
        for node in [n for n in self._marked if only is None or n.decide is only]:
            del self._marked[node]
            try:
                self._refresh(node)
            except Exception as e:  # one bad object never hurts another: it keeps what it had, and is told of
                self.failures[node.name] = e
                continue
            self.failures.pop(node.name, None)
            if node.changed != node.told_in:  # also where another decision asked for it before
                outcomes.append(Outcome(node.name, node.told, node.value))
                node.told, node.told_in = node.value, node.changed
        return outcomes

    # how

    def _mark(self, changed: _Node) -> None:
        waiting = [changed]
        while waiting:
            for reader in waiting.pop().readers:
                if not reader.dirty or reader.failed:
                    reader.dirty, reader.failed = True, False
                    waiting.append(reader)
                    if reader.root:
                        self._marked[reader] = None

    def _refresh(self, node: _Node) -> None:
        """Makes a decision's value good."""
        if not node.dirty:
            return
        try:
            if node.changed and not self._stale(node):
                node.dirty = False
                return
            value, before = self._decide(node)
        except BaseException:
            node.failed = True
            raise
        self.decided += 1
        if not node.changed or value != node.value:
            self._revision += 1
            node.value, node.changed = value, self._revision
        lost = [d for d in before if d not in node.deps]
        for dep in lost:
            dep.readers.discard(node)
        self._drop(lost)

    def _decide(self, node: _Node) -> tuple[Any, dict[_Node, int]]:
        """A decision's value, and what it read the last time."""
        before = node.deps
        node.deps = {}
        node.dirty = False
        self._stack.append(node)
        try:
            assert node.decide is not None
            return node.decide(self.view, *node.name[1:]), before
        except BaseException:
            node.dirty = True
            node.deps = dict.fromkeys((*before, *node.deps), -1)  # its old value is not good for what it read now
            raise
        finally:
            self._stack.pop()

    def _stale(self, node: _Node) -> bool:
        """Whether something that it read has changed since. In the order in which it was read: what was read later may hang on
        what was read before."""
        for dep, seen in node.deps.items():
            if seen < 0:
                return True
            if dep.dirty:
                self._refresh(dep)
            if dep.changed != seen:
                return True
        return False

    def _drop(self, nodes: Iterable[_Node]) -> None:
        """Forgets what nobody reads any more."""
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            if node.readers or node.root:
                continue
            if node.decide is None and node.value is not None:
                continue
            self._nodes.pop(node.name, None)
            for dep in node.deps:
                dep.readers.discard(node)
                waiting.append(dep)
            node.deps = {}
