"""Filters of HTTPRoute and GRPCRoute rules and of their backends."""

from __future__ import annotations

from collections.abc import Sequence

from seaway.api.gateway.names import HEADER_NAME, PORT, PRECISE_HOSTNAME
from seaway.api.gateway.references import BACKEND, LOCAL
from seaway.api.gateway.schema import (
    Tree,
    choice,
    defaulted,
    flag,
    keyed,
    listing,
    record,
    rule,
    text,
    told,
    unique,
    whole,
)

_HEADERS = keyed(record({"name!": HEADER_NAME, "value!": text(1, 4096)}), ["name"], None, 16)
HEADER_MODIFIER = record({"set": _HEADERS, "add": _HEADERS, "remove": unique(text(), 16)})

MIRROR = record(
    {
        "backendRef!": BACKEND,
        "percent": whole(0, 100),
        "fraction": record(
            {"numerator!": whole(0), "denominator": defaulted(whole(1), 100)},
            rule("self.numerator <= self.denominator", "numerator must be less than or equal to denominator"),
        ),
    },
    rule(
        "!(has(self.percent) && has(self.fraction))",
        "Only one of percent or fraction may be specified in HTTPRequestMirrorFilter",
    ),
)


def _both_ways(kind: str, field: str) -> tuple[Tree, Tree]:
    return (
        rule(
            f"self.type == '{kind}' ? has(self.{field}) : true",
            f"{field} must be specified when type is set to '{kind}'",
        ),
        rule(f"has(self.{field}) ? self.type == '{kind}' : true", f"type must be '{kind}' when {field} is set"),
    )


PATH_MODIFIER = record(
    {
        "type!": choice("ReplaceFullPath", "ReplacePrefixMatch"),
        "replaceFullPath": text(None, 1024),
        "replacePrefixMatch": text(None, 1024),
    },
    *_both_ways("ReplaceFullPath", "replaceFullPath"),
    *_both_ways("ReplacePrefixMatch", "replacePrefixMatch"),
)
REDIRECT = record(
    {
        "scheme": choice("http", "https"),
        "hostname": PRECISE_HOSTNAME,
        "path": PATH_MODIFIER,
        "port": PORT,
        "statusCode": {"type": "integer", "enum": [301, 302, 303, 307, 308], "default": 302},
    }
)
REWRITE = record({"hostname": PRECISE_HOSTNAME, "path": PATH_MODIFIER})

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_ORIGIN = text(1, 253, r"(^\*$)|(^(http(s)?):\/\/(((\*\.)?([a-zA-Z0-9\-]+\.)*[a-zA-Z0-9-]+|\*)(:([0-9]{1,5}))?)$)")


def _alone(field: str, others: str) -> Tree:
    return rule("!('*' in self && self.size() > 1)", f"{field} cannot contain '*' alongside other {others}")


CORS = record(
    {
        "allowOrigins": unique(_ORIGIN, 64, _alone("AllowOrigins", "origins")),
        "allowCredentials": flag(),
        "allowMethods": unique(choice(*METHODS, "*"), 9, _alone("AllowMethods", "methods")),
        "allowHeaders": unique(HEADER_NAME, 64, _alone("AllowHeaders", "methods")),
        "exposeHeaders": unique(HEADER_NAME, 64),
        "maxAge": told(defaulted(whole(1), 5), "Seconds that browsers may remember the answer to a preflight."),
    }
)

_FIELDS = {
    "RequestHeaderModifier": HEADER_MODIFIER,
    "ResponseHeaderModifier": HEADER_MODIFIER,
    "RequestMirror": MIRROR,
    "RequestRedirect": REDIRECT,
    "URLRewrite": REWRITE,
    "ExtensionRef": LOCAL,
    "CORS": CORS,
}


def _field(kind: str) -> str:
    return {"URLRewrite": "urlRewrite", "CORS": "cors"}.get(kind) or kind[0].lower() + kind[1:]


def _filter(kinds: Sequence[str], first: str) -> Tree:
    """One filter of these types, in a union: the field of its type, and no other. What is wrong is told of type `first`, and
    then of the others in their order."""
    rules = []
    for kind in sorted(kinds, key=lambda k: k != first):
        field = _field(kind)
        rules += [
            rule(
                f"!(has(self.{field}) && self.type != '{kind}')",
                f"filter.{field} must be nil if the filter.type is not {kind}",
            ),
            rule(
                f"!(!has(self.{field}) && self.type == '{kind}')",
                f"filter.{field} must be specified for {kind} filter.type",
            ),
        ]
    return record({"type!": choice(*kinds), **{_field(kind): _FIELDS[kind] for kind in kinds}}, *rules)


def _once(*kinds: str) -> list[Tree]:
    return [
        rule(f"self.filter(f, f.type == '{kind}').size() <= 1", f"{kind} filter cannot be repeated") for kind in kinds
    ]


HTTP_FILTERS = listing(
    _filter(tuple(_FIELDS), "CORS"),
    None,
    16,
    rule(
        "!(self.exists(f, f.type == 'RequestRedirect') && self.exists(f, f.type == 'URLRewrite'))",
        "May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both",
    ),
    *_once("CORS", "RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite"),
)
GRPC_FILTERS = listing(
    _filter(
        ("ResponseHeaderModifier", "RequestHeaderModifier", "RequestMirror", "ExtensionRef"), "RequestHeaderModifier"
    ),
    None,
    16,
    *_once("RequestHeaderModifier", "ResponseHeaderModifier"),
)
