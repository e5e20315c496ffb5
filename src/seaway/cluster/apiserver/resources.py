"""Requests for resources: from a request line and body to a verb, and from its result to an answer.

The order of refusals is the API server's: the path and method, the media types, the parameters, then what the verb says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aiohttp import web

from seaway.api.kinds import Kind
from seaway.cluster.apiserver import (
    answers,
    bodies,
    eviction,
    forms,
    listing,
    options,
    patching,
    protobuf,
    proxying,
    reads,
    reviews,
    streamed,
    streams,
    subresources,
    tables,
)
from seaway.cluster.apiserver.answers import Form
from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.calls import Call
from seaway.cluster.apiserver.options import WriteOptions, flag
from seaway.cluster.apiserver.requests import RequestInfo
from seaway.cluster.apiserver.seats import visit_of
from seaway.cluster.apiserver.status import ApiError, bad_request, not_allowed
from seaway.cluster.apiserver.storage import decode, encode
from seaway.cluster.apiserver.trace import TRACE, Trace
from seaway.cluster.apiserver.verbs import RETURNS_OBJECT

if TYPE_CHECKING:
    from seaway.cluster.apiserver.door import Door

Tree = dict[str, Any]
STATUS_LIKE = frozenset({"status", "approval", "finalize", "ephemeralcontainers", "resize"})
SUBRESOURCE_BODIES = {
    "binding": "io.k8s.api.core.v1.Binding",
    "eviction": "io.k8s.api.policy.v1.Eviction",
    "token": "io.k8s.api.authentication.v1.TokenRequest",
}
DELETE_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
STREAMS = frozenset({"log", "exec", "attach", "portforward"})
ITEM_METHODS = {"GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
LIST_METHODS = {"GET": "list", "HEAD": "list", "POST": "create", "DELETE": "deletecollection"}


async def answer(
    door: Door, request: web.BaseRequest, info: RequestInfo, kind: Kind, user: User, warnings: list[str]
) -> web.StreamResponse:
    query, method = request.query, request.method
    if info.subresource in STREAMS:
        visit_of(request).stream()
        return await streams.to_kubelet(door, request, info, kind, user, warnings)
    if info.subresource == "proxy":
        visit_of(request).stream()
        return await proxying.answer(door, request, info, kind, user, warnings)
    _check_method(method, info, kind)
    media = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if method == "PATCH":
        patching.check_media(kind, media)
    accept = request.headers.get("Accept", "")
    if kind.definition:
        answers.check_route(accept, method in ("GET", "HEAD") and not info.name)
    form = answers.negotiate(accept, query)
    if kind.custom is not None:
        answers.check_custom(accept, form)
    call = await _call(request, info, kind, user, warnings)
    if info.subresource and info.subresource not in STATUS_LIKE:
        tree = await _subresource(door, call, method, info)
        shown = subresources.SCALES if info.subresource == "scale" else None
        return show(door, tree, form, 201 if method == "POST" else 200, shown)
    if kind.group_resource == "bindings":
        return show(door, await subresources.bind_named(door.verbs, call), form, 201)
    if not kind.stored:
        return show(door, await reviews.answer(door, call), form, 201)
    if method in ("GET", "HEAD"):
        if info.verb == "watch" or (info.name and flag(query, "watch")):
            return await streamed.watch(door, request, kind, info, form, warnings)
        answers.check_shape(form, kind, not info.name)
        if not info.name:
            visit = visit_of(request)
            found = await door.reads.list(kind, info.namespace, query, form, visit.turn)
            return await streamed.listing(request, found, visit, warnings)
        entry = door.reads.get(kind, call.key, info.name)
        await forms.prepare(kind, [entry])
        return encoded(door.reads.show(kind, entry, form), form)
    if method == "DELETE":
        return await _delete(door, call, request, info, form)
    answers.check_shape(form, kind, False)
    if method == "POST":
        try:
            tree = await door.verbs.create(call)
        finally:
            request[TRACE].name = call.name
        return show(door, tree, form, 201, kind)
    code, tree = await (door.verbs.update(call) if method == "PUT" else door.verbs.patch(call))
    return show(door, tree, form, code, kind)


def _check_method(method: str, info: RequestInfo, kind: Kind) -> None:
    """405 where the path does not take the method."""
    if info.subresource:
        if method == "DELETE" or method not in (*ITEM_METHODS, "POST"):
            raise _not_supported(info, kind)
        if method == "POST" and (info.subresource in STATUS_LIKE or kind.custom is not None):
            raise _not_supported(info, kind)
        return
    verb = (ITEM_METHODS if info.name else LIST_METHODS).get(method)
    if verb is None or verb not in (kind.verbs if kind.stored else ("create",)):
        raise _not_supported(info, kind)


def _not_supported(info: RequestInfo, kind: Kind) -> ApiError:
    """Built-in kinds have no route for it, custom ones are asked and refuse (apierrors.NewMethodNotSupported)."""
    if kind.custom is None:
        return not_allowed()
    told = f'{info.verb} is not supported on resources of kind "{kind.group_resource}"'
    return ApiError(405, "MethodNotAllowed", told, {"group": kind.group, "kind": kind.resource})


async def _call(request: web.BaseRequest, info: RequestInfo, kind: Kind, user: User, warnings: list[str]) -> Call:
    query, method = request.query, request.method
    trace: Trace = request[TRACE]
    body = trace.body = await request.read() if request.body_exists else b""
    content_type = request.headers.get("Content-Type", "")
    wanted = WriteOptions()
    if method in options.OPTIONS:
        media = content_type.partition(";")[0].strip().lower()
        wanted = options.write_options(method, media, query, query.getall("dryRun", []))
        trace.dry_run = wanted.dry_run
    return Call(
        kind,
        info.namespace if kind.namespaced else "",
        info.name,
        user,
        info.subresource,
        body,
        content_type,
        wanted.dry_run,
        wanted.validation,
        warnings,
        options.manager_of(wanted, request.headers.get("User-Agent", "")) or "unknown",
        wanted.force,
        options=wanted.tree(method, query.get("fieldValidation", "")),
        annotations=trace.annotations,
    )


async def _subresource(door: Door, call: Call, method: str, info: RequestInfo) -> Tree:
    name = info.subresource
    if name == "scale" and method in ("GET", "PUT", "PATCH"):
        return await subresources.scale(door.verbs, call, method)
    if method != "POST":
        raise not_allowed()
    body = bodies.decode(call.body, call.content_type) if call.body else {}
    if not isinstance(body, dict) or name not in SUBRESOURCE_BODIES:
        raise bad_request("the object provided is unrecognized") if name in SUBRESOURCE_BODIES else not_allowed()
    body = bodies.typed(body, call.kind, None, "Ignore", [], SUBRESOURCE_BODIES[name])
    if name == "binding" and call.kind.resource == "pods":
        return await subresources.bind(door.verbs, call, body)
    if name == "eviction":
        return await eviction.evict(door.verbs, call, body)
    if name == "token":
        return await subresources.token(door.verbs, call, body, door.signer)
    raise not_allowed()


def _delete_options(call: Call, request: web.BaseRequest) -> Tree:
    """DeleteOptions of the body, or of the query where there is no body."""
    query = request.query
    wanted: Tree = {}
    if call.body:
        decoded = bodies.decode(call.body, call.content_type, "DeleteOptions")
        if not isinstance(decoded, dict) or decoded.get("kind") not in (None, "", "DeleteOptions"):
            raise bad_request("decoded object cannot be converted to DeleteOptions")
        wanted = bodies.typed(decoded, call.kind, None, "Ignore", [], DELETE_OPTIONS)
    else:
        if (grace := options.number(query, "gracePeriodSeconds")) is not None:
            wanted["gracePeriodSeconds"] = grace
        if query.get("propagationPolicy"):
            wanted["propagationPolicy"] = query["propagationPolicy"]
        if "orphanDependents" in query:
            wanted["orphanDependents"] = flag(query, "orphanDependents")
        if query.get("dryRun"):
            wanted["dryRun"] = query.getall("dryRun")
    options.check_delete(wanted)
    call.dry_run = bool(wanted.get("dryRun"))
    call.options = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1", **wanted}
    return wanted


async def _delete(
    door: Door, call: Call, request: web.BaseRequest, info: RequestInfo, form: Form
) -> web.StreamResponse:
    wanted = _delete_options(call, request)
    kind = call.kind
    if info.name:
        asked = call.kind
        tree, gone = await door.verbs.delete(call, wanted)
        kind = call.kind
        if not gone or kind.group_resource in RETURNS_OBJECT or kind.group_resource == "namespaces":
            return show(door, tree, form, 200, asked)
        details: Tree = {"name": call.name, "kind": kind.resource, "uid": tree["metadata"]["uid"]}
        if kind.group:
            details["group"] = kind.group
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return show(door, status, form, 200)
    selected = reads.Filter.read(kind, request.query)
    prefix = f"{call.namespace}/" if call.namespace else ""
    chosen = [
        e for e in door.verbs.storage.entries(forms.stored_kind(kind).group_resource, prefix) if selected.matches(e)
    ]
    await forms.prepare(kind, chosen, True)
    for entry in chosen:
        namespace, _, name = entry.key.rpartition("/")
        one = replace(call, kind=kind, namespace=namespace, name=name, one_of_many=True)
        try:
            await door.verbs.delete(one, wanted)
        except ApiError as e:
            if e.code != 404:
                raise
    head = {
        "kind": kind.listed,
        "apiVersion": kind.api_version,
        "metadata": {
            **({"continue": ""} if kind.custom is not None else {}),
            "resourceVersion": str(door.verbs.storage.rv),
        },
        "items": [
            forms.seen(kind, e)
            if kind.custom is not None
            else {k: v for k, v in forms.show(kind, e.tree).items() if k not in ("kind", "apiVersion")}
            for e in chosen
        ],
    }
    return show(door, head, form, 200)


def show(door: Door, tree: Tree, form: Form, code: int, kind: Kind | None = None) -> web.Response:
    """An object as the request wants to see it; `kind` None for what has no Table (a Status, a Scale)."""
    if kind is not None and form.shape == "table":
        meta = {"resourceVersion": tree["metadata"].get("resourceVersion", "")}
        if kind.custom is not None:
            tree = forms.show(kind, tree)
        tree = listing.table_of(kind, [tree], meta, door.verbs.edges.now(), form.include)
    elif kind is not None and form.shape == "metadata":
        tree = tables.partial(tree)
    elif kind is not None:
        tree = forms.show(kind, tree)
    return encoded(encode(tree), form, code)


def encoded(body: bytes, form: Form, code: int = 200) -> web.Response:
    """JSON bytes in the media type that was asked for."""
    if form.media == protobuf.CONTENT_TYPE and form.shape != "table":
        tree = decode(body)
        found = answers.message_of(tree)
        if found:
            return web.Response(status=code, body=protobuf.encode(tree, found), content_type=protobuf.CONTENT_TYPE)
    if form.media == answers.YAML:
        return web.Response(status=code, body=bodies.dump_yaml(decode(body)), content_type=answers.YAML)
    return web.Response(status=code, body=body, content_type=answers.JSON)
