"""Which fleet a client certificate speaks for: its URI SAN is `spiffe://seaway/fleet/KIND/NAMESPACE/NAME` (no namespace: `-`)."""

from __future__ import annotations

import re

from seaway.routing.ir import Fleet

_PREFIX = "spiffe://seaway/fleet/"
# RFC 1123 names, as Kubernetes has them; nothing escaped, so that a fleet has one identity and no other spelling.
_IDENTITY = re.compile(r"([A-Za-z]+)/(-|[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)/([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)")


def identity(fleet: Fleet) -> str:
    """The URI SAN of a fleet's certificate."""
    return _PREFIX + fleet.title


def fleet_of(uri: str) -> Fleet | None:
    """The fleet of an identity, or None when it is not one of a fleet."""
    found = _IDENTITY.fullmatch(uri[len(_PREFIX) :]) if uri.startswith(_PREFIX) and len(uri) <= 2048 else None
    if found is None:
        return None
    kind, namespace, name = found.groups()
    return Fleet(kind, "" if namespace == "-" else namespace, name)
