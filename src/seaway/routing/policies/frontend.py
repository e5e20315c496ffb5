"""What is read and decided of policies, for the engine."""

from __future__ import annotations

from seaway.routing.engine import FrontEnd, Index
from seaway.routing.policies.rules import ANY_SECURITY, ANY_TRAFFIC
from seaway.routing.policies.status import policy_status
from seaway.routing.policies.targets import CLIENTS, SECURITY, TRAFFIC, index, indexed

RESOURCES = (TRAFFIC, CLIENTS, SECURITY)
POLICIES = FrontEnd(
    resources=RESOURCES,
    indexes=(
        *(Index(index(resource), resource, indexed) for resource in RESOURCES),
        Index(ANY_TRAFFIC, TRAFFIC, lambda _: [""], presence=True),
        Index(ANY_SECURITY, SECURITY, lambda _: [""], presence=True),
    ),
    parts={},
    statuses={resource: policy_status(resource) for resource in RESOURCES},
)
