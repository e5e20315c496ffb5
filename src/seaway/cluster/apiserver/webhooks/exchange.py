"""AdmissionReviews: the question, the answer read and checked, and a denial in the API's form; pure.

k8s.io/apiserver pkg/admission/plugin/webhook/request and errors.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any

import msgspec

from seaway.cluster.apiserver import gojson
from seaway.cluster.apiserver.matching import Target
from seaway.cluster.apiserver.reviewing import Attributes, GroupVersionKind
from seaway.cluster.apiserver.status import ApiError, quoted

Tree = dict[str, Any]
GROUP = "admission.k8s.io"
VERSIONS = ("v1", "v1beta1")
REVIEW = "AdmissionReview"
JSON_PATCH = "JSONPatch"
UNDECODABLE = "received undecodable patch in webhook response: "
CALL, WRONG = "failed to call webhook: ", "received invalid webhook response: "


class Unusable(Exception):
    """An answer, or its absence, that says nothing about the request; the text is the reason that clients are told."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a webhook said. `patch` is a decoded JSON Patch, None where there is none."""

    allowed: bool
    patch: list[Any] | None = None
    result: Tree | None = None
    warnings: tuple[str, ...] = ()
    annotations: dict[str, str] = field(default_factory=dict)


def version(accepted: tuple[str, ...]) -> str:
    """The first review version that both sides know."""
    for found in accepted:
        if found in VERSIONS:
            return found
    raise Unusable(
        "could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)"
    )


def _named(kind: GroupVersionKind) -> Tree:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def request(uid: str, a: Attributes, to: Target, tree: Tree | None, old: Tree | None) -> Tree:
    """An AdmissionRequest; the objects are in the target's form already."""
    asked, seen = a.kind, to.kind
    user: Tree = {"username": a.user.name, "groups": list(a.user.groups)}
    if a.user.uid:
        user["uid"] = a.user.uid
    if a.user.extra:
        user["extra"] = {name: list(values) for name, values in sorted(a.user.extra.items())}
    found: Tree = {
        "uid": uid,
        "kind": _named(to.object_kind),
        "resource": {"group": seen.group, "version": seen.version, "resource": seen.resource},
        "requestKind": _named(a.object_kind),
        "requestResource": {"group": asked.group, "version": asked.version, "resource": asked.resource},
    }
    if a.subresource:
        found["subResource"] = found["requestSubResource"] = a.subresource
    if a.name:
        found["name"] = a.name
    if a.namespace:
        found["namespace"] = a.namespace
    found.update(operation=a.operation, userInfo=user, object=tree, oldObject=old, dryRun=a.dry_run)
    found["options"] = a.options or None
    return found


def review(of_version: str, body: Tree) -> Tree:
    return {"kind": REVIEW, "apiVersion": f"{GROUP}/{of_version}", "request": body}


def decoded(body: bytes, status: int, content_type: str) -> Tree:
    """The document of an answer; Unusable in the words of client-go's decoder."""
    if not body:
        raise Unusable(f"{CALL}0-length response with status code: {status} and content type: {content_type}")
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unusable(f"{CALL}couldn't get version/kind; json parse error: {gojson.syntax_error(body)}") from None
    if not isinstance(found, dict):
        shown = {list: "array", str: "string", bool: "bool"}.get(type(found), "number")
        raise Unusable(
            f"{CALL}couldn't get version/kind; json parse error: json: cannot unmarshal {shown} into Go value of type struct "
            '{ APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        )
    return found


# What client-go says of an answer that is no success (NewGenericServerResponse).
TOLD = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    406: "the server was unable to respond with a content type that the client supports",
    409: "the server reported a conflict",
    410: "the server is currently unable to handle the request",
    415: "the server was unable to understand the media type",
    422: "the server rejected our request due to an error in our request",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the request",
}


def refused(status: int, body: bytes) -> str:
    """The error of an answer whose status is no success."""
    told = body[:2048].decode("utf-8", "replace").strip()
    if status == 403:
        return told or "forbidden"
    if status in TOLD:
        return TOLD[status]
    if status >= 500:
        return f"an error on the server ({quoted(told or 'unknown')}) has prevented the request from succeeding"
    return f"the server responded with the status code {status} but did not return more information"


def verdict(answer: Tree, uid: str, of_version: str, mutating: bool) -> Verdict:
    """What the answer says; Unusable where it is none to the question (VerifyAdmissionResponse)."""
    response = answer.get("response")
    if response is None:
        raise Unusable(f"{WRONG}webhook response was absent")
    if not isinstance(response, dict):
        raise Unusable(f"{CALL}json: cannot unmarshal response into Go struct field AdmissionReview.response")
    strict = of_version == "v1"
    if strict and response.get("uid", "") != uid:
        raise Unusable(f"{WRONG}expected response.uid={quoted(uid)}, got {quoted(str(response.get('uid', '')))}")
    if strict and (answer.get("apiVersion"), answer.get("kind")) != (f"{GROUP}/v1", REVIEW):
        group_version, kind = answer.get("apiVersion") or "", answer.get("kind") or ""
        raise Unusable(
            f"{WRONG}expected webhook response of {GROUP}/v1, Kind={REVIEW}, got {group_version}, Kind={kind}"
        )
    result, told = response.get("status"), response.get("warnings") or []
    annotations = response.get("auditAnnotations") or {}
    return Verdict(
        allowed=response.get("allowed") is True,
        patch=_patch(response, strict, mutating),
        result=result if isinstance(result, dict) else None,
        warnings=tuple(w for w in told if isinstance(w, str)) if isinstance(told, list) else (),
        annotations={k: str(v) for k, v in annotations.items()} if isinstance(annotations, dict) else {},
    )


def _patch(response: Tree, strict: bool, mutating: bool) -> list[Any] | None:
    text, kind = response.get("patch") or "", response.get("patchType")
    if strict and not mutating:
        if text:
            raise Unusable(f"{WRONG}validating webhook may not return response.patch")
        if kind is not None:
            raise Unusable(f"{WRONG}validating webhook may not return response.patchType")
    if not mutating:
        return None
    if strict:
        if text and kind is None:
            raise Unusable(f"{WRONG}webhook returned response.patch but not response.patchType")
        if not text and kind is not None:
            raise Unusable(f"{WRONG}webhook returned response.patchType but not response.patch")
        if kind == "":
            raise Unusable(f'{WRONG}webhook returned invalid response.patchType of ""')
    if not text:
        return None
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise Unusable(f"{CALL}illegal base64 data at input byte 0") from None
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unusable(f"{UNDECODABLE}{gojson.syntax_error(raw)}") from None
    if found is None:
        return None
    if not isinstance(found, list):
        raise Unusable(f"{UNDECODABLE}json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if found and strict and kind != JSON_PATCH:
        raise Unusable(f"unsupported patch type {quoted(str(kind))}")
    return found


def denial(hook: str, result: Tree | None) -> ApiError:
    """A refusal as the client gets it (webhookerrors.ToStatusErr)."""
    by, result = f"admission webhook {quoted(hook)} denied the request", dict(result or {})
    code = result.get("code")
    code = code if isinstance(code, int) and code >= 400 else 400
    reason = result["reason"] if isinstance(result.get("reason"), str) else ""
    told = result.get("message") or reason
    error = ApiError(code, reason, f"{by}: {told}" if told else f"{by} without explanation")
    if isinstance(result.get("details"), dict):
        error.tree["details"] = result["details"]
    if isinstance(result.get("metadata"), dict):
        error.tree["metadata"] = result["metadata"]
    if result.get("status") not in (None, "", "Success"):
        error.tree["status"] = result["status"]
    return error
