"""The CustomResourceDefinitions of Gateway API's kinds: names, versions, columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seaway.api.gateway.gateways import CLASS, GATEWAY_FIELDS, LISTENER_SET
from seaway.api.gateway.grpcroutes import GRPC_ROUTE
from seaway.api.gateway.httproutes import HTTP_ROUTE
from seaway.api.gateway.names import GROUP_NAME
from seaway.api.gateway.policies import BACKEND_TLS_POLICY, REFERENCE_GRANT
from seaway.api.gateway.schema import Tree, record, text, told
from seaway.api.gateway.streamroutes import OLD_STREAM_ROUTE, OLD_TLS_ROUTE, STREAM_ROUTE, TLS_ROUTE

# KEP-1111: definitions of the community's groups say who approved them. These are Seaway's own.
APPROVAL = {
    "api-approved.kubernetes.io": "unapproved, Seaway's own declaration of the API for its embedded cluster; "
    "install the published bundle over it to have that"
}
Fields = Mapping[str, Tree]


def column(name: str, path: str, kind: str = "string", **more: int) -> Tree:
    return {"name": name, "type": kind, "jsonPath": path, **more}


def condition_column(name: str) -> Tree:
    return column(name, f'.status.conditions[?(@.type=="{name}")].status')


AGE = column("Age", ".metadata.creationTimestamp", "date")
HOSTS = column("Hostnames", ".spec.hostnames")


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it is served. `old`: clients are told to go on to v1."""

    name: str
    fields: Fields
    stored: bool = False
    old: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    plural: str
    about: str
    versions: tuple[Version, ...]
    columns: tuple[Tree, ...] = (AGE,)
    short: str = ""
    namespaced: bool = True


def _newest(fields: Fields, *others: Version) -> tuple[Version, ...]:
    return (Version("v1", fields, stored=True), *others)


KINDS = (
    Kind(
        "BackendTLSPolicy",
        "backendtlspolicies",
        "How a Gateway speaks TLS to backends.",
        _newest(BACKEND_TLS_POLICY, Version("v1alpha3", BACKEND_TLS_POLICY, old=True)),
        short="btlspolicy",
    ),
    Kind(
        "GatewayClass",
        "gatewayclasses",
        "A class of Gateways, which one controller looks after.",
        _newest(CLASS, Version("v1beta1", CLASS)),
        (
            column("Controller", ".spec.controllerName"),
            condition_column("Accepted"),
            AGE,
            column("Description", ".spec.description", priority=1),
        ),
        "gc",
        False,
    ),
    Kind(
        "Gateway",
        "gateways",
        "An entry for traffic: addresses, and listeners that routes attach to.",
        _newest(GATEWAY_FIELDS, Version("v1beta1", GATEWAY_FIELDS)),
        (
            column("Class", ".spec.gatewayClassName"),
            column("Address", ".status.addresses[*].value"),
            condition_column("Programmed"),
            AGE,
        ),
        "gtw",
    ),
    Kind("GRPCRoute", "grpcroutes", "Where calls over gRPC go.", _newest(GRPC_ROUTE), (HOSTS, AGE)),
    Kind(
        "HTTPRoute",
        "httproutes",
        "Where requests over HTTP go, and what is done to them on the way.",
        _newest(HTTP_ROUTE, Version("v1beta1", HTTP_ROUTE)),
        (HOSTS, AGE),
    ),
    Kind(
        "ListenerSet",
        "listenersets",
        "Listeners that join a Gateway of somebody else.",
        _newest(LISTENER_SET),
        (condition_column("Accepted"), condition_column("Programmed"), AGE),
        "lset",
    ),
    Kind(
        "ReferenceGrant",
        "referencegrants",
        "Which objects of its namespace those of other namespaces may refer to.",
        (Version("v1", REFERENCE_GRANT), Version("v1beta1", REFERENCE_GRANT, stored=True)),
        short="refgrant",
    ),
    Kind(
        "TCPRoute",
        "tcproutes",
        "Where TCP connections go.",
        _newest(STREAM_ROUTE, Version("v1alpha2", OLD_STREAM_ROUTE, old=True)),
    ),
    Kind(
        "TLSRoute",
        "tlsroutes",
        "Where TLS connections go, by the server name that the client asks for.",
        _newest(TLS_ROUTE, Version("v1alpha2", OLD_TLS_ROUTE, old=True), Version("v1alpha3", TLS_ROUTE, old=True)),
    ),
    Kind(
        "UDPRoute",
        "udproutes",
        "Where datagrams go.",
        _newest(STREAM_ROUTE, Version("v1alpha2", OLD_STREAM_ROUTE, old=True)),
    ),
)


def _version(kind: Kind, version: Version, group: str) -> Tree:
    fields = {"apiVersion": text(), "kind": text(), "metadata": {"type": "object"}, **version.fields}
    found: Tree = {"name": version.name, "served": True, "storage": version.stored}
    if version.old:
        found["deprecated"] = True
        found["deprecationWarning"] = f"{kind.name} {version.name} has been deprecated: use {group}/v1"
    found["schema"] = {"openAPIV3Schema": told(record(fields), kind.about)}
    found["subresources"] = {"status": {}} if "status" in version.fields else {}
    found["additionalPrinterColumns"] = list(kind.columns)
    return found


def definition(
    kind: Kind, group: str = GROUP_NAME, category: str = "gateway-api", annotations: Mapping[str, str] = APPROVAL
) -> Tree:
    """The CustomResourceDefinition of a kind."""
    names: Tree = {
        "categories": [category],
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": kind.name.lower(),
    }
    if kind.short:
        names["shortNames"] = [kind.short]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            **({"annotations": dict(annotations)} if annotations else {}),
            "name": f"{kind.plural}.{group}",
        },
        "spec": {
            "group": group,
            "names": names,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [_version(kind, v, group) for v in kind.versions],
        },
    }


def definitions() -> list[Tree]:
    return [definition(kind) for kind in KINDS]
