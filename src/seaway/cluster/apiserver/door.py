"""The HTTP door: TLS, identities, limits, streams. Every answer leaves through here; nothing is decided here."""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
import traceback
from typing import Any

from aiohttp import HttpVersion10, web

from seaway.api import kinds
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import answers, authz, fairness, impersonation, paths, requests, resources, streamed
from seaway.cluster.apiserver.authn import Tokens, identify
from seaway.cluster.apiserver.authz import Rbac, User
from seaway.cluster.apiserver.reads import Reads
from seaway.cluster.apiserver.requests import RequestInfo
from seaway.cluster.apiserver.seats import Seats
from seaway.cluster.apiserver.status import ApiError, bad_request, forbidden, no_resource, not_allowed, not_found
from seaway.cluster.apiserver.storage import encode
from seaway.cluster.apiserver.verbs import Verbs
from seaway.pki.tokens import Signer

Tree = dict[str, Any]
BODY_LIMIT = 3 << 20
ENDPOINTS_WARNING = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
PUBLIC = ("/healthz", "/livez", "/readyz", "/version")


class NoPath(Exception):
    """Nothing is served under a path."""


def _unexpected(error: Exception, request: web.BaseRequest) -> ApiError:
    """What nobody has foreseen: a fault of ours, but for numbers longer than Python reads (4,300 digits)."""
    if isinstance(error, ValueError) and "integer string conversion" in str(error):
        return bad_request("a number in the request has more digits than the API server reads")
    traceback.print_exc()
    told = f"apiserver: {request.method} {request.rel_url} failed; the lines above say where"
    print(told, file=sys.stderr, flush=True)
    return ApiError(500, "InternalError", "an internal error has occurred; see the log of the API server")


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
        self.seats = Seats(time.monotonic)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        warnings: list[str] = []
        try:
            response = await self._answer(request, warnings)
        except NoPath:
            response = paths.missing()
        except ApiError as e:
            response = self._error(e, request.headers.get("Accept", ""))
        except web.HTTPRequestEntityTooLarge:
            response = self._error(
                ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {BODY_LIMIT}")
            )
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as e:
            response = self._error(_unexpected(e, request))
        if not response.prepared:
            streamed.warn(response, warnings)
        return response

    @staticmethod
    def _error(error: ApiError, accept: str = "") -> web.Response:
        response = resources.encoded(encode(error.tree), answers.for_error(accept), error.code)
        retry = (error.tree.get("details") or {}).get("retryAfterSeconds")
        if retry:
            response.headers["Retry-After"] = str(retry)
        return response

    async def _answer(self, request: web.BaseRequest, warnings: list[str]) -> web.StreamResponse:
        if request.version < HttpVersion10:
            raise bad_request(f"malformed HTTP version HTTP/{request.version.major}.{request.version.minor}")
        query = request.query
        info = requests.read(request.method, request.path, query)
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport is not None else None
        tls = transport.get_extra_info("ssl_object") if certificate and transport is not None else None
        raw = tls.getpeercert(binary_form=True) if tls is not None else None
        user = identify(request.headers.get("Authorization", ""), certificate, self.tokens, raw)
        user = impersonation.act(user, request.headers.items(), self.rbac.allowed, self.refused)
        if not (
            info.path in PUBLIC or info.path.startswith(("/livez/", "/readyz/", "/healthz/"))
        ) and not self.rbac.allowed(user, info):
            raise self.refused(user, info)
        if not info.is_resource:
            return paths.answer(self, request, info)
        kind = self.verbs.registry.served.find(info.group, info.version, info.resource)
        if kind is None:
            if info.group not in kinds.groups():
                return paths.missing()
            raise no_resource()
        if kind.custom is not None:
            self._check_custom(kind, info)
        if kind.namespaced and not info.namespace and (info.name or info.verb not in ("list", "watch")):
            raise no_resource() if info.name else not_allowed()
        if not kind.namespaced and info.namespace and kind.resource != "namespaces":
            raise no_resource()
        if kind.custom is not None and kind.custom.warning:
            warnings.append(kind.custom.warning)
        if kind.group_resource == "endpoints":
            warnings.append(ENDPOINTS_WARNING)
        if info.rest or (info.subresource and info.subresource not in kind.subresources):
            raise no_resource()
        flow = fairness.flow_of(user, request.headers.get("User-Agent", ""))
        visit = await self.seats.visit(request, fairness.level_of(user, info), flow, BODY_LIMIT)
        try:
            return await resources.answer(self, request, info, kind, user, warnings)
        finally:
            visit.end()

    @staticmethod
    def _check_custom(kind: Kind, info: RequestInfo) -> None:
        """What the handler of custom resources answers where built-in ones have no route (customresource_handler.go)."""
        everywhere = info.verb in ("list", "watch") and not info.name
        if kind.namespaced is not bool(info.namespace) and not (kind.namespaced and everywhere):
            raise NoPath
        if info.subresource and (info.rest or info.subresource not in kind.subresources):
            raise not_found(kind, info.name)

    def refused(self, user: User, info: RequestInfo) -> ApiError:
        why = authz.refusal(user, info, self.rbac.decide(user, info).reason)
        if not info.is_resource:
            return ApiError(403, "Forbidden", f"forbidden: {why}", {})
        name = "" if info.verb == "create" and not info.subresource else info.name or info.selected
        known = self.verbs.registry.served.find(info.group, info.version, info.resource)
        kind = known or Kind(info.group, info.version, info.resource, info.resource, False, ())
        return forbidden(kind, name, why)
