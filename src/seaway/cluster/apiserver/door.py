"""The HTTP door: TLS, identities, limits, streams. Every answer leaves through here; nothing is decided here."""

from __future__ import annotations

import asyncio
import ssl
import sys
import traceback
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import web

from seaway.api import facts, kinds
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import authz, bodies, discovery, protobuf, reads, requests, streams, subresources, tables
from seaway.cluster.apiserver.authn import Tokens, identify
from seaway.cluster.apiserver.authz import Rbac, User
from seaway.cluster.apiserver.reads import Form, Reads, flag
from seaway.cluster.apiserver.requests import RequestInfo
from seaway.cluster.apiserver.status import (
    ApiError,
    bad_request,
    forbidden,
    invalid,
    no_resource,
    not_allowed,
    unsupported,
    wrong,
)
from seaway.cluster.apiserver.storage import decode, encode
from seaway.cluster.apiserver.verbs import RETURNS_OBJECT, Call, Verbs
from seaway.pki.tokens import Signer

Tree = dict[str, Any]
BODY_LIMIT = 3 << 20
PUBLIC = ("/healthz", "/livez", "/readyz", "/version")
JSON_TYPE = "application/json"
ENDPOINTS_WARNING = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
STATUS_LIKE = frozenset({"status", "approval", "finalize", "ephemeralcontainers", "resize"})
SUBRESOURCE_BODIES = {
    "binding": "io.k8s.api.core.v1.Binding",
    "eviction": "io.k8s.api.policy.v1.Eviction",
    "token": "io.k8s.api.authentication.v1.TokenRequest",
}
STREAMS = frozenset({"log", "exec", "attach", "portforward"})


