"""The group, the objects that policies are attached to, and scalars that they share."""

from __future__ import annotations

from seaway.api.gateway.names import (
    DURATION,
    HEADER_NAME,
    KIND,
    NAMESPACE,
    OBJECT_NAME,
    PORT,
    SECTION_NAME,
)
from seaway.api.gateway.references import OWN_GROUP
from seaway.api.gateway.schema import Tree, choice, defaulted, listing, record, rule, ruled, text, told, whole

GROUP_NAME = "policy.seaway.dev"
VERSION = "v1alpha1"
GATEWAY_GROUP = "gateway.networking.k8s.io"
NETWORKING = "networking.k8s.io"
# What policies of routes may be attached to, as (group, kind).
ROUTED = tuple(
    (GATEWAY_GROUP, kind) for kind in ("Gateway", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute")
)
INGRESSES = ((NETWORKING, "Ingress"), (NETWORKING, "IngressClass"))
# What proxies reckon with in nanoseconds, and ten times of: a year is enough for everything.
_DURATION = ruled(
    {**DURATION, "maxLength": 32},  # what a rule may cost is reckoned by it
    rule("duration(self) <= duration('8760h')", "must not be longer than 8760h"),
)
SHORT_DURATION = told(_DURATION, "As 1h30m, 10s or 250ms.")
# Where a zero would mean nothing, or never.
LASTING_DURATION = told(
    ruled(
        {**DURATION, "maxLength": 32},
        *_DURATION["x-kubernetes-validations"],
        rule("duration(self) > duration('0s')", "must be longer than 0s"),
    ),
    "As 1h30m, 10s or 250ms.",
)
COUNT = whole(1, 1_000_000)
# RFC 6265 4.1.1
COOKIE_NAME = text(1, 128, r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$")
QUERY_NAME = text(1, 256)
CIDR = ruled(
    text(1, 64, r"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$"),
    rule("isIP(self) || isCIDR(self)", "must be an address or a network, as 192.0.2.1 or 2001:db8::/32"),
)
# Who the client is said to be must not be written over what a message is told apart by (RFC 9110, 7.6.1; RFC 9112, 6).
FRAMING = ("connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")
IDENTITY_HEADER = ruled(
    HEADER_NAME,
    rule(
        f"!(self.lowerAscii() in [{', '.join(repr(h) for h in FRAMING)}])", "must not be a header that frames messages"
    ),
)
STATUS = whole(100, 599)
# RFC 3986 3.3 and 3.4; what is no URI is refused by proxies together with all that others ask of the same kind.
_PCHAR = "[-A-Za-z0-9._~!$&'()*+,;=:@/]|%[0-9a-fA-F]{2}"
PATH = text(1, 1024, rf"^/({_PCHAR})*(\?({_PCHAR}|\?)*)?$")
# RFC 6265 4.1.1: a semicolon would end it.
COOKIE_PATH = text(1, 1024, rf"^/({_PCHAR.replace(';', '')})*$")
QUANTITY = told(
    ruled(
        text(1, 32, "^[0-9]{1,12}(\\.[0-9]{1,6})?(Ki|Mi|Gi|k|M|G)?$"),
        rule("quantity(self).isLessThan(quantity('4Gi'))", "must be less than 4Gi"),
    ),
    "As 10Mi or 512k.",
)
CORE_GROUP = defaulted(choice(""), "")
SECRET = record({"group": CORE_GROUP, "kind": defaulted(choice("Secret"), "Secret"), "name!": OBJECT_NAME})
AUTHORITY = record(
    {"group": CORE_GROUP, "kind": defaulted(choice("ConfigMap", "Secret"), "ConfigMap"), "name!": OBJECT_NAME}
)
BACKEND = record(
    {
        "group": CORE_GROUP,
        "kind": defaulted(choice("Service"), "Service"),
        "name!": OBJECT_NAME,
        "namespace": NAMESPACE,
        "port!": PORT,
    }
)


Kinds = tuple[tuple[str, str], ...]  # group, kind
UNSECTIONED = ("Ingress", "IngressClass")


def targets(kinds: Kinds) -> Tree:
    """`targetRefs`, to objects of these (group, kind)."""
    allowed = " || ".join(f"(t.group == '{group}' && t.kind == '{kind}')" for group, kind in kinds)
    names = ", ".join(kind for _, kind in kinds)
    rules = [rule(f"self.all(t, {allowed})", f"targets must be of kind {names}")]
    if any(kind in UNSECTIONED for _, kind in kinds):
        whole = "self.all(t, !has(t.sectionName) || !(t.kind in ['Ingress', 'IngressClass']))"
        rules.append(rule(whole, "an Ingress and an IngressClass have no sections"))
    return listing(
        record(
            {
                "group": told(OWN_GROUP, "That of Gateway API; empty for a Service, networking.k8s.io for an Ingress."),
                "kind!": KIND,
                "name!": OBJECT_NAME,
                "sectionName": told(SECTION_NAME, "A listener, a rule by its name, or a port of a Service."),
            }
        ),
        1,
        16,
        *rules,
    )
