"""Marks: from which object a part of a resource comes, written into its metadata."""

from __future__ import annotations

from typing import Any

from seaway.envoy.translation.names import MARK
from seaway.routing.ir import Source


def mark(metadata: Any, source: Source, **more: str) -> None:
    """Writes a mark into the `metadata` of a message."""
    fields = metadata.filter_metadata[MARK].fields
    fields["object"].string_value = f"{source.kind}/{source.namespace}/{source.name}"
    if source.part:
        fields["part"].string_value = source.part
    for name, value in more.items():
        if value:
            fields[name].string_value = value


def source_of(metadata: Any) -> Source | None:
    """The object that the metadata of a message names."""
    if MARK not in metadata.filter_metadata:
        return None
    fields = metadata.filter_metadata[MARK].fields
    kind, _, rest = fields["object"].string_value.partition("/")
    namespace, _, name = rest.partition("/")
    return Source(kind, namespace, name, fields["part"].string_value if "part" in fields else "")
