"""Events of audit.k8s.io/v1, and lines of the request log, made of Traces; pure."""

from __future__ import annotations

import datetime
from typing import Any, NamedTuple

import msgspec

from seaway.cluster.apiserver import bodies
from seaway.cluster.apiserver.auditing.policy import COMPLETE, REQUEST, REQUEST_RESPONSE, Config
from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.status import ApiError, quoted
from seaway.cluster.apiserver.trace import Trace

Tree = dict[str, Any]
AGENT_LIMIT = 1024
OBJECT_LIMIT = 256 << 10  # bytes of an object that is told whole
TRUNCATED = "audit.k8s.io/truncated"
PATCHES = "patch.webhook.admission.k8s.io/"  # told from level Request on: they hold parts of objects
FORMED = "%Y-%m-%dT%H:%M:%S.%fZ"


class Ended(NamedTuple):
    """How a request ended, or in how far it did: `body` of the answer where it is known."""

    code: int
    at: float
    body: bytes = b""
    media: str = ""


def stamp(seconds: float) -> str:
    """A MicroTime."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime(FORMED)


def _user(user: User | None) -> Tree:
    if user is None:
        return {}
    found: Tree = {"username": user.name}
    if user.uid:
        found["uid"] = user.uid
    if user.groups:
        found["groups"] = list(user.groups)
    if user.extra:
        found["extra"] = {name: list(values) for name, values in sorted(user.extra.items())}
    return found


def _object_ref(trace: Trace) -> Tree | None:
    info = trace.info
    if not info.is_resource:
        return None
    found = {
        "resource": info.resource,
        "namespace": info.namespace,
        "name": info.name or trace.name,
        "apiGroup": info.group,
        "apiVersion": info.version,
        "subresource": info.subresource,
    }
    return {name: value for name, value in found.items() if value}


def _response_status(trace: Trace, code: int) -> Tree:
    """What became of it; of a failure with the reason (never with details: they hold values)."""
    found: Tree = {"metadata": {}}
    if trace.error is not None:
        found.update({k: trace.error[k] for k in ("status", "message", "reason", "details") if k in trace.error})
    return {**found, "code": code}


def _object(body: bytes, media: str, omit_managed: bool) -> tuple[Any, bool]:
    """(an object as it is told, whether it was too large for that)."""
    if len(body) > OBJECT_LIMIT:
        return None, True
    media = media.partition(";")[0].strip().lower()
    try:
        tree = bodies.parse(body, bodies.JSON if media.endswith("+json") else media)
    except (bodies.Unreadable, ApiError, msgspec.DecodeError):
        return None, False
    if omit_managed and isinstance(tree, dict):
        for item in (tree, *(tree["items"] if isinstance(tree.get("items"), list) else ())):
            if isinstance(item, dict) and isinstance(item.get("metadata"), dict):
                item["metadata"].pop("managedFields", None)
    return tree, False


def event(trace: Trace, stage: str, config: Config, ended: Ended) -> Tree:
    """The Event of one stage of a request."""
    agent = trace.agent
    found: Tree = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": config.level,
        "auditID": trace.id,
        "stage": stage,
        "requestURI": trace.uri,
        "verb": trace.info.verb,
        "user": _user(trace.user),
    }
    if trace.acting is not None:
        found["impersonatedUser"] = _user(trace.acting)
    if trace.source:
        found["sourceIPs"] = list(trace.source)
    if agent:
        found["userAgent"] = agent if len(agent) <= AGENT_LIMIT else agent[:AGENT_LIMIT] + "...TRUNCATED"
    if (ref := _object_ref(trace)) is not None:
        found["objectRef"] = ref
    if ended.code:
        found["responseStatus"] = _response_status(trace, ended.code)
    annotations, too_large = dict(trace.annotations), False
    if config.at_least(REQUEST):
        if trace.body:
            tree, too_large = _object(trace.body, trace.media, config.omit_managed_fields)
            if tree is not None:
                found["requestObject"] = tree
    else:
        annotations = {name: value for name, value in annotations.items() if not name.startswith(PATCHES)}
    if config.at_least(REQUEST_RESPONSE) and stage == COMPLETE and ended.body:
        tree, larger = _object(ended.body, ended.media, config.omit_managed_fields)
        too_large = too_large or larger
        if tree is not None:
            found["responseObject"] = tree
    if too_large:
        annotations[TRUNCATED] = "true"
    found["requestReceivedTimestamp"] = stamp(trace.received)
    found["stageTimestamp"] = stamp(ended.at)
    if annotations:
        found["annotations"] = annotations
    return found


def request_line(trace: Trace, ended: Ended) -> str:
    """A line of the request log (pkg/server/httplog)."""
    took = (ended.at - trace.received) * 1000
    user = trace.acting or trace.user
    who = user.name if user is not None else ""
    return (
        f'{stamp(ended.at)} "HTTP" verb={quoted(trace.verb)} URI={quoted(trace.uri)} latency="{took:.3f}ms" '
        f"userAgent={quoted(trace.agent[:AGENT_LIMIT])} audit-ID={quoted(trace.id)} "
        f"srcIP={quoted(trace.source[-1] if trace.source else '')} user={quoted(who)} resp={ended.code}"
    )
