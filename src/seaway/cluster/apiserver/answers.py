"""How answers look: what an Accept header asks for, and an object or list in that form; pure.

Two layers refuse a request's Accept, each in its own words: the routes (go-restful), which know the media types, and the
negotiation of `as=` forms behind them (k8s.io/apiserver/pkg/endpoints/handlers/negotiation).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seaway.api import facts
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import protobuf
from seaway.cluster.apiserver.status import ApiError, bad_request, internal_type

Tree = dict[str, Any]
JSON, YAML = "application/json", "application/yaml"
MEDIA = (JSON, YAML, protobuf.CONTENT_TYPE)
STREAMS = (f"{JSON};stream=watch", f"{protobuf.CONTENT_TYPE};stream=watch")
META_MESSAGES = "k8s.io.apimachinery.pkg.apis.meta.v1."
META_KINDS = ("Status", "PartialObjectMetadata", "PartialObjectMetadataList")
META_VERSIONS = ("v1", "v1beta1")
INCLUDES = ("", "Metadata", "Object", "None")


@dataclass(frozen=True, slots=True)
class Form:
    """How an answer is shown: shape `json`, `table`, `metadata` or `metadata-list`; `include` is Table's includeObject."""

    shape: str = "json"
    include: str = "Metadata"
    media: str = JSON


@functools.lru_cache(256)
def clauses(header: str) -> tuple[tuple[str, dict[str, str]], ...]:
    """(media type, parameters) of each clause of an Accept header, in its order. Clients send few different ones."""
    found = []
    for part in (header or "*/*").split(","):
        media, *parameters = (p.strip() for p in part.split(";"))
        found.append((media, dict(p.partition("=")[::2] for p in parameters)))
    return tuple(found)


def not_acceptable() -> ApiError:
    return ApiError(406, "NotAcceptable", f"only the following media types are accepted: {', '.join(MEDIA)}")


def check_route(header: str, collection: bool) -> None:
    """406 where the header names no media type of the route. `collection`: a GET that may be a watch."""
    offered = (*MEDIA, *STREAMS) if collection else MEDIA
    if not any(media in ("*/*", *MEDIA) for media, _ in clauses(header)):
        raise ApiError(
            406, "NotAcceptable", f"406: Not Acceptable\n\nAvailable representations: {', '.join(offered)}", {}
        )


def negotiate(header: str, query: Mapping[str, str]) -> Form:
    """The first form of an Accept header that there is; ApiError 406 where there is none."""
    for media, parameters in clauses(header):
        if media not in ("*/*", "application/*", *MEDIA):
            continue
        wanted = parameters.get("as", "")
        media = media if media in MEDIA else JSON
        if not wanted:
            return Form("json", "", media)
        if parameters.get("g", "") != "meta.k8s.io" or parameters.get("v", "") not in META_VERSIONS:
            continue
        if wanted == "Table" and media != protobuf.CONTENT_TYPE:
            return Form("table", _include(query), media)
        if wanted in ("PartialObjectMetadata", "PartialObjectMetadataList"):
            return Form("metadata" if wanted == "PartialObjectMetadata" else "metadata-list", "", media)
    raise not_acceptable()


def check_custom(header: str, form: Form) -> None:
    """Custom resources have no protobuf: who takes nothing else gets nothing (runtime/serializer/protobuf)."""
    if form.media != protobuf.CONTENT_TYPE or form.shape != "json":
        return
    if not any(media in ("*/*", "application/*", JSON, YAML) for media, _ in clauses(header)):
        told = (
            "object *unstructured.Unstructured does not implement the protobuf marshalling interface and cannot be "
            "encoded to a protobuf message"
        )
        raise ApiError(406, "NotAcceptable", told)


def _include(query: Mapping[str, str]) -> str:
    include = query.get("includeObject", "")
    if include not in INCLUDES:
        why = f"Invalid value: \"{include}\": must be 'Metadata', 'Object', 'None', or empty"
        raise bad_request(f"Unable to convert to Table as requested: includeObject: {why}")
    return include or "Metadata"


def check_shape(form: Form, kind: Kind, is_list: bool) -> None:
    """PartialObjectMetadata is of one object, PartialObjectMetadataList of a list."""
    if form.shape == "metadata" and is_list:
        told = f"you requested PartialObjectMetadata, but the requested object is a list (*{internal_type(kind)}List)"
        raise ApiError(406, "NotAcceptable", told)
    if form.shape == "metadata-list" and not is_list:
        told = (
            f"you requested PartialObjectMetadataList, but the requested object is not a list (*{internal_type(kind)})"
        )
        raise ApiError(406, "NotAcceptable", told)


def message_of(tree: Tree) -> str | None:
    """The protobuf message that an answer is encoded as, None where there is none."""
    group, _, version = str(tree.get("apiVersion", "")).rpartition("/")
    kind = str(tree.get("kind", ""))
    if kind in META_KINDS and group in ("", "meta.k8s.io"):
        return f"{META_MESSAGES}{kind}"
    if kind.endswith("List"):
        item = facts.definition_of(group, version, kind.removesuffix("List"))
        found = f"{protobuf.message_of(item)}List" if item else None
        return found if found in facts.messages() else None
    name = facts.definition_of(group, version, kind)
    return protobuf.message_of(name) if name else None


def for_error(header: str) -> Form:
    """How an error is told: in what the client reads first, in JSON where that is unknown (responsewriters ErrorNegotiated)."""
    for media, _ in clauses(header):
        if media in MEDIA:
            return Form("json", "", media)
    return Form("json", "", JSON)
