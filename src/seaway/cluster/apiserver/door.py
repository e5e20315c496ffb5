"""The HTTP door: TLS, identities, limits, streams. Every answer leaves through here; nothing is decided here."""

from __future__ import annotations

import asyncio
import random
import ssl
import sys
import time
import traceback
from typing import Any

from aiohttp import HttpVersion10, web

from seaway.api import kinds
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import (
    answers,
    authz,
    deadlines,
    fairness,
    impersonation,
    paths,
    requests,
    resources,
    streamed,
)
from seaway.cluster.apiserver.auditing.recorder import Recorder
from seaway.cluster.apiserver.authn import Tokens, identify
from seaway.cluster.apiserver.authz import Rbac, User
from seaway.cluster.apiserver.health import Check
from seaway.cluster.apiserver.metering import Metrics
from seaway.cluster.apiserver.reads import Reads
from seaway.cluster.apiserver.requests import RequestInfo
from seaway.cluster.apiserver.seats import Seats
from seaway.cluster.apiserver.status import ApiError, bad_request, forbidden, no_resource, not_allowed, not_found
from seaway.cluster.apiserver.storage import encode
from seaway.cluster.apiserver.trace import TRACE, Trace
from seaway.cluster.apiserver.verbs import Verbs
from seaway.pki.tokens import Signer

Tree = dict[str, Any]
BODY_LIMIT = 3 << 20
ENDPOINTS_WARNING = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
START_HOOKS = (
    "crd-informer-synced",
    "start-system-namespaces-controller",
    "start-service-ip-repair-controllers",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
)
AUDIT_ID_LENGTH, FORWARDED_LENGTH = 64, 1024  # characters of what a client may claim
WRITES = ("POST", "PUT", "PATCH", "DELETE")  # lists and watches have times of their own
GONE = 499  # in logs and metrics: the client went away before there was an answer
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


