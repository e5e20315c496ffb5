"""Custom resources translated between versions by their definition's webhook, with upstream's checks and errors.

k8s.io/apiextensions-apiserver pkg/apiserver/conversion/webhook_converter.go. Everything is pure but `Converter.convert`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from seaway.cluster.apiserver import metadata
from seaway.cluster.apiserver.status import ApiError, Cause, quoted
from seaway.cluster.apiserver.storage import encode
from seaway.cluster.apiserver.webhooks import configured, exchange
from seaway.cluster.apiserver.webhooks.calling import Caller
from seaway.cluster.apiserver.webhooks.exchange import Unusable

Tree = dict[str, Any]
GROUP, REVIEW = "apiextensions.k8s.io", "ConversionReview"
VERSIONS = ("v1", "v1beta1")
SECONDS = 30.0  # as client-go's default for webhooks
SAME = (("kind", "kind"), ("name", "name"), ("namespace", "namespace"), ("uid", "UID"))


class ConversionFailed(Exception):
    """The text is for the Status."""


def _kind(tree: Tree) -> str:
    return f"{tree.get('apiVersion', '')}, Kind={tree.get('kind', '')}"


class Converter:
    """Asks conversion webhooks. `uid` makes the name of a question, `clock` is monotonic."""

    def __init__(self, caller: Caller, uid: Callable[[], str], clock: Callable[[], float] = lambda: 0.0) -> None:
        self._caller, self._uid, self._clock = caller, uid, clock
        # Told of each question how many seconds it took, and what failed, if anything.
        self.observe: Callable[[float, str], None] = lambda seconds, failure: None

    async def convert(self, webhook: Tree, objects: list[Tree], to: str, is_list: bool = False) -> list[Tree]:
        """The objects in the version `to` (an apiVersion), in their order. `webhook` is the definition's
        spec.conversion.webhook; `is_list`: they are the items of a list, which errors tell. Of a failure clients get
        a Status without a reason, as of every error that the API has none for."""
        try:
            return await self._converted(webhook, objects, to, is_list)
        except ConversionFailed as e:
            raise ApiError(500, "", str(e)) from None

    async def _converted(self, webhook: Tree, objects: list[Tree], to: str, is_list: bool) -> list[Tree]:
        asked = [tree for tree in objects if tree.get("apiVersion") != to]
        if not asked:
            return objects
        version, uid = review_version(webhook.get("conversionReviewVersions") or ()), self._uid()
        about = f"{_kind(asked[0])}{'List' if is_list else ''}"
        body = {"uid": uid, "desiredAPIVersion": to, "objects": asked}
        review = {"kind": REVIEW, "apiVersion": f"{GROUP}/{version}", "request": body}
        client = configured.client(webhook.get("clientConfig") or {})
        begun, failure = self._clock(), "conversion_webhook_call_failure"
        try:
            answer = await self._caller.post(client, review, SECONDS)
            failure = "conversion_webhook_malformed_response_failure"
            found = iter(converted(asked, answer, uid, version, to, about, is_list))
            failure = ""
        except Unusable as e:
            told = str(e).removeprefix(exchange.CALL)
            raise ConversionFailed(f"conversion webhook for {about} failed: {told}") from None
        finally:
            self.observe(self._clock() - begun, failure)
        return [tree if tree.get("apiVersion") == to else next(found) for tree in objects]


def review_version(accepted: Any) -> str:
    """The first review version that both sides know."""
    for version in accepted:
        if version in VERSIONS:
            return str(version)
    raise ConversionFailed("no supported conversion review versions")


def converted(
    asked: list[Tree], answer: Tree, uid: str, version: str, to: str, about: str, is_list: bool
) -> list[Tree]:
    """The objects of an answer, checked against those that were sent; ConversionFailed where they are not theirs."""
    start = f"conversion webhook for {about}"
    try:
        objects = _objects(answer, uid, version)
    except ConversionFailed as e:
        raise ConversionFailed(f"{start} failed: {e}") from None
    if len(objects) != len(asked):
        raise ConversionFailed(f"{start} returned {len(objects)} objects, expected {len(asked)}")
    result = []
    for i, (before, after) in enumerate(zip(asked, objects, strict=True)):
        at = f"converted object at index {i}" if is_list else "object at index 0"
        if not isinstance(after, dict) or not after.get("kind"):
            raise ConversionFailed(
                f"{start} returned invalid {at}: Object 'Kind' is missing in '{encode(after).decode()}'"
            )
        if after.get("apiVersion") != to:
            what = f"invalid groupVersion (expected {to}, received {after.get('apiVersion', '')})"
            raise ConversionFailed(f"{start} returned invalid {at}: {what}")
        if after["kind"] != before.get("kind"):
            what = f"invalid kind (expected {before.get('kind')}, received {after['kind']})"
            raise ConversionFailed(f"{start} returned invalid {at}: {what}")
        try:
            _check_same(before, after)
        except ConversionFailed as e:
            raise ConversionFailed(f"{start} returned invalid {at if is_list else 'object'}: {e}") from None
        try:
            result.append({**after, "metadata": _metadata(before, after)})
        except ConversionFailed as e:
            where = f"metadata in object at index {i}" if is_list else "metadata"
            raise ConversionFailed(f"{start} returned invalid {where}: {e}") from None
    return result


def _objects(answer: Tree, uid: str, version: str) -> list[Any]:
    strict = version == "v1"
    group_version, kind = answer.get("apiVersion") or "", answer.get("kind") or ""
    if strict and (group_version, kind) != (f"{GROUP}/v1", REVIEW):
        raise ConversionFailed(
            f"expected webhook response of {GROUP}/v1, Kind={REVIEW}, got {group_version}, Kind={kind}"
        )
    response = answer.get("response")
    if not isinstance(response, dict):
        raise ConversionFailed("no response provided")
    if strict and response.get("uid", "") != uid:
        raise ConversionFailed(f"expected response.uid={quoted(uid)}, got {quoted(str(response.get('uid', '')))}")
    told = response.get("result")
    result: Tree = told if isinstance(told, dict) else {}
    if result.get("status") != "Success":
        raise ConversionFailed(
            result.get("message") or f"response.result.status was '{result.get('status', '')}', not 'Success'"
        )
    found = response.get("convertedObjects") or []
    return found if isinstance(found, list) else []


def _check_same(before: Tree, after: Tree) -> None:
    """A conversion changes neither who an object is nor where (validateConvertedObject)."""
    was, now = before.get("metadata") or {}, after.get("metadata") or {}
    for name, told in SAME[1:]:
        a, b = was.get(name) or "", (now.get(name) or "") if isinstance(now, dict) else ""
        if a != b:
            raise ConversionFailed(f"must have the same {told}: {a} != {b}")


def _metadata(before: Tree, after: Tree) -> Tree:
    """The metadata that an object had, with the labels and annotations that the webhook gave it (restoreObjectMeta)."""
    if "metadata" not in after:
        raise ConversionFailed("missing metadata in converted object")
    given = after["metadata"]
    if not isinstance(given, dict):
        raise ConversionFailed(f"invalid metadata of type {_go_type(given)} in converted object")
    result: Tree = copy.deepcopy(before.get("metadata") or {})
    for name in ("labels", "annotations"):
        new = given.get(name)
        if new is None:
            result.pop(name, None)
            continue
        if not isinstance(new, dict):
            raise ConversionFailed(f"invalid metadata.{name} of type {_go_type(new)} in converted object")
        for key, value in new.items():
            if not isinstance(value, str):
                why = f"must be a string, but is {_go_type(value)} in converted object"
                raise ConversionFailed(f"metadata.{name}[{key}] {why}")
        if new != (result.get(name) or {}):
            causes = (
                metadata.label_causes(new, "metadata.labels")
                if name == "labels"
                else metadata.annotation_causes(new, "metadata.annotation")
            )
            if causes:
                raise ConversionFailed(_aggregate(causes))
        result[name] = new
    return result


def _aggregate(causes: list[Cause]) -> str:
    texts = [f"{c.field}: {c.message}" for c in causes]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _go_type(value: Any) -> str:
    if value is None:
        return "<nil>"
    names = {bool: "bool", int: "int64", float: "float64", str: "string", list: "[]interface {}"}
    return names.get(type(value), "map[string]interface {}")
