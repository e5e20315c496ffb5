"""Paths that are no resources: discovery, OpenAPI, health, version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web
from multidict import MultiMapping

from seaway.api import kinds
from seaway.cluster.apiserver import answers, discovery, health, issuer, openapi, openapi_v2
from seaway.cluster.apiserver.custom.registry import Served
from seaway.cluster.apiserver.requests import RequestInfo
from seaway.cluster.apiserver.status import ApiError, no_resource, not_allowed
from seaway.cluster.apiserver.storage import encode
from seaway.metrics import exposition

if TYPE_CHECKING:
    from seaway.cluster.apiserver.door import Door

Tree = dict[str, Any]
ROOT = """/.well-known/openid-configuration /api /api/v1 /apis /healthz /livez /metrics /metrics/slis /openapi/v2
    /openapi/v3 /openid/v1/jwks /readyz /version""".split()
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def missing() -> web.Response:
    return web.Response(status=404, text="404 page not found\n")


def answer(door: Door, request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
    path = "/" + "/".join(p for p in info.path.split("/") if p)
    if request.method not in ("GET", "HEAD"):
        if path.startswith(("/api", "/apis")):
            raise not_allowed()
        raise ApiError(405, "MethodNotAllowed", "405: Method Not Allowed")
    parts = path.strip("/").split("/")
    served = door.verbs.registry.served
    if parts[0] in health.PATHS:
        return _health(door, parts, request.query)
    if path in ("/metrics", "/metrics/slis"):
        body = exposition.render(door.metrics.registry if path == "/metrics" else door.metrics.slis).encode()
        return web.Response(body=body, headers={"Content-Type": exposition.CONTENT_TYPE})
    if path == "/version":
        return _json(discovery.version())
    if path == "/openapi/v2":
        return _openapi_v2(request.headers.get("Accept", ""), served)
    if path == "/openapi/v3":
        return web.Response(body=openapi.index(served), content_type=answers.JSON)
    if parts[:2] == ["openapi", "v3"]:
        return _openapi(parts[2:], served)
    if path in (issuer.CONFIGURATION, issuer.KEYS):
        return _issuer(door, path)
    if parts[0] in ("api", "apis"):
        return _discovery(door, parts, request.headers.get("Accept", ""))
    return _json({"paths": ROOT}) if path == "/" else missing()


def _json(tree: Tree) -> web.Response:
    return web.Response(body=encode(tree), content_type=answers.JSON)


def _issuer(door: Door, path: str) -> web.Response:
    cached = {"Cache-Control": issuer.CACHE_CONTROL}
    if path == issuer.CONFIGURATION:
        body = encode(issuer.configuration(door.address, door.signer))
        return web.Response(body=body, content_type=answers.JSON, headers=cached)
    return web.Response(body=encode(issuer.keys(door.signer)), content_type=issuer.KEYS_TYPE, headers=cached)


def _discovery(door: Door, parts: list[str], accept: str) -> web.Response:
    served = door.verbs.registry.served
    groups = discovery.group_versions(served)
    if len(parts) == 1:
        core = parts[0] == "api"
        if _wants_aggregated(accept):
            headers = {"Content-Type": AGGREGATED, "Vary": "Accept"}
            return web.Response(body=discovery.aggregated(core, served), headers=headers)
        return _json(discovery.api_versions(door.address) if core else discovery.groups(served))
    if parts[0] == "api":
        if parts[1] not in groups[""]:
            raise no_resource()
        return _json(discovery.resources("", parts[1], served))
    if not parts[1] or parts[1] not in groups:
        return missing()
    if len(parts) == 2:
        return _json(discovery.group(parts[1], served))
    if parts[2] not in groups[parts[1]]:
        if parts[1] not in kinds.groups():
            return missing()
        raise no_resource()
    return _json(discovery.resources(parts[1], parts[2], served))


def _wants_aggregated(accept: str) -> bool:
    """Whether the first form that there is is the aggregated one (KEP-3352); 406 where no form is."""
    for media, parameters in answers.clauses(accept):
        if media not in ("*/*", "application/*", *answers.MEDIA):
            continue
        if "as" not in parameters:
            return False
        wanted = (parameters.get("g"), parameters.get("v"), parameters["as"])
        if wanted == ("apidiscovery.k8s.io", "v2", "APIGroupDiscoveryList"):
            return True
    raise answers.not_acceptable()


def _health(door: Door, parts: list[str], query: MultiMapping[str]) -> web.Response:
    path = parts[0]
    if len(parts) > 1:
        found = health.single(path, "/".join(parts[1:]), door.checks)
        if found is None:
            return missing()
    else:
        exclude = query.getall("exclude", [])
        found = health.whole(path, door.checks, exclude, "verbose" in query, door.metrics.checked)
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache, private"}
    return web.Response(status=found.code, text=found.text, headers=headers)


def _openapi_v2(accept: str, served: Served) -> web.Response:
    """In protobuf alone: kubectl takes version 2 as JSON for a whole one, which this is not."""
    if not any(media == openapi_v2.ACCEPT for media, _ in answers.clauses(accept)):
        raise answers.not_acceptable()
    return web.Response(body=discovery.openapi_v2_document(served), headers={"Content-Type": openapi_v2.CONTENT_TYPE})


def _openapi(parts: list[str], served: Served) -> web.Response:
    groups = discovery.group_versions(served)
    if parts[0] == "api" and len(parts) == 2 and parts[1] in groups[""]:
        return web.Response(body=openapi.document("", parts[1], served), content_type=answers.JSON)
    if parts[0] == "apis" and len(parts) == 3 and parts[2] in groups.get(parts[1], ()):
        return web.Response(body=openapi.document(parts[1], parts[2], served), content_type=answers.JSON)
    return missing()
