"""SecurityPolicy as values. What cannot be carried out closes what it is attached to: it is told of, and nobody passes."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from seaway.pki.keysets import usable
from seaway.routing.backends import protocol_of, service_port
from seaway.routing.durations import seconds
from seaway.routing.gateway.backendtls import policy_of
from seaway.routing.incremental import View
from seaway.routing.ir import Cors
from seaway.routing.policies.quantities import size
from seaway.routing.policies.targets import Target
from seaway.routing.policy import ApiKeys, BasicAuth, External, JwtProvider
from seaway.routing.references import Reference, permitted

Tree = dict[str, Any]
# What the proxy's guard can check (guard.lua): {SHA} of `htpasswd -s`, and $apr1$, which htpasswd makes unless told otherwise.
_HTPASSWD = re.compile(r"[^:\s]+:(\{SHA\}[A-Za-z0-9+/]{27}=|\$apr1\$[./A-Za-z0-9]{0,8}\$[./A-Za-z0-9]{22})\Z")
# Fields by which somebody says who he is, in a request; and those that hold for connections and datagrams, too.
ASKS, OF_ADDRESSES = ("basicAuth", "apiKeys", "jwt", "externalAuth"), ("allow", "deny")
STREAMS = ("TCPRoute", "TLSRoute", "UDPRoute")
PROXYS_OWN = ("x-seaway-", "x-envoy-")  # what headers are called that the proxy reads
_PLACES = {"Header": "header", "QueryParam": "query", "Cookie": "cookie"}


class Unusable(ValueError):
    """A field that cannot be carried out; the text says which and why."""


class Led(NamedTuple):
    """A Service port that a policy asks, which a fleet has a cluster of. `protocol`: "h2" where it must be spoken."""

    namespace: str
    service: str
    port: int
    protocol: str = ""


class Asked(NamedTuple):
    """An authorizer or a provider, with whom is asked."""

    value: Any  # External, or JwtProvider
    led: Led | None = None


def problem(fields: Tree, targets: Iterable[Target]) -> str:
    """What of a sound policy cannot hold for one of its targets."""
    for kind in sorted({t.kind for t in targets} & set(STREAMS)):
        for name in fields:
            if name not in OF_ADDRESSES:
                return f"spec.{name}: cannot hold for a {kind}: only {', '.join(OF_ADDRESSES)}"
    return ""


def made(view: View, namespace: str, spec: Tree) -> tuple[dict[str, Any], str]:
    """What the fields of a sound policy become: Cors, BasicAuth, ApiKeys, tuple[Asked, ...], Asked, tuple[str, ...]; and why they
    cannot be carried out."""
    found: dict[str, Any] = {}
    for name, make in _MAKE.items():
        if name in spec:
            try:
                found[name] = make(view, namespace, spec[name])
            except Unusable as e:
                return {}, f"spec.{e}"
    return found, ""


def _cors(_: View, __: str, tree: Tree) -> Cors:
    def words(name: str) -> tuple[str, ...]:
        return tuple(tree.get(name) or ())

    origins, methods, headers = words("allowOrigins"), words("allowMethods"), words("allowHeaders")
    return Cors(
        origins,
        methods,
        headers,
        words("exposeHeaders"),
        bool(tree.get("allowCredentials")),
        int(tree.get("maxAge", 5)),
    )


def _secret(view: View, namespace: str, name: str, field: str) -> Tree:
    secret = view.get("secrets", namespace, name)
    if secret is None:
        raise Unusable(f"{field}: Secret {namespace}/{name} does not exist")
    data = secret.get("data")
    return data if isinstance(data, dict) else {}


def _basic(view: View, namespace: str, tree: Tree) -> BasicAuth:
    name = str(tree["users"]["name"])
    text = decoded(_secret(view, namespace, name, "basicAuth.users").get("auth"))
    users = htpasswd(text or "", f"basicAuth.users: Secret {namespace}/{name}")
    return BasicAuth(users, str(tree.get("realm") or ""), _identity(tree.get("forwardUserAs"), "basicAuth.forwardUserAs"))


def htpasswd(text: str, where: str) -> str:
    """The users of an htpasswd file, if each has one password that can be checked."""
    users: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        user = line.partition(":")[0]
        if not _HTPASSWD.match(line):
            raise Unusable(
                f"{where}: line {number} of auth is not USER:HASH as `htpasswd -s` or `htpasswd -m` makes it"
            )
        if user in users:
            raise Unusable(f"{where}: line {number} of auth: user {user} is there already")
        users[user] = line
    if not users:
        raise Unusable(f"{where} has no users in its entry auth")
    return "\n".join(users.values()) + "\n"


def _api_keys(view: View, namespace: str, tree: Tree) -> ApiKeys:
    keys: dict[str, str] = {}
    for i, ref in enumerate(tree["secretRefs"]):
        field = f"apiKeys.secretRefs[{i}]"
        for client, value in sorted(_secret(view, namespace, str(ref["name"]), field).items()):
            key = (decoded(value) or "").strip()
            if not key or not key.isprintable() or not key.isascii():
                raise Unusable(f"{field}: Secret {namespace}/{ref['name']}: the key of {client} is not printable ASCII")
            if client in keys:
                raise Unusable(f"{field}: Secret {namespace}/{ref['name']}: client {client} is there already")
            keys[client] = key
    if not keys:
        raise Unusable("apiKeys.secretRefs: there is no key in them")
    if len(set(keys.values())) < len(keys):
        raise Unusable("apiKeys.secretRefs: two clients have the same key")
    places = tuple(
        (_PLACES[p["type"]], _lower(p["name"]) if p["type"] == "Header" else str(p["name"])) for p in tree["in"]
    )
    told = _identity(tree.get("forwardClientAs"), "apiKeys.forwardClientAs")
    return ApiKeys(tuple(sorted(keys.items())), places, told)


def _jwt(view: View, namespace: str, tree: Tree) -> tuple[Asked, ...]:
    found: dict[str, Asked] = {}
    for i, entry in enumerate(tree["providers"]):
        field = f"jwt.providers[{i}]"
        name = str(entry["name"])
        if name in found:
            raise Unusable(f"{field}.name: {name} is there already")
        keys, remote = str(entry.get("jwks") or ""), entry.get("remote")
        led = None
        if remote is None:
            try:
                keys = usable(keys)
            except ValueError as e:
                raise Unusable(f"{field}.jwks: {e}") from None
        else:
            led = _led(view, namespace, remote["backendRef"], f"{field}.remote.backendRef", "")
        provider = JwtProvider(
            name,
            str(entry.get("issuer") or ""),
            tuple(entry.get("audiences") or ()),
            keys,
            "",
            _path(remote["path"], f"{field}.remote.path") if remote is not None else "",
            tuple(
                (
                    _claim(c["claim"], f"{field}.claimsToHeaders[{j}].claim"),
                    _identity(c["header"], f"{field}.claimsToHeaders[{j}].header"),
                )
                for j, c in enumerate(entry.get("claimsToHeaders") or ())
            ),
        )
        found[name] = Asked(provider, led)
    if not found:
        raise Unusable("jwt.providers: there is none")
    return tuple(found.values())


def _claim(name: object, field: str) -> str:
    """A claim's name, with dots between the names of nested ones. Envoy's formatter has no way to say some of them."""
    text = str(name)
    if any(c in text for c in ":()%") or "" in text.split("."):
        raise Unusable(f"{field}: a claim's name cannot be {text!r}")
    return text


def _path(path: object, field: str) -> str:
    """A path that is written into requests as it is: a line's end in it would begin another (RFC 9112 3)."""
    text = str(path)
    if not all("!" <= c <= "~" for c in text):
        raise Unusable(f"{field}: must be of visible ASCII characters")
    return text


