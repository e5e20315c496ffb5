"""Errors in the API's own form: metav1.Status with reason, code and causes, in Kubernetes' words; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from seaway.api.kinds import Kind


@dataclass(frozen=True, slots=True)
class Cause:
    """A field that is wrong: `reason` is FieldValueInvalid, FieldValueRequired, ...; `message` begins with the value."""

    field: str
    reason: str
    message: str


class ApiError(Exception):
    """An answer other than success. `tree` is the Status that the client gets."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.tree: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        }
        if details is not None:
            self.tree["details"] = details
        if not reason:
            del self.tree["reason"]


def internal_type(kind: Kind) -> str:
    """The server's own Go type of a kind, which some messages name: `core.ConfigMap`, `rbac.Role`."""
    if kind.custom is not None:
        return "unstructured.Unstructured"
    package = "core" if kind.group in ("", "events.k8s.io") else kind.group.partition(".")[0]
    return f"{package}.{kind.kind}"


def _details(kind: Kind, name: str) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name} if name else {}
    if kind.group:
        details["group"] = kind.group
    details["kind"] = kind.resource
    return details


def not_found(kind: Kind, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{kind.group_resource} "{name}" not found', _details(kind, name))


def already_exists(kind: Kind, name: str) -> ApiError:
    return ApiError(409, "AlreadyExists", f'{kind.group_resource} "{name}" already exists', _details(kind, name))


def conflict(kind: Kind, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {kind.group_resource} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(kind, name))


def precondition_failed(kind: Kind, name: str, why: str) -> ApiError:
    """A DELETE for another uid or version; it names the kind, not the resource (rest.BeforeDelete)."""
    qualified = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    message = f'Operation cannot be fulfilled on {qualified} "{name}": {why}'
    return ApiError(409, "Conflict", message, {**_details(kind, name), "kind": kind.kind})


def modified(kind: Kind, name: str) -> ApiError:
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(kind, name, why)


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def not_allowed() -> ApiError:
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def no_resource() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def internal(message: str) -> ApiError:
    return ApiError(500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]})


def expired(message: str) -> ApiError:
    return ApiError(410, "Expired", message)


def unavailable(message: str) -> ApiError:
    return ApiError(503, "ServiceUnavailable", message)


def forbidden(kind: Kind, name: str, why: str) -> ApiError:
    quoted = f'{kind.group_resource} "{name}"' if name else kind.group_resource
    return ApiError(403, "Forbidden", f"{quoted} is forbidden: {why}", _details(kind, name))


def rejected() -> ApiError:
    """A patch that does not apply: 422 that says no more, as upstream's NewGenericServerResponse."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def invalid_patch(shown: str, why: str) -> ApiError:
    """A patch whose result is no object of its kind: it has no kind or name to blame, only the patch."""
    return invalid("", "", "", [wrong("patch", shown, why)])


def invalid(group: str, kind: str, name: str, causes: list[Cause]) -> ApiError:
    """422 with a cause a field; one problem stands alone in the message, several in brackets."""
    texts = list(dict.fromkeys(f"{c.field}: {c.message}" for c in causes))
    told = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    qualified = f"{kind}.{group}" if group else kind
    details: dict[str, Any] = {"name": name} if name else {}
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    details["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    return ApiError(422, "Invalid", f'{qualified} "{name}" is invalid: {told}', details)


ESCAPES = {
    "\\": "\\\\",
    '"': '\\"',
    "\n": "\\n",
    "\t": "\\t",
    "\r": "\\r",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\v": "\\v",
}


def quoted(text: str) -> str:
    """A string as Go's %q shows it."""
    found = []
    for c in text:
        if c in ESCAPES:
            found.append(ESCAPES[c])
        elif c.isprintable():
            found.append(c)
        elif ord(c) < 0x80:
            found.append(f"\\x{ord(c):02x}")
        else:
            found.append(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}")
    return '"' + "".join(found) + '"'


def shown(value: Any) -> str:
    """A value as errors show it: strings in quotes, everything else as JSON."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, (dict, list)):
        text = msgspec.json.encode(value).decode()
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")  # as encoding/json does
    return str(value)


def wrong(field: str, value: Any, why: str) -> Cause:
    return Cause(field, "FieldValueInvalid", f"Invalid value: {shown(value)}: {why}")


def required(field: str, why: str = "") -> Cause:
    return Cause(field, "FieldValueRequired", f"Required value: {why}" if why else "Required value")


def unsupported(field: str, value: Any, supported: tuple[str, ...] | list[str], ordered: bool = False) -> Cause:
    """A value that is none of a few; `ordered`: they are told as given, not sorted."""
    told = ", ".join(shown(s) for s in (supported if ordered else sorted(supported)))
    return Cause(field, "FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {told}")


def unlisted(field: str, value: Any, supported: Iterable[str]) -> Cause:
    """As `unsupported`, where the supported values are told in an order of their own."""
    told = ", ".join(quoted(s) for s in supported)
    return Cause(field, "FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {told}")


def missing(field: str, value: Any, why: str = "") -> Cause:
    """A reference to something that is not there."""
    told = f"Not found: {shown(value)}"
    return Cause(field, "FieldValueNotFound", f"{told}: {why}" if why else told)


def too_many(field: str, count: int, limit: int) -> Cause:
    return Cause(field, "FieldValueTooMany", f"Too many: {count}: must have at most {limit} items")


def not_permitted(field: str, why: str) -> Cause:
    return Cause(field, "FieldValueForbidden", f"Forbidden: {why}")


def duplicate(field: str, value: Any) -> Cause:
    return Cause(field, "FieldValueDuplicate", f"Duplicate value: {shown(value)}")


def too_long(field: str, limit: int) -> Cause:
    return Cause(field, "FieldValueTooLong", f"Too long: may not be more than {limit} bytes")
