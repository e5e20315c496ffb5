"""The group, the objects that policies are attached to, and scalars that they share."""

from __future__ import annotations

from seaway.api.gateway.names import (
    DURATION,
    KIND,
    NAMESPACE,
    OBJECT_NAME,
    PORT,
    SECTION_NAME,
)
from seaway.api.gateway.references import CORE_GROUP, OWN_GROUP
from seaway.api.gateway.schema import Tree, choice, defaulted, listing, record, rule, text, told, whole

GROUP_NAME = "policy.seaway.dev"
VERSION = "v1alpha1"
GATEWAY_GROUP = "gateway.networking.k8s.io"
NETWORKING = "networking.k8s.io"
SHORT_DURATION = told(DURATION, "As 1h30m, 10s or 250ms.")
COUNT = whole(1, 1_000_000)
# RFC 6265 4.1.1
COOKIE_NAME = text(1, 128, r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$")
QUERY_NAME = text(1, 256)
CIDR = text(1, 64, r"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$")
STATUS = whole(100, 599)
PATH = text(1, 1024, "^/")
QUANTITY = told(text(1, 32, "^[0-9]+(\\.[0-9]+)?(Ki|Mi|Gi|k|M|G)?$"), "As 10Mi or 512k.")
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


def targets(*kinds: tuple[str, str]) -> Tree:
    """`targetRefs`, to objects of these (group, kind)."""
    allowed = " || ".join(f"(t.group == '{group}' && t.kind == '{kind}')" for group, kind in kinds)
    names = ", ".join(kind for _, kind in kinds)
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
        rule(f"self.all(t, {allowed})", f"targets must be of kind {names}"),
    )
