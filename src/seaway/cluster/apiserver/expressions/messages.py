"""Objects of schemas as protobuf messages, so that the library's checker knows their fields (descriptor.proto by hand).

Lists of lists and maps of containers are no protobuf fields; what is inside of them is dynamic to the checker.
"""

from __future__ import annotations

from seaway.cluster.apiserver.expressions.declarations import Decl
from seaway.protowire import numbered, sized

DOUBLE, INT64, BOOL, STRING, MESSAGE, BYTES = 1, 3, 8, 9, 11, 12
SCALARS = {"double": DOUBLE, "int": INT64, "bool": BOOL, "string": STRING, "bytes": BYTES}
WELL_KNOWN = {
    "dyn": ".google.protobuf.Value",
    "timestamp": ".google.protobuf.Timestamp",
    "duration": ".google.protobuf.Duration",
    "list": ".google.protobuf.ListValue",
    "map": ".google.protobuf.Struct",
}
IMPORTS = ("google/protobuf/struct.proto", "google/protobuf/timestamp.proto", "google/protobuf/duration.proto")


class _File:
    """What the library asks of a Python FileDescriptor."""

    def __init__(self, serialized: bytes) -> None:
        self.serialized_pb = serialized


class Messages:
    """A descriptor pool with the messages of one type; `by_name` leads from them back to the types."""

    def __init__(self, root: Decl, base: str = "selfType") -> None:
        self.by_name: dict[str, Decl] = {}
        self.bodies: list[bytes] = []
        self._collect(root, base)
        self.file = _File(
            sized(1, f"{base}.proto")
            + b"".join(sized(3, name) for name in IMPORTS)
            + b"".join(sized(4, body) for body in self.bodies)
            + sized(12, "proto2")
        )
        self.name = f"{base}.proto"

    def FindFileByName(self, name: str) -> _File:
        if name != self.name:
            raise KeyError(name)
        return self.file

    def FindFileContainingSymbol(self, symbol: str) -> _File:
        if symbol.partition(".")[0] not in self.by_name:
            raise KeyError(symbol)
        return self.file

    def _collect(self, decl: Decl, name: str) -> None:
        """Names the messages of a type and writes them, each once."""
        while decl.kind in ("list", "map"):
            assert decl.element is not None
            decl = decl.element
        if decl.kind != "object" or (decl.message and self.by_name.get(decl.message) is decl):
            return
        base, i = name, 1
        while name in self.by_name:
            name, i = f"{base}_{i}", i + 1
        decl.message = name
        self.by_name[name] = decl
        for identifier, property in decl.properties.items():
            self._collect(property, f"{name}_{identifier}")
        self.bodies.append(self._message(decl))

    def _message(self, decl: Decl) -> bytes:
        found = sized(1, decl.message) + sized(7, numbered(11, 1))  # fooBar and foo_bar have one name in JSON
        entries: set[str] = set()
        for number, (name, property) in enumerate(decl.properties.items(), 1):
            entry = _entry_name(name)
            if property.kind == "map" and entry not in entries and entry not in self.by_name:
                entries.add(entry)
                assert property.element is not None
                found += sized(3, _entry(entry, property.element))
                found += sized(2, _field(name, number, 3, (MESSAGE, f".{decl.message}.{entry}")))
            elif property.kind == "list":
                assert property.element is not None
                found += sized(2, _field(name, number, 3, _kind(property.element)))
            else:
                found += sized(2, _field(name, number, 1, _kind(property)))
        return found


def type_text(decl: Decl) -> str:
    """The type as signatures write it."""
    if decl.kind == "list":
        assert decl.element is not None
        return f"list<{type_text(decl.element)}>"
    if decl.kind == "map":
        assert decl.element is not None
        return f"map<string, {type_text(decl.element)}>"
    if decl.kind == "object":
        return decl.message
    return decl.kind


def _kind(decl: Decl) -> tuple[int, str]:
    if decl.kind in SCALARS:
        return SCALARS[decl.kind], ""
    return MESSAGE, f".{decl.message}" if decl.kind == "object" else WELL_KNOWN[decl.kind]


def _entry_name(field: str) -> str:
    """The name that protobuf wants of a map's entry message: CamelCase."""
    found, upper = "", True
    for c in field:
        if c == "_":
            upper = True
        else:
            found += c.upper() if upper else c
            upper = False
    return f"{found}Entry"


def _entry(name: str, value: Decl) -> bytes:
    fields = sized(2, _field("key", 1, 1, (STRING, ""))) + sized(2, _field("value", 2, 1, _kind(value)))
    return sized(1, name) + fields + sized(7, numbered(7, 1))


def _field(name: str, number: int, label: int, kind: tuple[int, str]) -> bytes:
    found = sized(1, name) + numbered(3, number) + numbered(4, label) + numbered(5, kind[0])
    return found + sized(6, kind[1]) if kind[1] else found