def _new_id() -> str:
    """A UUID (version 4) for the logs: it need not be hard to guess, but cheap, since every request has one."""
    text = f"{random.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) & 3]}{text[17:20]}-{text[20:]}"


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
        self.metrics = Metrics()
        self.recorder = Recorder(self.metrics, time.time, time.monotonic)
        self.ending = False
        self.checks = self._checks()
        self.seats = Seats(time.monotonic)
        self.metrics.watch_seats(self.seats.figures)

    def _checks(self) -> list[Check]:
        """What /livez and /readyz look at, by upstream's names in upstream's order."""
        storage = self.verbs.storage

        def started() -> str:
            return "" if self.ready else "not finished"

        def stored() -> str:
            return storage.trouble

        return [
            Check("ping", lambda: ""),
            Check("log", self.recorder.trouble),
            Check("etcd", stored),
            Check("etcd-readiness", stored, ready_only=True),
            Check("informer-sync", started, ready_only=True),
            *(Check(f"poststarthook/{name}", started) for name in START_HOOKS),
            Check("shutdown", lambda: "process is shutting down" if self.ending else "", ready_only=True),
        ]

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        trace = request[TRACE] = self._trace(request)
        response: web.StreamResponse | None = None
        panic = False
        try:
            response = await self._answered(request, trace)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as e:
            error = _unexpected(e, request)
            panic = error.code >= 500
            response = self._error(error, trace)
        finally:
            self._end(trace, response, panic)
        if not response.prepared:
            streamed.warn(response, trace.warnings)
            response.headers["Audit-Id"] = trace.id
        return response

    def _trace(self, request: web.BaseRequest) -> Trace:
        """What is known of a request before anything is done."""
        headers = request.headers
        audit_id = headers.get("Audit-Id", "")[:AUDIT_ID_LENGTH] or _new_id()
        agent = headers.get("User-Agent", "")
        forwarded = [a.strip() for a in headers.get("X-Forwarded-For", "")[:FORWARDED_LENGTH].split(",") if a.strip()]
        source = (*forwarded, *([request.remote] if request.remote else ()))
        info = requests.read(request.method, request.path, request.query)
        accept = headers.get("Accept", "")
        now, clock = time.monotonic(), time.time()
        return Trace(now, clock, audit_id, request.method, request.raw_path, info, agent, source, accept)

    def _end(self, trace: Trace, response: web.StreamResponse | None, panic: bool) -> None:
        """A request is over; `response` None where its client went away before there was one."""
        code = response.status if response is not None else GONE
        body = response.body if isinstance(response, web.Response) else None
        media = response.content_type if response is not None else ""
        self.recorder.ended(trace, code, body if isinstance(body, bytes) else None, media, panic)

    async def _answered(self, request: web.BaseRequest, trace: Trace) -> web.StreamResponse:
        try:
            seconds = deadlines.of(request.query)
            if request.method in WRITES and not trace.long:
                async with asyncio.timeout(seconds):
                    return await self._answer(request, trace)
            return await self._answer(request, trace)
        except TimeoutError:
            return self._error(deadlines.passed(), trace)
        except NoPath:
            return paths.missing()
        except ApiError as e:
            return self._error(e, trace)
        except web.HTTPRequestEntityTooLarge:
            told = f"Request entity too large: limit is {BODY_LIMIT}"
            return self._error(ApiError(413, "RequestEntityTooLarge", told), trace)

    @staticmethod
    def _error(error: ApiError, trace: Trace) -> web.Response:
        trace.error = error.tree
        response = resources.encoded(encode(error.tree), answers.for_error(trace.accept), error.code)
        retry = (error.tree.get("details") or {}).get("retryAfterSeconds")
        if retry:
            response.headers["Retry-After"] = str(retry)
        return response

    async def _answer(self, request: web.BaseRequest, trace: Trace) -> web.StreamResponse:
        if request.version < HttpVersion10:
            raise bad_request(f"malformed HTTP version HTTP/{request.version.major}.{request.version.minor}")
        warnings, info = trace.warnings, trace.info
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport is not None else None
        tls = transport.get_extra_info("ssl_object") if certificate and transport is not None else None
        raw = tls.getpeercert(binary_form=True) if tls is not None else None
        user = trace.user = self._identified(request, certificate, raw)
        self.recorder.received(trace)
        acting = impersonation.act(user, request.headers.items(), self.rbac.allowed, self.refused)
        if acting is not user:
            user = trace.acting = acting
        if info.path not in PUBLIC:
            self._authorize(user, info, trace)
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
            trace.annotations["k8s.io/deprecated"] = "true"
            self.metrics.deprecated.set(1, kind.group, kind.version, kind.resource, info.subresource, "")
        sent_on = info.subresource == "proxy"
        if (info.rest and not sent_on) or (info.subresource and info.subresource not in kind.subresources):
            raise no_resource()
        trace.kind, trace.media = kind, request.headers.get("Content-Type", "")
        flow = fairness.flow_of(user, request.headers.get("User-Agent", ""))
        visit = await self.seats.visit(request, fairness.level_of(user, info), flow, BODY_LIMIT)
        self.metrics.began(trace)
        try:
            return await resources.answer(self, request, info, kind, user, warnings)
        finally:
            self.metrics.stopped(trace)
            visit.end()

    def _identified(self, request: web.BaseRequest, certificate: Tree | None, raw: bytes | None) -> User:
        try:
            user = identify(request.headers.get("Authorization", ""), certificate, self.tokens, raw)
        except ApiError:
            self.metrics.attempts.inc("failure")
            raise
        self.metrics.identified(user.name)
        return user

    def _authorize(self, user: User, info: RequestInfo, trace: Trace) -> None:
        """Whether the user may; the decision and its reason go into the audit log."""
        decision = self.rbac.decide(user, info)
        allowed = decision.allowed
        self.metrics.decisions.inc("RBAC", "rbac", "allowed" if allowed else "denied")
        trace.annotations["authorization.k8s.io/decision"] = "allow" if allowed else "forbid"
        trace.annotations["authorization.k8s.io/reason"] = decision.reason
        if not allowed:
            raise self.refused(user, info)

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
