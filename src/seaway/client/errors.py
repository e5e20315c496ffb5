"""What an API server refuses, as exceptions: few, and each with the Status that came."""

from __future__ import annotations

from typing import Any


class ApiStatusError(Exception):
    """An answer of 400 or more. `status` is the Status tree, {} where the body was none."""

    def __init__(self, code: int, status: dict[str, Any], what: str) -> None:
        super().__init__(f"{what}: {code} {status.get('reason', '')}: {status.get('message', 'no message')}")
        self.code, self.status = code, status


class NotFound(ApiStatusError):
    """404."""


class Conflict(ApiStatusError):
    """409: the object exists, or has changed meanwhile."""


class Expired(ApiStatusError):
    """410: the resourceVersion is no longer in the history."""


class Unavailable(Exception):
    """No answer: the server cannot be reached, or broke the connection."""


def from_answer(code: int, status: dict[str, Any], what: str) -> ApiStatusError:
    kind = {404: NotFound, 409: Conflict, 410: Expired}.get(code, ApiStatusError)
    return kind(code, status, what)


def is_namespace_ending(error: BaseException) -> bool:
    """The namespace is being emptied: nothing can be made in it any more, and nobody needs to be told."""
    causes = (error.status.get("details") or {}).get("causes") if isinstance(error, ApiStatusError) else None
    return any(c.get("reason") == "NamespaceTerminating" for c in causes or ())
