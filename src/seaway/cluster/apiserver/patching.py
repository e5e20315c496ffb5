"""A patch applied to an object: JSON Patch, merge patch, strategic merge patch, with upstream's errors; pure.

k8s.io/apiserver/pkg/endpoints/handlers/patch.go: a patch that does not apply is a bare 422; a patch whose result is no
object of the kind is 422 about the field `patch`; one that cannot be read is 400.
"""

from __future__ import annotations

from typing import Any

import msgspec

from seaway.api.kinds import Kind
from seaway.cluster.apiserver import bodies, gojson, patches, schema, strategic
from seaway.cluster.apiserver.options import APPLY
from seaway.cluster.apiserver.status import ApiError, bad_request, invalid_patch, rejected
from seaway.cluster.apiserver.structural import gotext

Tree = dict[str, Any]
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


def check_media(kind: Kind, media: str) -> None:
    """Refuses a patch type that the kind does not have."""
    if media in (JSON_PATCH, MERGE, APPLY) or (media == STRATEGIC and kind.definition):
        return
    if kind.definition:
        raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    message = f"the body of the request was in an unknown format - accepted media types include: {JSON_PATCH}, {MERGE}, {APPLY}"
    raise ApiError(415, "UnsupportedMediaType", message)


def _loaded(body: bytes, media: str) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        problem = gojson.syntax_error(body)
    raise bad_request(problem if media == STRATEGIC else f"error decoding patch: {problem}")


def _object(patch: Any, media: str) -> Tree:
    if not isinstance(patch, dict):
        found = schema.json_type(patch) if patch is not None else "null"
        problem = f"json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
        raise bad_request(problem if media == STRATEGIC else f"error decoding patch: {problem}")
    return patch


def patched(kind: Kind, old: Tree, body: bytes, media: str, validation: str, warnings: list[str]) -> Tree:
    """`old` with the patch of a request applied, in the form of its kind."""
    patch = _loaded(body, media)
    strict = [] if validation == "Ignore" else gojson.duplicates(body, patch)
    try:
        if media == JSON_PATCH:
            new = patches.json_patch(old, patch)
            strict = [f"json patch {told}" for told in strict]
        elif media == MERGE:
            new = patches.merge(old, _object(patch, media))
        else:
            new = strategic.apply(old, _object(patch, media), {"$ref": kind.definition})
            new["kind"], new["apiVersion"] = old["kind"], old["apiVersion"]
    except patches.DoesNotApply:
        raise rejected() from None
    except patches.TooLarge as e:
        raise ApiError(413, "RequestEntityTooLarge", f"Request entity too large: {e}") from None
    except patches.PatchError as e:
        raise bad_request(str(e)) from None

    def shown() -> str:
        return gotext.printed(patch) if media == STRATEGIC else msgspec.json.encode(new, order="sorted").decode()

    if not isinstance(new, dict):
        raise invalid_patch(
            shown(), f"json: cannot unmarshal {schema.json_type(new)} into Go value of type {kind.kind}"
        )
    try:
        new = bodies.check_kind(new, kind)
        result, unknown = bodies.form(new, kind, old)
    except ApiError as e:
        if e.code == 422:
            raise
        raise invalid_patch(shown(), e.tree["message"]) from None
    except schema.TypeMismatch as e:
        raise invalid_patch(shown(), str(e)) from None
    told = [*strict, *unknown]
    if told and validation == "Strict":
        raise invalid_patch(shown(), f"strict decoding error: {', '.join(told)}")
    if told and validation != "Ignore":
        warnings.extend(told)
    return result