class Door:
    """Routes a request through authentication, authorization and the verb it asks for."""

    def __init__(
        self,
        verbs: Verbs,
        read: Reads,
        rbac: Rbac,
        tokens: Tokens,
        signer: Signer,
        kubelets: ssl.SSLContext | None,
        address: str,
    ) -> None:
        self.verbs, self.reads, self.rbac, self.tokens, self.signer = verbs, read, rbac, tokens, signer
        self.kubelets, self.address = kubelets, address
        self.ready = False

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        warnings: list[str] = []
        try:
            response = await self._answer(request, warnings)
        except ApiError as e:
            response = self._error(e)
        except web.HTTPRequestEntityTooLarge:
            response = self._error(
                ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {BODY_LIMIT}")
            )
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            traceback.print_exc()
            print(
                f"apiserver: {request.method} {request.rel_url} failed; the lines above say where",
                file=sys.stderr,
                flush=True,
            )
            response = self._error(
                ApiError(500, "InternalError", "an internal error has occurred; see the log of the API server")
            )
        if not response.prepared:
            for text in dict.fromkeys(warnings):
                escaped = text.replace("\\", "\\\\").replace('"', '\\"')
                response.headers.add("Warning", f'299 - "{escaped}"')
        return response

    @staticmethod
    def _error(error: ApiError) -> web.Response:
        response = web.Response(status=error.code, body=encode(error.tree), content_type=JSON_TYPE)
        retry = (error.tree.get("details") or {}).get("retryAfterSeconds")
        if retry:
            response.headers["Retry-After"] = str(retry)
        return response

    async def _answer(self, request: web.BaseRequest, warnings: list[str]) -> web.StreamResponse:
        query = request.query
        info = requests.read(request.method, request.path, query)
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport is not None else None
        user = identify(request.headers.get("Authorization", ""), certificate, self.tokens)
        if not (
            info.path in PUBLIC or info.path.startswith(("/livez/", "/readyz/", "/healthz/"))
        ) and not self.rbac.allowed(user, info):
            raise self.refused(user, info)
        if not info.is_resource:
            return self._path(request, info, user)
        kind = kinds.by_resource().get((info.group, info.version, info.resource))
        if kind is None:
            if (info.group, info.version) not in {(k.group, k.version) for k in kinds.builtin()}:
                return web.Response(status=404, text="404 page not found\n")
            raise no_resource()
        if kind.namespaced and not info.namespace and (info.name or info.verb not in ("list", "watch")):
            raise no_resource() if info.name else not_allowed()
        if not kind.namespaced and info.namespace and kind.resource != "namespaces":
            raise no_resource()
        if kind.group_resource == "endpoints":
            warnings.append(ENDPOINTS_WARNING)
        if info.rest or (info.subresource and info.subresource not in kind.subresources):
            raise no_resource()
        return await self._resource(request, info, kind, user, warnings)

    def refused(self, user: User, info: RequestInfo) -> ApiError:
        why = authz.refusal(user, info)
        if not info.is_resource:
            return ApiError(403, "Forbidden", f"forbidden: {why}", {})
        name = "" if info.verb == "create" and not info.subresource else info.name
        known = kinds.by_resource().get((info.group, info.version, info.resource))
        kind = known or Kind(info.group, info.version, info.resource, info.resource, False, ())
        return forbidden(kind, name, why)

    # paths that are no resources

    def _path(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        path = "/" + "/".join(p for p in info.path.split("/") if p)
        if request.method not in ("GET", "HEAD"):
            raise not_allowed() if path.startswith(("/api", "/apis")) else ApiError(405, "MethodNotAllowed", "405")
        accept = request.headers.get("Accept", "")
        aggregated = "g=apidiscovery.k8s.io" in accept and "v=v2" in accept.replace("v=v2beta1", "")
        parts = path.strip("/").split("/")
        if path in ("/healthz", "/livez", "/readyz") or parts[0] in ("healthz", "livez", "readyz"):
            return self._health(parts, request.query)
        if path == "/version":
            return web.json_response(discovery.version())
        if path == "/openapi/v3":
            return web.Response(body=discovery.openapi_index(), content_type=JSON_TYPE)
        if parts[:2] == ["openapi", "v3"]:
            return self._openapi(parts[2:])
        if path in ("/api", "/apis"):
            if aggregated:
                found = discovery.aggregated(path == "/api")
                kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
                return web.Response(body=found, headers={"Content-Type": kind, "Vary": "Accept"})
            return self._json(discovery.api_versions(self.address) if path == "/api" else discovery.groups())
        groups = discovery.group_versions()
        if parts[0] == "api" and len(parts) == 2 and parts[1] in groups[""]:
            return self._json(discovery.resources("", parts[1]))
        if parts[0] == "apis" and len(parts) > 1 and parts[1] in groups and parts[1]:
            if len(parts) == 2:
                return self._json(discovery.group(parts[1]))
            if len(parts) == 3 and parts[2] in groups[parts[1]]:
                return self._json(discovery.resources(parts[1], parts[2]))
        if path == "/":
            return self._json(
                {"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]}
            )
        return web.Response(status=404, text="404 page not found\n")

    @staticmethod
    def _json(tree: Tree) -> web.Response:
        return web.Response(body=encode(tree), content_type=JSON_TYPE)

    def _health(self, parts: list[str], query: Mapping[str, str]) -> web.Response:
        checks = {"ping": True, "storage": True}
        if parts[0] == "readyz":
            checks["bootstrap"] = self.ready
        well = all(checks.values())
        lines = [f"[{'+' if ok else '-'}]{name} {'ok' if ok else 'failed'}" for name, ok in checks.items()]
        if len(parts) > 1:
            found = checks.get(parts[1])
            return (
                web.Response(status=404, text="404 page not found\n")
                if found is None
                else web.Response(status=200 if found else 500, text="ok" if found else "failed")
            )
        if "verbose" in query or not well:
            text = "\n".join([*lines, f"{parts[0]} check {'passed' if well else 'failed'}", ""])
            return web.Response(status=200 if well else 500, text=text)
        return web.Response(text="ok")

    @staticmethod
    def _openapi(parts: list[str]) -> web.Response:
        groups = discovery.group_versions()
        if parts[0] == "api" and len(parts) == 2 and parts[1] in groups[""]:
            return web.Response(body=discovery.openapi_document("", parts[1]), content_type=JSON_TYPE)
        if parts[0] == "apis" and len(parts) == 3 and parts[2] in groups.get(parts[1], ()):
            return web.Response(body=discovery.openapi_document(parts[1], parts[2]), content_type=JSON_TYPE)
        return web.Response(status=404, text="404 page not found\n")

    # resources

    async def _resource(
        self, request: web.BaseRequest, info: RequestInfo, kind: Kind, user: User, warnings: list[str]
    ) -> web.StreamResponse:
        query, method = request.query, request.method
        if info.subresource in STREAMS:
            return await streams.to_kubelet(self, request, info, kind, user)
        call = await self._call(request, info, kind, user, warnings)
        if info.subresource and info.subresource not in STATUS_LIKE:
            return self._show(await self._subresource(call, method, info), request, 201 if method == "POST" else 200)
        if not kind.stored:
            return self._show(await self._review(call), request, 201)
        form = reads.accept(request.headers.get("Accept", ""), query)
        key = call.key
        if method in ("GET", "HEAD"):
            if info.verb == "watch" or (info.name and flag(query, "watch")):
                return await self._watch(request, kind, info, form)
            if info.verb == "list":
                return self._bytes(self.reads.list(kind, info.namespace, query, form), request, kind)
            return self._bytes(self.reads.show(kind, self.reads.get(kind, key, info.name), form), request, kind)
        if method == "POST" and not info.name:
            return self._show(await self.verbs.create(call), request, 201, kind, form)
        if method == "PUT" and info.name:
            code, tree = await self.verbs.update(call)
            return self._show(tree, request, code, kind, form)
        if method == "PATCH" and info.name:
            return self._show(await self.verbs.patch(call), request, 200, kind, form)
        if method == "DELETE" and not info.subresource:
            return await self._delete(call, request, info)
        raise not_allowed()

    async def _call(
        self, request: web.BaseRequest, info: RequestInfo, kind: Kind, user: User, warnings: list[str]
    ) -> Call:
        query = request.query
        body = await request.read() if request.body_exists else b""
        dry = query.get("dryRun")
        if dry not in (None, "", "All"):
            options = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions"}.get(
                request.method, "DeleteOptions"
            )
            raise invalid("meta.k8s.io", options, "", [unsupported("dryRun", dry, ("All",))])
        validation = query.get("fieldValidation") or "Warn"
        if validation not in ("Strict", "Warn", "Ignore"):
            raise invalid(
                "meta.k8s.io",
                "CreateOptions" if request.method == "POST" else "PatchOptions",
                "",
                [unsupported("fieldValidation", validation, ("", "Ignore", "Strict", "Warn"))],
            )
        return Call(
            kind,
            info.namespace if kind.namespaced else "",
            info.name,
            user,
            info.subresource,
            body,
            request.headers.get("Content-Type", ""),
            bool(dry),
            validation,
            warnings,
        )

    async def _subresource(self, call: Call, method: str, info: RequestInfo) -> Tree:
        name = info.subresource
        if name == "scale" and method in ("GET", "PUT", "PATCH"):
            return await subresources.scale(self.verbs, call, method)
        if method != "POST":
            raise not_allowed()
        body = bodies.decode(call.body, call.content_type) if call.body else {}
        if not isinstance(body, dict) or name not in SUBRESOURCE_BODIES:
            raise bad_request("the object provided is unrecognized") if name in SUBRESOURCE_BODIES else not_allowed()
        body = bodies.typed(body, call.kind, None, "Ignore", [], SUBRESOURCE_BODIES[name])
        if name == "binding" and call.kind.resource == "pods":
            return await subresources.bind(self.verbs, call, body)
        if name == "eviction":
            return await subresources.evict(self.verbs, call, body)
        if name == "token":
            return subresources.token(self.verbs, call, body, self.signer)
        raise not_allowed()

    async def _review(self, call: Call) -> Tree:
        """Access reviews and who-am-I: answered from the request alone."""
        body = bodies.check_kind(bodies.decode(call.body, call.content_type), call.kind)
        body = bodies.typed(body, call.kind, None, call.field_validation, call.warnings)
        kind = call.kind.kind
        user = call.user
        if kind == "SelfSubjectReview":
            info: Tree = {"username": user.name, "groups": list(user.groups)}
            if user.uid:
                info["uid"] = user.uid
            if user.extra:
                info["extra"] = user.extra
            body["status"] = {"userInfo": info}
        elif kind in ("SelfSubjectAccessReview", "SubjectAccessReview", "LocalSubjectAccessReview"):
            spec = body.get("spec") or {}
            if kind != "SelfSubjectAccessReview":
                user = User(spec.get("user", ""), tuple(spec.get("groups") or ()))
            asked = spec.get("resourceAttributes")
            other = spec.get("nonResourceAttributes") or {}
            if asked is not None:
                wanted = RequestInfo(
                    asked.get("verb", ""),
                    "",
                    True,
                    asked.get("group", ""),
                    asked.get("version", ""),
                    asked.get("namespace", ""),
                    asked.get("resource", ""),
                    asked.get("subresource", ""),
                    asked.get("name", ""),
                )
            else:
                wanted = RequestInfo(other.get("verb", ""), other.get("path", ""))
            body["status"] = {"allowed": self.rbac.allowed(user, wanted)}
        elif kind == "SelfSubjectRulesReview":
            namespace = (body.get("spec") or {}).get("namespace", "")
            rules = list(self.rbac.rules(user, namespace))
            body["status"] = {
                "incomplete": False,
                "resourceRules": [r for r in rules if "resources" in r],
                "nonResourceRules": [r for r in rules if "nonResourceURLs" in r],
            }
        elif kind == "TokenReview":
            try:
                found = self.tokens.user((body.get("spec") or {}).get("token", ""))
                body["status"] = {
                    "authenticated": True,
                    "user": {"username": found.name, "uid": found.uid, "groups": list(found.groups)},
                }
            except ApiError:
                body["status"] = {"authenticated": False, "error": "invalid bearer token"}
        else:
            raise not_allowed()
        body.setdefault("metadata", {})
        return body

    async def _delete(self, call: Call, request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        query = request.query
        options: Tree = {}
        if call.body:
            decoded = bodies.decode(call.body, call.content_type)
            if not isinstance(decoded, dict) or decoded.get("kind") not in (None, "", "DeleteOptions"):
                raise bad_request("the object provided is unrecognized (must be of type DeleteOptions)")
            options = bodies.typed(
                decoded, call.kind, None, "Ignore", [], "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
            )
        if (grace := reads.number(query, "gracePeriodSeconds")) is not None:
            options["gracePeriodSeconds"] = grace
        if query.get("propagationPolicy"):
            options["propagationPolicy"] = query["propagationPolicy"]
        if options.get("propagationPolicy") not in (None, "Foreground", "Background", "Orphan"):
            raise invalid(
                "meta.k8s.io",
                "DeleteOptions",
                "",
                [
                    wrong(
                        "propagationPolicy",
                        options["propagationPolicy"],
                        'must be one of "Background", "Foreground", "Orphan"',
                    )
                ],
            )
        if "All" in (options.get("dryRun") or ()):
            call.dry_run = True
        if info.name:
            tree, gone = await self.verbs.delete(call, options)
            if not gone or call.kind.group_resource in RETURNS_OBJECT or call.kind.group_resource == "namespaces":
                return self._show(tree, request, 200)
            details: Tree = {"name": call.name, "kind": call.kind.resource, "uid": tree["metadata"]["uid"]}
            if call.kind.group:
                details["group"] = call.kind.group
            return self._show(
                {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details},
                request,
                200,
            )
        wanted = reads.Filter.read(call.kind, query)
        prefix = f"{call.namespace}/" if call.namespace else ""
        chosen = [e for e in self.verbs.storage.entries(call.kind.group_resource, prefix) if wanted.matches(e)]
        for entry in chosen:
            namespace, _, name = entry.key.rpartition("/")
            one = Call(call.kind, namespace, name, call.user, dry_run=call.dry_run)
            try:
                await self.verbs.delete(one, options)
            except ApiError as e:
                if e.code != 404:
                    raise
        head = {
            "kind": f"{call.kind.kind}List",
            "apiVersion": call.kind.api_version,
            "metadata": {"resourceVersion": str(self.verbs.storage.rv)},
            "items": [{k: v for k, v in e.tree.items() if k not in ("kind", "apiVersion")} for e in chosen],
        }
        return self._show(head, request, 200)

    async def _watch(self, request: web.BaseRequest, kind: Kind, info: RequestInfo, form: Form) -> web.StreamResponse:
        lines: AsyncIterator[bytes] = await self.reads.watch(kind, info.namespace, request.query, form, info.name)
        response = web.StreamResponse(headers={"Content-Type": JSON_TYPE})
        response.enable_chunked_encoding()
        if kind.group_resource == "endpoints":
            response.headers.add("Warning", f'299 - "{ENDPOINTS_WARNING}"')
        await response.prepare(request)
        try:
            async for chunk in lines:
                await response.write(chunk)
        except (ConnectionError, asyncio.CancelledError):
            return response
        finally:
            await lines.aclose()  # type: ignore[attr-defined]
        await response.write_eof()
        return response

    # how answers look

    def _show(
        self, tree: Tree, request: web.BaseRequest, code: int, kind: Kind | None = None, form: Form | None = None
    ) -> web.Response:
        if kind is not None and form is not None and form.shape == "table":
            meta = {"resourceVersion": tree["metadata"].get("resourceVersion", "")}
            tree = tables.table(kind.group_resource, [tree], meta, self.verbs.edges.now(), form.include)
        elif kind is not None and form is not None and form.shape == "metadata":
            tree = tables.partial(tree)
        return self._bytes(encode(tree), request, kind, code)

    def _bytes(self, body: bytes, request: web.BaseRequest, kind: Kind | None, code: int = 200) -> web.Response:
        accept = request.headers.get("Accept", "")
        first = accept.partition(",")[0].partition(";")[0].strip()
        if first == protobuf.CONTENT_TYPE and JSON_TYPE not in accept and ";as=" not in accept:
            tree = decode(body)
            found = _message(tree)
            if found:
                return web.Response(status=code, body=protobuf.encode(tree, found), content_type=protobuf.CONTENT_TYPE)
        if first == "application/yaml":
            return web.Response(status=code, body=bodies.dump_yaml(decode(body)), content_type=first)
        return web.Response(status=code, body=body, content_type=JSON_TYPE)


def _message(tree: Tree) -> str | None:
    group, _, version = str(tree.get("apiVersion", "")).rpartition("/")
    kind = str(tree.get("kind", ""))
    if kind == "Status":
        return "k8s.io.apimachinery.pkg.apis.meta.v1.Status"
    if kind.endswith("List"):
        item = facts.definition_of(group, version, kind.removesuffix("List"))
        found = f"{protobuf.message_of(item)}List" if item else None
        return found if found in facts.messages() else None
    name = facts.definition_of(group, version, kind)
    return protobuf.message_of(name) if name else None
