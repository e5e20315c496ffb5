"""The scalar types that kinds share: names, groups, hosts, ports, durations."""

from __future__ import annotations

from seaway.api.gateway.schema import text, whole

GROUP_NAME = "gateway.networking.k8s.io"

# RFC 1123 2.1
LABEL_PATTERN = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN_PATTERN = rf"{LABEL_PATTERN}(\.{LABEL_PATTERN})*"
HOST_PATTERN = rf"^(\*\.)?{SUBDOMAIN_PATTERN}$"
# RFC 3986 3.3: pchar and the slash
PATH_PATTERN = r"^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$"

GROUP = text(None, 253, f"^$|^{SUBDOMAIN_PATTERN}$")
KIND = text(1, 63, "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$")
OBJECT_NAME = text(1, 253)
NAMESPACE = text(1, 63, f"^{LABEL_PATTERN}$")
SECTION_NAME = text(1, 253, f"^{SUBDOMAIN_PATTERN}$")
HOSTNAME = text(1, 253, HOST_PATTERN)
PRECISE_HOSTNAME = text(1, 253, f"^{SUBDOMAIN_PATTERN}$")
PORT = whole(1, 65535)
# RFC 9110 5.6.2: token
HEADER_NAME = text(1, 256, r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$")
# GEP-2257
DURATION = text(pattern="^([0-9]{1,5}(h|m|s|ms)){1,4}$")
CONTROLLER_NAME = text(1, 253, rf"^{SUBDOMAIN_PATTERN}\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$")
OPTION = text(0, 4096)