def _identity(header: object, field: str) -> str:
    """A header that backends are told in who it was, in lower case: none by which the proxy itself is told something."""
    name = _lower(header)
    if name.startswith(PROXYS_OWN):
        raise Unusable(f"{field}: headers that begin with {' or '.join(PROXYS_OWN)} are the proxy's own")
    return name


def _external(view: View, namespace: str, tree: Tree) -> Asked:
    grpc = tree.get("protocol") == "GRPC"
    led = _led(view, namespace, tree["backendRef"], "externalAuth.backendRef", "h2" if grpc else "")
    return Asked(
        External(
            "",
            "grpc" if grpc else "http",
            _path(tree.get("path") or "", "externalAuth.path"),
            seconds(tree.get("timeout")) or External("").timeout,
            tuple(_lower(h) for h in tree.get("forwardHeaders") or ()),
            tuple(
                _identity(h, f"externalAuth.backendHeaders[{i}]") for i, h in enumerate(tree.get("backendHeaders") or ())
            ),
            size(str(tree.get("maxBody") or "0")),
        ),
        led,
    )


def _led(view: View, namespace: str, ref: Tree, field: str, protocol: str) -> Led:
    """A Service that a policy names: there, granted, and one whose endpoints the cluster vouches for."""
    to = Reference("", "Service", str(ref.get("namespace") or namespace), str(ref["name"]))
    if not permitted(view, "SecurityPolicy", namespace, to, "policy.seaway.dev"):
        raise Unusable(f"{field}: {to.title} may not be used from here: no ReferenceGrant there allows it")
    port = service_port(view, to.namespace, to.name, int(ref["port"]))
    if port is None:
        raise Unusable(f"{field}: {to.title} does not exist, or has no TCP port {ref['port']}")
    if port.external:
        raise Unusable(f"{field}: {to.title} is of type ExternalName, which has no endpoints")
    if not protocol and not protocol_of(port):
        raise Unusable(f"{field}: {to.title}: appProtocol {port.app_protocol} of port {port.port} is not known")
    checked = view.ask(policy_of, to.namespace, to.name, port.name)
    if checked is not None and checked.tls is None:
        raise Unusable(f"{field}: BackendTLSPolicy {checked.key}: {checked.message}")
    return Led(to.namespace, to.name, port.port, protocol)


def _addresses(_: View, __: str, tree: Tree) -> tuple[str, ...]:
    return tuple(network(text) for text in tree["addresses"])


def network(text: str) -> str:
    """A network. An IPv4 client is known by its IPv4 address, however the one that is meant is written (RFC 4291 2.5.5.2)."""
    found = ipaddress.ip_network(text, strict=False)
    if isinstance(found, ipaddress.IPv6Network) and found.prefixlen >= 96:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return str(ipaddress.ip_network((mapped, found.prefixlen - 96)))
    return str(found)


_MAKE: dict[str, Callable[[View, str, Any], Any]] = {
    "cors": _cors,
    "basicAuth": _basic,
    "apiKeys": _api_keys,
    "jwt": _jwt,
    "externalAuth": _external,
    "allow": _addresses,
    "deny": _addresses,
}


def decoded(data: object) -> str | None:
    """The text of a Secret's entry, None where it is no text."""
    try:
        return base64.b64decode(str(data or ""), validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def _lower(word: object) -> str:
    return str(word or "").lower()
