"""BackendTLSPolicy and ReferenceGrant."""

from __future__ import annotations

from seaway.api.gateway.conditions import POLICY_STATUS
from seaway.api.gateway.names import (
    GROUP,
    HOSTNAME,
    KIND,
    NAMESPACE,
    OBJECT_NAME,
    OPTION,
    PRECISE_HOSTNAME,
    SUBDOMAIN_PATTERN,
)
from seaway.api.gateway.references import LOCAL, TARGETS
from seaway.api.gateway.schema import Tree, choice, listing, mapping, record, rule, text, told

# RFC 3986 appendix B, with a scheme and an authority
_URI = text(1, 253, r"^(([^:/?#]+):)(//([^/?#]*))([^?#]*)(\?([^#]*))?(#(.*))?")
_AUTHORITIES = text(1, 253, rf"^(System|({SUBDOMAIN_PATTERN}/([A-Za-z0-9][-A-Za-z0-9_.]{{0,61}})?[A-Za-z0-9]))$")


def _of_type(kind: str, field: str) -> tuple[Tree, Tree]:
    return (
        rule(
            f'!(self.type == "{kind}" && (!has(self.{field}) || self.{field} == ""))',
            f"SubjectAltName element must contain {kind}, if Type is set to {kind}",
        ),
        rule(
            f'!(self.type != "{kind}" && has(self.{field}) && self.{field} != "")',
            f"SubjectAltName element must not contain {kind}, if Type is not set to {kind}",
        ),
    )


_GIVEN = "has(self.caCertificateRefs) && size(self.caCertificateRefs) > 0"
_KNOWN = 'has(self.wellKnownCACertificates) && self.wellKnownCACertificates != ""'
VALIDATION = record(
    {
        "caCertificateRefs": listing(LOCAL, None, 8),
        "wellKnownCACertificates": told(_AUTHORITIES, "System: the authorities that the proxy's own system trusts."),
        "hostname!": told(PRECISE_HOSTNAME, "The name that is asked for, and that the certificate must have."),
        "subjectAltNames": listing(
            record(
                {"type!": choice("Hostname", "URI"), "hostname": HOSTNAME, "uri": _URI},
                *_of_type("Hostname", "hostname"),
                *_of_type("URI", "uri"),
            ),
            None,
            5,
        ),
    },
    rule(f"!({_GIVEN} && {_KNOWN})", "must not contain both CACertificateRefs and WellKnownCACertificates"),
    rule(f"({_GIVEN} || {_KNOWN})", "must specify either CACertificateRefs or WellKnownCACertificates"),
)
BACKEND_TLS_POLICY = {
    "spec!": record(
        {
            "targetRefs!": told(TARGETS, "The Services, or ports of theirs, that are spoken to over TLS."),
            "validation!": told(VALIDATION, "Whom to believe that it is the backend."),
            "options": mapping(OPTION, 16),
        }
    ),
    "status": POLICY_STATUS,
}

REFERENCE_GRANT = {
    "spec!": record(
        {
            "from!": told(
                listing(record({"group!": GROUP, "kind!": KIND, "namespace!": NAMESPACE}), 1, 16),
                "Who may refer to objects of this namespace.",
            ),
            "to!": told(
                listing(record({"group!": GROUP, "kind!": KIND, "name": OBJECT_NAME}), 1, 16),
                "Which objects of this namespace; all of a kind where no name is given.",
            ),
        }
    )
}
