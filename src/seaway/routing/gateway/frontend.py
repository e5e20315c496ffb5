"""The front end of Gateway API: what it reads and what it decides, for the engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seaway.routing.engine import FrontEnd, Index
from seaway.routing.gateway import backendtls, classes, rivals
from seaway.routing.gateway.attaching import ROUTES, attached
from seaway.routing.gateway.fleets import fleet_spec
from seaway.routing.gateway.gatewaystatus import gateway_status, set_status
from seaway.routing.gateway.listeners import SETS, set_parent
from seaway.routing.gateway.parts import gateway_parts, http_parts, stream_parts
from seaway.routing.gateway.routestatus import route_status
from seaway.routing.incremental import View
from seaway.routing.references import GRANTS

Tree = dict[str, Any]
HTTP = ("httproutes", "grpcroutes")


def _services(tree: Tree) -> Iterable[str]:
    """The Services that a route's backends and mirrors are, for the index of their users."""
    own = tree["metadata"]["namespace"]
    for rule in tree["spec"].get("rules") or ():
        mirrors = [(f.get("requestMirror") or {}).get("backendRef") for f in rule.get("filters") or ()]
        for ref in (*(rule.get("backendRefs") or ()), *filter(None, mirrors)):
            if not ref.get("group") and ref.get("kind", "Service") == "Service":
                yield f"{ref.get('namespace') or own}/{ref['name']}"


def _counted(resource: str) -> Any:
    def count(view: View, namespace: str, name: str) -> tuple[tuple[str, ...], ...]:
        return attached(view, resource, namespace, name)

    return count


GATEWAY_API = FrontEnd(
    resources=("gatewayclasses", "gateways", "listenersets", "referencegrants", "backendtlspolicies", *ROUTES),
    indexes=(
        Index(GRANTS, "referencegrants", lambda t: [t["metadata"]["namespace"]]),
        Index(SETS, "listenersets", lambda t: ["/".join(set_parent(t))]),
        *rivals.INDEXES,
        Index(backendtls.POLICIES, "backendtlspolicies", backendtls.targets),
        *(Index(f"{backendtls.USERS} {resource}", resource, _services) for resource in ROUTES),
    ),
    parts={
        "gateways": gateway_parts,
        **{r: http_parts(r) for r in HTTP},
        **{r: stream_parts(r) for r in ROUTES if r not in HTTP},
    },
    statuses={
        "gatewayclasses": classes.status,
        "gateways": gateway_status,
        "listenersets": set_status,
        "backendtlspolicies": backendtls.status,
        **{r: route_status(r) for r in ROUTES},
    },
    counts={r: _counted(r) for r in ROUTES},
    fleets={"gateways": fleet_spec},
)
