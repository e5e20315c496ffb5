"""What is wrong with an Ingress, as its user reads it in an event. Reasons are stable: people's alerts go by them."""

from __future__ import annotations

from typing import NamedTuple

BACKEND = "BackendNotFound"
UNSUPPORTED = "UnsupportedBackend"
PROTOCOL = "UnsupportedProtocol"
CERTIFICATE = "InvalidCertificateRef"
NAMES = "CertificateNameMismatch"
CONFLICT = "CertificateConflict"
SHADOWED = "PathConflict"
ANNOTATION = "InvalidAnnotation"
CLASS = "ClassConflict"
PARAMETERS = "InvalidParameters"
IGNORED_ANNOTATION = "IgnoredAnnotation"
REFUSED_ANNOTATION = "RefusedAnnotation"
UNKNOWN_ANNOTATION = "UnknownAnnotation"
CLOSED = "RouteClosed"
CANARY = "CanaryWithoutPath"
PATH = "InvalidPath"
HOST = "HostConflict"
STREAM = "InvalidStream"


class Problem(NamedTuple):
    """`message` begins with the field that it is about."""

    reason: str
    message: str

    @property
    def event(self) -> tuple[str, str, str]:
        return "Warning", self.reason, self.message
