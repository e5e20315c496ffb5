"""Which old value a new one stands for, so that what was wrong before and did not change is let through; pure.

KEP-4008: pkg/cel/common/equality.go of k8s.io/apiserver. Fields are correlated by name, items of lists by the keys of a
list of type map; sets and atomic lists are not.
"""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver.structural.gotext import is_float
from seaway.cluster.apiserver.structural.nodes import Node

ABSENT: Any = object()


def same(a: Any, b: Any) -> bool:
    """Deep equality as Go has it between decoded JSON: 1 is neither true nor 1.0."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return bool(a == b) and is_float(a) == is_float(b)
    return bool(a == b)


class Correlation:
    """A new value, the old value that it stands for and their schema."""

    __slots__ = ("_keyed", "node", "old", "value")

    def __init__(self, value: Any, old: Any, node: Node) -> None:
        self.value, self.old, self.node = value, old, node
        self._keyed: dict[Any, Any] | None = None

    def field(self, name: str) -> Correlation | None:
        if not isinstance(self.value, dict) or not isinstance(self.old, dict):
            return None
        if name not in self.old or name not in self.value:
            return None
        node = self.node.child(name)
        return None if node is None else Correlation(self.value[name], self.old[name], node)

    def item(self, at: int) -> Correlation | None:
        node = self.node.items
        if node is None or self.node.list_type != "map" or not isinstance(self.old, list):
            return None
        key = self._key(self.value[at])
        if key is None:
            return None
        if self._keyed is None:
            self._keyed = {}
            for item in self.old:
                old_key = self._key(item)
                if old_key is not None:
                    self._keyed.setdefault(old_key, item)
        old = self._keyed.get(key, ABSENT)
        return None if old is ABSENT else Correlation(self.value[at], old, node)

    def _key(self, item: Any) -> tuple[Any, ...] | None:
        """The values of the keys of an item, None where one is absent or no scalar."""
        if not isinstance(item, dict) or not self.node.list_keys:
            return None
        found = [item.get(k) for k in self.node.list_keys]
        if any(v is None or isinstance(v, (dict, list)) for v in found):
            return None
        return tuple((type(v), v) for v in found)

    def unchanged(self) -> bool:
        """Whether new and old are equal; the order of a list of type map does not matter, what is unknown to the schema does."""
        if isinstance(self.value, dict) and isinstance(self.old, dict):
            if len(self.value) != len(self.old):
                return False
            return all((c := self.field(k)) is not None and c.unchanged() for k in self.value)
        if isinstance(self.value, list) and isinstance(self.old, list):
            if len(self.value) != len(self.old):
                return False
            if self.node.list_type == "map":
                return all((c := self.item(i)) is not None and c.unchanged() for i in range(len(self.value)))
        return same(self.value, self.old)
