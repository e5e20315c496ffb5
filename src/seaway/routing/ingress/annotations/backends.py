"""How backends are spoken to (ingress-nginx, annotations/backendprotocol, proxyssl, serviceupstream, upstreamvhost, mirror)."""

from __future__ import annotations

from typing import NamedTuple

from seaway.routing.ingress.annotations.reading import Reader
from seaway.routing.ingress.annotations.values import (
    Unreadable,
    Url,
    authority,
    flag,
    host,
    one_of,
    own_object,
    switch,
    url,
)

PROTOCOLS = ("HTTP", "HTTPS", "AUTO_HTTP", "GRPC", "GRPCS")


class Backends(NamedTuple):
    """`protocol`: one of PROTOCOLS, empty for the Service's own word; `secret`: of the client's certificate and of authorities;
    `refused`: why no backend may be spoken to."""

    protocol: str = ""
    host: str = ""
    by_service: bool = False
    secret: str = ""
    verify: bool = False
    name: str = ""
    mirror: Url | None = None
    default: str = ""
    refused: str = ""


def _protocol(text: str) -> str:
    if text.upper() == "FCGI":
        return "FCGI"
    return one_of(*PROTOCOLS, caseless=True)(text)


def _mirror(text: str) -> Url:
    found = url(text.removesuffix("$request_uri").removesuffix("$uri"))
    if found.path not in ("", "/"):
        raise Unreadable("copies have the path of their request: only $request_uri may follow the host")
    return found


def backends(reader: Reader) -> Backends:
    protocol = reader.get("backend-protocol", _protocol, "", "HTTP is taken")
    refused = ""
    if protocol == "FCGI":
        refused = "metadata.annotations[nginx.ingress.kubernetes.io/backend-protocol]: FCGI is not spoken"
    if reader.get("proxy-http-version", one_of("1.0", "1.1"), "1.1", "1.1 is taken") == "1.0":
        reader.ignore("proxy-http-version", "ignored: backends are spoken to by HTTP/1.1")
    if not reader.get("proxy-ssl-server-name", switch, True):
        reader.ignore("proxy-ssl-server-name", "ignored: the server name is always sent")
    return Backends(
        protocol,
        reader.get("upstream-vhost", authority, ""),
        reader.get("service-upstream", flag, False, "false is taken"),
        reader.secured("proxy-ssl-secret", own_object(reader.namespace, "Secret"), ""),
        reader.get("proxy-ssl-verify", switch, False, "off is taken") if _readable(reader) else True,
        reader.get("proxy-ssl-name", host, ""),
        reader.get("mirror-target", _mirror, None, "nothing is copied"),
        reader.get("default-backend", host, ""),
        refused,
    )


def _readable(reader: Reader) -> bool:
    """Whether `proxy-ssl-verify` can be read: what it meant must not be taken for off."""
    return reader.secured("proxy-ssl-verify", switch, None) is not None or not reader.has("proxy-ssl-verify")
