"""What a request asks for, read from method, path and query; pure (k8s.io/apiserver RequestInfo)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get", "HEAD": "get"}
NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """`selected`: the one name that a list, watch or deletion of a collection is limited to by its field selector;
    `fields`: that selector.
    `is_resource` False: a path such as /healthz; then only `verb` (the method in lower case) and `path` count."""

    verb: str
    path: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    rest: str = ""
    selected: str = ""
    fields: str = ""

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def read(method: str, path: str, query: Mapping[str, str]) -> RequestInfo:
    """The RequestInfo of a request line."""
    parts = [p for p in path.split("/") if p]
    other = RequestInfo(method.lower(), path)
    if not parts or parts[0] not in ("api", "apis"):
        return other
    if parts[0] == "api":
        if len(parts) < 3:
            return other
        group, version, rest = "", parts[1], parts[2:]
    else:
        if len(parts) < 4:
            return other
        group, version, rest = parts[1], parts[2], parts[3:]
    watching = rest[0] == "watch" and len(rest) > 1  # the old form of a watch, which clients still know
    if watching:
        rest = rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        if len(rest) > 2 and rest[2] not in NAMESPACE_SUBRESOURCES:
            namespace, rest = rest[1], rest[2:]
        else:
            namespace = rest[1]
    resource, name = rest[0], rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    verb = VERBS.get(method, method.lower())
    if watching and verb == "get":
        verb = "watch"
    elif not name:
        if verb == "get":
            verb = "watch" if query.get("watch", "false").lower() not in ("false", "0") else "list"
        elif verb == "delete":
            verb = "deletecollection"
    fields = query.get("fieldSelector", "")
    selected = "" if name else _selected(fields)
    return RequestInfo(
        verb, path, True, group, version, namespace, resource, subresource, name, "/".join(rest[3:]), selected, fields
    )


def _selected(text: str) -> str:
    """The name in a field selector that asks for exactly one."""
    for term in text.split(","):
        field, _, value = term.partition("=")
        if field.strip() == "metadata.name":
            return value.lstrip("=").strip()
    return ""
