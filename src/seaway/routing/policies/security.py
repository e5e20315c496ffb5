"""SecurityPolicy as values. What cannot be carried out closes the route: it is told of, and nobody passes."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from seaway.pki.keysets import usable
from seaway.routing.backends import cluster_of, protocol_of, service_port
from seaway.routing.durations import seconds
from seaway.routing.incremental import View
from seaway.routing.ir import Cluster, Cors
from seaway.routing.policies.targets import Won
from seaway.routing.policies.traffic import size
from seaway.routing.policy import ApiKeys, BasicAuth, External, JwtProvider
from seaway.routing.references import Reference, permitted

Tree = dict[str, Any]
# What the proxy's guard can check (guard.lua): {SHA} of `htpasswd -s`, and $apr1$, which htpasswd makes unless told otherwise.
_HTPASSWD = re.compile(r"[^:\s]+:(\{SHA\}[A-Za-z0-9+/]{27}=|\$apr1\$[./0-9A-Za-z]{0,8}\$[./0-9A-Za-z]{22})\Z")


class Unusable(ValueError):
    """A field that cannot be carried out; the text says which and why."""


class Security(NamedTuple):
    """`closed`: why nobody may pass, "" for nothing. `clusters`: of authorizers and of keys."""

    cors: Cors | None = None
    basic: BasicAuth | None = None
    api_keys: ApiKeys | None = None
    jwt: tuple[JwtProvider, ...] = ()
    external: External | None = None
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    closed: str = ""


def security(view: View, fields: Mapping[str, Won]) -> Security:
    """What security policies say for a rule."""
    reader = _Reader(view)
    try:
        return Security(
            reader.cors(fields.get("cors")),
            reader.basic(fields.get("basicAuth")),
            reader.api_keys(fields.get("apiKeys")),
            reader.jwt(fields.get("jwt")),
            reader.external(fields.get("externalAuth")),
            reader.addresses(fields.get("allow"), "allow"),
            reader.addresses(fields.get("deny"), "deny"),
            tuple(reader.clusters),
        )
    except Unusable as e:
        return Security(closed=str(e))


class _Reader:
    def __init__(self, view: View) -> None:
        self._view = view
        self.clusters: list[Cluster] = []

    def cors(self, won: Won | None) -> Cors | None:
        if won is None or isinstance(won.value, Cors):
            return won and won.value
        tree: Tree = won.value

        def words(name: str) -> tuple[str, ...]:
            return tuple(str(w) for w in tree.get(name) or ())

        return Cors(
            words("allowOrigins"),
            words("allowMethods"),
            words("allowHeaders"),
            words("exposeHeaders"),
            bool(tree.get("allowCredentials")),
            int(tree.get("maxAge", 5)),
        )

    def _secret(self, namespace: str, name: str, field: str) -> Tree:
        secret = self._view.get("secrets", namespace, name)
        if secret is None:
            raise Unusable(f"spec.{field}: Secret {namespace}/{name} does not exist")
        return secret.get("data") or {}

    def basic(self, won: Won | None) -> BasicAuth | None:
        if won is None or isinstance(won.value, BasicAuth):
            return won and won.value
        name = str(won.value["users"]["name"])
        text = _text(self._secret(won.policy.namespace, name, "basicAuth.users").get("auth"))
        lines = [line.strip() for line in (text or "").splitlines() if line.strip() and not line.startswith("#")]
        where = f"spec.basicAuth.users: Secret {won.policy.namespace}/{name}"
        if not lines:
            raise Unusable(f"{where} has no users in its entry auth")
        for number, line in enumerate(lines, 1):
            if not _HTPASSWD.match(line):
                raise Unusable(f"{where}, line {number} of auth is not USER:HASH with a hash of `htpasswd -m` or `htpasswd -s`")
        return BasicAuth(
            "\n".join(lines) + "\n", str(won.value.get("realm") or ""), _lower(won.value.get("forwardUserAs"))
        )

    def api_keys(self, won: Won | None) -> ApiKeys | None:
        if won is None:
            return None
        keys: dict[str, str] = {}
        for ref in won.value["secretRefs"]:
            for client, value in sorted(
                self._secret(won.policy.namespace, str(ref["name"]), "apiKeys.secretRefs").items()
            ):
                key = (_text(value) or "").strip()
                if not key or not key.isprintable():
                    raise Unusable(f"spec.apiKeys.secretRefs: Secret {ref['name']}: the key of {client} is not text")
                keys[client] = key
        if not keys:
            raise Unusable("spec.apiKeys.secretRefs: there is no key in them")
        if len(set(keys.values())) < len(keys):
            raise Unusable("spec.apiKeys.secretRefs: two clients have the same key")
        kinds = {"Header": "header", "QueryParam": "query", "Cookie": "cookie"}
        places = tuple((kinds[p["type"]], str(p["name"])) for p in won.value["in"])
        return ApiKeys(tuple(sorted(keys.items())), places, _lower(won.value.get("forwardClientAs")))

    def jwt(self, won: Won | None) -> tuple[JwtProvider, ...]:
        found = []
        for entry in won.value["providers"] if won is not None else ():
            keys = str(entry.get("jwks") or "")
            cluster = path = ""
            if keys:
                try:
                    keys = usable(keys)
                except ValueError as e:
                    raise Unusable(f"spec.jwt.providers[{entry['name']}].jwks: {e}") from None
            else:
                assert won is not None
                cluster = self._backend(
                    won, entry["remote"]["backendRef"], f"jwt.providers[{entry['name']}].remote", ""
                )
                path = str(entry["remote"]["path"])
            headers = tuple((_claim(c["claim"], entry["name"]), str(c["header"])) for c in entry.get("claimsToHeaders") or ())
            audiences = tuple(str(a) for a in entry.get("audiences") or ())
            found.append(
                JwtProvider(str(entry["name"]), str(entry.get("issuer") or ""), audiences, keys, cluster, path, headers)
            )
        return tuple(found)

    def external(self, won: Won | None) -> External | None:
        if won is None or isinstance(won.value, External):
            return won and won.value
        tree: Tree = won.value
        grpc = tree.get("protocol") == "GRPC"
        cluster = self._backend(won, tree["backendRef"], "externalAuth.backendRef", "h2" if grpc else "")
        return External(
            cluster,
            "grpc" if grpc else "http",
            str(tree.get("path") or ""),
            seconds(tree.get("timeout")) or 2.0,
            tuple(_lower(h) for h in tree.get("forwardHeaders") or ()),
            tuple(_lower(h) for h in tree.get("backendHeaders") or ()),
            size(str(tree.get("maxBody") or "0")),
        )

    def _backend(self, won: Won, ref: Tree, field: str, protocol: str) -> str:
        """The cluster of a Service that a policy names."""
        to = Reference("", "Service", str(ref.get("namespace") or won.policy.namespace), str(ref["name"]))
        if not permitted(self._view, "SecurityPolicy", won.policy.namespace, to, "policy.seaway.dev"):
            raise Unusable(f"spec.{field}: {to.title} may not be used from here: no ReferenceGrant there allows it")
        port = service_port(self._view, to.namespace, to.name, int(ref["port"]))
        if port is None:
            raise Unusable(f"spec.{field}: {to.title} has no port {ref['port']}")
        cluster = cluster_of(to.namespace, to.name, port, protocol or protocol_of(port) or "http1")
        self.clusters.append(cluster)
        return cluster.name

    def addresses(self, won: Won | None, field: str) -> tuple[str, ...]:
        found = []
        for i, text in enumerate(won.value["addresses"] if won is not None else ()):
            try:
                found.append(str(ipaddress.ip_network(text, strict=False)))
            except ValueError as e:
                raise Unusable(f"spec.{field}.addresses[{i}]: {e}") from None
        return tuple(found)


def _claim(name: object, provider: object) -> str:
    """A claim's name, with dots between the names of nested ones. Envoy's formatter has no way to say some of them."""
    text = str(name)
    if any(c in text for c in ":()%") or "" in text.split("."):
        raise Unusable(f"spec.jwt.providers[{provider}].claimsToHeaders: a claim's name cannot be {text!r}")
    return text


def _text(data: object) -> str | None:
    try:
        return base64.b64decode(str(data or ""), validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def _lower(word: object) -> str:
    return str(word or "").lower()
