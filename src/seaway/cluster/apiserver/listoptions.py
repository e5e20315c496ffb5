"""The options of lists and watches: continue tokens, versions, and which options go together; pure.

Validation and messages are those of k8s.io/apimachinery/pkg/apis/meta/internalversion/validation and apiserver's
storage/continue.go.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

import msgspec

from seaway.cluster.apiserver import gojson
from seaway.cluster.apiserver.status import ApiError, Cause, bad_request, invalid, quoted, unsupported, wrong
from seaway.cluster.apiserver.storage import encode

MATCHES = ("Exact", "NotOlderThan")


def encode_continue(rv: int, start: str) -> str:
    return base64.urlsafe_b64encode(encode({"v": "meta.k8s.io/v1", "rv": rv, "start": start})).rstrip(b"=").decode()


def decode_continue(token: str) -> tuple[int, str]:
    """(version, first key) of a continue token; ApiError 400 in the words of storage/continue.go."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        at = next((i for i, c in enumerate(token) if not (c.isascii() and (c.isalnum() or c in "-_"))), len(token))
        raise _bad_token(f"continue key is not valid: illegal base64 data at input byte {at}") from None
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _bad_token(f"continue key is not valid: {gojson.syntax_error(raw)}") from None
    if not isinstance(found, dict):
        raise _bad_token(
            "continue key is not valid: json: cannot unmarshal value into Go value of type storage.continueToken"
        )
    if found.get("v") != "meta.k8s.io/v1":
        raise _bad_token(
            f'continue key is not valid: server does not recognize this encoded version "{found.get("v", "")}"'
        )
    if not isinstance(found.get("rv"), int) or found["rv"] == 0:
        raise _bad_token("continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not isinstance(found.get("start"), str) or not found["start"]:
        raise _bad_token("continue key is not valid: encoded start key empty (version meta.k8s.io/v1)")
    return found["rv"], found["start"]


def _bad_token(why: str) -> ApiError:
    return bad_request(f"invalid continue token: {why}")


def forbidden_option(field_name: str, why: str) -> Cause:
    return Cause(field_name, "FieldValueForbidden", f"Forbidden: {why}")


def options_error(causes: list[Cause]) -> ApiError:
    return invalid("meta.k8s.io", "ListOptions", "", causes)


def check_list(query: Mapping[str, str]) -> None:
    """Refuses list options that contradict each other (metainternalversion ValidateListOptions)."""
    version, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    found: list[Cause] = []
    if match:
        if not version:
            why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
            found.append(forbidden_option("resourceVersionMatch", why))
        if query.get("continue"):
            why = "resourceVersionMatch is forbidden when continue is provided"
            found.append(forbidden_option("resourceVersionMatch", why))
        if match not in MATCHES:
            found.append(unsupported("resourceVersionMatch", match, (*MATCHES, ""), ordered=True))
        if match == "Exact" and version == "0":
            why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            found.append(forbidden_option("resourceVersionMatch", why))
    if "sendInitialEvents" in query:
        why = "sendInitialEvents is forbidden for list"
        found.append(forbidden_option("sendInitialEvents", why))
    if found:
        raise options_error(found)
    if query.get("continue") and version not in ("", "0"):
        raise bad_request("specifying resource version is not allowed when using continue")
    if (problem := version_problem(version)) is not None:
        raise bad_request(f"invalid resource version: {problem.field}: {problem.message}")


def check_watch(query: Mapping[str, str]) -> None:
    """The same for a watch (KEP-3157: sendInitialEvents goes with NotOlderThan and nothing else)."""
    version, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    found: list[Cause] = []
    if "sendInitialEvents" in query:
        if match != "NotOlderThan":
            why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            found.append(forbidden_option("resourceVersionMatch", why))
        if match and match != "NotOlderThan":
            found.append(unsupported("resourceVersionMatch", match, ("NotOlderThan",)))
        if query.get("continue"):
            why = "sendInitialEvents is forbidden when continue is provided"
            found.append(forbidden_option("resourceVersionMatch", why))
    elif match:
        why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        found.append(forbidden_option("resourceVersionMatch", why))
    if found:
        raise options_error(found)
    if (problem := version_problem(version)) is not None:
        raise options_error([problem])


def version_problem(version: str) -> Cause | None:
    """What is wrong with a resourceVersion, in Go's words (apiserver pkg/storage/api_object_versioner.go)."""
    if version and not (version.isdecimal() and version.isascii()):
        return wrong("resourceVersion", version, f"strconv.ParseUint: parsing {quoted(version)}: invalid syntax")
    if len(version) > 20 or int(version or 0) >= 2**64:
        return wrong("resourceVersion", version, f"strconv.ParseUint: parsing {quoted(version)}: value out of range")
    return None
