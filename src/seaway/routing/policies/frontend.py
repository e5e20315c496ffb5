"""What is read and decided of policies, for the engine."""

from __future__ import annotations

from seaway.routing.engine import FrontEnd, Index
from seaway.routing.ingress.classes import Settings
from seaway.routing.policies.reach import INGRESSES, is_within, services_of, within
from seaway.routing.policies.rules import ANY_SECURITY, ANY_TRAFFIC
from seaway.routing.policies.status import policy_status
from seaway.routing.policies.targets import CLIENTS, SECURITY, TRAFFIC, index, indexed

RESOURCES = (TRAFFIC, CLIENTS, SECURITY)


def policies_front_end(settings: Settings) -> FrontEnd:
    """The front end for policies, of which some are for the IngressClasses of some controllers."""
    return FrontEnd(
        resources=RESOURCES,
        indexes=(
            *(Index(index(resource), resource, indexed) for resource in RESOURCES),
            *(Index(within(resource), resource, is_within) for resource in RESOURCES),
            Index(ANY_TRAFFIC, TRAFFIC, lambda _: [""], presence=True),
            Index(ANY_SECURITY, SECURITY, lambda _: [""], presence=True),
            Index(INGRESSES, "ingresses", services_of),
        ),
        parts={},
        statuses={resource: policy_status(resource, settings) for resource in RESOURCES},
    )


POLICIES = policies_front_end(Settings())
