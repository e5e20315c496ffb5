"""A list on its way out: pieces of its body, each little work and little memory; pure.

A list of any size is never encoded whole: what is held for it are the stored objects' own bytes. The door does one piece,
hands it to the connection, and lets others have their turn before the next (`seats`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from seaway.api import facts
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import answers, bodies, forms, protobuf, tables
from seaway.cluster.apiserver.answers import Form
from seaway.cluster.apiserver.storage import Entry, decode, encode
from seaway.cluster.apiserver.tables.cells import Column
from seaway.protowire import sized

Tree = dict[str, Any]
PIECE = 128 << 10  # bytes
ROWS = 48  # objects that are decoded for one piece
SMALL = 96 << 10  # bytes of objects up to which a list is answered in one go


def table_of(kind: Kind, trees: list[Tree], meta: Tree, now: float, include: str, with_columns: bool = True) -> Tree:
    """The Table of a kind's objects: of custom ones in the version that was asked for, of all others as stored."""
    if kind.custom is None:
        return tables.table(forms.stored_kind(kind).group_resource, trees, meta, now, include, with_columns)
    return tables.table(kind.group_resource, trees, meta, now, include, with_columns, kind.custom.columns)


class Listing(NamedTuple):
    """What a list is made of; `stored` is the resource that the objects are stored as."""

    kind: Kind
    stored: str
    entries: list[Entry]
    meta: Tree
    form: Form
    now: float

    @property
    def media(self) -> str:
        return self.form.media if self._in_media else answers.JSON

    @property
    def _in_media(self) -> bool:
        if self.form.media == answers.JSON:
            return False
        return self.form.media == answers.YAML or bool(self._message)

    @property
    def _message(self) -> str:
        """The protobuf message of an item, "" where lists of it are not sent in protobuf."""
        if self.form.shape == "table":
            return ""
        found = answers.message_of(self._head())
        return found.removesuffix("List") if found else ""

    @property
    def small(self) -> bool:
        """Whether it is little work as a whole."""
        if len(self.entries) > ROWS:
            return False
        return sum(len(e.data) for e in self.entries) <= SMALL

    def pieces(self) -> Iterator[bytes]:
        """The body, in its order."""
        if self.media == answers.YAML:
            return self._yaml()
        if self.media == protobuf.CONTENT_TYPE:
            return self._protobuf(self._message)
        return self._json()

    def _blocks(self) -> Iterator[list[Entry]]:
        """The objects in blocks of bounded number and size."""
        block: list[Entry] = []
        size = 0
        for entry in self.entries:
            block.append(entry)
            size += len(entry.data)
            if size >= PIECE or len(block) >= ROWS:
                yield block
                block, size = [], 0
        if block:
            yield block

    def _head(self) -> Tree:
        if self.form.shape == "table":
            return tables.table(self.stored, [], self.meta, self.now, self.form.include, own=self._own)
        if self.form.shape == "metadata-list":
            return {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": self.meta}
        # An unstructured list says that there is nothing to continue with, too.
        meta = self.meta if self.kind.custom is None else {"continue": "", **self.meta}
        return {"kind": self.kind.listed, "apiVersion": self.kind.api_version, "metadata": meta}

    @property
    def _own(self) -> tuple[Column, ...]:
        """The columns of a custom kind."""
        return () if self.kind.custom is None else self.kind.custom.columns

    def _items(self, block: list[Entry]) -> list[bytes]:
        """Objects as elements of the list."""
        if self.form.shape == "table":
            found = self._own or tables.columns_of(self.stored)
            trees = (forms.opened(self.kind, e) for e in block)
            return [encode(tables.row(self.stored, found, t, self.now, self.form.include)) for t in trees]
        if self.form.shape == "metadata-list":
            return [encode(tables.partial(e.tree)) for e in block]
        # Items of a built-in list say neither kind nor apiVersion; stored objects begin with just these.
        start = b'{"kind":"' + self.kind.kind.encode() + b'","apiVersion":"' + self.kind.api_version.encode() + b'",'
        cut = len(start)
        data = [forms.data(self.kind, e) for e in block]
        if self.kind.custom is not None:
            return data
        return [b"{" + d[cut:] if d.startswith(start) else d for d in data]

    def _json(self) -> Iterator[bytes]:
        head = self._head()
        name = b"rows" if self.form.shape == "table" else b"items"
        if head.pop("rows", ()) is None and not self.entries:
            yield encode(head)[:-1] + b',"rows":null}'
            return
        before = encode(head)[:-1] + b',"' + name + b'":['
        for block in self._blocks():
            yield before + b",".join(self._items(block))
            before = b","
        yield b"]}" if self.entries else before + b"]}"

    def _yaml(self) -> Iterator[bytes]:
        """Keys sorted, as the server's other YAML: what sorts before `items` or `rows`, these, and the rest."""
        head = self._head()
        name = "rows" if self.form.shape == "table" else "items"
        rows = head.pop("rows", [])
        yield bodies.dump_yaml({k: v for k, v in head.items() if k < name})
        if not self.entries:
            yield bodies.dump_yaml({name: rows})
        else:
            yield f"{name}:\n".encode()
        for block in self._blocks():
            for item in self._items(block):
                yield bodies.dump_yaml([decode(item)])
        after = {k: v for k, v in head.items() if k > name}
        if after:
            yield bodies.dump_yaml(after)

    def _protobuf(self, message: str) -> Iterator[bytes]:
        """The envelope says how long the list is: its items are encoded before the first byte leaves."""
        head, items = self._head(), []
        table = facts.messages()[f"{message}List"]
        number = table["items"][0]
        items.append(protobuf.encode_message(f"{message}List", {"metadata": self.meta}))
        for block in self._blocks():
            for item in self._items(block):
                items.append(sized(number, protobuf.encode_message(message, decode(item))))
            yield b""
        yield protobuf.envelope(str(head["apiVersion"]), str(head["kind"]), sum(map(len, items)))
        yield from items
        yield protobuf.ENVELOPE_END
